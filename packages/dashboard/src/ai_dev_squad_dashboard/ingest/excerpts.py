"""How what was asked and answered begins: one line each, for lists in which runs would look alike without it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from .content import plain_text
from .messages import Message

__all__ = ["EXCERPT", "answer_in", "question_in"]

EXCERPT: Final = 200
"""Characters of an excerpt."""

_ASKS: Final = frozenset({"user", "human"})
_ANSWERS: Final = frozenset({"assistant", "ai", "model"})
_MOST_MESSAGES: Final = 10_000


def question_in(content: Any) -> str | None:
    """What the user said last in what was put in, be it messages, a state that holds some, or any other value."""
    return _excerpt(content, _ASKS)


def answer_in(content: Any) -> str | None:
    """What the model said last in what came out."""
    return _excerpt(content, _ANSWERS)


def _excerpt(content: Any, roles: frozenset[str]) -> str | None:
    if isinstance(content, dict) and isinstance(content.get("messages"), (list, tuple)):
        content = content["messages"]
    if isinstance(content, (list, tuple)) and any(isinstance(item, dict) for item in content[-3:]):
        said = _last(content, roles)
        return said if said is not None or roles is _ASKS else _last(content, None)
    return _line([content])


def _last(messages: list[Any] | tuple[Any, ...], roles: frozenset[str] | None) -> str | None:
    for message in reversed(messages[-_MOST_MESSAGES:]):
        if type(message) is Message:
            speaker, line = message.said or _kept(message)
            if line is not None and (roles is None or speaker in roles):
                return line
        elif isinstance(message, dict) and (roles is None or _speaker(message) in roles):
            line = _said(message)
            if line is not None:
                return line
    return None


def _kept(message: Message) -> tuple[str, str | None]:
    message.said = _speaker(message), _said(message)
    return message.said


def _speaker(message: dict[str, Any]) -> str:
    role = message.get("role") or message.get("type")
    return role.lower() if isinstance(role, str) else ""


def _said(message: dict[str, Any]) -> str | None:
    return _line(_texts(message.get("parts", message.get("content"))))


def _texts(parts: Any) -> list[Any]:
    """The parts that are text; what a tool said or was asked is none."""
    if not isinstance(parts, (list, tuple)):
        return [parts]
    return [
        part.get("content", part) if isinstance(part, dict) else part
        for part in parts
        if not isinstance(part, dict) or part.get("type", "text") in ("text", "input_text", "output_text")
    ]


def _line(contents: Iterable[Any]) -> str | None:
    text = plain_text(contents)
    if text is None:
        return None
    line = text[:EXCERPT]
    if line.isprintable() and "  " not in line and line[0] != " ":  # it has single blanks only, as most text
        return line.rstrip()
    line = " ".join(text[: EXCERPT * 2].split())
    if len(line) < EXCERPT < len(text):  # mostly blanks; but whoever writes a megabyte of them is not waited for
        line = " ".join(text[: EXCERPT * 8].split())
    return line[:EXCERPT].rstrip() or None
