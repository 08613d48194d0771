"""The client gets the same bytes with and without a tap, and the tap reads them right, however they are cut and packed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import urllib3

from ai_dev_squad import wire

MODEL = {"model": "m", "stream": True}
# Each way of streaming: what is asked, and a number that its usage has in the end.
STREAMS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "/v1/chat/completions": ({**MODEL, "stream_options": {"include_usage": True}}, "total_tokens", 110),
    "/v1/responses": (MODEL, "total_tokens", 110),
    "/v1/messages": (MODEL, "output_tokens", 40),
    "/v1beta/models/g:streamGenerateContent?alt=sse": ({}, "totalTokenCount", 140),
    "/v1beta/models/g:streamGenerateContent": ({}, "totalTokenCount", 140),
    "/model/x/converse-stream": ({}, "totalTokens", 4155),
    "/model/x/invoke-with-response-stream": ({}, "output_tokens", 40),
    "/api/chat": ({"model": "m"}, "eval_count", 9),
    "/v2/chat": (MODEL, "billed_units", {"input_tokens": 60, "output_tokens": 10}),
}

Read = Callable[[str, dict[str, Any]], list[bytes]]


def httpx_reader(library: Any, how: str) -> Callable[[str], Iterator[Read]]:
    """Reads with a client of httpx or httpx2."""

    def reader(encoding: str) -> Iterator[Read]:
        with library.Client(verify=False, headers={"accept-encoding": encoding}) as client:

            def read(url: str, body: dict[str, Any]) -> list[bytes]:
                with client.stream("POST", url, json=body) as response:
                    return list(getattr(response, how)())

            yield read

    return reader


def httpx_async_reader(library: Any, how: str) -> Callable[[str], Iterator[Read]]:
    """Reads with an asynchronous client of httpx or httpx2."""

    def reader(encoding: str) -> Iterator[Read]:
        async def pieces(url: str, body: dict[str, Any]) -> list[bytes]:
            async with library.AsyncClient(verify=False, headers={"accept-encoding": encoding}) as client:
                async with client.stream("POST", url, json=body) as response:
                    return [piece async for piece in getattr(response, how)()]

        yield lambda url, body: asyncio.run(pieces(url, body))

    return reader


def urllib3_reader(how: Callable[[Any], list[bytes]]) -> Callable[[str], Iterator[Read]]:
    """Reads with urllib3."""

    def reader(encoding: str) -> Iterator[Read]:
        with urllib3.PoolManager(headers={"accept-encoding": encoding}) as pool:

            def read(url: str, body: dict[str, Any]) -> list[bytes]:
                return how(pool.request("POST", url, json=body, preload_content=False))

            yield read

    return reader


def aiohttp_reader(how: Callable[[Any], Any], **options: Any) -> Callable[[str], Iterator[Read]]:
    """Reads with aiohttp."""

    def reader(encoding: str) -> Iterator[Read]:
        async def pieces(url: str, body: dict[str, Any]) -> list[bytes]:
            async with aiohttp.ClientSession(headers={"accept-encoding": encoding}, **options) as session:
                async with session.post(url, json=body) as response:
                    return [piece async for piece in how(response.content)]

        yield lambda url, body: asyncio.run(pieces(url, body))

    return reader


async def _whole(content: Any) -> Any:
    yield await content.read()


READERS: dict[str, Callable[[str], Iterator[Read]]] = {
    "httpx raw": httpx_reader(httpx, "iter_raw"),
    "httpx bytes": httpx_reader(httpx, "iter_bytes"),
    "httpx2 raw": httpx_reader(httpx2, "iter_raw"),
    "httpx2 lines": httpx_reader(httpx2, "iter_lines"),
    "httpx async raw": httpx_async_reader(httpx, "aiter_raw"),
    "httpx2 async bytes": httpx_async_reader(httpx2, "aiter_bytes"),
    "urllib3 raw": urllib3_reader(lambda response: list(response.stream(7, decode_content=False))),
    "urllib3 decoded": urllib3_reader(lambda response: list(response.stream(7, decode_content=True))),
    "urllib3 read": urllib3_reader(lambda response: [response.read()]),
    "urllib3 read1": urllib3_reader(lambda response: list(iter(lambda: response.read1(11), b""))),
    "aiohttp any": aiohttp_reader(lambda content: content.iter_any()),
    "aiohttp chunked": aiohttp_reader(lambda content: content.iter_chunked(5)),
    "aiohttp lines": aiohttp_reader(lambda content: content),
    "aiohttp read": aiohttp_reader(_whole),
    "aiohttp packed": aiohttp_reader(lambda content: content.iter_any(), auto_decompress=False),
}
CUTS = {"identity": (1, 2, 61, None), "gzip": (1, 61, None), "deflate": (7, None), "br": (7, None), "zstd": (7, None)}
COMBINATIONS = [
    (name, encoding, cut)
    for name in READERS
    for encoding, cuts in CUTS.items()
    for cut in cuts
    if encoding != "zstd" or not name.startswith("aiohttp")  # it unpacks zstd with a library of Python 3.14 only
]


@pytest.mark.parametrize("name, encoding, cut", COMBINATIONS)
def test_bytes_are_the_same_and_usage_is_right(name: str, encoding: str, cut: int | None, serve, recorder) -> None:
    """Nine ways of streaming, read in every way that the libraries have."""
    server = serve(encoding=None if encoding == "identity" else encoding, cut=cut)
    results = {}
    for path, (body, _, _) in STREAMS.items():
        for read in READERS[name](encoding):
            plain = read(server.url + path, body)
            with wire.install(recorder):
                seen = read(server.url + path, body)
        exchange = recorder.asked_of[-1]
        key = STREAMS[path][1]
        whole = type(plain[0])().join
        results[path] = (whole(plain) == whole(seen), exchange.status, exchange.answer.usage.get(key))
    assert results == {path: (True, "ok", number) for path, (_, _, number) in STREAMS.items()}
    assert len(recorder.told()) == len(STREAMS)
