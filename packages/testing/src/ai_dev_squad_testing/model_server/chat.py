"""The wire format of ``/v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .answer import Answer, pieces, sse
from .counts import Tokens

__all__ = ["body", "events", "response_id", "usage"]


def response_id(answer: Answer) -> str:
    """``chatcmpl-00000000``."""
    return f"chatcmpl-{answer.number}"


def usage(tokens: Tokens) -> dict[str, Any]:
    """Token counts as this endpoint names them."""
    prompt = {"cached_tokens": tokens.cache_read_input_tokens, "audio_tokens": tokens.audio_input_tokens}
    if tokens.cache_write_input_tokens:
        prompt["cache_write_tokens"] = tokens.cache_write_input_tokens
    return {
        "prompt_tokens": tokens.input_tokens,
        "completion_tokens": tokens.output_tokens,
        "total_tokens": tokens.total_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning_output_tokens,
            "audio_tokens": tokens.audio_output_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": response_id(answer),
        "object": kind,
        "created": answer.created,
        "model": answer.model,
        "service_tier": answer.reply.service_tier or "default",
        "system_fingerprint": "fp_scripted",
    }


def body(answer: Answer) -> dict[str, Any]:
    """The plain response."""
    choices = []
    for index, text in enumerate(answer.texts):
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": answer.reply.refusal}
        if answer.calls or answer.reply.refusal is not None:
            message["content"] = text or None
        if answer.reply.reasoning is not None:
            message["reasoning_content"] = answer.reply.reasoning
        if answer.calls:
            message["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in answer.calls
            ]
        choices.append({"index": index, "message": message, "logprobs": None, "finish_reason": answer.finish_reason})
    response = {**_head(answer, "chat.completion"), "choices": choices}
    if answer.reported is not None:
        response["usage"] = usage(answer.reported)
    return response


def events(answer: Answer) -> Iterator[bytes]:
    """The stream: choices one after the other, the usage chunk only when it was asked for, then ``[DONE]``."""
    head = _head(answer, "chat.completion.chunk")
    asked = answer.request.include_usage

    def chunk(choices: list[dict[str, Any]], tokens: Tokens | None = None) -> bytes:
        data = {**head, "choices": choices}
        if asked:
            data["usage"] = usage(tokens) if tokens else None
        return sse(data)

    for index, text in enumerate(answer.texts):
        for delta in _deltas(answer, text):
            yield chunk([{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}])
        yield chunk([{"index": index, "delta": {}, "logprobs": None, "finish_reason": answer.finish_reason}])
    if answer.reported is not None:
        yield chunk([], answer.reported)
    yield b"data: [DONE]\n\n"


def _deltas(answer: Answer, text: str) -> Iterator[dict[str, Any]]:
    size = answer.reply.chunk_size
    yield {"role": "assistant", "content": None if answer.calls and not text else "", "refusal": None}
    for piece in pieces(answer.reply.reasoning or "", size):
        yield {"reasoning_content": piece}
    for piece in pieces(text, size):
        yield {"content": piece}
    for piece in pieces(answer.reply.refusal or "", size):
        yield {"refusal": piece}
    for k, call in enumerate(answer.calls):
        function = {"name": call.name, "arguments": ""}
        yield {"tool_calls": [{"index": k, "id": call.id, "type": "function", "function": function}]}
        for piece in pieces(call.arguments, size):
            yield {"tool_calls": [{"index": k, "function": {"arguments": piece}}]}
