"""What every door does with a request: ask the observer, send, watch the answer. Nothing of a library in particular."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from ai_dev_squad.guard import report
from ai_dev_squad.wire.exchange import Exchange, Observer
from ai_dev_squad.wire.requests import Request
from ai_dev_squad.wire.shapes import Shape, followed, shapes_of

__all__ = ["METHODS", "Passage", "Sending", "passing", "passing_async"]

METHODS = frozenset({"GET", "POST"})
"""Of requests that may begin an exchange."""

_Address = tuple["str | None", str, "int | None"]
_Sent = TypeVar("_Sent")

# Clients stand on one another (LiteLLM: httpx on aiohttp): the outermost door sees the call.
_outermost: ContextVar[Exchange | None] = ContextVar("ai_dev_squad_wire", default=None)


class Sending:
    """Around the call of the library that sends a request and waits for the answer's head."""

    __slots__ = ("_exchange", "_token")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __enter__(self) -> None:
        self._token = _outermost.set(self._exchange)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._exchange.is_sending = False
        _outermost.reset(self._token)
        if error is not None:
            self._exchange.failed(error)


def passing(pieces: Iterable[bytes], exchange: Exchange, held: object = None) -> Iterator[bytes]:
    """The pieces of an answer, each seen by the exchange before the client gets it. ``held`` lives as long as they are read."""
    try:
        for piece in pieces:
            exchange.feed(piece)
            yield piece
    except GeneratorExit:
        raise  # given up: closing it says so, or nobody holds it any more
    except BaseException as error:
        exchange.failed(error)
        raise
    exchange.end("ok")


async def passing_async(pieces: AsyncIterable[bytes], exchange: Exchange, held: object = None) -> AsyncIterator[bytes]:
    """The same of an answer that comes asynchronously."""
    iterator = aiter(pieces)
    try:
        async for piece in iterator:
            exchange.feed(piece)
            yield piece
    except GeneratorExit:
        raise
    except BaseException as error:
        exchange.failed(error)
        raise
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
    exchange.end("ok")


class Passage:
    """The way of requests through all doors, past one observer."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._dropped: deque[Exchange] = deque()

    def begin(
        self, method: str, path: str, sent: _Sent, body: Callable[[_Sent], Any], address: Callable[[_Sent], _Address]
    ) -> Exchange | None:
        """The exchange that a request to ``path`` begins, if it asks a model, or asks about a response that was asked for.

        Raises only what the observer refuses with.

        ``body(sent)`` is what is sent: bytes, text or a mapping, ``None`` if that can't be known before it is sent.
        ``address(sent)`` is scheme, host and port.
        """
        shapes = shapes_of(path) if method == "POST" else None
        if not shapes:
            return self._follow(method, path, sent, address)
        outer = _outermost.get()
        if outer is not None and outer.is_sending:
            return None
        try:
            request = Request(body(sent))
            scheme, host, port = address(sent)
            shape = next((shape for shape in shapes if shape.is_call(path, request, host)), None)
            if shape is None:
                return None  # somebody else's path that ends alike
            exchange = Exchange(shape, request, path=path, host=host, port=port, scheme=scheme)
        except Exception as error:  # noqa: BLE001 - the user's call comes first
            report("reading a request on the wire", error)
            return None
        self.settle()
        self._observer.asked(exchange)
        exchange.watch(self)
        return exchange

    def _follow(self, method: str, path: str, sent: _Sent, address: Callable[[_Sent], _Address]) -> Exchange | None:
        found = followed(method, path)
        outer = _outermost.get()
        if found is None or (outer is not None and outer.is_sending):
            return None
        try:
            scheme, host, port = address(sent)
            api, identifier = found
            exchange = Exchange(Shape(api, ""), Request(None), path=path, host=host, port=port, scheme=scheme)
        except Exception as error:  # noqa: BLE001 - the user's call comes first
            report("reading a request on the wire", error)
            return None
        exchange.follows = identifier
        self.settle()
        exchange.watch(self)
        return exchange

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
