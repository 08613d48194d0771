"""The thread that indexes what the store has written, a little behind it: no batch waits for the index.

What goes wrong with the index is the index's alone: a damaged file is made anew, a full disk is tried again later, and where SQLite lacks
FTS5 there is none. Whoever searches reads from the store what is not indexed.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ai_dev_squad_dashboard.sqlite_words import NO_FTS5, is_available

from .base import StoreError
from .duckdb_answers import number
from .duckdb_file import File
from .search_index import Index, IndexReader, Mark, erase
from .search_pieces import Pieces
from .search_sources import Source, Words
from .search_words import document

__all__ = ["Follower"]

log = logging.getLogger("ai_dev_squad.dashboard")

_LEAST_ROWS: Final = 100
_FIRST_ROWS: Final = 5_000
_MOST_ROWS: Final = 20_000
_STEP_CHARACTERS: Final = 8_000_000
"""What one step reads at most: a step is one transaction, and is held in memory."""
_PAUSE_S: Final = 0.2
"""Between steps that found little: what they have in common costs more than a few spans."""
_REST: Final = 1.0
"""How long it rests after a step in which rows came in, in times of that step: those who write wait for their answer, and
whoever searches reads what is not indexed.
"""
_RETRY_S: Final = 30.0


class Follower:
    """Keeps the index of a store's traces, or of its lines, beside its file. Any thread may call it; ``start`` begins to follow."""

    def __init__(self, file: File, source: Source, path: Path, next_number: Callable[[], int]) -> None:
        self._file = file
        self._source = source
        self.path = path
        self._next_number = next_number
        self._pieces: Pieces[int] = Pieces()
        self._reach = _FIRST_ROWS
        """Rows that a step asks for, going by how long those were that it read last: the engine reads all that it is asked for."""
        self._index: Index | None = None
        self._working = threading.RLock()
        """Held while the index is changed or exchanged."""
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._told: type[Exception] | None = None
        self._shrink = False
        self.rebuilt = 0
        """How often the file had to be made anew."""
        self._available = is_available()
        self.trouble = None if self._available else NO_FTS5
        """Why nothing is indexed; ``None`` when all is well."""
        self._thread = threading.Thread(target=self._run, name="ai-dev-squad-search", daemon=True)
        if not self._available:
            log.warning("%s", NO_FTS5)

    def start(self) -> None:
        """Begin to follow."""
        if self._available:
            self._thread.start()

    def wake(self) -> None:
        """Spans have been written."""
        self._changed.set()

    @contextmanager
    def reading(self) -> Iterator[IndexReader | None]:
        """The index at one moment; ``None`` where there is none to be used."""
        index = self._index
        try:
            if index is None:
                yield None
            else:
                with index.reading(self._next_number() - 1) as reader:
                    yield reader
        except sqlite3.Error as error:
            raise StoreError(
                f"the index {self.path} does not answer ({error}); search again, it is being mended"
            ) from error

    def progress(self) -> tuple[int, int]:
        """The rows that are indexed, and those that are not yet, by their numbers."""
        index, top = self._index, self._next_number() - 1
        if index is None:
            return 0, top
        with self.reading() as reader:
            done = min(top, reader.done) if reader is not None and reader.is_whole else 0
        return done, top - done

    @property
    def is_available(self) -> bool:
        """Whether there can be an index."""
        return self._available

    def bytes(self) -> int:
        """What the index takes on disk."""
        index = self._index
        return index.bytes() if index is not None else 0

    def settle(self, timeout: float = 60.0) -> bool:
        """Wait until everything that is written now is indexed, at most ``timeout`` seconds. Whether it is."""
        pause = threading.Event()
        for _ in range(int(timeout / 0.02)):
            if not self.progress()[1] and not self._shrink:
                return True
            self.wake()
            pause.wait(0.02)
        return False

    def forget(self, entries: Iterable[int]) -> None:
        """Let go of the words of what is deleted, by number, before this returns. What shared a table with them is indexed again."""
        with self._working:
            self._pieces.forget()
            if self._index is not None:
                self._mended(lambda index: index.forget(entries))
            else:
                # Nobody has looked into it yet; what is missing is made anew.
                erase(self.path)
        self.wake()

    def restart(self) -> None:
        """Index everything again: the store has begun anew."""
        with self._working:
            self._anew(None)
        self.wake()

    def retain(self) -> None:
        """Drop the words of days that are gone; the file shrinks a moment later."""
        with self._working:
            if self._index is not None:
                self._mended(lambda index: index.retain(self._left))
                self._shrink = True
        self.wake()

    def compact(self) -> None:
        """Make sure that nothing forgotten is left in the file."""
        with self._working:
            if self._index is not None:
                self._mended(Index.compact)

    def close(self) -> None:
        """Stop following, and let go of the file."""
        self._closing.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(10)
        with self._working:
            if self._index is not None:
                self._index.close()
                self._index = None

    # --- the thread that follows --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing.is_set():
            self._changed.clear()
            started = time.monotonic()
            try:
                busy = self._step()
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever befalls its file
                self._tell(error)
                with self._working:
                    self._pieces.forget()  # what was taken for indexed may not be
                self._closing.wait(_RETRY_S)
                continue
            self.trouble = None
            if not busy:
                self._changed.wait()
                self._closing.wait(_PAUSE_S)
            elif self._changed.is_set():
                self._closing.wait(_REST * (time.monotonic() - started))

    def _step(self) -> bool:
        """Index a little. Whether there was much to do."""
        with self._working:
            if self._closing.is_set():
                return False
            if self._index is None:
                self._index = self._opened()
            try:
                if self._advance(self._index) or self._refill(self._index):
                    return True
                if self._shrink:
                    self._index.shrink()
                    self._shrink = False
                return False
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise  # a full disk, say: the file is as it was
                self._anew(error)
                return True

    def _opened(self) -> Index:
        """The index, made anew where it is damaged, or is that of another store."""
        try:
            index = Index(self.path)
        except sqlite3.DatabaseError:
            return self._begun()
        done, mark = index.done()
        if done >= self._next_number() or self._mark_of(done) not in {None, mark}:
            index.close()
            return self._begun()
        return index

    def _begun(self) -> Index:
        erase(self.path)
        index = Index(self.path)
        self.rebuilt += 1
        return index

    def _anew(self, error: Exception | None) -> None:
        if error is not None:
            self._tell(error)
            self.rebuilt += 1
        if self._index is not None:
            self._index.close()
        self._index = None
        self._pieces.forget()
        erase(self.path)

    def _mended(self, change: Callable[[Index], None]) -> None:
        assert self._index is not None
        try:
            change(self._index)
        except sqlite3.Error as error:
            self._anew(error)

    def _advance(self, index: Index) -> bool:
        done, _ = index.done()
        with self._file.reading() as cursor:
            top = self._source.top(cursor, done)
            if top <= done:
                return False
            reach = self._reach
            end = min(top, done + reach) + 1
            rows = self._taken(self._source.between(cursor, done, end))
        if not rows:
            # Of rows whose numbers were given out and that are gone.
            index.add({}, {}, end - 1, Mark(0))
            return top >= end
        last = rows[-1]
        days = {row.entry: row.at_us // 86_400_000_000 for row in rows if row.number == row.entry}
        index.add(self._documents(rows), days, last.number, Mark(last.mark))
        return len(rows) >= reach // 2 or top > last.number

    def _refill(self, index: Index) -> bool:
        emptied = index.emptied()
        if emptied is None:
            return False
        first, behind, place = emptied
        done, _ = index.done()
        end = min(done + 1, place + 4 * self._reach)
        with self._file.reading() as cursor:
            rows = self._taken(self._source.between(cursor, place - 1, end, (first, behind)))
            full = len(rows) > 0 and sum(len(row.text) for row in rows) >= _STEP_CHARACTERS
        following = rows[-1].number + 1 if full else end
        index.refill(first, self._documents(rows), None if following > done else following)
        return True

    def _taken(self, rows: Iterator[Words]) -> list[Words]:
        """As many as one step takes."""
        taken, characters = [], 0
        for row in rows:
            taken.append(row)
            characters += len(row.text)
            if characters >= _STEP_CHARACTERS:
                break
        if taken:
            fitting = _STEP_CHARACTERS * len(taken) // max(1, characters)
            self._reach = min(_MOST_ROWS, max(_LEAST_ROWS, fitting))
        return taken

    def _documents(self, rows: Iterable[Words]) -> dict[int, str]:
        if not self._source.grows:
            return {row.entry: document(row.text.split("\n")) for row in rows}
        fresh: dict[int, list[str]] = {}
        for row in rows:
            fresh.setdefault(row.entry, []).extend(self._pieces.fresh(row.entry, row.text))
        return {entry: document(lines) for entry, lines in fresh.items() if lines}

    def _left(self, first: int, end: int) -> int:
        with self._file.reading() as cursor:
            return number(cursor, self._source.left, [first, end])

    def _mark_of(self, done: int) -> Mark | None:
        with self._file.reading() as cursor:
            mark = self._source.mark(cursor, done)
        return None if mark is None else Mark(mark)

    def _tell(self, error: Exception) -> None:
        self.trouble = f"indexing for the search failed ({error}); searches read the store until it goes on"
        if self._told is not type(error) and not self._closing.is_set():
            self._told = type(error)
            log.warning("%s", self.trouble)
