"""The wire format of Gemini's ``:generateContent`` and ``:streamGenerateContent``, the latter as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .answer import Answer, pieces, sse
from .counts import Tokens

__all__ = ["body", "events", "response_id", "usage"]

_FINISH_REASONS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


def response_id(answer: Answer) -> str:
    """``gemini-00000000``."""
    return f"gemini-{answer.number}"


def usage(tokens: Tokens) -> dict[str, Any]:
    """Token counts as this endpoint names them: thoughts stand beside the candidates', and are left out where there are none."""
    thoughts, cached = tokens.reasoning_output_tokens, tokens.cache_read_input_tokens
    return {
        "promptTokenCount": tokens.input_tokens,
        "candidatesTokenCount": tokens.output_tokens - thoughts,
        "totalTokenCount": tokens.total_tokens,
        **({"thoughtsTokenCount": thoughts} if thoughts else {}),
        **({"cachedContentTokenCount": cached} if cached else {}),
    }


def _part(answer: Answer, parts: list[dict[str, Any]], **end: Any) -> dict[str, Any]:
    return {
        "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, **end}],
        "modelVersion": answer.model,
        "responseId": response_id(answer),
    }


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [{"functionCall": {"name": call.name, "args": json.loads(call.arguments or "{}")}} for call in answer.calls]


def _end(answer: Answer) -> str:
    return _FINISH_REASONS.get(answer.finish_reason, answer.finish_reason)


def body(answer: Answer) -> dict[str, Any]:
    """The plain response."""
    text = [{"text": answer.texts[0]}] if answer.texts[0] or not answer.calls else []
    whole = _part(answer, [*text, *_calls(answer)], finishReason=_end(answer))
    if answer.reported is not None:
        whole["usageMetadata"] = usage(answer.reported)
    return whole


def events(answer: Answer) -> Iterator[bytes]:
    """The stream: each event with the counts so far, the last one with all of them."""
    told = answer.reported
    spoken = pieces(answer.texts[0], answer.reply.chunk_size)
    for text in spoken[:-1]:
        event = _part(answer, [{"text": text}])
        if told is not None:
            event["usageMetadata"] = {"promptTokenCount": told.input_tokens, "totalTokenCount": told.input_tokens}
        yield sse(event)
    last = [{"text": text} for text in spoken[-1:]]
    event = _part(answer, [*last, *_calls(answer)] or [{"text": ""}], finishReason=_end(answer))
    if told is not None:
        event["usageMetadata"] = usage(told)
    yield sse(event)
