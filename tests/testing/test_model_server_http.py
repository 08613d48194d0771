"""The HTTP underneath: raw bytes, many connections, opening and closing."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_testing.model_server import ModelServer, Script, hang, reply
from ai_dev_squad_testing.model_server.http import ProtocolError, read_request, response

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
JSON_BODY = json.dumps(BODY).encode()


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A server that always says hi."""
    with ModelServer(Script(default="hi")) as running:
        yield running


def post(body: bytes = JSON_BODY, path: str = "/v1/chat/completions", head: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode() + body


def talk(server: ModelServer, *pieces: bytes) -> bytes:
    """Send the pieces one by one, then read until the server closes or nothing more comes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while data := connection.recv(65536):
            received += data
        return received


def test_pipelined_requests_are_answered_in_order(server: ModelServer):
    """Three requests in one write get three responses on the same connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(post() * 2 + post(head="connection: close\r\n"))
        received = b""
        while data := connection.recv(65536):
            received += data

    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert [c.response_id for c in server.truth.calls] == [f"chatcmpl-{k:08d}" for k in range(3)]


def test_a_request_in_single_bytes(server: ModelServer):
    """However the bytes are torn, the request is one."""
    request = post(head="connection: close\r\n")

    received = talk(server, *(request[k : k + 1] for k in range(len(request))))

    assert received.startswith(b"HTTP/1.1 200 OK")


def test_chunked_bodies_and_expect_continue(server: ModelServer):
    """A chunked body is read, and a client that waits for permission gets it."""
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (JSON_BODY[:10], JSON_BODY[10:]))
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    assert httpx.post(f"{server.base_url}/chat/completions", content=iter([JSON_BODY])).status_code == 200
    assert talk(server, head + chunked + b"0\r\n\r\n").startswith(b"HTTP/1.1 200 OK")

    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        whole = post(head="expect: 100-continue\r\nconnection: close\r\n")
        connection.sendall(whole[: -len(JSON_BODY)])
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(JSON_BODY)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "sent,status",
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"POST / HTTP/2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"x" * 70_000, 431),
    ],
)
def test_bytes_that_are_no_request(server: ModelServer, sent: bytes, status: int):
    """The connection gets the reason and is closed; the next connection is served."""
    assert talk(server, sent).startswith(b"HTTP/1.1 %d " % status)
    assert httpx.post(f"{server.base_url}/chat/completions", json=BODY).status_code == 200


@given(st.binary(max_size=300))
def test_reading_never_breaks(data: bytes):
    """Any bytes are a request, the beginning of one, or refused with a status; nothing else happens."""
    for buffer in (bytearray(data), bytearray(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + data)):
        status, found = 200, None
        try:
            found = read_request(buffer)
        except ProtocolError as error:
            status = error.status
        assert status in {200, 400, 413, 431}
        assert found is None or 0 < found[1] <= len(buffer)


@given(st.binary(max_size=300), st.lists(st.integers(1, 50), max_size=5), st.binary(max_size=20))
def test_a_body_survives_any_chunking(body: bytes, sizes: list[int], rest: bytes):
    """A body is the same whatever its chunks, and what follows it stays in the buffer."""
    chunks, position = b"", 0
    for size in (*sizes, len(body) or 1):
        part = body[position : position + size]
        chunks += b"%x;ext=1\r\n%b\r\n" % (len(part), part) if part else b""
        position += size
    head = b"POST /p?q=1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    buffer = bytearray(head + chunks + b"0\r\n\r\n" + rest)

    found = read_request(buffer)

    assert found is not None
    assert (found[0].path, found[0].body, bytes(buffer[found[1] :])) == ("/p", body, rest)


def test_paths_and_methods(server: ModelServer):
    """Unknown paths say what is known; a GET on a model endpoint is not allowed; neither is a model call."""
    unknown = httpx.post(f"{server.url}/v2/nothing", json={})
    get = httpx.get(f"{server.base_url}/chat/completions")
    about = httpx.get(server.url)

    assert unknown.status_code == 404
    assert "known: /v1/chat/completions, /v1/responses" in unknown.json()["error"]["message"]
    assert get.status_code == 405
    assert about.json() == {"script": "Script(0 steps, default)", "calls": 0}


def test_an_azure_style_path(server: ModelServer):
    """Other prefixes reach the same endpoints, so that clients of other clouds can be pointed here."""
    url = f"{server.url}/openai/deployments/prod%20chat/chat/completions?api-version=2024-10-21"
    unnamed = {key: value for key, value in BODY.items() if key != "model"}

    assert [httpx.post(url, json=body, headers={"api-key": "k"}).status_code for body in (BODY, unnamed)] == [200, 200]
    seen = [(c.endpoint, c.model, c.authenticated) for c in server.truth.calls]
    assert seen == [("chat.completions", BODY["model"], True), ("chat.completions", "prod chat", True)]


async def test_hundreds_of_connections_at_once():
    """Three hundred clients wait at the same time; each gets its answer, and the truth saw them together."""

    async def ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(head="connection: close\r\n"))
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        return received[:15]

    with ModelServer(Script(default=reply("hi", together=300))) as server:
        statuses = await asyncio.gather(*(ask(server.port) for _ in range(300)))
        truth = server.truth

    assert set(statuses) == {b"HTTP/1.1 200 OK"}
    assert truth.totals.successful_calls == 300
    assert sorted(c.finished for c in truth.calls if c.finished is not None) == list(range(300))
    assert max(c.in_flight for c in truth.calls) == 299


async def test_who_waits_for_others_in_vain_is_answered_alone(monkeypatch: pytest.MonkeyPatch):
    """A call that is to be answered together with another is answered without it in the end, and a caller who gave up
    waiting is nobody's company.
    """
    monkeypatch.setattr("ai_dev_squad_testing.model_server.http.WAITED_FOR_OTHERS_S", 0.2)
    with ModelServer(Script(default=reply("hi", together=2))) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/v1/chat/completions", json=BODY, timeout=0.05)
            alone = await client.post("/v1/chat/completions", json=BODY)
            both = await asyncio.gather(*(client.post("/v1/chat/completions", json=BODY) for _ in range(2)))
        truth = server.settle()

    assert [answer.status_code for answer in (alone, *both)] == [200, 200, 200]
    assert [call.outcome for call in truth.calls] == ["client_closed", "completed", "completed", "completed"]


def open_things() -> tuple[int, int]:
    """Threads, and file descriptors where the system lists them."""
    files = Path("/proc/self/fd")
    return threading.active_count(), len(list(files.iterdir())) if files.exists() else 0


def test_closing_ends_everything():
    """Closing under load ends threads, connections and calls at once, and leaves nothing open."""
    gc.collect()
    before = open_things()
    server = ModelServer([hang(), reply("slow", per_chunk=30)]).start()
    clients = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(20)]
    stream = json.dumps({**BODY, "stream": True}).encode()
    clients[0].sendall(post())
    clients[1].sendall(post(stream))
    assert clients[1].recv(12) == b"HTTP/1.1 200"

    server.close()
    server.close()
    for client in clients:
        client.close()

    assert [(c.outcome, c.reported) for c in server.truth.calls] == [("hung", None), ("client_closed", None)]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
    assert open_things() == before


def test_closed_at_once():
    """A server may be closed before its thread has come up, and a client may be on its way in."""
    for _ in range(50):
        server = ModelServer(Script(default="hi")).start()
        with socket.create_connection(("127.0.0.1", server.port), timeout=5):
            server.close()

    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("model-server")] == []


def test_started_again_and_twice():
    """A closed server starts again on its port with its truth kept; a running one refuses a second start."""
    server = ModelServer(Script(default="hi"))
    for _ in range(2):
        with server:
            assert httpx.post(f"{server.base_url}/chat/completions", json=BODY).status_code == 200
            with pytest.raises(RuntimeError, match="running already"):
                server.start()

    assert server.truth.totals.calls == 2


def test_a_port_that_is_taken(server: ModelServer):
    """The caller is told by the usual exception."""
    with pytest.raises(OSError, match="in use"):
        ModelServer(port=server.port).start()


def test_a_large_answer_to_a_slow_reader():
    """A megabyte in a hundred thousand events reaches a client that reads slowly, whole."""
    text = "0123456789" * 20_000
    with ModelServer([reply(text, chunk_size=100, per_chunk=1e-9)]) as server:
        received = b""
        with httpx.stream("POST", f"{server.base_url}/chat/completions", json={**BODY, "stream": True}) as answered:
            for data in answered.iter_raw():
                received += data

    events: list[Any] = [json.loads(line[6:]) for line in received.decode().split("\n\n")[:-2]]
    assert "".join(event["choices"][0]["delta"].get("content") or "" for event in events) == text
    assert server.truth.calls[0].outcome == "completed"


def test_a_response_has_its_length():
    """Head and body of a plain response, byte for byte."""
    assert response(429, b"{}", headers={"retry-after": "1"}) == (
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
        b"retry-after: 1\r\n\r\n{}"
    )
