"""What a tap reaches: libraries that come later, HTTP/2, proxies; and the private names that it stands on."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import aiohttp
import httpx
import httpx2
import hypercorn.asyncio
import hypercorn.config
import lm15.transports
import pytest
import requests
import urllib3

CHAT = "/v1/chat/completions"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "q"}]}
PROGRAM = """
    import json, sys
    from ai_dev_squad import wire
    class Recorder:
        seen = []
        def asked(self, exchange): self.seen.append(exchange)
        def ended(self, exchange): pass
    {order}
    told = [{library}.__spec__.loader.__class__.__name__, {library}.__loader__.__class__.__name__]
    print(json.dumps([*told, [[e.host, e.answer.usage["prompt_tokens"]] for e in Recorder.seen], sorted(
        name for name in ("httpx", "httpx2", "aiohttp", "urllib3") if name in loaded)]))
"""
IMPORT = "import {library}"
TAP = "loaded = set(sys.modules); tap = wire.install(Recorder())"
HTTPX = '{library}.post("{url}", json={body})'


@pytest.mark.parametrize("library", ["httpx", "httpx2", "urllib3", "requests"])
@pytest.mark.parametrize("tap_first", [False, True])
def test_a_library_is_watched_whenever_it_is_imported(library: str, tap_first: bool, serve) -> None:
    """Before or after the tap, which imports none itself, and a module keeps the loader that it would have."""
    send = HTTPX if library != "urllib3" else 'urllib3.request("POST", "{url}", json={body})'
    order = [TAP, IMPORT] if tap_first else [IMPORT, TAP]
    lines = "; ".join([*order, send]).format(library=library, url=serve().url + CHAT, body=BODY)
    program = textwrap.dedent(PROGRAM.format(order=lines, library=library))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *loaders, seen, loaded = json.loads(done.stdout)
    assert (loaders, seen) == (["SourceFileLoader"] * 2, [["127.0.0.1", 100]])
    expected = {"requests": ["urllib3"]}.get(library, [library])
    assert loaded == ([] if tap_first else expected)


def test_httpx2_under_the_name_of_httpx_is_watched_once(serve) -> None:
    """``httpx2.alias_httpx()`` makes both one module."""
    lines = f"import httpx2; httpx2.alias_httpx(); import httpx; {TAP}; tap.look(); {HTTPX}"
    order = lines.format(library="httpx", url=serve().url + CHAT, body=BODY)
    program = textwrap.dedent(PROGRAM.format(order=order, library="httpx"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)[2] == [["127.0.0.1", 100]]


@pytest.fixture
def http2(answer) -> Iterator[str]:
    """The address of a server that speaks HTTP/2 without encryption."""
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        kind, pieces = answer(scope["path"], json.loads(body))
        headers = [(b"content-type", kind.encode()), (b"x-version", scope["http_version"].encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces if isinstance(pieces, list) else [json.dumps(pieces).encode()]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    config = hypercorn.config.Config()
    config.bind, config.errorlog = ["127.0.0.1:0"], None
    (listener,) = config.create_sockets().insecure_sockets
    config.bind = [f"fd://{listener.fileno()}"]

    async def run() -> None:
        ready.set()
        await hypercorn.asyncio.serve(application, config, shutdown_trigger=stop.wait)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    ready.wait()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()
    listener.detach()


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_http_2_passes_the_same_door(library: Any, http2: str, tapped) -> None:
    """Whole and streamed."""
    stream = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
    with library.Client(http1=False, http2=True) as client:
        assert client.post(http2 + CHAT, json=BODY).headers["x-version"] == "2"
        with client.stream("POST", http2 + CHAT, json=stream) as response:
            assert response.http_version == "HTTP/2"
            assert response.read().endswith(b"[DONE]\n\n")
    assert [(status, usage["prompt_tokens"]) for status, usage in tapped.told()] == [("ok", 100)] * 2


def test_a_proxy_is_not_taken_for_the_provider(serve, tapped) -> None:
    """A server that is asked for whole addresses stands in for the proxy."""
    proxy = serve()
    url = f"http://provider.example:8080{CHAT}"

    async def with_aiohttp() -> None:
        async with aiohttp.ClientSession() as session, session.post(url, json=BODY, proxy=proxy.url) as response:
            await response.read()

    with httpx.Client(proxy=proxy.url) as client:
        client.post(url, json=BODY)
    with urllib3.ProxyManager(proxy.url) as pool:
        pool.request("POST", url, json=BODY)
    requests.post(url, json=BODY, proxies={"http": proxy.url}, timeout=9)
    asyncio.run(with_aiohttp())
    assert [path for path, _ in proxy.requests] == [url] * 4
    told = [(e.scheme, e.host, e.port, e.path, e.status) for e in tapped.asked_of]
    assert told == [("http", "provider.example", 8080, CHAT, "ok")] * 4


PRIVATE = [
    (aiohttp.ClientSession, "_request"),
    (aiohttp.ClientSession, "_build_url"),
    (aiohttp.StreamReader, "_read_nowait_chunk"),
    (urllib3.HTTPResponse, "_raw_read"),
    (urllib3.HTTPResponse, "_handle_chunk"),
    (urllib3.HTTPResponse, "_update_chunk_length"),
    (lm15.transports.StdlibAsyncTransport, "_do_stream"),
]


@pytest.mark.parametrize("owner, name", PRIVATE)
def test_private_names_that_a_door_stands_on_are_there(owner: type, name: str) -> None:
    """A release that renames one fails here before a user meets it; there, its door would be reported and skipped."""
    assert callable(getattr(owner, name))


def test_a_reader_of_aiohttp_has_what_a_door_looks_at() -> None:
    """Its buffer, and whether more can come."""
    assert {"_buffer", "_eof"} <= set(aiohttp.StreamReader.__slots__)
