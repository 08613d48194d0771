"""The two indexes beside a store: of the words of its traces, and of the lines of its logs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from ai_dev_squad_dashboard.sqlite_words import lines_beside

from .base import SearchState
from .duckdb_file import File
from .duckdb_write import Writer
from .search_follow import Follower
from .search_index import IndexReader
from .search_sources import LINES, TRACES

__all__ = ["Indexes"]


class Indexes:
    """Both of them, a file and a thread each. ``path`` is the file of the traces'."""

    def __init__(self, file: File, path: Path, writer: Writer) -> None:
        self.traces = Follower(file, TRACES, path, lambda: writer.next_number)
        self.lines = Follower(file, LINES, lines_beside(path), lambda: writer.next_line)
        self._both = (self.traces, self.lines)
        for each in self._both:
            each.start()

    def of_traces(self, text: str) -> AbstractContextManager[IndexReader | None]:
        """The index of traces at one moment, where ``text`` is looked for."""
        return self.traces.reading() if text.strip() else nullcontext()

    def of_lines(self, text: str) -> AbstractContextManager[IndexReader | None]:
        """The index of lines, likewise."""
        return self.lines.reading() if text.strip() else nullcontext()

    def wake(self, *, spans: int, lines: int) -> None:
        """So many have been written."""
        if spans:
            self.traces.wake()
        if lines:
            self.lines.wake()

    def state(self) -> SearchState:
        """How far they are."""
        indexed, behind = self.traces.progress()
        lines, lines_behind = self.lines.progress()
        return SearchState(
            self.traces.is_available,
            indexed,
            behind,
            self.bytes(),
            lines,
            lines_behind,
            sum(each.rebuilt for each in self._both),
            next((each.trouble for each in self._both if each.trouble is not None), None),
        )

    def bytes(self) -> int:
        """On disk."""
        return sum(each.bytes() for each in self._both)

    def leaving(self, most: int, stored: int) -> int:
        """What a store of ``stored`` bytes may have when it and its indexes may have ``most``: the words of a day go with it, so both
        become smaller by the same share.
        """
        return most * stored // max(1, stored + self.bytes())

    def settle(self, timeout: float = 60.0) -> bool:
        """Wait until everything that is written now is indexed, at most ``timeout`` seconds for each. Whether it is."""
        return all(each.settle(timeout) for each in self._both)

    def forget(self, traces: Iterable[int], lines: Iterable[int]) -> None:
        """Let go of the words of what is deleted, by number, before this returns."""
        self.traces.forget(traces)
        self.lines.forget(lines)

    def restart(self) -> None:
        """Index everything again."""
        for each in self._both:
            each.restart()

    def retain(self) -> None:
        """Drop the words of days that are gone."""
        for each in self._both:
            each.retain()

    def compact(self) -> None:
        """Make sure that nothing forgotten is left in the files."""
        for each in self._both:
            each.compact()

    def close(self) -> None:
        """Stop following, and let go of the files."""
        for each in self._both:
            each.close()
