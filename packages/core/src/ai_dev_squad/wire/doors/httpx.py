"""httpx and httpx2, at ``Client.send``: above transports and redirects, so that foreign and mocked transports are seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

from ai_dev_squad.patching import Patches
from ai_dev_squad.wire.exchange import Exchange
from ai_dev_squad.wire.passage import METHODS, Passage, Sending, passing, passing_async

__all__ = ["watch"]


def watch(module: ModuleType, patches: Patches, passage: Passage) -> None:
    """Wrap the library's clients."""
    tee, async_tee = _tees(module)

    def body(request: Any) -> bytes | None:
        try:
            content: bytes = request.content
        except module.RequestNotRead:
            return None  # generated while it is sent
        return content

    def address(request: Any) -> tuple[str | None, str, int | None]:
        return request.url.scheme, request.url.host, request.url.port

    def begin(request: Any) -> Exchange | None:
        return passage.begin(request.method, request.url.raw_path.decode("ascii"), request, body, address)

    def see(response: Any, exchange: Exchange) -> None:
        if response.is_stream_consumed:
            exchange.whole(response.status_code, response.headers, response.content)
        else:
            exchange.answered(response.status_code, response.headers)
            response.stream = tee(response.stream, exchange)

    def see_async(response: Any, exchange: Exchange) -> None:
        if response.is_stream_consumed:
            exchange.whole(response.status_code, response.headers, response.content)
        else:
            exchange.answered(response.status_code, response.headers)
            response.stream = async_tee(response.stream, exchange)

    def sending(original: Callable[..., Any]) -> Callable[..., Any]:
        def send(self: Any, request: Any, **options: Any) -> Any:
            if request.method not in METHODS or (exchange := begin(request)) is None:
                return original(self, request, **options)
            with Sending(exchange):
                response = original(self, request, **options)
            return passage.watched(response, exchange, see)

        return send

    def sending_async(original: Callable[..., Any]) -> Callable[..., Any]:
        async def send(self: Any, request: Any, **options: Any) -> Any:
            if request.method not in METHODS or (exchange := begin(request)) is None:
                return await original(self, request, **options)
            with Sending(exchange):
                response = await original(self, request, **options)
            return passage.watched(response, exchange, see_async)

        return send

    patches.wrap_all([(module.Client, "send", sending), (module.AsyncClient, "send", sending_async)])


def _tees(module: Any) -> tuple[type, type]:
    """Streams of this library that show each piece to an exchange before the client gets it."""

    class Tee(module.SyncByteStream):  # type: ignore[misc]
        def __init__(self, stream: Any, exchange: Exchange) -> None:
            self._stream, self._exchange = stream, exchange
            exchange.hold(self)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

        def __iter__(self) -> Iterator[bytes]:
            return passing(self._stream, self._exchange, self)

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._exchange.end("closed_early")

    class AsyncTee(module.AsyncByteStream):  # type: ignore[misc]
        __init__, __getattr__ = Tee.__init__, Tee.__getattr__

        def __aiter__(self) -> AsyncIterator[bytes]:
            return passing_async(self._stream, self._exchange, self)

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._exchange.end("closed_early")

    return Tee, AsyncTee
