"""lm15, which DSPy carries along: HTTP on sockets of its own, at ``StdlibTransport.stream`` and its asynchronous twin."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from ai_dev_squad.patching import Patches
from ai_dev_squad.wire.exchange import Exchange
from ai_dev_squad.wire.passage import METHODS, Passage, Sending, passing, passing_async

__all__ = ["watch"]


def watch(module: ModuleType, patches: Patches, passage: Passage) -> None:
    """Wrap the library's transports. Raises ``AttributeError`` if there are no such ones."""
    sync_answer, async_answer = module.TransportResponse, module.AsyncTransportResponse

    def begin(request: Any) -> Exchange | None:
        parts = urlsplit(request.url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return passage.begin(request.method, path, (request.body, parts), lambda sent: sent[0], _address)

    def seen(response: Any, exchange: Exchange, answer: type, tee: Callable[[Any, Exchange], Any]) -> Any:
        """The answer, made anew of its public parts, as each piece of it passes by."""
        # Its pieces are unpacked already.
        exchange.answered(response.status, {name.lower(): value for name, value in response.headers}, packed=False)
        return answer(
            status=response.status,
            reason=response.reason,
            headers=response.headers,
            http_version=response.http_version,
            chunks=tee(response, exchange),
            release=_release(response, exchange) if answer is sync_answer else _release_async(response, exchange),
        )

    def streaming(original: Callable[..., Any]) -> Callable[..., Any]:
        def stream(self: Any, request: Any) -> Any:
            if request.method not in METHODS or (exchange := begin(request)) is None:
                return original(self, request)
            with Sending(exchange):
                response = original(self, request)
            return seen(response, exchange, sync_answer, passing)

        return stream

    def streaming_async(original: Callable[..., Any]) -> Callable[..., Any]:
        async def stream(self: Any, request: Any) -> Any:
            if request.method not in METHODS or (exchange := begin(request)) is None:
                return await original(self, request)
            with Sending(exchange):
                response = await original(self, request)
            return seen(response, exchange, async_answer, passing_async)

        return stream

    patches.wrap_all(
        [
            (module.StdlibTransport, "stream", streaming),
            (module.StdlibAsyncTransport, "_do_stream", streaming_async),
        ]
    )


def _address(sent: tuple[Any, Any]) -> tuple[str | None, str, int | None]:
    return sent[1].scheme, sent[1].hostname or "", sent[1].port


def _release(response: Any, exchange: Exchange) -> Callable[[bool], None]:
    def release(body_consumed: bool) -> None:
        response.close()
        exchange.end("closed_early")

    return release


def _release_async(response: Any, exchange: Exchange) -> Callable[[bool], Any]:
    async def release(body_consumed: bool) -> None:
        await response.aclose()
        exchange.end("closed_early")

    return release
