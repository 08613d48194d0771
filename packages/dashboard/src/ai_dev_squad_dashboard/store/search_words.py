r"""What a word is, and which words a word that is looked for stands for: the same for the index and for whoever reads without one.

Text is folded: no case, no accents, full width as narrow, and what is written as ``\u6ce8`` or ``\n`` as the character it means. Words
are runs of letters and digits. Scripts without spaces become overlapping pairs of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["LONGEST", "Term", "document", "folded", "has", "is_listed", "terms_of"]

LONGEST: Final = 64
"""Characters of a word that are compared."""
_SHORTEST_PART: Final = 3
"""Letters from which on a word also stands for those that contain it."""
_SHORTEST_BEGINNING: Final = 6
"""Characters from which on a word with digits, such as an id, also stands for those that begin with it."""

_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003134f"
)
_runs: Final = re.compile(f"[{_UNSPACED}]+")
_word: Final = re.compile(r"[^\W_]+")
_escapes: Final = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\[nrt]")
_listed: Final = re.compile(r"[^\W\d_]+[0-9]{0,3}")
_PLAIN: Final = bytes(ord(chr(byte).lower()) if byte < 128 and chr(byte).isalnum() else 32 for byte in range(256))
"""Makes words between spaces of text that is ASCII: one pass, where most text is that."""

Way = Literal["whole", "beginning", "part"]


@dataclass(frozen=True)
class Term:
    """A word that is looked for."""

    word: str
    way: Way
    """Which words it stands for: itself, all that begin with it, or all that contain it."""

    def stands_for(self, word: str) -> bool:
        """Whether a text with ``word`` has this one."""
        if self.way == "whole" or word == self.word:
            return word == self.word
        if self.way == "part":
            return is_listed(word) and self.word in word
        return word.startswith(self.word) and (self.is_open or is_listed(word))

    @property
    def is_open(self) -> bool:
        """Whether it stands for more words than are listed: those that begin like an id."""
        return self.way == "beginning" and not self.word.isalpha()


def terms_of(query: str) -> tuple[Term, ...]:
    """The words that are looked for, each of which must occur."""
    words = dict.fromkeys(word[:LONGEST] for word in _word.findall(folded(query, marked=True)))
    found = []
    for word in words:
        if _runs.fullmatch(word[0]):
            # The last character of a run is its own word, but looking for it as well would say nothing.
            if len(word) == 1 and any(len(other) == 2 and other.endswith(word) for other in words):
                continue
            found.append(Term(word, "beginning" if len(word) == 1 and word.isalpha() else "whole"))
        elif any(character.isdigit() for character in word):
            found.append(Term(word, "beginning" if len(word) >= _SHORTEST_BEGINNING else "whole"))
        else:
            found.append(Term(word, "part" if len(word) >= _SHORTEST_PART else "whole"))
    return tuple(found)


def is_listed(word: str) -> bool:
    """Whether a word can be found by a part of it: letters with at most three digits behind them. Others, such as ids and
    numbers, are without number.
    """
    return _listed.fullmatch(word) is not None


def folded(text: str, *, marked: bool = False) -> str:
    """``text`` as it is compared. ``marked``: what is escaped stays, as in a word that somebody types."""
    if not marked and "\\" in text:
        # A backslash may also be one: C:\\new has both words.
        text = f"{text}\n{_escapes.sub(_unescaped, text)}"
    if text.isascii():
        return text.lower()
    # Decomposed before and after: some characters fold into ones that decompose, and some decompose into capitals.
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    if any(map(unicodedata.combining, text)):
        text = "".join(character for character in text if not unicodedata.combining(character))
    return _runs.sub(_pairs, unicodedata.normalize("NFC", text))


def document(lines: Sequence[str]) -> str:
    """The words of ``lines``, between spaces. Words that are longer than is compared are not cut yet."""
    text = "\n".join(lines)
    if text.isascii() and "\\" not in text:
        return text.encode().translate(_PLAIN).decode()
    # Only what has escapes is folded twice, and only what is not ASCII character by character.
    plain: list[str] = []
    escaped: list[str] = []
    other: list[str] = []
    for line in lines:
        (escaped if "\\" in line else plain if line.isascii() else other).append(line)
    words = {word for some in (escaped, other) for word in _word.findall(folded("\n".join(some)))}
    return f"{' '.join(words)} {document(plain)}"


def has(term: Term, text: str) -> bool:
    """Whether a folded text has a word that ``term`` stands for."""
    return term.word in text and any(map(term.stands_for, _around(term.word, text)))


def _around(word: str, text: str) -> Iterator[str]:
    return (found.group()[:LONGEST] for found in re.finditer(rf"[^\W_]*{re.escape(word)}[^\W_]*", text))


def _unescaped(found: re.Match[str]) -> str:
    escape = found.group()
    if escape[1] != "u":
        return " "
    return bytes.fromhex(escape.replace("\\u", "")).decode("utf-16-be", "replace")


def _pairs(found: re.Match[str]) -> str:
    run = found.group()
    return f" {' '.join(_each_pair(run))} "


def _each_pair(run: str) -> Iterable[str]:
    return (run[place : place + 2] for place in range(len(run)))
