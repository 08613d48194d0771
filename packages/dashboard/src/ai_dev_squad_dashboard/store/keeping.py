"""What those who fill and keep a store ask of it: the parts of ``Store`` that write, look after it, and move it to another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from .answers import SearchState, StoreState, Written
from .deletions import Deletion, Extent, Subject
from .extracts import Extract, Kept
from .rows import Batch
from .selection import Selection

__all__ = ["Moving", "Positions", "Upkeep", "Writing"]


class Writing(Protocol):
    """Storing what is received."""

    def write(self, batch: Batch) -> Written:
        """Store a batch in one transaction. When it returns, all of it is on disk; when it raises, none of it is, or, where the engine
        lacks ``one_transaction``, it may be repeated as it is. Spans that are there already are counted as duplicates and change nothing.
        """


class Positions(Protocol):
    """How far sources have been read. They are written with a batch."""

    def position(self, source: str) -> str | None:
        """How far ``source`` has been read, as the last batch said."""

    def positions(self) -> Mapping[str, str]:
        """All positions, by source."""


class Upkeep(Protocol):
    """How the store is, what goes, and files for other programs. An engine may lack ``backup``."""

    def state(self) -> StoreState:
        """How the store is."""

    def search_state(self) -> SearchState:
        """How far the words of what is stored are indexed."""

    def export(self, kind: Literal["spans", "logs"], selection: Selection, target: Path, file_format: str) -> int:
        """Write spans or logs as ``jsonl``, ``csv`` or ``parquet`` to ``target``. Returns the number of rows."""

    def retain(self, *, oldest_us: int | None = None, max_bytes: int | None = None) -> int:
        """Delete whole days from the oldest on, until nothing is older than ``oldest_us`` and the store fits ``max_bytes``.
        Returns the number of spans deleted.
        """

    def extent(self, subject: Subject) -> Extent:
        """How much is stored of a subject."""

    def delete(self, subject: Subject, *, by: str, at_us: int) -> Deletion:
        """Delete all that is stored of a subject, in one transaction: afterwards every answer is that of a store which never
        had it, and what of it is written again is left out: of a trace always, else what began before ``at_us``. What
        remains is that ``by`` deleted something, and how much. The file may still hold its words until ``compact``.
        """

    def deletions(self, limit: int = 100) -> Sequence[Deletion]:
        """What was deleted by ``delete``, newest first."""

    def compact(self) -> bool:
        """Write the file anew without what was deleted. False when a question took too long: ``retain`` tries again then."""

    def backup(self, target: Path) -> None:
        """Write a consistent copy to ``target``, which must not exist, while the store goes on working."""

    def mend(self) -> None:
        """See whether the file is still there, and write it anew when it is not; some microseconds when all is well.

        Raises ``StoreBegunAnewError`` when nothing of it could be saved.
        """


class Moving(Protocol):
    """All that is stored, in pieces, for another store of any engine."""

    def extract(self, after: str = "", limit: int = 5_000) -> Extract | None:
        """The next rows behind ``after``, which an extract before has told: spans and lines as they came, about ``limit`` of them and some
        tens of MiB. ``None`` when there are no more. As long as nobody writes, the same rows come with the same cursor; what is
        written meanwhile comes last.
        """

    def kept(self) -> Kept:
        """What is kept beside rows."""

    def keep(self, kept: Kept) -> None:
        """Take over what another store kept. Twice is harmless. Raises ``StoreError`` where the names that both have deleted cannot be
        told with one key.
        """
