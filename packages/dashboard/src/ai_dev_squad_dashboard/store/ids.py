"""Ids as people copy them: in any case, with dashes, in quotes, as a header, or only how they begin."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["DIGITS", "TRACEPARENT", "copied", "hex_bytes"]

TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
DIGITS: Final = re.compile(r"[0-9a-f]{8,32}")
"""Pages show eight digits of an id where all would be too long; fewer are a word more often than an id."""


def copied(text: str) -> tuple[str, bool]:
    """A text without what surrounds it where it was copied from, and whether a page had cut it."""
    text = text.strip().strip("\"'`<>()[],;").strip()
    return text.rstrip("…").rstrip(), text.endswith("…")


def hex_bytes(text: str | None, digits: int) -> bytes | None:
    """The bytes of an id; ``None`` for a text that is none of so many hexadecimal digits."""
    if text is None or len(text) != digits:
        return None
    try:
        value = bytes.fromhex(text)
    except ValueError:
        return None
    # fromhex() skips spaces, so the number of bytes is part of the check.
    return value if len(value) * 2 == digits else None
