"""Captured content: messages, instructions, tool arguments and results, as they came, and the plain text in them for search."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from ai_dev_squad.json_depth import is_too_deep

from . import messages
from .messages import Message

__all__ = ["parsed", "plain_text", "searched_text"]

_DEPTH = 32
_OF_MESSAGES = 1
"""How deep the messages of a list stand."""
_NOT_TEXT = frozenset({"role", "type", "id", "finish_reason", "mime_type", "modality", "tool_call_id", "tool_calls_id"})
"""Members of messages and parts that say what something is; nobody searches for them."""

_ARGUMENTS = frozenset({"arguments", "args", "input"})
"""Members of whatever has a name that hold what it was called with: their own members are the tool's, whatever they are called."""
_MOST_NUMBERS = 32
"""Numbers that a list may have and still be looked for; longer ones are vectors and tokens."""

_decode = msgspec.json.Decoder().decode
_objects = re.compile(r"\[\s*\{")


def parsed(value: Any) -> tuple[Any, Any]:
    """Content as it goes into a JSON document, and as it can be read: JSON text (which is how most senders write messages)
    is taken over as it stands, any other text is text.
    """
    if type(value) is str and value[:1] in ("[", "{", '"'):
        try:
            raw = value.encode()
            if len(raw) >= messages.LONG and _objects.match(value):
                if (items := messages.read(raw)) is not None:
                    return msgspec.Raw(raw), items
            elif not is_too_deep(raw):
                return msgspec.Raw(raw), _decode(raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass
    return value, value


def plain_text(contents: Iterable[Any]) -> str | None:
    """All of the text in ``contents`` (read, not raw); ``None`` when there is none."""
    found: list[str] = []
    for content in contents:
        _collect(content, found, 0)
    return "\n".join(found) if found else None


def searched_text(contents: Iterable[Any], arguments: Any = None) -> str | None:
    """What words are looked for in: the text in ``contents`` and in the ``arguments`` of a tool, with the numbers and ids that
    somebody might know a run by. ``None`` when there is none.
    """
    found: list[str] = []
    if arguments is not None:
        _collect_all(arguments, found, 0, is_free=True)
    for content in contents:
        _collect_all(content, found, 0, is_free=False)
    return "\n".join(found) if found else None


def _collect_all(value: Any, found: list[str], depth: int, *, is_free: bool) -> None:
    """``is_free``: no member says what something is, as those of messages and parts do."""
    kind = type(value)
    if kind is str:
        if value:
            found.append(value)
    elif kind is int or kind is float:
        found.append(str(value))
    elif depth >= _DEPTH:
        return
    elif kind is dict or kind is Message:
        if value.get("type") == "blob":
            return
        is_named, is_part = "name" in value, "role" in value or "type" in value
        for key, item in value.items():
            if is_free or key not in _NOT_TEXT or (key == "id" and not is_part):
                _collect_all(item, found, depth + 1, is_free=is_free or (is_named and key in _ARGUMENTS))
    elif kind is list:
        numbers = len(value) <= _MOST_NUMBERS
        are_messages = not depth and not is_free
        for item in value:
            if are_messages and type(item) is Message:
                found += _texts_of(item) if item.texts is None else item.texts
            elif numbers or type(item) not in (int, float):
                _collect_all(item, found, depth + 1, is_free=is_free)


def _texts_of(message: Message) -> tuple[str, ...]:
    texts: list[str] = []
    _collect_all(dict(message), texts, _OF_MESSAGES, is_free=False)
    message.texts = tuple(texts)
    return message.texts


def _collect(value: Any, found: list[str], depth: int) -> None:
    if type(value) is str:
        if value:
            found.append(value)
    elif depth < _DEPTH:
        if type(value) is dict:
            if value.get("type") == "blob":
                return
            for key, item in value.items():
                if key not in _NOT_TEXT:
                    if type(item) is str:
                        if item:
                            found.append(item)
                    else:
                        _collect(item, found, depth + 1)
        elif type(value) is list:
            for item in value:
                _collect(item, found, depth + 1)
