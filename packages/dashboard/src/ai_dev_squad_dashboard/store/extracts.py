"""All that a store holds, in pieces: rows behind a cursor, and what is kept beside rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from .deletions import Deletion
from .rows import Batch

__all__ = ["Extract", "Kept", "Kind", "Place", "last_that_fits", "next_extract"]

Kind: TypeAlias = Literal["spans", "logs", "opened", "metrics", "clashes"]
"""The rows of a batch, in the order in which they are extracted: a log line may be about a span."""
Place: TypeAlias = list[Any]
"""The values of the columns by which an engine orders the rows of one kind; empty before the first."""

_LARGEST: Final = 32 << 20
"""Bytes of long texts beyond which no further row is taken into an extract."""


@dataclass(frozen=True)
class Extract:
    """Some rows of a store."""

    batch: Batch
    after: str
    """The cursor of the last of them."""


@dataclass(frozen=True)
class Kept:
    """What a store keeps beside rows: what has to be known so that nothing that was deleted comes back, and nothing comes twice."""

    key: bytes = b""
    """What the hashes of deleted names are keyed with; empty where no name was deleted."""
    traces: frozenset[str] = frozenset()
    """The ids of traces that were deleted."""
    until: Mapping[bytes, int] | None = None
    """Hash of a deleted name → until when what it names is left out."""
    deletions: tuple[Deletion, ...] = ()
    """What was deleted, newest first."""
    relayed: bool = False
    """Whether lines of journals have come another way than by their file."""
    positions: Mapping[str, str] | None = None
    """How far each source has been read."""


def next_extract(page: Callable[[Kind, Place], tuple[Batch, Place] | None], after: str) -> Extract | None:
    """The next rows of whatever kind has some. ``page`` gives those of one kind behind a place, and the place of the last one."""
    places: dict[Kind, Place] = _cursor.decode(after) if after else {}
    for kind in _KINDS:
        found = page(kind, places.get(kind, []))
        if found is not None:
            batch, places[kind] = found
            return Extract(batch, msgspec.json.encode(places).decode())
    return None


def last_that_fits(rows: Iterable[tuple[Any, ...]]) -> Place | None:
    """How far an extract goes, of rows that tell their place and how long their texts are; ``None`` without rows."""
    place, size = None, 0
    for *told, long in rows:
        if place is not None and place != told and size >= _LARGEST:
            break
        place, size = told, size + long
    return place


_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_cursor: Final = msgspec.json.Decoder(dict[Kind, Place])
