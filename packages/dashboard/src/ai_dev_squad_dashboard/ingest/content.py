"""Captured content: messages, instructions, tool arguments and results, as they came, and the plain text in them for search."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ai_dev_squad.json_depth import is_too_deep

__all__ = ["parsed", "plain_text"]

_DEPTH = 32
_NOT_TEXT = frozenset({"role", "type", "id", "finish_reason", "mime_type", "modality", "tool_call_id", "tool_calls_id"})
"""Members of messages and parts that say what something is; nobody searches for them."""

_decode = msgspec.json.Decoder().decode


def parsed(value: Any) -> tuple[Any, Any]:
    """Content as it goes into a JSON document, and as it can be read: JSON text (which is how most senders write messages)
    is taken over as it stands, any other text is text.
    """
    if type(value) is str and value[:1] in ("[", "{", '"'):
        try:
            raw = value.encode()
            if not is_too_deep(raw):
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
