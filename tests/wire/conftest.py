"""What the wire's tests share: an observer that remembers, and a server that speaks every provider's format."""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli
import pytest
import zstandard

from ai_dev_squad import wire
from ai_dev_squad.wire import Exchange


class Recorder:
    """An observer that remembers what it was asked, and how it ended."""

    def __init__(self) -> None:
        self.asked_of: list[Exchange] = []
        self.ended_with: list[Exchange] = []

    def asked(self, exchange: Exchange) -> None:
        self.asked_of.append(exchange)

    def ended(self, exchange: Exchange) -> None:
        self.ended_with.append(exchange)

    def told(self) -> list[tuple[str | None, dict[str, Any]]]:
        """Status and usage of each exchange, in the order in which they were sent; each has ended exactly once."""
        assert sorted(map(id, self.asked_of)) == sorted(map(id, self.ended_with))
        return [(exchange.status, exchange.answer.usage) for exchange in self.asked_of]


@pytest.fixture
def recorder() -> Recorder:
    """An observer that nothing was shown to yet."""
    return Recorder()


@pytest.fixture
def tapped(recorder: Recorder) -> Iterator[Recorder]:
    """An observer at every door."""
    with wire.install(recorder):
        yield recorder


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """``serve(encoding=…, cut=…, …)`` starts a server that answers as every provider does."""
    with ExitStack() as servers:

        def start(**options: Any) -> Server:
            server = Server(**options)
            servers.callback(server.close)
            return server

        yield start


# --- the formats ------------------------------------------------------------------------------------------------------

OPENAI_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 10,
    "total_tokens": 110,
    "prompt_tokens_details": {"cached_tokens": 40},
}
RESPONSES_USAGE = {
    "input_tokens": 100,
    "output_tokens": 10,
    "total_tokens": 110,
    "input_tokens_details": {"cached_tokens": 40},
    "output_tokens_details": {"reasoning_tokens": 4},
}
ANTHROPIC_USAGE = {
    "input_tokens": 12,
    "cache_read_input_tokens": 9000,
    "cache_creation_input_tokens": 500,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 500},
    "output_tokens": 40,
}
GEMINI_USAGE = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 10,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 140,
    "cachedContentTokenCount": 40,
}
CONVERSE_USAGE = {
    "inputTokens": 30,
    "outputTokens": 25,
    "totalTokens": 4155,
    "cacheReadInputTokens": 4000,
    "cacheWriteInputTokens": 100,
    "cacheDetails": [{"inputTokens": 100, "ttl": "1h"}],
}
COHERE_USAGE = {
    "billed_units": {"input_tokens": 60, "output_tokens": 10},
    "tokens": {"input_tokens": 100, "output_tokens": 10},
}
OLLAMA_USAGE = {"prompt_eval_count": 26, "eval_count": 9}

Body = tuple[str, "dict[str, Any] | list[bytes]"]
"""A type of content, and an object, or the pieces of a stream."""


def sse(*events: Any, named: bool = False) -> list[bytes]:
    """Server-sent events."""
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    names = [f"event: {event['type']}\n" if named else "" for event in events]
    return [f"{name}data: {text}\n\n".encode() for name, text in zip(names, texts, strict=True)]


def frame(kind: str, payload: Any, message_type: str = "event") -> bytes:
    """One message of Amazon's event stream: an object, or bytes as they are."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": message_type}
    if message_type == "exception":
        headers[":exception-type"] = headers.pop(":event-type")
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(head) + len(body), len(head))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + body
    return message + struct.pack(">I", zlib.crc32(message))


def _chat(_: str, asked: dict[str, Any]) -> Body:
    model = asked.get("model", "m")
    base = {"id": "chatcmpl-1", "created": 1, "model": f"{model}-2024", "service_tier": "flex"}
    if not asked.get("stream"):
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
        return "application/json", {**base, "object": "chat.completion", "choices": [choice], "usage": OPENAI_USAGE}
    base["object"] = "chat.completion.chunk"
    chunks = [
        {**base, "choices": [{"index": 0, "delta": {"role": "assistant", "content": f"w{i} "}, "finish_reason": end}]}
        for i, end in enumerate([None, None, None, None, "stop"])
    ]
    if (asked.get("stream_options") or {}).get("include_usage"):
        chunks.append({**base, "choices": [], "usage": OPENAI_USAGE})
    return "text/event-stream", sse(*chunks, "[DONE]")


def _completions(_: str, asked: dict[str, Any]) -> Body:
    choice = {"index": 0, "finish_reason": "stop", "text": "hi", "logprobs": None}
    base = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": asked.get("model", "m")}
    return "application/json", {**base, "choices": [choice], "usage": OPENAI_USAGE}


def _responses(_: str, asked: dict[str, Any]) -> Body:
    text = {"type": "output_text", "text": "hi", "annotations": []}
    message = {"id": "msg", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    whole = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": f"{asked.get('model', 'm')}-2024",
        "status": "completed",
        "service_tier": "flex",
        "error": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "output": [message],
        "usage": RESPONSES_USAGE,
    }
    if not asked.get("stream"):
        return "application/json", whole
    begun = {**whole, "status": "in_progress", "usage": None, "output": []}
    delta = {"item_id": "msg", "output_index": 0, "content_index": 0, "delta": "hi", "logprobs": []}
    return "text/event-stream", sse(
        {"type": "response.created", "sequence_number": 0, "response": begun},
        {"type": "response.output_text.delta", "sequence_number": 1, **delta},
        {"type": "response.completed", "sequence_number": 2, "response": whole},
        named=True,
    )


def _conversation(_: str, asked: dict[str, Any]) -> Body:
    begun = {"conversation_id": "conv_1", "created_at": "2026-11-30T00:00:00Z"}
    said = {"id": "msg_1", "model": "mistral-small", "content": "hello", "role": "assistant"}
    if asked.get("stream"):
        parts = [{"type": "message.output.delta", "output_index": 0, "content_index": 0, **said}] * 3
        done = {"type": "conversation.response.done", "usage": OPENAI_USAGE}
        return "text/event-stream", sse({"type": "conversation.response.started", **begun}, *parts, done, named=True)
    outputs = [{"object": "entry", "type": "message.output", **said}]
    return "application/json", {
        "object": "conversation.response",
        **begun,
        "outputs": outputs,
        "usage": OPENAI_USAGE,
    }


def _embeddings(_: str, asked: dict[str, Any]) -> Body:
    packed = base64.b64encode(struct.pack("<3f", 1, 2, 3)).decode()
    vector = packed if asked.get("encoding_format") == "base64" else [0.1, 0.2, 0.3]
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    return "application/json", {"object": "list", "model": asked.get("model", "m"), "data": data, "usage": usage}


def _anthropic_events(model: str) -> list[dict[str, Any]]:
    begun = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None}
    words = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f"w{i} "}} for i in range(5)
    ]
    return [
        {"type": "message_start", "message": {**begun, "usage": {**ANTHROPIC_USAGE, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *words,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 40}},
        {"type": "message_stop"},
    ]


def _anthropic_message(model: str) -> dict[str, Any]:
    content = [{"type": "text", "text": "hi"}]
    base = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content}
    return {**base, "stop_reason": "end_turn", "stop_sequence": None, "usage": ANTHROPIC_USAGE}


def _messages(_: str, asked: dict[str, Any]) -> Body:
    model = asked.get("model", "m")
    if asked.get("stream"):
        return "text/event-stream", sse(*_anthropic_events(model), named=True)
    return "application/json", _anthropic_message(model)


def _gemini(path: str, _: dict[str, Any]) -> Body:
    def part(usage: dict[str, int], **end: str) -> dict[str, Any]:
        candidate = {"index": 0, "content": {"role": "model", "parts": [{"text": "hi"}]}, **end}
        name = {"responseId": "gem-1", "modelVersion": "gemini-2.5-flash-001"}
        return {"candidates": [candidate], "usageMetadata": usage, **name}

    last = part(GEMINI_USAGE, finishReason="STOP")
    if ":generateContent" in path:
        return "application/json", last
    events = [
        part({"promptTokenCount": 100, "totalTokenCount": 100}),
        part({"promptTokenCount": 100, "totalTokenCount": 120, "thoughtsTokenCount": 20}),
        last,
    ]
    if "alt=sse" in path:
        return "text/event-stream", sse(*events)
    texts = [json.dumps(event, indent=1).encode() for event in events]
    return "application/json", [b"[" + texts[0], *[b",\n" + text for text in texts[1:]], b"]"]


def _gemini_embeddings(_: str, __: dict[str, Any]) -> Body:
    vector = {"values": [0.1, 0.2]}
    return "application/json", {"embeddings": [vector], "embedding": vector, "usageMetadata": {"promptTokenCount": 7}}


def _converse(path: str, _: dict[str, Any]) -> Body:
    end = {"usage": CONVERSE_USAGE, "metrics": {"latencyMs": 5}}
    if path.endswith("/converse"):
        message = {"role": "assistant", "content": [{"text": "hi"}]}
        return "application/json", {"output": {"message": message}, "stopReason": "end_turn", **end}
    return "application/vnd.amazon.eventstream", [
        frame("messageStart", {"role": "assistant"}),
        *[frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": f"w{i} "}}) for i in range(4)],
        frame("contentBlockStop", {"contentBlockIndex": 0}),
        frame("messageStop", {"stopReason": "end_turn"}),
        frame("metadata", end),
    ]


def _invoke(path: str, _: dict[str, Any]) -> Body:
    if path.endswith("/invoke"):
        return "application/json", _anthropic_message("claude")
    events = _anthropic_events("claude")
    events[-1]["amazon-bedrock-invocationMetrics"] = {"inputTokenCount": 12, "outputTokenCount": 40}
    packed = [base64.b64encode(json.dumps(event).encode()).decode() for event in events]
    return "application/vnd.amazon.eventstream", [frame("chunk", {"bytes": text}) for text in packed]


def _endpoint(path: str, asked: dict[str, Any]) -> Body:
    if path.endswith("/invocations"):
        return _chat(path, asked)
    _, pieces = _chat(path, {**asked, "stream": True, "stream_options": {"include_usage": True}})
    whole = b"".join(pieces)  # which SageMaker cuts wherever it likes
    cut = [whole[start : start + 100] for start in range(0, len(whole), 100)]
    return "application/vnd.amazon.eventstream", [frame("PayloadPart", piece) for piece in cut]


def _dashscope(_: str, asked: dict[str, Any]) -> Body:
    def part(count: int) -> dict[str, Any]:
        choice = {"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        usage = {"input_tokens": 100, "output_tokens": count, "total_tokens": 100 + count}
        return {"output": {"choices": [choice]}, "usage": usage, "request_id": "r-1"}

    if asked.get("parameters", {}).get("incremental_output"):
        return "text/event-stream", sse(*[part(count) for count in (1, 4, 10)])
    return "application/json", part(10)


def _ollama(path: str, asked: dict[str, Any]) -> Body:
    def part(text: str, **more: Any) -> dict[str, Any]:
        said = {"message": {"role": "assistant", "content": text}} if path.endswith("chat") else {"response": text}
        return {"model": asked.get("model", "m"), "created_at": "2026-01-01T00:00:00Z", **said, "done": False, **more}

    last = part("", done=True, done_reason="stop", total_duration=1, **OLLAMA_USAGE)
    if asked.get("stream") is False:
        return "application/json", last
    lines = [*[part(f"w{i}") for i in range(4)], last]
    return "application/x-ndjson", [json.dumps(line).encode() + b"\n" for line in lines]


def _ollama_embeddings(_: str, asked: dict[str, Any]) -> Body:
    counts = {"total_duration": 1, "prompt_eval_count": 8}
    return "application/json", {"model": asked.get("model", "m"), "embeddings": [[0.1, 0.2]], **counts}


def _cohere(_: str, asked: dict[str, Any]) -> Body:
    if not asked.get("stream"):
        message = {"role": "assistant", "content": [{"type": "text", "text": "hi"}]}
        answer = {"id": "co-1", "finish_reason": "COMPLETE", "message": message, "usage": COHERE_USAGE}
        return "application/json", answer
    return "text/event-stream", sse(
        {"type": "message-start", "id": "co-1", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "hi"}}}},
        {"type": "message-end", "id": "co-1", "delta": {"finish_reason": "COMPLETE", "usage": COHERE_USAGE}},
        named=True,
    )


def _cohere_embeddings(_: str, __: dict[str, Any]) -> Body:
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 5}}
    return "application/json", {"id": "co-2", "embeddings": {"float": [[0.1, 0.2]]}, "texts": ["x"], "meta": meta}


# By how the path ends, without its query; the first that fits.
FORMATS: dict[str, Callable[[str, dict[str, Any]], Body]] = {
    "/chat/completions": _chat,
    "/responses": _responses,
    "/conversations": _conversation,
    "/embeddings": _embeddings,
    "/completions": _completions,
    "/messages": _messages,
    ":generateContent": _gemini,
    ":streamGenerateContent": _gemini,
    "mbedContents": _gemini_embeddings,
    ":embedContent": _gemini_embeddings,
    "/converse": _converse,
    "/converse-stream": _converse,
    "/invoke": _invoke,
    "/invoke-with-response-stream": _invoke,
    "/invocations": _endpoint,
    "/invocations-response-stream": _endpoint,
    "-generation/generation": _dashscope,
    "/api/chat": _ollama,
    "/api/generate": _ollama,
    "/api/embed": _ollama_embeddings,
    "/v2/chat": _cohere,
    "/v2/embed": _cohere_embeddings,
}


def answer(path: str, asked: dict[str, Any]) -> Body:
    """What a provider answers to this request."""
    plain = path.partition("?")[0]
    return next(
        (make(path, asked) for ending, make in FORMATS.items() if plain.endswith(ending)),
        ("application/json", {"ok": True}),
    )


# --- the server -------------------------------------------------------------------------------------------------------


def packed(encoding: str | None, pieces: list[bytes]) -> list[bytes]:
    """The pieces, compressed one by one, as a server that streams does."""
    if encoding is None:
        return pieces
    if encoding in {"gzip", "deflate"}:
        deflate = zlib.compressobj(6, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
        return [*[deflate.compress(piece) + deflate.flush(zlib.Z_SYNC_FLUSH) for piece in pieces], deflate.flush()]
    if encoding == "br":
        squeeze = brotli.Compressor()
        return [*[squeeze.process(piece) + squeeze.flush() for piece in pieces], squeeze.finish()]
    pack = zstandard.ZstdCompressor().compressobj()
    flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    return [*[pack.compress(piece) + pack.flush(flush) for piece in pieces], pack.flush()]


@dataclass
class Server:
    """A server that speaks every format."""

    route: Callable[[str, dict[str, Any]], Body] = answer
    status: int = 200
    """An other code than 200 answers with an error of OpenAI's form."""
    encoding: str | None = None
    cut: int | None = None
    """Bytes of each piece of a stream; ``None`` leaves them as they are."""
    pause: float = 0.0
    """Seconds after each piece."""
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                owner._answer(self, b"")

            def do_POST(self) -> None:
                owner._answer(self, _sent(self))

            def log_message(self, *_: Any) -> None:
                pass

        class Threads(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_: Any) -> None:
                pass  # clients leave

        self._server = Threads(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, raw: bytes) -> None:
        try:
            asked = json.loads(raw or b"{}")
        except ValueError:
            asked = {}
        self.requests.append((handler.path, asked))
        kind, body = self.route(handler.path, asked)
        if self.status != 200:
            kind, body = "application/json", {"error": {"message": "no", "type": "rate_limit", "code": "x"}}
        streamed = isinstance(body, list)
        pieces = body if isinstance(body, list) else [json.dumps(body).encode()]
        if self.cut is not None and streamed:
            whole = b"".join(pieces)
            pieces = [whole[start : start + self.cut] for start in range(0, len(whole), self.cut)]
        handler.send_response(self.status)
        handler.send_header("content-type", kind)
        if self.encoding is not None and self.encoding in handler.headers.get("accept-encoding", ""):
            pieces = packed(self.encoding, pieces)
            handler.send_header("content-encoding", self.encoding)
        self._send(handler, pieces, streamed)

    def _send(self, handler: BaseHTTPRequestHandler, pieces: list[bytes], streamed: bool) -> None:
        if not streamed:
            whole = b"".join(pieces)
            handler.send_header("content-length", str(len(whole)))
            handler.end_headers()
            handler.wfile.write(whole)
            return
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for piece in pieces:
            if piece:
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if self.pause:
                time.sleep(self.pause)
        handler.wfile.write(b"0\r\n\r\n")


def _sent(handler: BaseHTTPRequestHandler) -> bytes:
    if "chunked" not in handler.headers.get("transfer-encoding", ""):
        return handler.rfile.read(int(handler.headers.get("content-length") or 0))
    raw = b""
    while size := int(handler.rfile.readline(), 16):
        raw += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return raw


@pytest.fixture(name="answer")
def _answer_fixture() -> Callable[[str, dict[str, Any]], Body]:
    """What a provider answers to a path and a body."""
    return answer
