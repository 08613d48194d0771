"""Untrusted text on its way to a page: of bounded length, and whatever it is, pretty where it is JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["SHOWN", "Budget", "Text", "pretty"]

SHOWN = 20_000
"""Characters of one text that a page shows; all of it is in the trace's download."""


@dataclass(frozen=True)
class Text:
    """A text as it is shown: ``text`` is its beginning, ``length`` counts all its characters."""

    text: str
    length: int
    json: bool = False
    """True when the text is JSON, indented."""

    @property
    def left_out(self) -> int:
        """Characters that are not shown."""
        return self.length - len(self.text)


class Budget:
    """How many characters a page shows in all: what is asked for first gets most."""

    def __init__(self, total: int = 400_000, least: int = 500) -> None:
        self._left = total
        self._least = least

    def clip(self, text: str, *, is_json: bool = False) -> Text:
        """The beginning of ``text``, shorter the less is left."""
        shown = text[: max(min(SHOWN, self._left), self._least)]
        self._left -= len(shown)
        # Half of a surrogate pair is no text, and no encoder takes it.
        return Text(shown.encode("utf-8", "replace").decode(), len(text), is_json)

    def takes(self, length: int) -> bool:
        """Whether there is room for something of this length, which is shown whole or not at all."""
        if length > self._left:
            return False
        self._left -= length
        return True

    def pretty(self, value: Any) -> Text:
        """``value`` for reading: JSON indented, also when it comes as text; other text as it is."""
        if isinstance(value, str):
            parsed = _parsed(value)
            return self.clip(value) if parsed is None else self.clip(_indented(parsed), is_json=True)
        return self.clip(_indented(value), is_json=not isinstance(value, (int, float, bool)) and value is not None)


def pretty(value: Any) -> Text:
    """``value`` for reading, where it is the only one."""
    return Budget().pretty(value)


def _parsed(text: str) -> Any:
    """The object or array that ``text`` is the JSON of, else ``None``."""
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _indented(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return str(value)
