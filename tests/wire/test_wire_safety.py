"""A tapped program behaves as an untapped one, whatever else is at work in it and whatever goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import json
import os
import pickle
import random
import threading
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import lm15.transports
import openai
import pytest
import requests
import respx
import urllib3
import vcr
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ai_dev_squad import guard, wire

CHAT = "/v1/chat/completions"
MESSAGES: Any = [{"role": "user", "content": "q"}]
BODY = {"model": "gpt-4o", "messages": MESSAGES}
STREAM: dict[str, Any] = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
DOORS = (
    (httpx.Client, "send"),
    (httpx.AsyncClient, "send"),
    (httpx2.Client, "send"),
    (httpx2.AsyncClient, "send"),
    (aiohttp.ClientSession, "_request"),
    (urllib3.HTTPConnectionPool, "urlopen"),
    (lm15.transports.StdlibTransport, "stream"),
    (lm15.transports.StdlibAsyncTransport, "_do_stream"),
)


def prompts(recorder: Any) -> list[tuple[str | None, int | None]]:
    """Status and input tokens of each exchange."""
    return [(status, usage.get("prompt_tokens")) for status, usage in recorder.told()]


def test_closing_puts_everything_back_and_sees_open_answers_to_their_end(serve, recorder) -> None:
    """What was wrapped is the same object as before; a stream that was open is counted, the next call is not."""
    before = [getattr(owner, name) for owner, name in DOORS]
    server = serve()
    with httpx.Client() as client:
        tap = wire.install(recorder)
        with client.stream("POST", server.url + CHAT, json=STREAM) as response:
            pieces = response.iter_bytes()
            next(pieces)
            tap.close()
            list(pieces)
        client.post(server.url + CHAT, json=BODY)
    assert [getattr(owner, name) for owner, name in DOORS] == before
    assert prompts(recorder) == [("ok", 100)]


def test_a_second_tap_counts_nothing_twice(serve, recorder, tapped) -> None:
    """The first observer keeps the doors."""
    second = type(recorder)()
    with wire.install(second):
        httpx.post(serve().url + CHAT, json=BODY)
    assert (len(tapped.asked_of), second.asked_of) == (1, [])


@pytest.mark.parametrize("tap_first", [False, True])
def test_respx_mocks_as_ever(tap_first: bool, recorder, answer) -> None:
    """In either order, and the mocked answer is read."""
    url = f"https://api.openai.com{CHAT}"
    with contextlib.ExitStack() as stack:
        if tap_first:
            stack.enter_context(wire.install(recorder))
        stack.enter_context(respx.mock)
        route = respx.post(url).mock(return_value=httpx.Response(200, json=answer(CHAT, BODY)[1]))
        if not tap_first:
            stack.enter_context(wire.install(recorder))
        assert httpx.post(url, json=BODY).json()["id"] == "chatcmpl-1"
    assert route.called
    assert prompts(recorder) == [("ok", 100)]


def test_pytest_httpx_mocks_as_ever(httpx_mock, tapped, answer) -> None:
    """It replaces the transport's method, below the door."""
    httpx_mock.add_response(json=answer(CHAT, BODY)[1])
    assert httpx.post(f"http://x{CHAT}", json=BODY).json()["id"] == "chatcmpl-1"
    assert prompts(tapped) == [("ok", 100)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_vcrpy_records_and_replays_what_it_would(serve, recorder, tmp_path: Path) -> None:
    """The server is asked in the first round only, and both rounds read the same."""
    server = serve()
    texts = []
    for _ in range(2):
        with wire.install(recorder), vcr.use_cassette(str(tmp_path / "tape.yaml"), match_on=["path", "method"]):
            texts.append(httpx.post(server.url + CHAT, json=BODY).text)
            texts.append(requests.post(server.url + "/v1/completions", json=BODY, timeout=9).text)
    assert (texts[:2], len(server.requests)) == (texts[2:], 2)
    assert prompts(recorder)[0] == ("ok", 100)
    assert [status for status, _ in prompts(recorder)] == ["ok"] * 4


INSTRUMENTORS = (
    HTTPXClientInstrumentor,
    HTTPX2ClientInstrumentor,
    RequestsInstrumentor,
    URLLib3Instrumentor,
    AioHttpClientInstrumentor,
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("tap_first", [False, True])
def test_opentelemetrys_instrumentations_make_their_spans(tap_first: bool, serve, recorder) -> None:
    """Five libraries are instrumented before or after; all spans are made, and each call is seen once."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    server = serve()

    async def with_aiohttp() -> None:
        async with aiohttp.ClientSession() as session, session.post(server.url + CHAT, json=BODY) as response:
            await response.read()

    with contextlib.ExitStack() as stack:
        if tap_first:
            stack.enter_context(wire.install(recorder))
        for kind in INSTRUMENTORS:
            kind().instrument(tracer_provider=provider)
            stack.callback(kind().uninstrument)
        if not tap_first:
            stack.enter_context(wire.install(recorder))
        httpx.post(server.url + CHAT, json=BODY)
        httpx2.post(server.url + CHAT, json=BODY)
        urllib3.request("POST", server.url + CHAT, json=BODY)
        asyncio.run(with_aiohttp())
    assert prompts(recorder) == [("ok", 100)] * 4
    assert len(exporter.get_finished_spans()) == 4


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_a_mocked_transport_is_seen(library: Any, tapped, answer) -> None:
    """Whole or streamed, by itself or below a client library."""
    kind, pieces = answer(CHAT, STREAM)
    made = {"headers": {"content-type": kind}, "content": b"".join(pieces)}
    transport = library.MockTransport(lambda _: library.Response(200, **made))
    with library.Client(transport=transport) as client:
        with client.stream("POST", f"http://x{CHAT}", json=STREAM) as response:
            assert b"".join(response.iter_bytes()) == made["content"]
        client.post(f"http://x{CHAT}", json=STREAM)
    assert prompts(tapped) == [("ok", 100)] * 2


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_what_a_response_tells_of_itself_stays(library: Any, serve, recorder) -> None:
    """Its extensions, history, sizes and states, before and after reading."""
    server = serve()

    def told() -> Any:
        with library.Client(follow_redirects=True) as client:
            with client.stream("POST", server.url + CHAT, json=STREAM) as response:
                before = (response.status_code, sorted(response.extensions), response.is_closed, response.history)
                length = len(response.read())
            return before, length, response.num_bytes_downloaded, response.is_closed, response.elapsed.days

    plain = told()
    with wire.install(recorder):
        assert told() == plain


def test_clients_and_responses_copy_and_pickle_as_they_did(serve, recorder) -> None:
    """What can't be copied or pickled can't, with the same exception."""
    server = serve()
    makers = (
        httpx.Client,
        requests.Session,
        urllib3.PoolManager,
        lambda: httpx.post(server.url + CHAT, json=BODY),
        lambda: requests.post(server.url + CHAT, json=BODY, timeout=9),
        lambda: urllib3.request("POST", server.url + CHAT, json=BODY),
    )

    def outcomes() -> list[str]:
        found = []
        for make in makers:
            for duplicate in (copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))):
                try:
                    found.append(type(duplicate(make())).__qualname__)
                except Exception as error:
                    found.append(repr(type(error)))
        return found

    plain = outcomes()
    with wire.install(recorder):
        assert outcomes() == plain


def test_types_of_answers_are_named_as_they_were(serve, tapped) -> None:
    """What is given other methods stays an instance of its class, and says that it is."""
    response = urllib3.request("POST", serve().url + CHAT, json=STREAM, preload_content=False)
    assert isinstance(response, urllib3.HTTPResponse)
    assert repr(type(response)) == repr(urllib3.HTTPResponse)
    response.close()


def test_thirty_two_threads_are_each_counted(serve, tapped) -> None:
    """20 calls a thread, whole and streamed in turn, over one client."""
    server = serve()
    failures: list[BaseException] = []
    client = openai.OpenAI(api_key="x", base_url=f"{server.url}/v1", max_retries=0)

    def work(first: int) -> None:
        try:
            for turn in range(first, first + 20):
                if turn % 2:
                    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
                else:
                    list(client.chat.completions.create(**STREAM))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    assert failures == []
    assert prompts(tapped) == [("ok", 100)] * 640 == [("ok", 100)] * len(server.requests)


EARLY = {**BODY, "stream": True}


def leave_httpx(url: str) -> None:
    with httpx.Client() as client, client.stream("POST", url, json=EARLY) as response:
        next(response.iter_bytes())


def leave_requests(url: str) -> None:
    with requests.post(url, json=EARLY, stream=True, timeout=9) as response:
        next(response.iter_content(500))


def leave_openai_stream(url: str) -> None:
    with openai.OpenAI(api_key="x", base_url=url.removesuffix("/messages")) as client:
        with client.chat.completions.create(**STREAM) as stream:
            next(iter(stream))


async def leave_httpx2(url: str) -> None:
    async with httpx2.AsyncClient() as client, client.stream("POST", url, json=EARLY) as response:
        async for _ in response.aiter_bytes():
            break


async def leave_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, json=EARLY) as response:
        await response.content.readany()


def sent_by_lm15(url: str) -> lm15.transports.TransportRequest:
    return lm15.transports.TransportRequest("POST", url, body=json.dumps(EARLY).encode())


def leave_lm15(url: str) -> None:
    with lm15.transports.StdlibTransport() as transport, transport.stream(sent_by_lm15(url)) as response:
        next(response.iter_lines())


async def leave_lm15_async(url: str) -> None:
    async with lm15.transports.StdlibAsyncTransport() as transport, transport.stream(sent_by_lm15(url)) as response:
        async for _ in response:
            break


LEAVING = [
    leave_httpx,
    leave_requests,
    leave_openai_stream,
    leave_httpx2,
    leave_aiohttp,
    leave_lm15,
    leave_lm15_async,
]


@pytest.mark.parametrize("leave", LEAVING)
def test_an_answer_that_is_left_half_way_is_closed_early(leave: Any, serve, tapped) -> None:
    """With what was reported until then, where the provider reports at the beginning."""
    server = serve(pause=0.02)
    left = leave(f"{server.url}/v1/messages")
    if asyncio.iscoroutine(left):
        asyncio.run(left)
    ((status, usage),) = tapped.told()
    assert (status, usage.get("input_tokens")) == ("closed_early", None if leave is leave_openai_stream else 12)


async def read_httpx2(url: str, begun: asyncio.Event) -> None:
    async with httpx2.AsyncClient() as client, client.stream("POST", url, json=EARLY) as response:
        async for _ in response.aiter_bytes():
            begun.set()


async def read_lm15(url: str, begun: asyncio.Event) -> None:
    async with lm15.transports.StdlibAsyncTransport() as transport, transport.stream(sent_by_lm15(url)) as response:
        async for _ in response:
            begun.set()


@pytest.mark.parametrize("read", [read_httpx2, read_lm15])
async def test_a_cancelled_reader_is_cancelled(read: Any, serve, tapped) -> None:
    """The exception is the reader's own, and the exchange says so."""
    server = serve(pause=60)
    begun = asyncio.Event()
    task = asyncio.create_task(read(f"{server.url}/v1/messages", begun))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(status, usage["input_tokens"]) for status, usage in tapped.told()] == [("cancelled", 12)]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("library", ["httpx", "urllib3"])
def test_a_dropped_answer_ends_with_the_next_look(library: str, serve, recorder) -> None:
    """Not in the midst of a collection, where an observer could wait for a lock that its own thread holds."""
    url = f"{serve(pause=0.02).url}/v1/messages"
    with wire.install(recorder) as tap, httpx.Client() as client, urllib3.PoolManager() as pool:
        if library == "httpx":
            answer: Any = client.send(client.build_request("POST", url, json=EARLY), stream=True)
        else:
            answer = pool.request("POST", url, json=EARLY, preload_content=False)
        recorder.asked_of.clear()
        del answer
        gc.collect()
        assert recorder.ended_with == []
        tap.settle()
        assert [exchange.status for exchange in recorder.ended_with] == ["closed_early"]


def test_failures_are_what_they_were(serve, recorder, closed_port: int) -> None:
    """A refused connection, a page instead of an answer, a 503 and a time-out: the same results, and each ends as an error."""

    def outcome(call: Any) -> Any:
        try:
            return call().status_code
        except Exception as error:
            return type(error)

    html = serve(route=lambda path, asked: ("text/html", [b"<html>"]))
    down, slow = serve(status=503), serve(pause=30)

    def outcomes() -> list[Any]:
        return [
            outcome(lambda: httpx.post(f"http://127.0.0.1:{closed_port}{CHAT}", json=BODY)),
            outcome(lambda: requests.post(f"http://127.0.0.1:{closed_port}{CHAT}", json=BODY, timeout=9)),
            outcome(lambda: httpx.post(html.url + CHAT, json=BODY)),
            outcome(lambda: httpx.post(down.url + CHAT, json=BODY)),
            outcome(lambda: requests.post(down.url + CHAT, json=BODY, timeout=9)),
            outcome(lambda: httpx.post(slow.url + CHAT, json=STREAM, timeout=0.3)),
            outcome(lambda: requests.post(slow.url + CHAT, json=STREAM, timeout=0.3)),
        ]

    plain = outcomes()
    with wire.install(recorder):
        assert outcomes() == plain
    assert [exchange.status for exchange in recorder.asked_of] == ["error"] * 7
    codes = [(exchange.status_code, exchange.answer.error is not None) for exchange in recorder.asked_of[2:5]]
    assert codes == [(200, True), (503, True), (503, True)]
    assert [exchange.error is not None for exchange in recorder.asked_of] == [True, True, *[False] * 3, True, True]
    recorder.told()


def test_an_error_inside_of_a_stream_is_an_error(serve, tapped) -> None:
    """The code is 200, and the provider says in the middle that it can't go on."""
    events = [b'data: {"id":"1","choices":[]}\n\n', b'data: {"error":{"type":"overloaded_error"}}\n\n']
    httpx.post(serve(route=lambda path, asked: ("text/event-stream", events)).url + CHAT, json=STREAM)
    (exchange,) = tapped.asked_of
    assert (exchange.status, exchange.answer.error) == ("error", {"type": "overloaded_error"})


def test_a_generated_body_passes_and_is_counted(serve, tapped) -> None:
    """It can't be read before it is sent, but the path says what it is and the answer says the rest."""
    server = serve()
    body = iter([json.dumps(BODY).encode()])
    headers = {"content-type": "application/json"}
    assert httpx.post(server.url + CHAT, content=body, headers=headers).json()["id"] == "chatcmpl-1"
    assert server.requests == [(CHAT, BODY)]
    (exchange,) = tapped.asked_of
    assert (exchange.requested_model, exchange.answer.model, exchange.request.mapping()) == ("", "gpt-4o-2024", {})


def test_a_child_process_counts_on_its_own(serve, tapped) -> None:
    """The doors are forked, too."""
    url = serve().url + CHAT
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            httpx.post(url, json=BODY)
            os.write(write, json.dumps(prompts(tapped)).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        assert json.loads(told.read()) == [["ok", 100]]
    assert tapped.asked_of == []


def test_a_redirect_that_the_client_follows_is_one_exchange(tapped, answer) -> None:
    """Clients of httpx follow it below the door."""

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/old"):
            return httpx.Response(307, headers={"location": f"http://x{CHAT}"})
        return httpx.Response(200, json=answer(CHAT, BODY)[1])

    with httpx.Client(transport=httpx.MockTransport(respond), follow_redirects=True) as client:
        client.post(f"http://x/old{CHAT}", json=BODY)
    assert prompts(tapped) == [("ok", 100)]


class Refusal(Exception):
    """What an observer refuses with."""


class Refusing:
    """An observer that lets nothing through, and must not hear of an end."""

    def asked(self, exchange: wire.Exchange) -> None:
        raise Refusal(exchange.requested_model)

    def ended(self, exchange: wire.Exchange) -> None:
        raise AssertionError(exchange)


def test_what_an_observer_refuses_is_not_sent(serve) -> None:
    """Its exception goes to the caller as it is, through every door."""
    server = serve()
    url = server.url + CHAT

    async def with_httpx2() -> None:
        async with httpx2.AsyncClient() as client:
            await client.post(url, json=BODY)

    async def with_aiohttp() -> None:
        async with aiohttp.ClientSession() as session, session.post(url, json=BODY):
            pass

    with wire.install(Refusing()):
        for call in (
            lambda: httpx.post(url, json=BODY),
            lambda: requests.post(url, json=BODY, timeout=9),
            lambda: urllib3.request("POST", url, json=BODY),
            lambda: asyncio.run(with_httpx2()),
            lambda: asyncio.run(with_aiohttp()),
        ):
            with pytest.raises(Refusal, match="gpt-4o"):
                call()
    assert server.requests == []


def test_an_observer_that_fails_at_the_end_harms_nobody(serve) -> None:
    """It's reported, and the answer is whole."""

    class Failing(Refusing):
        def asked(self, exchange: wire.Exchange) -> None:
            pass

    server = serve()
    guard.set_strict(False)
    with wire.install(Failing()):
        assert httpx.post(server.url + CHAT, json=BODY).json()["id"] == "chatcmpl-1"
        with httpx.Client() as client, client.stream("POST", server.url + CHAT, json=STREAM) as response:
            assert response.read().endswith(b"[DONE]\n\n")


@pytest.mark.parametrize(
    "kind", ["application/vnd.amazon.eventstream", "text/event-stream", "application/json", "application/x-ndjson"]
)
def test_garbage_arrives_as_it_was_sent(kind: str, serve, recorder) -> None:
    """An answer that isn't what it says is given up by us, and read by the client."""
    noise = random.Random(1)
    pieces = [noise.randbytes(500) for _ in range(20)]
    server = serve(route=lambda path, asked: (kind, pieces))
    guard.set_strict(False)
    with wire.install(recorder), httpx.Client() as client:
        with client.stream("POST", server.url + CHAT, json=BODY) as response:
            assert b"".join(response.iter_raw()) == b"".join(pieces)
    assert recorder.told() == [("ok", {})]


def test_a_library_that_is_made_otherwise_is_reported_and_skipped(serve, recorder, monkeypatch, caplog) -> None:
    """Its calls go through unseen; those of the other libraries are seen."""
    guard.set_strict(False)
    guard.forget()
    monkeypatch.delattr(urllib3.HTTPResponse, "_raw_read")
    with wire.install(recorder):
        httpx.post(serve().url + CHAT, json=BODY)
    assert prompts(recorder) == [("ok", 100)]
    assert [record.message.split(" failed")[0] for record in caplog.records if record.name == "ai_dev_squad"] == [
        f"watching model calls of urllib3 {urllib3.__version__}"
    ]
