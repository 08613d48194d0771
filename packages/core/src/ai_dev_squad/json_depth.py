"""How deep JSON may be nested before it is taken for text, or for no answer.

Decoders give up at a depth that differs from one Python release to the next, and whoever walks what they decoded gives up
earlier. So the bound is ours.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MAX_DEPTH", "is_too_deep"]

MAX_DEPTH: Final = 200
"""Objects and lists within one another: far more than any message has, far less than a walk can take."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_OPENING = frozenset(b"[{")
_BRACKETS = re.compile(rb"[^\[\]{}]+")


def is_too_deep(data: bytes) -> bool:
    """Whether JSON text is nested deeper than ``MAX_DEPTH``."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKETS.sub(b"", _STRINGS.sub(b"", data)):
        depth += 1 if bracket in _OPENING else -1
        if depth > MAX_DEPTH:
            return True
    return False
