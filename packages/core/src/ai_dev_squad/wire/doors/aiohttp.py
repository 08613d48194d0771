"""aiohttp, at ``ClientSession._request``, through which every method goes; bodies come unpacked out of a ``StreamReader``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any
from weakref import WeakValueDictionary

from ai_dev_squad.patching import Patches
from ai_dev_squad.wire.doors._swap import Swap
from ai_dev_squad.wire.exchange import Exchange
from ai_dev_squad.wire.passage import METHODS, Passage, Sending

__all__ = ["watch"]

_HELD = "_ai_dev_squad_exchange"


def watch(module: ModuleType, patches: Patches, passage: Passage) -> None:
    """Wrap the library's session. Raises ``AttributeError`` if a reader is no longer made as we know it."""
    getattr(module.StreamReader, "_read_nowait_chunk")  # noqa: B009 - a private name: say so now, not in each answer
    # A reader has slots, and room for nothing else: the response holds its exchange.
    exchanges: WeakValueDictionary[int, Exchange] = WeakValueDictionary()
    swap_reader, swap_response = Swap(lambda owner: _tapped_reader(owner, exchanges)), Swap(_tapped_response)

    def see(response: Any, exchange: Exchange, packed: bool) -> None:
        exchange.answered(response.status, response.headers, packed=packed)
        reader = response.content
        if type(reader) is not module.StreamReader:
            exchange.end("ok")  # nothing in it
            return
        setattr(response, _HELD, exchange)
        exchanges[id(reader)] = exchange
        swap_reader(reader)
        swap_response(response)
        exchange.hold(response)

    def begin(method: str, session: Any, url: Any, options: dict[str, Any]) -> Exchange | None:
        path = _path(url if isinstance(url, str) else str(url))
        return passage.begin(method, path, (session, url, options), _body, _address)

    def requesting(original: Callable[..., Any]) -> Callable[..., Any]:
        async def request(self: Any, method: str, url: Any, **options: Any) -> Any:
            if (verb := method.upper()) not in METHODS or (exchange := begin(verb, self, url, options)) is None:
                return await original(self, method, url, **options)
            with Sending(exchange):
                response = await original(self, method, url, **options)
            unpacks = options.get("auto_decompress")
            packed = not (self.auto_decompress if unpacks is None else unpacks)
            return passage.watched(response, exchange, lambda response, exchange: see(response, exchange, packed))

        return request

    patches.wrap(module.ClientSession, "_request", requesting)


def _body(sent: tuple[Any, Any, dict[str, Any]]) -> Any:
    data = sent[2].get("data")
    return sent[2].get("json") if data is None else data


def _address(sent: tuple[Any, Any, dict[str, Any]]) -> tuple[str | None, str, int | None]:
    whole = sent[0]._build_url(sent[1])
    return whole.scheme, whole.host or "", None if whole.is_default_port() else whole.port


def _path(url: str) -> str:
    _, absolute, rest = url.partition("://")
    return f"/{rest.partition('/')[2]}" if absolute else url


def _tapped_reader(owner: Any, exchanges: WeakValueDictionary[int, Exchange]) -> type:
    class Reader(owner):  # type: ignore[misc]
        __slots__ = ()

        def _read_nowait_chunk(self, n: int) -> bytes:
            data: bytes = owner._read_nowait_chunk(self, n)
            if (exchange := exchanges.get(id(self))) is not None:
                exchange.feed(data)
                if self._eof and not self._buffer:
                    exchange.end("ok")
            return data

        def feed_eof(self) -> None:
            owner.feed_eof(self)
            if not self._buffer and (exchange := exchanges.get(id(self))) is not None:
                exchange.end("ok")

        def set_exception(self, exc: BaseException, *more: Any, **options: Any) -> None:
            owner.set_exception(self, exc, *more, **options)
            if (exchange := exchanges.get(id(self))) is not None:
                exchange.failed(exc)

    return Reader


def _tapped_response(owner: Any) -> type:
    class Response(owner):  # type: ignore[misc]
        __slots__ = ()

        def close(self) -> None:
            self._leave()
            owner.close(self)

        def release(self) -> Any:
            self._leave()
            return owner.release(self)

        def _leave(self) -> None:
            # Before the connection is closed, which is an error to whoever would read on.
            exchange, why = getattr(self, _HELD), sys.exc_info()[1]
            if isinstance(why, (asyncio.CancelledError, asyncio.TimeoutError)):
                exchange.failed(why)
            else:
                exchange.end("ok" if self.content.at_eof() else "closed_early")

    return Response
