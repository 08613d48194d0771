"""How deep JSON may be nested before it is taken for text, or for no answer.

Decoders give up at a depth that differs from one Python release to the next, and whoever walks what they decoded gives up
earlier. So the bound is ours.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final

__all__ = ["MAX_DEPTH", "is_too_deep"]

MAX_DEPTH: Final = 200
"""Objects and lists within one another: far more than any message has, far less than a walk can take."""

_OPENING: Final = frozenset(b"[{")
_NO_MARKS: Final = bytes(set(range(256)) - set(b'[]{}"'))
_MOST_PASSES: Final = 32


def is_too_deep(data: bytes) -> bool:
    """Whether JSON text is nested deeper than ``MAX_DEPTH``."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    # Whole passes over the text: a regular expression of strings takes ten times as long, and a conversation has many.
    marks = data.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NO_MARKS).replace(b'""', b"")
    brackets = b"".join(marks.split(b'"')[::2])
    rest, passes = brackets, 0
    while passes < _MOST_PASSES and rest:
        # What is innermost goes everywhere at once, and takes one level along at most.
        rest = rest.replace(b"[]", b"").replace(b"{}", b"")
        passes += 2
    return passes + len(rest) > MAX_DEPTH and _depth(brackets) > MAX_DEPTH


def _depth(brackets: bytes) -> int:
    return max(accumulate(1 if bracket in _OPENING else -1 for bracket in brackets))
