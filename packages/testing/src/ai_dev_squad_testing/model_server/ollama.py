"""The wire format of Ollama's ``/api/chat``: a line of JSON, or as many as there are pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .answer import Answer, dumps, pieces
from .counts import Tokens

__all__ = ["CONTENT_TYPE", "body", "events", "response_id", "usage"]

CONTENT_TYPE = "application/x-ndjson"


def response_id(answer: Answer) -> None:
    """Ollama's answers have no id."""


def usage(tokens: Tokens) -> dict[str, int]:
    """Token counts as this endpoint names them. It knows nothing of caches, and counts thoughts among the output."""
    return {"prompt_eval_count": tokens.input_tokens, "eval_count": tokens.output_tokens}


def _line(answer: Answer, message: dict[str, Any], **more: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "", **message}
    return {"model": answer.model, "created_at": "2026-01-01T00:00:00Z", "message": said, "done": False, **more}


def _calls(answer: Answer) -> dict[str, Any]:
    calls = [
        {"function": {"name": call.name, "arguments": json.loads(call.arguments or "{}")}} for call in answer.calls
    ]
    return {"tool_calls": calls} if calls else {}


def _last(answer: Answer, message: dict[str, Any]) -> dict[str, Any]:
    reason = answer.finish_reason if answer.finish_reason == "length" else "stop"
    counts = {} if answer.reported is None else usage(answer.reported)
    return _line(answer, message, done=True, done_reason=reason, total_duration=1_000_000, **counts)


def body(answer: Answer) -> dict[str, Any]:
    """The plain response."""
    return _last(answer, {"content": answer.texts[0], **_calls(answer)})


def events(answer: Answer) -> Iterator[bytes]:
    """The stream: pieces, tool calls in one of them, and the counts in the last line."""
    for text in pieces(answer.texts[0], answer.reply.chunk_size):
        yield dumps(_line(answer, {"content": text})) + b"\n"
    if answer.calls:
        yield dumps(_line(answer, _calls(answer))) + b"\n"
    yield dumps(_last(answer, {})) + b"\n"
