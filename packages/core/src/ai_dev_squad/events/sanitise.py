"""Lines that can't be encoded are made safe instead of being lost.

The redactor has usually been here before; this is the last line of defence, in the writer's thread, and it can't fail.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ai_dev_squad.schema import JournalLine, utc_now

__all__ = ["encode_safely", "lost_line", "safe_value"]

_MAX_DEPTH = 20
_MAX_ITEMS = 1_000
_MAX_NODES = 10_000
_MAX_INT_BITS = 4_096
_encode = msgspec.json.Encoder().encode


def encode_safely(line: Any) -> bytes:
    """One line of JSON with its newline, whatever ``line`` holds. Values that JSON can't hold become descriptions."""
    try:
        return _encode(line) + b"\n"
    except Exception:  # noqa: BLE001 - anything may be in there
        pass
    try:
        safe = {name: safe_value(getattr(line, name)) for name in JournalLine.__struct_fields__}
        return _encode(JournalLine(**safe)) + b"\n"
    except Exception as error:  # noqa: BLE001 - then at least the fact that there was an event
        return _encode(lost_line(line, error)) + b"\n"


def lost_line(lost: Any, error: Exception) -> JournalLine:
    """What stands in the place of an event that could not be told, because of ``error``."""
    return JournalLine(
        timestamp=utc_now(),
        level="ERROR",
        event_type="telemetry.dropped",
        message="an event could not be written as JSON",
        metadata={"dropped": 1, "reason": "not_encodable", "type": _type_name(lost), "error": _type_name(error)},
    )


def safe_value(value: Any) -> Any:
    """``value`` with everything that can't be encoded, too deep, too much or part of a cycle described instead."""
    return _Safe().value(value, 0)


class _Safe:
    """One value's walk: where it came through, and how much it may still visit."""

    def __init__(self) -> None:
        self.path: set[int] = set()
        self.nodes = _MAX_NODES

    def value(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self.nodes -= 1
        if value is None or kind is bool or kind is float:
            return value
        if kind is str:
            return _safe_string(value)
        if kind is int:
            return value if value.bit_length() <= _MAX_INT_BITS else f"<int of {value.bit_length()} bits>"
        if kind in (dict, list, tuple, set, frozenset):
            return self.container(value, kind, depth)
        try:
            _encode(value)
        except Exception:  # noqa: BLE001 - a user's object may do anything
            return f"<{_type_name(value)}>"
        return value

    def container(self, value: Any, kind: type, depth: int) -> Any:
        if id(value) in self.path:
            return f"<{kind.__name__} that contains itself>"
        if depth >= _MAX_DEPTH or self.nodes <= 0:
            return f"<{kind.__name__} left out: too deep or too much>"
        self.path.add(id(value))
        try:
            # A copy first: another thread may be changing the original.
            elements = list(value.items()) if kind is dict else list(value)
            more = len(elements) - _MAX_ITEMS
            kept: Any
            if kind is dict:
                kept = {_safe_key(key): self.value(item, depth + 1) for key, item in elements[:_MAX_ITEMS]}
                if more > 0:
                    kept["..."] = f"<{more} more>"
            else:
                kept = [self.value(item, depth + 1) for item in elements[:_MAX_ITEMS]]
                if more > 0:
                    kept.append(f"<{more} more>")
            return kept
        finally:
            self.path.discard(id(value))


def _safe_key(key: Any) -> str:
    if type(key) is str:
        return _safe_string(key)
    if key is None or type(key) in (bool, float):
        return str(key)
    if type(key) is int and key.bit_length() <= _MAX_INT_BITS:
        return str(key)
    if type(key) is tuple:
        return "(" + ", ".join(_safe_key(part) for part in key[:10]) + ")"
    return f"<{_type_name(key)}>"


def _safe_string(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def _type_name(value: Any) -> str:
    kind = type(value)
    return _safe_string(
        f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else kind.__qualname__
    )
