"""urllib3, at ``HTTPConnectionPool.urlopen``, which requests and botocore go through, too."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from ai_dev_squad.patching import Patches
from ai_dev_squad.wire.doors._swap import Swap
from ai_dev_squad.wire.exchange import Exchange
from ai_dev_squad.wire.passage import METHODS, Passage, Sending

__all__ = ["watch"]

_HELD = "_ai_dev_squad_exchange"
_OWN_PORTS = {"http": 80, "https": 443}
# What takes bytes off the socket lies below every way to read, and has private names.
_TAKING = ("_raw_read", "_handle_chunk", "_update_chunk_length")


def watch(module: ModuleType, patches: Patches, passage: Passage) -> None:
    """Wrap the library's pools. Raises ``AttributeError`` if a response is no longer made as we know it (urllib3 2)."""
    for name in _TAKING:
        getattr(module.HTTPResponse, name)
    swap = Swap(_tapped_response)

    def begin(method: str, pool: Any, url: str, body: Any) -> Exchange | None:
        return passage.begin(method, _path(url), (pool, url, body), lambda sent: sent[2], _address)

    def opening(original: Callable[..., Any]) -> Callable[..., Any]:
        def urlopen(self: Any, method: str, url: str, body: Any = None, *args: Any, **options: Any) -> Any:
            if method not in METHODS or (exchange := begin(method, self, url, body)) is None:
                return original(self, method, url, body, *args, **options)
            with Sending(exchange):
                response = original(self, method, url, body, *args, **options)

            def see(response: Any, exchange: Exchange) -> None:
                if options.get("preload_content", True):
                    packed = not options.get("decode_content", True)
                    exchange.whole(response.status, response.headers, response.data, packed=packed)
                    return
                exchange.answered(response.status, response.headers)
                if not isinstance(response, module.HTTPResponse):
                    exchange.end("ok")  # such as a recorder's: what it says isn't seen
                    return
                setattr(response, _HELD, exchange)
                swap(response)
                exchange.hold(response)

            return passage.watched(response, exchange, see)

        return urlopen

    patches.wrap(module.HTTPConnectionPool, "urlopen", opening)


def _path(url: str) -> str:
    _, absolute, rest = url.partition("://")
    return f"/{rest.partition('/')[2]}" if absolute and not url.startswith("/") else url


def _address(sent: tuple[Any, str, Any]) -> tuple[str | None, str, int | None]:
    pool, url, _ = sent
    scheme, host, port = pool.scheme, pool.host, pool.port
    if not url.startswith("/"):  # to a proxy, which the pool is of
        target = urlsplit(url)
        scheme, host, port = target.scheme, target.hostname or "", target.port
    return scheme, host, None if port == _OWN_PORTS.get(scheme) else port


def _tapped_response(owner: Any) -> type:
    class Response(owner):  # type: ignore[misc]
        __slots__ = ()

        def _raw_read(self, amt: int | None = None, *, read1: bool = False) -> Any:
            data = self._seen(owner._raw_read, amt, read1=read1)
            through = not data or self.length_remaining == 0 or (amt is None and not read1)
            if amt != 0 and through:
                self.__dict__[_HELD].end("ok")
            return data

        def _handle_chunk(self, amt: int | None) -> Any:
            return self._seen(owner._handle_chunk, amt)

        def _update_chunk_length(self) -> None:
            self._seen(owner._update_chunk_length)
            if self.chunk_left == 0:
                self.__dict__[_HELD].end("ok")

        def close(self) -> None:
            owner.close(self)
            if _HELD in self.__dict__:
                self.__dict__[_HELD].end("closed_early")

        def __del__(self) -> None:
            # Closing must not tell of the end now, in the midst of anything: the exchange does, when it's time.
            self.__dict__.pop(_HELD, None)
            owner.__del__(self)

        def _seen(self, take: Callable[..., Any], *args: Any, **options: Any) -> Any:
            exchange: Exchange = self.__dict__[_HELD]
            try:
                data = take(self, *args, **options)
            except BaseException as error:
                exchange.failed(error)
                raise
            if data:
                exchange.feed(data)
            return data

    return Response
