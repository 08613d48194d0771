"""Record what providers answer, at the doors through which requests leave the process, and give it back without a network.

httpx and httpx2 are held at their transports, aiohttp by a middleware of each request, innermost: what observes clients
lies above both, and sees an answer that is given back as it sees a real one.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ai_dev_squad import state
from ai_dev_squad.patching import Patches
from ai_dev_squad.redaction import Redactor
from ai_dev_squad.settings import Settings
from ai_dev_squad_testing.cassette import Answer, Cassette, kept_headers

__all__ = ["use_cassette"]

_UNBOUNDED = 2**40


@contextmanager
def use_cassette(
    path: str | Path, *, record: bool = False, cure: str = "use_cassette(..., record=True)"
) -> Iterator[Cassette]:
    """Give back in the block what the file ``path`` holds, or ``record`` into it what real providers answer.

    Holds for the whole process: every thread and event loop that asks through httpx, httpx2 or aiohttp. Secrets are replaced
    by the redaction of the settings in force. ``cure`` is what errors advise.

    Raises ``AssertionError`` at its end if something was asked for that is not recorded, or was not asked for that is, or
    nothing was there to record; where the block raises anyway, its exception gets that as a note. Raises
    ``FileNotFoundError`` and ``ValueError`` for a file that can't be given back, ``RuntimeError`` inside another such block.
    """
    cassette = Cassette(Path(path), _redactor(), recording=record, cure=cure)
    with Patches() as patches:
        for name, watch in _DOORS.items():
            if importlib.util.find_spec(name) is not None:
                watch(importlib.import_module(name), patches, cassette)
        try:
            yield cassette
        except BaseException as error:
            for complaint in cassette.complaints():
                error.add_note(complaint)
            raise
        finally:
            patches.close()
            if record:
                cassette.write()
    if complaints := cassette.complaints():
        raise AssertionError("\n".join(complaints))


def _redactor() -> Redactor:
    current = state.current()  # a cassette begins no observing where nothing is configured
    settings = Settings.resolve({}) if current is None else current.settings
    return Redactor(
        patterns=settings.redact_patterns,
        emails=settings.redact_emails,
        cards=settings.redact_cards,
        drop_keys=settings.drop_keys,
        max_string=_UNBOUNDED,
        max_items=_UNBOUNDED,
        max_depth=500,
        max_total=_UNBOUNDED,
    )


def _watch_httpx(module: ModuleType, patches: Patches, cassette: Cassette) -> None:
    tee, async_tee, played = _streams(module)

    def play(asked: dict[str, Any]) -> Any:
        answer = cassette.answer_to(asked)
        return module.Response(answer.status, headers=answer.headers, stream=played(answer.pieces))

    def taken(asked: dict[str, Any], response: Any) -> Answer:
        encodings = response.headers.get("content-encoding", "")
        answer = Answer(response.status_code, kept_headers(response.headers.items()), encodings=encodings)
        cassette.record(asked, answer)
        return answer

    def handling(original: Callable[..., Any]) -> Callable[..., Any]:
        def handle_request(self: Any, request: Any) -> Any:
            asked = cassette.asked(request.method, str(request.url), request.read())
            if not cassette.recording:
                return play(asked)
            response = original(self, request)
            response.stream = tee(response.stream, taken(asked, response))
            return response

        return handle_request

    def handling_async(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handle_async_request(self: Any, request: Any) -> Any:
            asked = cassette.asked(request.method, str(request.url), await request.aread())
            if not cassette.recording:
                return play(asked)
            response = await original(self, request)
            response.stream = async_tee(response.stream, taken(asked, response))
            return response

        return handle_async_request

    _once(patches, module.HTTPTransport, "handle_request", handling)
    _once(patches, module.AsyncHTTPTransport, "handle_async_request", handling_async)


def _streams(module: Any) -> tuple[type, type, type]:
    """Streams of this library: two that keep each piece which passes, and one that gives kept pieces back."""

    class Tee(module.SyncByteStream):  # type: ignore[misc]
        def __init__(self, stream: Any, answer: Answer) -> None:
            self._stream, self._answer = stream, answer

        def __iter__(self) -> Iterator[bytes]:
            try:
                for piece in self._stream:
                    self._answer.pieces.append(bytes(piece))
                    yield piece
            except Exception as error:
                self._answer.broken = type(error).__name__
                raise

        def close(self) -> None:
            self._stream.close()

    class AsyncTee(module.AsyncByteStream):  # type: ignore[misc]
        __init__ = Tee.__init__

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for piece in self._stream:
                    self._answer.pieces.append(bytes(piece))
                    yield piece
            except Exception as error:
                self._answer.broken = type(error).__name__
                raise

        async def aclose(self) -> None:
            await self._stream.aclose()

    class Played(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, pieces: list[bytes]) -> None:
            self._pieces = pieces

        def __iter__(self) -> Iterator[bytes]:
            return iter(self._pieces)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self._pieces:
                yield piece

    return Tee, AsyncTee, Played


def _watch_aiohttp(module: ModuleType, patches: Patches, cassette: Cassette) -> None:
    has_middlewares = "middlewares" in inspect.signature(module.ClientSession).parameters
    # A reader has slots and can't be referred to weakly; both live as long as the recording.
    fed: dict[int, tuple[Any, Answer]] = {}

    def take(asked: dict[str, Any], response: Any, packed: bool) -> None:
        encodings = response.headers.get("Content-Encoding", "") if packed else ""
        answer = Answer(response.status, kept_headers(response.headers.items()), encodings=encodings)
        cassette.record(asked, answer)
        reader = response.content
        if type(reader) is module.StreamReader:  # the other kind has nothing in it
            answer.pieces.extend(reader._buffer)  # what came together with the headers
            fed[id(reader)] = reader, answer

    def requesting(original: Callable[..., Any]) -> Callable[..., Any]:
        async def request(self: Any, method: str, url: Any, **options: Any) -> Any:
            if not has_middlewares:  # only who asks by it is told, it may be installed for something else
                version = module.__version__
                raise RuntimeError(f"aiohttp {version} can't be recorded: it has no middlewares; install 3.12 or newer")
            unpacks, own = options.get("auto_decompress"), options.get("middlewares")
            packed = not (self.auto_decompress if unpacks is None else unpacks)

            async def last(request: Any, handler: Any) -> Any:
                body = request.body
                content = body if isinstance(body, bytes) else await body.as_bytes()
                asked = cassette.asked(request.method, str(request.url), content)
                if not cassette.recording:
                    return _played(module, self, request, cassette.answer_to(asked))
                response = await handler(request)
                take(asked, response, packed)
                return response

            options["middlewares"] = (*(self._middlewares if own is None else own), last)
            return await original(self, method, url, **options)

        return request

    def feeding(original: Callable[..., Any]) -> Callable[..., Any]:
        def feed_data(self: Any, data: Any, *more: Any) -> Any:
            if data and (known := fed.get(id(self))) is not None:
                known[1].pieces.append(bytes(data))
            return original(self, data, *more)

        return feed_data

    def failing(original: Callable[..., Any]) -> Callable[..., Any]:
        def set_exception(self: Any, exc: Any, *more: Any) -> Any:
            known = fed.get(id(self))
            if known is not None and type(exc) is not module.ClientConnectionError:  # that one says that it was closed
                known[1].broken = (exc if isinstance(exc, type) else type(exc)).__name__
            return original(self, exc, *more)

        return set_exception

    _once(patches, module.ClientSession, "_request", requesting)
    _once(patches, module.StreamReader, "set_exception", failing)
    _once(patches, module.StreamReader, "feed_data", feeding)


def _played(module: Any, session: Any, request: Any, answer: Answer) -> Any:
    """A response of aiohttp's that has come whole, and gives its pieces one after the other."""
    from aiohttp.base_protocol import BaseProtocol
    from aiohttp.http import HttpVersion11
    from multidict import CIMultiDict, CIMultiDictProxy

    loop = asyncio.get_running_loop()
    pieces = iter(answer.pieces)

    class Sender(BaseProtocol):
        """Sends the next piece when the last one has been read: pieces that lie together would be read as one."""

        connected = True

        def pause_reading(self) -> None:
            """There is never more than one piece."""

        def resume_reading(self, *_: Any, **__: Any) -> None:
            loop.call_soon(send)  # not at once: a reader that empties its buffer would take the next piece along

    def send() -> None:
        if not reader._buffer and not reader.is_eof():
            piece = next(pieces, None)
            if piece is None:
                reader.feed_eof()
            else:
                reader.feed_data(piece)

    sender = Sender(loop)
    sender._reading_paused = True  # it is asked to resume after each piece
    reader = module.StreamReader(sender, 2**20, loop=loop)
    information = module.RequestInfo(request.url, request.method, CIMultiDictProxy(request.headers), request.url)
    options = {"writer": None, "continue100": None, "timer": None, "request_info": information, "traces": []}
    if "stream_writer" in inspect.signature(module.ClientResponse).parameters:
        options["stream_writer"] = _NothingSent()
    response = session._response_class(request.method, request.url, **options, loop=loop, session=session)
    headers = CIMultiDict(answer.headers)
    response.version, response.status, response.reason = HttpVersion11, answer.status, None
    response._headers = CIMultiDictProxy(headers)
    response._raw_headers = tuple((name.encode(), value.encode()) for name, value in headers.items())
    response.content = reader
    send()
    return response


class _NothingSent:
    """Stands for the writer of a request that went nowhere."""

    output_size = 0


def _once(patches: Patches, owner: type, name: str, wrapper: Callable[..., Any]) -> None:
    if not patches.wrap(owner, name, wrapper, mark=__name__):
        raise RuntimeError("another cassette is in use: requests of one process go to one file; end its block first")


_DOORS: dict[str, Callable[[ModuleType, Patches, Cassette], None]] = {
    "httpx": _watch_httpx,
    "httpx2": _watch_httpx,
    "aiohttp": _watch_aiohttp,
}
