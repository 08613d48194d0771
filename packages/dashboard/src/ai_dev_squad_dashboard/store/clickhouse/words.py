"""How the words of a row are indexed: those that a part of them finds apart from ids and numbers, which are without number.

Of words that stand for themselves, and of parts of words, the engine's index then says by itself in which rows they are, so nothing of
the rows' words is read; and looking through the index for a part of a word does not pass all ids.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["INDEXES", "LISTED", "OTHERS", "is_other"]

_OTHER: Final = r"\p{Nd}(?:[^ \p{Nd}]|\p{Nd}{3})".replace("\\", r"\\")
"""In a word that is an id or a number: a digit that more than digits, or more than two of them, stand behind."""
_is_other: Final = re.compile(r"\d(?:\D|\d{3})")

LISTED: Final = f"replaceRegexpAll(words, '[^ ]*{_OTHER}[^ ]*', '')"
"""The words that a part of them finds, as the engine takes them from a row."""
OTHERS: Final = f"arrayStringConcat(extractAll(words, '[^ ]*{_OTHER}[^ ]*'), ' ')"
"""All others."""

_KIND: Final = "TYPE text(tokenizer = splitByNonAlpha)"
INDEXES: Final = {"of_listed": f"{LISTED} {_KIND}", "of_others": f"{OTHERS} {_KIND}"}
"""The indexes of a table with words, by name. A question is answered by one if it spells what the index is of."""


def is_other(word: str) -> bool:
    """Whether a word is among the others."""
    return _is_other.search(word) is not None
