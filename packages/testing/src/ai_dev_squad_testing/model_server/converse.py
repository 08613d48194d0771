"""The wire format of Amazon Bedrock's ``/converse`` and, in frames of its event stream, ``/converse-stream``."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from .answer import Answer, dumps, pieces
from .counts import Tokens

__all__ = ["CONTENT_TYPE", "body", "events", "response_id", "usage"]

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STOP_REASONS = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "content_filter": "content_filtered",
}
_A_TEXT = b"\x07"


def response_id(answer: Answer) -> None:
    """The answer has no id; the request has one, in its headers."""


def usage(tokens: Tokens) -> dict[str, int]:
    """Token counts as this endpoint names them: ``inputTokens`` leaves the cached and cache-writing ones out."""
    cached, written = tokens.cache_read_input_tokens, tokens.cache_write_input_tokens
    return {
        "inputTokens": tokens.input_tokens - cached - written,
        "outputTokens": tokens.output_tokens,
        "totalTokens": tokens.total_tokens,
        "cacheReadInputTokens": cached,
        "cacheWriteInputTokens": written,
    }


def _use(answer: Answer, index: int) -> dict[str, Any]:
    call = answer.calls[index]
    return {"toolUseId": call.id, "name": call.name}


def _end(answer: Answer) -> dict[str, Any]:
    counts = {} if answer.reported is None else {"usage": usage(answer.reported)}
    return {**counts, "metrics": {"latencyMs": 1}}


def body(answer: Answer) -> dict[str, Any]:
    """The plain response."""
    content: list[dict[str, Any]] = [{"text": answer.texts[0]}] if answer.texts[0] or not answer.calls else []
    for index, call in enumerate(answer.calls):
        content.append({"toolUse": {**_use(answer, index), "input": json.loads(call.arguments or "{}")}})
    reason = _STOP_REASONS.get(answer.finish_reason, answer.finish_reason)
    return {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason, **_end(answer)}


def events(answer: Answer) -> Iterator[bytes]:
    """The stream: message start, each block, message stop, and the counts in the metadata after it."""
    yield _frame("messageStart", {"role": "assistant"})
    index = 0
    if answer.texts[0] or not answer.calls:
        for text in pieces(answer.texts[0], answer.reply.chunk_size):
            yield _frame("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": text}})
        yield _frame("contentBlockStop", {"contentBlockIndex": index})
        index += 1
    for position, call in enumerate(answer.calls):
        start = {"contentBlockIndex": index, "start": {"toolUse": _use(answer, position)}}
        yield _frame("contentBlockStart", start)
        for text in pieces(call.arguments, answer.reply.chunk_size):
            yield _frame("contentBlockDelta", {"contentBlockIndex": index, "delta": {"toolUse": {"input": text}}})
        yield _frame("contentBlockStop", {"contentBlockIndex": index})
        index += 1
    yield _frame("messageStop", {"stopReason": _STOP_REASONS.get(answer.finish_reason, answer.finish_reason)})
    yield _frame("metadata", _end(answer))


def _frame(kind: str, payload: dict[str, Any]) -> bytes:
    """One message of Amazon's event stream: lengths, headers and payload, with a checksum after either."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    head = b"".join(
        bytes([len(name)]) + name.encode() + _A_TEXT + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    data = dumps(payload)
    prelude = struct.pack(">II", 16 + len(head) + len(data), len(head))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + data
    return message + struct.pack(">I", zlib.crc32(message))
