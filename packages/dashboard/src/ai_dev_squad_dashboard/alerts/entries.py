"""What entries of a rule file have in common: their shape, lengths of time, and names."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from .durations import duration_us
from .errors import RuleFileError

__all__ = ["MAX_NAME", "length_us", "named", "shaped"]

MAX_NAME: Final = 100

Read = TypeVar("Read")


def length_us(problems: list[str], name: str, text: str, low_us: int, high_us: int) -> int:
    value = duration_us(text)
    if value is None:
        problems.append(f"{name} {text!r} is no length of time; write one like 90s, 5m, 1h or 7d")
        return low_us
    if not low_us <= value <= high_us:
        low, high = low_us // 1_000_000, high_us // 1_000_000
        problems.append(f"{name} {text!r} is not from {low} s to {high} s; correct it")
        return low_us
    return value


def named(problems: list[str], name: str, text: str) -> None:
    if not text.strip() or len(text) > MAX_NAME or any(ord(letter) < 32 for letter in text):
        problems.append(f"{name} {text[:40]!r} is empty, longer than {MAX_NAME} characters or not one line; correct it")


def shaped(entry: Any, kind: type[Read]) -> Read:
    try:
        shape = msgspec.convert(entry, kind)
        # Whatever is decided by it has to be written down.
        msgspec.json.encode(shape)
    except msgspec.ValidationError as error:
        allowed = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))  # type: ignore[arg-type]
        raise RuleFileError([f"{error}; allowed: {allowed}"]) from None
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.end]
        raise RuleFileError([f"a text has half a character in it ({half!r}); write the whole one"]) from None
    return shape
