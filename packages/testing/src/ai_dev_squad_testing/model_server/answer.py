"""A reply made definite for one request: choices, ids, tokens. Each endpoint's module turns it into bytes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import Any

from .counts import Tokens, count_tokens
from .performance import Taken
from .request import ModelRequest, ToolCall
from .script import Call, Fail, Reply

__all__ = ["Answer", "answer", "dumps", "error_body", "pieces", "sse"]


@dataclass(frozen=True)
class Answer:
    """Everything a wire format needs."""

    request: ModelRequest
    reply: Reply
    number: str
    """The number in every id of this answer."""
    created: int
    texts: tuple[str, ...]
    calls: tuple[ToolCall, ...]
    billed: Tokens
    finish_reason: str

    @property
    def model(self) -> str:
        """The model the answer names."""
        return self.reply.model or self.request.model

    @property
    def reported(self) -> Tokens | None:
        """The usage the client is told when the answer arrives in full."""
        asked = self.request.include_usage or not self.request.stream
        return self.billed if asked and self.reply.report_usage else None


def answer(request: ModelRequest, reply: Reply, taken: Taken, index: int) -> Answer:
    """Make a reply definite. Tool call ids depend on the script alone, so that they are the same in every run."""
    if reply.fits_forced_tool and request.forced_tool is not None:
        reply = replace(reply, texts=("",), calls=(Call(request.forced_tool, reply.texts[0]),))
    place = "default" if taken.position is None else str(taken.position)
    calls = tuple(
        ToolCall(c.name, c.arguments, c.id or f"call_{place}_{taken.use}_{k}") for k, c in enumerate(reply.calls)
    )
    texts = tuple((reply.texts or ("",))[k % max(1, len(reply.texts))] for k in range(request.n))
    return Answer(
        request=request,
        reply=reply,
        number=f"{index:08d}",
        created=int(time.time()),
        texts=texts,
        calls=calls,
        billed=reply.usage or Tokens(request.input_tokens, _output_tokens(reply, texts, calls)),
        finish_reason=reply.finish_reason or ("tool_calls" if calls else "stop"),
    )


def _output_tokens(reply: Reply, texts: tuple[str, ...], calls: tuple[ToolCall, ...]) -> int:
    spoken = (reply.refusal or "") + "".join(c.name + c.arguments for c in calls)
    return sum(count_tokens(text + spoken) for text in texts)


def pieces(text: str, size: int) -> list[str]:
    """Cut a text every ``size`` characters; put together again they are the text."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def dumps(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def sse(data: Any, event: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + dumps(data) + b"\n\n"


_KINDS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_MESSAGES = {
    401: "Incorrect API key provided.",
    429: "Rate limit reached. Please try again later.",
    500: "The server had an error while processing your request.",
    503: "The engine is currently overloaded, please try again later.",
}


def error_body(endpoint: str, fail: Fail) -> bytes:
    """The provider's JSON error, or the scripted text."""
    if fail.body is not None:
        return fail.body.encode()
    message = fail.message or _MESSAGES.get(fail.status, f"The service answered with status {fail.status}.")
    if endpoint == "messages":
        kind = {429: "rate_limit_error", 503: "overloaded_error", 529: "overloaded_error"}.get(fail.status, "api_error")
        return dumps({"type": "error", "error": {"type": _KINDS.get(fail.status, kind), "message": message}})
    if endpoint == "gemini":
        return dumps({"error": {"code": fail.status, "message": message, "status": fail.code or "UNKNOWN"}})
    if endpoint == "converse":
        return dumps({"message": message})
    if endpoint == "ollama":
        return dumps({"error": message})
    kind = _KINDS.get(fail.status, "requests" if fail.status == 429 else "server_error")
    code = fail.code or _CODES.get(fail.status)
    return dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})
