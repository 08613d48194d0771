"""The wire format of ``/v1/responses``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .answer import Answer, pieces, sse
from .counts import Tokens

__all__ = ["body", "events", "further", "queued", "response_id", "usage"]


def response_id(answer: Answer) -> str:
    """``resp_00000000``."""
    return f"resp_{answer.number}"


def usage(tokens: Tokens) -> dict[str, Any]:
    """Token counts as this endpoint names them."""
    return {
        "input_tokens": tokens.input_tokens,
        "input_tokens_details": {
            "cached_tokens": tokens.cache_read_input_tokens,
            "cache_write_tokens": tokens.cache_write_input_tokens,
        },
        "output_tokens": tokens.output_tokens,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning_output_tokens},
        "total_tokens": tokens.total_tokens,
    }


def body(answer: Answer) -> dict[str, Any]:
    """The plain response."""
    status, reason = _ending(answer)
    return {
        **_envelope(answer, status),
        "incomplete_details": reason and {"reason": reason},
        "output": _output(answer),
        "usage": usage(answer.reported) if answer.reported else None,
    }


def queued(answer: Answer, status: str = "queued") -> dict[str, Any]:
    """The response while it is worked on in the background, or was cancelled then: without output and usage."""
    return _envelope(answer, status)


def further(answer: Answer, starting_after: int) -> Iterator[bytes]:
    """The stream again, behind the event of this number."""
    return (event for number, event in enumerate(events(answer)) if number > starting_after)


def _ending(answer: Answer) -> tuple[str, str | None]:
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(answer.finish_reason)
    return ("incomplete" if reason else "completed"), reason


def _envelope(answer: Answer, status: str) -> dict[str, Any]:
    asked = answer.request.body
    return {
        "id": response_id(answer),
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": bool(asked.get("background")),
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "metadata": asked.get("metadata") or {},
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "previous_response_id": asked.get("previous_response_id"),
        "reasoning": asked.get("reasoning"),
        "store": asked.get("store", True),
        "temperature": asked.get("temperature", 1.0),
        "text": asked.get("text") or {"format": {"type": "text"}},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools") or [],
        "top_p": asked.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": None,
    }


def _output(answer: Answer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.reply.reasoning is not None:
        summary = [{"type": "summary_text", "text": answer.reply.reasoning}]
        items.append({"id": f"rs_{answer.number}", "type": "reasoning", "summary": summary})
    if part := _part(answer):
        items.append(
            {
                "id": f"msg_{answer.number}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        )
    for k, call in enumerate(answer.calls):
        items.append(
            {
                "id": f"fc_{answer.number}_{k}",
                "type": "function_call",
                "status": "completed",
                "call_id": call.id,
                "name": call.name,
                "arguments": call.arguments,
            }
        )
    return items


def _part(answer: Answer) -> dict[str, Any] | None:
    if answer.reply.refusal is not None:
        return {"type": "refusal", "refusal": answer.reply.refusal}
    text = answer.texts[0]
    if answer.calls and not text:
        return None
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def events(answer: Answer) -> Iterator[bytes]:
    """The stream: created, in progress, each output item, then completed (or incomplete) with the usage."""
    final = body(answer)
    number = 0

    def event(kind: str, **data: Any) -> bytes:
        nonlocal number
        number += 1
        return sse({"type": kind, "sequence_number": number - 1, **data}, kind)

    yield event("response.created", response=_envelope(answer, "in_progress"))
    yield event("response.in_progress", response=_envelope(answer, "in_progress"))
    for index, item in enumerate(final["output"]):
        opened = {**item, "status": "in_progress", **_EMPTY[item["type"]]}
        yield event("response.output_item.added", output_index=index, item=opened)
        for kind, data in _item_events(item, answer.reply.chunk_size):
            yield event(kind, output_index=index, item_id=item["id"], **data)
        yield event("response.output_item.done", output_index=index, item=item)
    yield event(f"response.{final['status']}", response=final)


_EMPTY: dict[str, dict[str, Any]] = {
    "message": {"content": []},
    "function_call": {"arguments": ""},
    "reasoning": {"summary": []},
}


def _item_events(item: dict[str, Any], size: int) -> Iterator[tuple[str, dict[str, Any]]]:
    if item["type"] == "function_call":
        for piece in pieces(item["arguments"], size):
            yield "response.function_call_arguments.delta", {"delta": piece}
        done = {"arguments": item["arguments"], "name": item["name"]}
        yield "response.function_call_arguments.done", done
        return
    if item["type"] == "reasoning":
        part = item["summary"][0]
        place: dict[str, Any] = {"summary_index": 0}
        prefix, deltas, field = "response.reasoning_summary_part", "response.reasoning_summary_text", "text"
    else:
        part = item["content"][0]
        place = {"content_index": 0}
        field = "refusal" if part["type"] == "refusal" else "text"
        prefix = "response.content_part"
        deltas = "response.refusal" if field == "refusal" else "response.output_text"
    logprobs: dict[str, Any] = {"logprobs": []} if deltas == "response.output_text" else {}
    yield f"{prefix}.added", {**place, "part": {**part, field: ""}}
    for piece in pieces(part[field], size):
        yield f"{deltas}.delta", {**place, "delta": piece, **logprobs}
    yield f"{deltas}.done", {**place, field: part[field], **logprobs}
    yield f"{prefix}.done", {**place, "part": part}
