"""The wire format of Anthropic's ``/v1/messages``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .answer import Answer, pieces, sse
from .counts import Tokens

__all__ = ["body", "events", "response_id", "usage"]

_STOP_REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}


def response_id(answer: Answer) -> str:
    """``msg_00000000``."""
    return f"msg_{answer.number}"


def usage(tokens: Tokens) -> dict[str, Any]:
    """Token counts as this endpoint names them: here ``input_tokens`` leaves the cached and cache-writing ones out."""
    cached, written = tokens.cache_read_input_tokens, tokens.cache_write_input_tokens
    return {
        "input_tokens": tokens.input_tokens - cached - written,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens": tokens.output_tokens,
    }


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.reply.reasoning is not None:
        blocks.append({"type": "thinking", "thinking": answer.reply.reasoning, "signature": "scripted"})
    text = answer.reply.refusal or answer.texts[0]
    if text or not answer.calls:
        blocks.append({"type": "text", "text": text})
    for call in answer.calls:
        arguments = json.loads(call.arguments or "{}")
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": arguments})
    return blocks


def body(answer: Answer) -> dict[str, Any]:
    """The plain response."""
    tier = answer.reply.service_tier or "standard"
    return {
        "id": response_id(answer),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": _blocks(answer),
        "stop_reason": _STOP_REASONS.get(answer.finish_reason, answer.finish_reason),
        "stop_sequence": None,
        **({"usage": {**usage(answer.reported), "service_tier": tier}} if answer.reported else {}),
    }


def events(answer: Answer) -> Iterator[bytes]:
    """The stream: message start with the input tokens, each block, message delta with the output tokens, stop."""

    def event(kind: str, **data: Any) -> bytes:
        return sse({"type": kind, **data}, kind)

    whole = body(answer)
    counted = {"usage": whole["usage"]} if "usage" in whole else {}
    opening = {**whole, "content": [], "stop_reason": None}
    if counted:
        opening["usage"] = {**counted["usage"], "output_tokens": 0}
    yield event("message_start", message=opening)
    for index, block in enumerate(whole["content"]):
        empty, deltas = _streamed(block, answer.reply.chunk_size)
        yield event("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield event("message_delta", delta=delta, **counted)
    yield event("message_stop")


def _streamed(block: dict[str, Any], size: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block["type"]:
        case "text":
            return {**block, "text": ""}, [{"type": "text_delta", "text": p} for p in pieces(block["text"], size)]
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": p} for p in pieces(block["thinking"], size)]
            return {**block, "thinking": "", "signature": ""}, [
                *deltas,
                {"type": "signature_delta", "signature": block["signature"]},
            ]
    parts = pieces(json.dumps(block["input"], separators=(",", ":")), size)
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": p} for p in parts]
