"""Programs side by side: their blocks aligned by name, what is the framework's own marked, every line coloured."""

from __future__ import annotations

import ast
import io
import keyword
import sys
import tokenize
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["Piece", "ProgramBlock", "Source", "SourceLine", "highlight", "side_by_side"]

MAX_CHARACTERS: Final = 100_000
SHARED: Final = frozenset({"spec", "ai_dev_squad", "ai_dev_squad_parity", "ai_dev_squad_testing"})
"""Modules besides the standard library that are no framework's."""


class Piece(NamedTuple):
    """A part of a line of one colour."""

    text: str
    kind: str
    """``keyword``, ``string``, ``comment``, ``number``, ``def`` (a name being defined), ``own`` (the framework's), or empty."""


@dataclass(frozen=True)
class SourceLine:
    """A line of a program."""

    number: int
    own: bool
    """Whether none of the other programs has this line."""
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Source:
    """A part of one program."""

    lines: tuple[SourceLine, ...]


@dataclass(frozen=True)
class ProgramBlock:
    """The same lines of every program; ``None`` for one that has nothing here."""

    name: str
    """A function that all programs have, or empty for what stands between."""
    sources: tuple[Source | None, ...]


def side_by_side(programs: Sequence[str | None]) -> tuple[ProgramBlock, ...]:
    """The blocks of the programs in their order. A function of all of them stands beside its counterparts."""
    texts = [None if text is None else text[:MAX_CHARACTERS].rstrip() for text in programs]
    known = [text for text in texts if text is not None]
    lines = [None if text is None else text.splitlines() for text in texts]
    counts = Counter(line.strip() for one in lines if one is not None for line in {line.strip(): line for line in one})
    cuts = [_functions(text) if text is not None else {} for text in texts]
    names = _common([list(cut) for cut, text in zip(cuts, texts, strict=True) if text is not None])
    shown = [None if text is None else highlight(text) for text in texts]
    blocks = []
    for at in range(len(names) + 1):
        sources: list[Source | None] = []
        for one, cut in zip(shown, cuts, strict=True):
            if one is None:
                sources.append(None)
                continue
            first = cut[names[at - 1]] if at else 0
            last = cut[names[at]] if at < len(names) else len(one)
            found = [
                SourceLine(number + 1, _is_own(one[number], counts, len(known)), one[number])
                for number in range(first, last)
            ]
            while found and not any(piece.text.strip() for piece in found[-1].pieces):
                found.pop()
            sources.append(Source(tuple(found)) if found else None)
        if any(sources):
            blocks.append(ProgramBlock(names[at - 1] if at else "", tuple(sources)))
    return tuple(blocks)


def highlight(text: str) -> tuple[tuple[Piece, ...], ...]:
    """The lines of a Python program in pieces; whatever is no Python comes in one piece a line."""
    lines = text.splitlines()
    own = _framework_names(text)
    pieces: list[list[Piece]] = [[] for _ in lines]
    row, column = 1, 0

    def add(until: tuple[int, int], kind: str) -> None:
        nonlocal row, column
        while (row, column) < until and row <= len(lines):
            end = until[1] if row == until[0] else len(lines[row - 1])
            if lines[row - 1][column:end]:
                pieces[row - 1].append(Piece(lines[row - 1][column:end], kind))
            row, column = (row, end) if row == until[0] else (row + 1, 0)

    before = ""
    try:
        # Form feeds and the like end lines for `splitlines` and not for `tokenize`: the text is joined again by what it was split by.
        for token in tokenize.generate_tokens(io.StringIO("\n".join(lines) + "\n").readline):
            add(token.start, "")
            add(token.end, _kind(token, before, own))
            before = token.string if token.type == tokenize.NAME else ""
    except (tokenize.TokenError, SyntaxError):
        pass  # what was understood so far is coloured
    add((len(lines) + 1, 0), "")
    return tuple(tuple(line) for line in pieces)


_STRINGS: Final = frozenset(
    number
    for number in (
        getattr(tokenize, name, None) for name in ("STRING", "FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")
    )
    if number is not None
)


def _kind(token: tokenize.TokenInfo, before: str, own: frozenset[str]) -> str:
    if token.type in _STRINGS:
        return "string"
    if token.type == tokenize.COMMENT:
        return "comment"
    if token.type == tokenize.NUMBER:
        return "number"
    if token.type == tokenize.NAME:
        if keyword.iskeyword(token.string):
            return "keyword"
        if before in {"def", "class"}:
            return "def"
        if token.string in own:
            return "own"
    return ""


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _framework_names(text: str) -> frozenset[str]:
    """Names that a program imports from elsewhere than the standard library and what all programs share."""
    tree = _parsed(text)
    names: set[str] = set()
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.ImportFrom) and _is_framework(node.module or ""):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.asname or alias.name.split(".")[0] for alias in node.names if _is_framework(alias.name))
    return frozenset(names)


def _is_framework(module: str) -> bool:
    top = module.partition(".")[0]
    return bool(top) and top not in sys.stdlib_module_names and top not in SHARED


def _functions(text: str) -> dict[str, int]:
    """Name → first line, from 0, of each function at the top."""
    tree = _parsed(text)
    return {
        node.name: min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
        for node in (tree.body if tree is not None else ())
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def _common(orders: Sequence[list[str]]) -> list[str]:
    """The names in all lists, where they stand in the same order in each."""
    if not orders:
        return []
    common = [[name for name in order if all(name in other for other in orders)] for order in orders]
    return common[0] if all(order == common[0] for order in common) else []


def _is_own(pieces: Sequence[Piece], counts: Mapping[str, int], programs: int) -> bool:
    text = "".join(piece.text for piece in pieces).strip()
    return programs > 1 and len(text) > 1 and counts[text] == 1
