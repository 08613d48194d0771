"""In what an id is looked for, whoever looks."""

from __future__ import annotations

from typing import Final, Literal, Protocol

from .answers import Found
from .ids import DIGITS, TRACEPARENT, copied

__all__ = ["Lookup", "look_up"]

_CALLED: Final[tuple[Literal["session", "user"], ...]] = ("session", "user")
"""What may be called anything."""


class Lookup(Protocol):
    """What an engine finds, at most ``limit`` of each."""

    def traces(self, digits: str, limit: int) -> tuple[Found, ...]:
        """Those whose id begins with ``digits``, the newest first."""

    def spans(self, digits: str, limit: int, trace_id: str | None = None) -> tuple[Found, ...]:
        """Those whose id begins with ``digits``, of this trace or of any, the newest first."""

    def called(self, kind: Literal["session", "user"], text: str, limit: int, *, parts: bool) -> tuple[Found, ...]:
        """Those that are called so, or, with ``parts``, whose names begin so."""


def look_up(engine: Lookup, text: str, limit: int) -> tuple[Found, ...]:
    """What has ``text`` for an id, or begins with it where it looks like a part of one; what is named exactly comes first."""
    text, is_cut = copied(text)
    if not text:
        return ()
    lower = text.lower()
    pair = TRACEPARENT.fullmatch(lower)
    if pair is not None:
        return engine.spans(pair[2], limit, pair[1]) or engine.traces(pair[1], limit)
    found: list[Found] = []
    digits = lower.removeprefix("0x").replace("-", "")
    if DIGITS.fullmatch(digits):
        found += engine.traces(digits, limit)
        if len(digits) <= 16:
            found += engine.spans(digits, limit)
    for kind in _CALLED:
        found += engine.called(kind, text, limit, parts=is_cut or not text.isalpha())
    return tuple(sorted(found, key=lambda one: not one.exact)[:limit])
