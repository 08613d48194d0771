"""What every door does with a request: ask the observer, send, watch the answer. Nothing of a library in particular."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec

from ai_dev_squad.guard import report
from ai_dev_squad.wire.exchange import Exchange, Observer
from ai_dev_squad.wire.requests import Request
from ai_dev_squad.wire.shapes import model_in_path, shape_of

__all__ = ["Passage"]

_Address = tuple["str | None", str, "int | None"]

# Clients stand on one another (LiteLLM: httpx on aiohttp): the outermost door sees the call.
_outermost: ContextVar[Exchange | None] = ContextVar("ai_dev_squad_wire", default=None)


class Passage:
    """The way of requests through all doors, past one observer."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._dropped: deque[Exchange] = deque()

    def begin(self, path: str, body: Callable[[], Any], address: Callable[[], _Address]) -> Exchange | None:
        """The exchange that a POST to ``path`` begins, if it asks a model. Raises only what the observer refuses with.

        ``body()`` is what is sent: bytes, text or a mapping, ``None`` if that can't be known before it is sent.
        ``address()`` is scheme, host and port.
        """
        shape = shape_of(path)
        if shape is None:
            return None
        outer = _outermost.get()
        if outer is not None and outer.is_sending:
            return None
        try:
            request = _request(body(), shape.unmistakable or shape.model_in_path)
            if request is None:
                return None
            model = request.model or (model_in_path(path) if shape.model_in_path else None)
            if model is None and not shape.unmistakable:
                return None
            scheme, host, port = address()
            exchange = Exchange(shape.api, request, model or "", path=path, host=host, port=port, scheme=scheme)
        except Exception as error:  # noqa: BLE001 - the user's call comes first
            report("reading a request on the wire", error)
            return None
        self.settle()
        self._observer.asked(exchange)
        exchange.watch(self)
        return exchange

    @contextmanager
    def sending(self, exchange: Exchange) -> Iterator[None]:
        """Around the call of the library that sends the request and waits for the answer's head."""
        token = _outermost.set(exchange)
        try:
            yield
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            exchange.is_sending = False
            _outermost.reset(token)

    def watched(self, response: Any, exchange: Exchange, watch: Callable[[Any, Exchange], None]) -> Any:
        """``response``, whose body ``watch(response, exchange)`` has arranged to see."""
        try:
            watch(response, exchange)
        except Exception as error:  # noqa: BLE001 - such as for another library's class of responses
            report("watching an answer on the wire", error)
            exchange.end("ok")
        return response

    def ended(self, exchange: Exchange) -> None:
        """An exchange has ended."""
        self._observer.ended(exchange)

    def dropped(self, exchange: Exchange) -> None:
        """An answer was dropped; ``settle`` ends it."""
        self._dropped.append(exchange)

    def settle(self) -> None:
        """End the exchanges of answers that were dropped unread."""
        while self._dropped:
            try:
                exchange = self._dropped.popleft()
            except IndexError:  # another thread was faster
                return
            exchange.end("closed_early")


def _request(body: Any, may_be_unread: bool) -> Request | None:
    """What is asked; ``None`` if that's no JSON and the path alone doesn't say that it's a call of a model."""
    if isinstance(body, (bytes, bytearray, memoryview, str, dict)):
        try:
            return Request(body)
        except msgspec.MsgspecError:
            pass
    return Request(None) if may_be_unread else None
