"""What was said in a turn: the user's text and the answer, out of captured content."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from .conversation import Message, read_conversation

__all__ = ["Said", "said_in"]

MAX_TEXT: Final = 2_000
"""Characters of a text that are kept; the trace has all of it."""
MAX_DETAILS: Final = 4 * 1024 * 1024
"""Bytes of a span's details beyond which they are not looked into for an excerpt."""


@dataclass(frozen=True)
class Said:
    """The last text of one side in a turn."""

    text: str
    """At most 2,000 characters."""
    cut: int
    """Characters that are left out here."""
    span_id: str
    """Where it was captured."""


class _Content(msgspec.Struct):
    input: Any = None
    output: Any = None


_decoder: Final = msgspec.json.Decoder(_Content)


def said_in(details: Iterable[tuple[str, bytes]], root_span_id: str | None) -> tuple[Said | None, Said | None]:
    """The user's text and the assistant's answer of a turn: ``(asked, answered)``.

    ``details``: span ids and details by start. What the root was given and gave counts before what model calls were: the first
    call's question and the last call's answer.
    """
    asked = answered = None
    root_answered = False
    for span_id, raw in details:
        content = _content(raw)
        if content is None or (content.input is None and content.output is None):
            continue
        messages = read_conversation({"input": content.input, "output": content.output}).messages
        if asked is None:
            asked = _last(span_id, messages, "user", answer=False)
        if not root_answered:
            answer = _last(span_id, messages, "assistant", answer=True)
            answered = answer or answered
            root_answered = answer is not None and span_id == root_span_id
    return asked, answered


def _content(raw: bytes) -> _Content | None:
    if len(raw) > MAX_DETAILS:
        return None
    try:
        return _decoder.decode(raw)
    except msgspec.MsgspecError:
        return None


def _last(span_id: str, messages: tuple[Message, ...], role: str, *, answer: bool) -> Said | None:
    """The last text that ``role`` said."""
    for message in reversed(messages):
        if message.role == role and message.answer == answer:
            texts = [part.body for part in message.parts if part.kind == "text" and part.body is not None]
            text = "\n\n".join(body.text for body in texts)
            if text.strip():
                length = len(text) + sum(body.left_out for body in texts)
                return Said(text[:MAX_TEXT], length - len(text[:MAX_TEXT]), span_id)
    return None
