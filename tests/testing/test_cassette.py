"""Real providers' answers, recorded once and given back: the same to each client, readable, without secrets, offline."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_openai import ChatOpenAI

from ai_dev_squad import configure, wire
from ai_dev_squad.redaction import Redactor
from ai_dev_squad_testing import use_cassette
from ai_dev_squad_testing.cassette import Cassette
from ai_dev_squad_testing.model_server import ModelServer, Script, call, fail, reply, tokens, tool_calls
from ai_dev_squad_testing.streamed_secrets import without_split_secrets

NOBODY = "http://127.0.0.1:9"
KEY = "sk-proj-Zq8vT3nLx0aB7cD5eF2gH9jK4mN6pR1s"
ASKED: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "When?"}]}
STREAMED = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}

PIECES: dict[str, tuple[dict[str, str], list[bytes]]] = {
    "/events": ({"Content-Type": "text/event-stream"}, [b"data: to", b"day\n\nda", b"ta: [DONE]\n\n"]),
    "/cut": ({"Content-Type": "text/plain; charset=utf-8"}, [b"caf\xc3", b"\xa9", b" \xe2\x98", b"\x95"]),
    "/packed": ({"Content-Type": "text/plain", "Content-Encoding": "gzip"}, [gzip.compress(b"today", mtime=0)]),
    "/bytes": ({"Content-Type": "application/octet-stream"}, [b"\xff\x00", b"\xfe"]),
    "/nothing": ({"Content-Type": "text/plain"}, []),
    "/secret": (
        {
            "Content-Type": "text/event-stream",
            "Set-Cookie": "session=abc",
            "OpenAI-Organization": "mine",
            "X-Request-Id": "r1",
        },
        [b'data: {"key": "', KEY[:9].encode(), KEY[9:].encode(), b'"}\n\n', b"data: [DONE]\n\n"],
    ),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers, pieces = PIECES[self.path.partition("?")[0]]
        self.send_response(200)
        for name, value in ({**headers, "Transfer-Encoding": "chunked"}).items():
            self.send_header(name, value)
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of a provider that answers in pieces."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def by_httpx(url: str, *, first: bool = False) -> list[bytes]:
    """What comes, piece by piece."""
    with httpx.Client() as client, client.stream("POST", url, json=STREAMED) as answer:
        return list(itertools.islice(answer.iter_bytes(), 1 if first else None))


def by_httpx2(url: str, *, first: bool = False) -> list[bytes]:
    """Likewise."""
    with httpx2.Client() as client, client.stream("POST", url, json=STREAMED) as answer:
        return list(itertools.islice(answer.iter_bytes(), 1 if first else None))


def by_async_httpx(url: str, *, first: bool = False) -> list[bytes]:
    """Likewise."""

    async def ask() -> list[bytes]:
        async with httpx.AsyncClient() as client, client.stream("POST", url, json=STREAMED) as answer:
            return await _taken(answer.aiter_bytes(), first)

    return asyncio.run(ask())


def by_aiohttp(url: str, *, first: bool = False) -> list[bytes]:
    """Likewise."""

    async def ask() -> list[bytes]:
        async with aiohttp.ClientSession() as client, client.post(url, json=STREAMED) as answer:
            return await _taken(answer.content.iter_any(), first)

    return asyncio.run(ask())


async def _taken(pieces: AsyncIterator[bytes], first: bool) -> list[bytes]:
    taken = []
    async for piece in pieces:
        taken.append(piece)
        if first:
            break
    return taken


CLIENTS = (by_httpx, by_httpx2, by_async_httpx, by_aiohttp)


@pytest.mark.parametrize("path", ["/events", "/cut", "/packed", "/bytes", "/nothing"])
@pytest.mark.parametrize("ask", CLIENTS)
def test_each_client_gets_again_the_pieces_that_it_got(tmp_path, provider, ask, path):
    """Streams come back in the same pieces and the same order, also where a character is cut; packed ones come unpacked."""
    with use_cassette(tmp_path / "c.json", record=True):
        first = ask(provider + path)
    kept = json.loads((tmp_path / "c.json").read_bytes())["exchanges"][0]["response"]["pieces"]
    with use_cassette(tmp_path / "c.json"):
        again = ask(NOBODY + path)

    assert b"".join(again) == b"".join(first)
    assert len(again) == len(kept)
    if ask is not by_aiohttp:  # which gives what lies there, so that pieces which came together are one
        assert again == first


def test_aiohttp_gives_piece_by_piece_what_another_client_recorded(tmp_path, provider):
    """One file serves all clients; lines, whole bodies and pieces can be read of it."""
    for path in ("/events", "/cut"):
        with use_cassette(tmp_path / "c.json", record=True):
            by_httpx(provider + path)
        with use_cassette(tmp_path / "c.json"):
            assert by_aiohttp(NOBODY + path) == PIECES[path][1]

    async def read(how: Callable[[aiohttp.ClientResponse], Any]) -> Any:
        async with (
            aiohttp.ClientSession(raise_for_status=True) as client,
            client.post(NOBODY + "/cut", json=STREAMED) as answer,
        ):
            return await how(answer)

    async def lines(answer: aiohttp.ClientResponse) -> list[bytes]:
        return [line async for line in answer.content]

    for how, what in ((aiohttp.ClientResponse.text, "café ☕"), (lines, ["café ☕".encode()])):
        with use_cassette(tmp_path / "c.json"):
            assert asyncio.run(read(how)) == what


def test_a_sessions_own_middlewares_go_on_working(tmp_path, provider):
    """They lie outside: what they change is what is asked, recorded and given back."""
    seen = []

    async def changes(request: Any, handler: Any) -> Any:
        request.url = request.url.with_path("/events")
        answer = await handler(request)
        seen.append(answer.status)
        return answer

    async def ask(url: str) -> bytes:
        async with aiohttp.ClientSession(middlewares=(changes,)) as client, client.post(f"{url}/else") as answer:
            return await answer.read()

    with use_cassette(tmp_path / "c.json", record=True):
        first = asyncio.run(ask(provider))
    with use_cassette(tmp_path / "c.json"):
        assert asyncio.run(ask(NOBODY)) == first == b"".join(PIECES["/events"][1])
    assert seen == [200, 200]


def chat(url: str) -> Any:
    """A whole answer, a tool call and an error that is tried again, by OpenAI's client."""
    with openai.OpenAI(base_url=url, api_key=KEY) as client:
        answer = client.chat.completions.create(**ASKED)
        streamed = list(client.chat.completions.create(**STREAMED))
        return [answer.model_dump(), *(piece.model_dump() for piece in streamed)]


def async_chat(url: str) -> Any:
    """The same by its asynchronous client."""

    async def ask() -> Any:
        async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:
            answer = await client.chat.completions.create(**ASKED)
            streamed = [piece async for piece in await client.chat.completions.create(**STREAMED)]
            return [answer.model_dump(), *(piece.model_dump() for piece in streamed)]

    return asyncio.run(ask())


def langchain(url: str) -> Any:
    """The same by LangChain's."""
    model = ChatOpenAI(model="gpt-4o-mini", base_url=url, api_key=KEY, stream_usage=True)
    answers = [model.invoke("When?"), *model.stream("When?")]
    return [(answer.content, getattr(answer, "tool_calls", None), answer.usage_metadata) for answer in answers]


@pytest.mark.parametrize("ask", [chat, async_chat, langchain])
def test_a_real_client_cannot_tell_what_is_given_back(tmp_path, ask):
    """Errors that it tries again, tool calls and streams, token by token, with what they took; nobody listens any more."""
    steps = fail(500), tool_calls(call("search", q="x"), usage=tokens(120, 8)), reply("To mor row.", usage=tokens(9, 3))
    with ModelServer(Script(list(steps))) as server, use_cassette(tmp_path / "c.json", record=True):
        first = ask(server.base_url)
    with use_cassette(tmp_path / "c.json"):
        assert ask(f"{NOBODY}/v1") == first
    assert KEY not in (tmp_path / "c.json").read_text(encoding="utf-8")


class Seen:
    """An observer that keeps what ended."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def asked(self, exchange: Any) -> None:
        """Nothing is kept of it."""

    def ended(self, exchange: Any) -> None:
        """Status and tokens."""
        self.all.append((exchange.status, exchange.answer.usage))


@pytest.mark.parametrize("watched_first", [True, False])
def test_observing_sees_what_is_given_back_as_it_saw_the_real_one(tmp_path, watched_first, isolated_runtime):
    """Whichever was installed first: costs and budgets hold while answers are recorded, and when they are given back."""

    async def by_session(url: str) -> None:
        async with aiohttp.ClientSession() as client, client.post(f"{url}/chat/completions", json=STREAMED) as answer:
            await answer.read()

    def ask(url: str) -> None:
        httpx.post(f"{url}/chat/completions", json=ASKED)
        asyncio.run(by_session(url))

    def seen(url: str, *, record: bool) -> list[Any]:
        observer = Seen()
        if watched_first:
            with wire.install(observer), use_cassette(tmp_path / "c.json", record=record):
                ask(url)
        else:
            with use_cassette(tmp_path / "c.json", record=record), wire.install(observer):
                ask(url)
        return observer.all

    with ModelServer([reply("Today.", usage=tokens(120, 8)), reply("Today.", usage=tokens(7, 3))]) as server:
        first = seen(server.base_url, record=True)
    assert [(status, usage["prompt_tokens"]) for status, usage in first] == [("ok", 120), ("ok", 7)]
    assert seen(f"{NOBODY}/v1", record=False) == first


def test_a_file_reads_as_what_was_said_and_holds_no_secret(tmp_path):
    """Keys in headers aren't kept at all, those in addresses and bodies are replaced; JSON stands there as JSON."""
    body = {**ASKED, "messages": [{"role": "user", "content": f"My key is {KEY}"}]}
    with ModelServer([reply(f"Is it {KEY}?", usage=tokens(120, 8))]) as server:
        url = server.base_url.replace("http://", "http://me:hunter2hunter2@")
        with use_cassette(tmp_path / "c.json", record=True):
            httpx.post(
                f"{url}/chat/completions?key={KEY}&page=2", json=body, headers={"Authorization": f"Bearer {KEY}"}
            )
        port = server.base_url.partition("127.0.0.1:")[2].partition("/")[0]
    with use_cassette(tmp_path / "c.json"):
        again = httpx.post(f"{NOBODY}/v1/chat/completions?page=2&key={KEY}", json=body).json()

    kept = json.loads((tmp_path / "c.json").read_text(encoding="utf-8").replace(port, "PORT"))
    answer = kept["exchanges"][0]["response"].pop("json")
    kept["exchanges"][0]["response"]["headers"].pop("x-request-id", None)
    assert kept == {
        "cassette": 1,
        "exchanges": [
            {
                "request": {
                    "method": "POST",
                    "url": "http://127.0.0.1:PORT/v1/chat/completions?key=[redacted:openai-key]&page=2",
                    "json": {
                        "model": "gpt-4o-mini",
                        "messages": [{"role": "user", "content": "My key is [redacted:openai-key]"}],
                    },
                },
                "response": {"status": 200, "headers": {"content-type": "application/json"}},
            }
        ],
    }
    assert answer == again
    assert answer["choices"][0]["message"]["content"] == "Is it [redacted:openai-key]?"


def test_a_secret_across_pieces_is_replaced_in_the_whole(tmp_path, provider):
    """Then lines are the pieces. Of headers there is what a client acts on, not what tells of an account."""
    with use_cassette(tmp_path / "c.json", record=True):
        by_httpx(f"{provider}/secret")

    assert json.loads((tmp_path / "c.json").read_bytes())["exchanges"][0]["response"] == {
        "status": 200,
        "headers": {"content-type": "text/event-stream", "x-request-id": "r1"},
        "pieces": ['data: {"key": "[redacted:openai-key]"}\n', "\n", "data: [DONE]\n", "\n"],
    }


@pytest.mark.parametrize(
    "path, asked, kept",
    [
        (
            "chat/completions",
            STREAMED,
            lambda event: "".join(c["delta"].get("content") or "" for c in event["choices"]),
        ),
        ("responses", {"model": "gpt-4o-mini", "input": "When?", "stream": True}, lambda event: event.get("delta", "")),
        (
            "messages",
            {**ASKED, "stream": True, "max_tokens": 400},
            lambda event: event.get("delta", {}).get("text", ""),
        ),
    ],
    ids=["chat", "responses", "messages"],
)
def test_a_secret_across_events_is_replaced_where_it_began(tmp_path, path, asked, kept):
    """Put together, the events of a stream hold the label instead, and all else of the answer as it came."""
    with ModelServer([reply(f"Is it {KEY}, or not?", chunk_size=6)]) as server:
        with use_cassette(tmp_path / "c.json", record=True):
            httpx.post(f"{server.base_url}/{path}", json=asked)

    pieces = json.loads((tmp_path / "c.json").read_bytes())["exchanges"][0]["response"]["pieces"]
    events = [json.loads(line[6:]) for line in "".join(pieces).splitlines() if line.startswith("data: {")]
    texts = [text for event in events if (text := kept(event))]
    assert "".join(texts) == "Is it [redacted:openai-key], or not?"
    assert (texts[0], texts[-1]) == ("Is it ", "r not?"[-len(texts[-1]) :])
    assert [KEY[at : at + 6] for at in range(8, len(KEY) - 5) if KEY[at : at + 6] in "".join(pieces)] == []


@pytest.mark.parametrize(
    "stream, expected",
    [
        (['data: {"d": "sk-proj-Zq8vT3nL"}\n', 'data: {"d": "x0aB7cD5eF2g."}\n'], ["[redacted:openai-key]", "."]),
        (['{"a": ["of sk-proj-Zq8v"]}\n', '{"a": ["T3nLx0aB7cD5eF2g"]}\n'], ["of [redacted:openai-key]", ""]),
        (['{"index": 0, "d": "sk-proj-Zq8v"}\n', '{"index": 1, "d": "T3nLx0aB7cD5eF2g"}\n'], None),
        (['{"type": "a", "d": "sk-proj-Zq8v"}\n', '{"type": "b", "d": "T3nLx0aB7cD5eF2g"}\n'], None),
        (['{"d": "sk-proj-Zq8v"}\n', '{"e": "T3nLx0aB7cD5eF2g"}\n'], None),
        (['{"d": "key: "}\n'] * 2, None),
        (["sk-proj-Zq8v\n", "{T3nLx0aB7cD5eF2g}\n", "\n"], None),
    ],
)
def test_pieces_belong_together_that_stand_at_one_place(stream, expected):
    """Of another choice, of another kind of event or under another key is another text; what is no JSON stays."""
    clean = without_split_secrets("".join(stream), Redactor().text)
    if expected is None:
        assert clean == "".join(stream)
    else:
        events = [json.loads(line.removeprefix("data: ")) for line in clean.splitlines()]
        assert [next(iter(event.values())) for event in events] == [
            [text] if "a" in events[0] else text for text in expected
        ]


def test_the_programs_own_patterns_are_replaced_too(tmp_path, provider, isolated_runtime):
    """What redaction is configured for holds for files of answers."""
    configure(redact_patterns={"customer": r"C-\d+"}, journal=False)
    with use_cassette(tmp_path / "c.json", record=True):
        httpx.post(f"{provider}/events", content="of C-1234", headers={"Content-Type": "text/plain"})
    (exchange,) = json.loads((tmp_path / "c.json").read_bytes())["exchanges"]
    assert exchange["request"]["text"] == "of [redacted:customer]"


def test_equal_requests_get_their_answers_in_order_and_different_ones_theirs_in_any(tmp_path):
    """Keys of JSON and of a query may stand in another order; threads get what belongs to their question."""
    with (
        ModelServer([reply(str(number)) for number in range(6)]) as server,
        use_cassette(tmp_path / "c.json", record=True),
    ):
        url = f"{server.base_url}/chat/completions"
        first = {n: said(httpx.post(url, json={**ASKED, "seed": n})) for n in range(4)}
        assert [said(httpx.post(url, json=ASKED)) for _ in range(2)] == ["4", "5"]

    with use_cassette(tmp_path / "c.json"), ThreadPoolExecutor(4) as threads:
        url = f"{NOBODY}/v1/chat/completions"
        again = {n: threads.submit(httpx.post, url, json={"seed": n, **ASKED}) for n in reversed(range(4))}
        assert {n: said(answer.result()) for n, answer in again.items()} == first
        assert [said(httpx.post(url, json=dict(reversed(ASKED.items())))) for _ in range(2)] == ["4", "5"]


def said(answer: httpx.Response) -> str:
    """What the model said."""
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def recorded(path: Path, *bodies: dict[str, Any]) -> None:
    """A file of questions and of the answer "Today."."""
    answers = [reply("Today.") for _ in bodies]
    with ModelServer(answers) as server, use_cassette(path, record=True):
        for body in bodies:
            httpx.post(f"{server.base_url}/chat/completions", json=body)


def test_what_is_not_recorded_is_an_error_with_the_difference_to_what_is_nearest(tmp_path):
    """The client gets it at once, as an answer that it does not try again, and the block ends in it, once."""
    file = tmp_path / "c.json"
    recorded(file, ASKED)
    text = (
        f"POST /v1/chat/completions isn't what was recorded in {file}; nearest is exchange 1 (-: recorded, +: asked for):\n"
        "…\n"
        '   "messages": [\n'
        '     {\n'
        '-      "content": "When?",\n'
        '+      "content": "Where?",\n'
        '       "role": "user"\n'
        '     }\n'
        '   ],\n'
        '-  "model": "gpt-4o-mini"\n'
        '+  "model": "gpt-4o"\n'
        ' }\n'
        "Record anew: pytest --record"
    )  # fmt: skip
    client = openai.OpenAI(base_url=f"{NOBODY}/v1", api_key="none")
    with pytest.raises(AssertionError) as raised, use_cassette(file, cure="pytest --record"):
        client.chat.completions.create(**ASKED)
        for _ in range(2):
            with pytest.raises(openai.BadRequestError, match="nearest is exchange 1"):
                client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Where?"}])
    assert str(raised.value) == text


def test_more_and_less_than_recorded_are_errors(tmp_path):
    """One more is no answer of another; what nobody asks for any more is stale. A block that raises keeps its exception."""
    file = tmp_path / "c.json"
    recorded(file, ASKED, {**ASKED, "seed": 1})
    with pytest.raises(AssertionError) as raised, use_cassette(file):
        statuses = [httpx.post(f"{NOBODY}/v1/chat/completions", json=ASKED).status_code for _ in range(2)]
    assert statuses == [200, 400]
    cure = "Record anew: use_cassette(..., record=True)"
    assert str(raised.value).splitlines() == [
        f"POST /v1/chat/completions isn't what was recorded in {file}: it was recorded 1 times, and is asked for once more. {cure}",
        f"recorded in {file}, but not asked for: exchange 2, POST /v1/chat/completions. {cure}",
    ]

    with pytest.raises(KeyError) as own, use_cassette(file):
        raise KeyError
    exchanges = "exchange 1, POST /v1/chat/completions; exchange 2, POST /v1/chat/completions"
    assert own.value.__notes__ == [f"recorded in {file}, but not asked for: {exchanges}. {cure}"]


def test_a_file_that_cannot_be_used_says_why_and_how_to_cure_it(tmp_path):
    """None there, no cassette, a newer one, two at a time, and nothing to record: what was there stays."""
    with (
        pytest.raises(FileNotFoundError, match="has to be recorded once: use_cassette"),
        use_cassette(tmp_path / "no.json"),
    ):
        pass
    file = tmp_path / "c.json"
    for content, why in (
        ("[]", "TypeError"),
        ("{", "JSONDecodeError"),
        ('{"cassette": 2}', "its format is 2, and 1 is"),
    ):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=f"is no cassette .*{why}"), use_cassette(file):
            pass
    with pytest.raises(AssertionError, match="no request went through httpx"), use_cassette(file, record=True):
        pass
    assert file.read_text(encoding="utf-8") == '{"cassette": 2}'

    recorded(file, ASKED)
    with use_cassette(file):
        with pytest.raises(RuntimeError, match="another cassette is in use"), use_cassette(file):
            pass
        assert said(httpx.post(f"{NOBODY}/v1/chat/completions", json=ASKED)) == "Today."
    with pytest.raises(httpx.ConnectError):
        httpx.post(f"{NOBODY}/v1/chat/completions", json=ASKED)


@pytest.mark.parametrize("ask", CLIENTS)
def test_an_answer_that_broke_off_is_not_recorded(tmp_path, ask):
    """A file would end it as if it were whole; the client has its own exception, and the block says why nothing is there."""
    file = tmp_path / "c.json"
    step = reply("To mor row.", cut_after=1, when=lambda _: True)
    with (
        pytest.raises((httpx.HTTPError, httpx2.HTTPError, aiohttp.ClientError)) as raised,
        ModelServer([step]) as server,
    ):
        with use_cassette(file, record=True):
            ask(f"{server.base_url}/chat/completions")
    (note,) = raised.value.__notes__
    assert re.fullmatch(rf"not recorded in {file}: the answer to POST /v1/chat/completions ended in \w+Error", note)
    assert not file.exists()


@pytest.mark.parametrize("ask", CLIENTS)
def test_an_answer_that_is_left_early_is_recorded_as_far_as_it_came(tmp_path, provider, ask):
    """Whoever leaves a stream does so again: that is no fault."""
    with use_cassette(tmp_path / "c.json", record=True):
        ask(f"{provider}/events", first=True)
    with use_cassette(tmp_path / "c.json"):
        assert ask(f"{NOBODY}/events", first=True)[0].startswith(b"data: to")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(asked=JSON, other=JSON, pieces=st.lists(st.binary(min_size=1), max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory, asked, other, pieces):
    """Any body fits itself, and fits another one only if they are the same when redacted; any pieces come back."""
    from ai_dev_squad_testing.cassette import Answer

    file, redactor = tmp_path_factory.mktemp("c") / "c.json", Redactor(max_total=10**9)
    taken = Cassette(file, redactor, recording=True, cure="")
    question = taken.asked("post", "https://a.example/v1/x", json.dumps(asked).encode())
    taken.record(question, Answer(200, {"content-type": "application/octet-stream"}, list(pieces)))
    taken.write()

    played = Cassette(file, redactor, recording=False, cure="")
    different = played.asked("POST", "https://a.example/v1/x", json.dumps(other).encode())
    same = json.dumps(question["json"], sort_keys=True) == json.dumps(different["json"], sort_keys=True)
    assert (played.answer_to(different).status == 200) is same
    if not same:
        answer = played.answer_to(played.asked("POST", "http://b.example/v1/x", json.dumps(asked).encode()))
        assert b"".join(answer.pieces) == b"".join(pieces)
        assert answer.pieces == pieces
