"""The words of each trace in SQLite's FTS5, in a file beside the store: a cache, which is made anew wherever it is missing or damaged.

A trace has a number, that of its first span. Its words lie in a row with this number, to which later spans add theirs, so that
several words of a question may stand in different spans of a run. Rows lie in segments, a table for each day that traces came in, so that
a day is dropped whole. Only words are kept, without places, order or text.

The store commits first, then its spans are indexed in one transaction with the number they end with: the index is never ahead.
"""

from __future__ import annotations

import sqlite3
import threading
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from ai_dev_squad_dashboard.sqlite_words import WORDS

from .search_vocabulary import Vocabulary
from .search_words import LONGEST, Term, is_listed

__all__ = ["MOST_READ", "Index", "IndexReader", "Mark"]

_VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (first INTEGER PRIMARY KEY, day INTEGER NOT NULL, refill INTEGER);
INSERT INTO state VALUES ('done', 0), ('mark', 0);
"""
# One statement for all rows: each would let go of the interpreter's lock, and wait for it again.
_ADD: Final = "INSERT INTO words_{0} (rowid, words) SELECT CAST(key AS INTEGER), value FROM json_each(?)"
_ADD_LISTED: Final = "INSERT OR IGNORE INTO listed_{0} SELECT value FROM json_each(?)"
MOST_READ: Final = 100_000
"""Rows behind the index that are read beside it in any case; with more than a tenth of all as well, everything is read."""
_MOST_SEGMENT: Final = 2_000_000
"""Numbers in a segment: with more, another one begins on the same day."""

_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder(list[int]).decode


class Mark(int):
    """What tells the span that was indexed last from another one with its number."""


class Index:
    """The file. One thread adds; any number read meanwhile. Raises ``sqlite3.Error`` where the file does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._idle: deque[sqlite3.Connection] = deque()
        self._connection = self._connect()
        try:
            if self._connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                self._connection.close()
                erase(path)
                self._connection = self._connect()
                self._connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")
            self._listed: dict[int, set[str]] = {}
            self.vocabulary = Vocabulary()
            for first in self._firsts():
                self._listed[first] = {word for (word,) in self._connection.execute(f"SELECT word FROM listed_{first}")}  # noqa: S608
                self.vocabulary.add(self._listed[first])
        except BaseException:
            self._connection.close()
            raise

    def done(self) -> tuple[int, Mark]:
        """The number of the last span that is indexed, and its mark."""
        state = dict(self._connection.execute("SELECT key, value FROM state").fetchall())
        return state["done"], Mark(state["mark"])

    def bytes(self) -> int:
        """On disk."""
        return sum(each.stat().st_size for each in _files(self.path) if each.exists())

    def add(self, documents: Mapping[int, str], days: Mapping[int, int], done: int, mark: Mark) -> None:
        """Add words of traces by number, between spaces, and say up to which span that was. ``days``: of traces that begin here."""
        with self._transaction() as connection:
            for first, some in self._by_segment(connection, documents, days).items():
                self._add(connection, first, some)
            connection.execute("UPDATE state SET value = ? WHERE key = 'done'", [done])
            connection.execute("UPDATE state SET value = ? WHERE key = 'mark'", [mark])

    def refill(self, first: int, documents: Mapping[int, str], following: int | None) -> None:
        """Add words to a segment that was emptied; what is to be read again next stands at ``following``, ``None`` at its end."""
        with self._transaction() as connection:
            self._add(connection, first, documents)
            connection.execute("UPDATE segments SET refill = ? WHERE first = ?", [following, first])

    def emptied(self) -> tuple[int, int, int] | None:
        """A segment that is to be filled again: its first number, the one behind its last, and where to go on."""
        row = self._connection.execute(
            "SELECT s.first, (SELECT min(first) FROM segments n WHERE n.first > s.first), s.refill FROM segments s "
            "WHERE s.refill IS NOT NULL ORDER BY s.first DESC LIMIT 1"
        ).fetchone()
        return None if row is None else (row[0], row[1] or 1 << 62, row[2])

    def forget(self, traces: Iterable[int]) -> None:
        """Let go of the words of traces that are deleted, by number: of their segments, which are filled again from what is left.

        The vocabulary is that of what is left as well. ``compact`` makes sure of the file.
        """
        with self._transaction() as connection:
            firsts = self._firsts()
            for first in {firsts[place - 1] for place in (bisect_right(firsts, trace) for trace in traces) if place}:
                self._drop(connection, first)
                self._create(connection, first)
                connection.execute("UPDATE segments SET refill = first WHERE first = ?", [first])
        self._listen()

    def retain(self, traces_between: Callable[[int, int], int]) -> None:
        """Drop segments of which no trace is left; ``traces_between(first, end)`` counts them."""
        with self._transaction() as connection:
            firsts = self._firsts()
            for first, end in pairwise(firsts):
                if not traces_between(first, end):
                    self._drop(connection, first)
                    connection.execute("DELETE FROM segments WHERE first = ?", [first])
        self._listen()

    def shrink(self) -> None:
        """Give back what was let go of, where that is much of the file."""
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        if free * 4 > pages:
            self.compact()

    def compact(self) -> None:
        """Write the file anew, without anything that was forgotten."""
        with self._lock:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def reading(self, top: int) -> Iterator[IndexReader]:
        """What the index says at one moment, of spans that are numbered up to ``top``."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        connection.execute("BEGIN")
        try:
            yield IndexReader(connection, self.vocabulary, top)
        finally:
            connection.execute("ROLLBACK")
            self._idle.append(connection)

    def close(self) -> None:
        """Let go of the file, when nobody reads any more."""
        with self._lock:
            self._connection.close()
            while self._idle:
                self._idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = wal")
        # After a loss of power it may lack what it had last, which the store has.
        connection.execute("PRAGMA synchronous = normal")
        connection.execute("PRAGMA cache_size = -16384")
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _firsts(self) -> list[int]:
        return [first for (first,) in self._connection.execute("SELECT first FROM segments ORDER BY first").fetchall()]

    def _by_segment(
        self, connection: sqlite3.Connection, documents: Mapping[int, str], days: Mapping[int, int]
    ) -> dict[int, dict[int, str]]:
        """Documents by segment, beginning a new one where a day does."""
        rows = connection.execute("SELECT first, day FROM segments ORDER BY first").fetchall()
        firsts, day = [first for first, _ in rows], rows[-1][1] if rows else 0
        found: dict[int, dict[int, str]] = {}
        for trace in sorted(documents):
            new = days.get(trace)
            if not firsts or (
                new is not None and trace > firsts[-1] and (new > day or trace - firsts[-1] > _MOST_SEGMENT)
            ):
                day = new if new is not None else day
                firsts.append(trace if firsts else min(trace, 1))
                connection.execute("INSERT INTO segments VALUES (?, ?, NULL)", [firsts[-1], day])
                self._create(connection, firsts[-1])
            found.setdefault(firsts[max(0, bisect_right(firsts, trace) - 1)], {})[trace] = documents[trace]
        return found

    def _create(self, connection: sqlite3.Connection, first: int) -> None:
        connection.execute(f"CREATE VIRTUAL TABLE words_{first} {WORDS}")
        connection.execute(f"CREATE TABLE listed_{first} (word TEXT PRIMARY KEY) WITHOUT ROWID")

    def _drop(self, connection: sqlite3.Connection, first: int) -> None:
        connection.execute(f"DROP TABLE words_{first}")
        connection.execute(f"DROP TABLE listed_{first}")
        self._listed.pop(first, None)

    def _listen(self) -> None:
        """The vocabulary of what is left."""
        self.vocabulary = Vocabulary(word for words in self._listed.values() for word in words)

    def _add(self, connection: sqlite3.Connection, first: int, documents: Mapping[int, str]) -> None:
        known = self._listed.setdefault(first, set())
        words: set[str] = set()
        for document in documents.values():
            words.update(document.split())
        if max(map(len, words), default=0) > LONGEST:
            documents = {trace: _cut(document) for trace, document in documents.items()}
        listed = {word for each in words - known if is_listed(word := each[:LONGEST])}
        # Before the commit: an answer may know of words that nobody has, but not lack one.
        self.vocabulary.add(listed)
        rows = {str(trace): documents[trace] for trace in sorted(documents)}
        connection.execute(_ADD.format(first), [_encode(rows).decode()])
        if listed:
            connection.execute(_ADD_LISTED.format(first), [_encode(sorted(listed)).decode()])
            known |= listed


def _cut(document: str) -> str:
    return " ".join([word[:LONGEST] for word in document.split()])


class IndexReader:
    """What the index says at one moment."""

    def __init__(self, connection: sqlite3.Connection, vocabulary: Vocabulary, top: int) -> None:
        self._connection = connection
        self._vocabulary = vocabulary
        self.done: int = connection.execute("SELECT value FROM state WHERE key = 'done'").fetchone()[0]
        """The number of the last span that is indexed."""
        rows = connection.execute("SELECT first, refill FROM segments ORDER BY first DESC").fetchall()
        self._firsts = [first for first, _ in rows]
        self.is_whole = all(refill is None for _, refill in rows)
        """Whether no segment is being filled again."""
        self.behind = max(0, top - self.done)
        """Spans that are not indexed, by their numbers."""
        self.is_usable = self.is_whole and self.behind <= max(MOST_READ, top // 10)
        """Whether it knows nearly all of them."""

    def question(self, terms: Sequence[Term]) -> tuple[str, bool]:
        """What FTS5 is asked, and whether that is all that was meant.

        A part of a word is asked for as alternatives, which FTS5 reads as far as they are needed; for a beginning it would first
        put together all traces of all words that begin so.
        """
        parts, complete = [], True
        for term in terms:
            if term.is_open:
                parts.append(f'"{term.word}"*')
                continue
            words, all_of_them = self._vocabulary.variants(term)
            complete &= all_of_them
            parts.append("(" + " OR ".join(f'"{word}"' for word in words) + ")")
        return " AND ".join(parts), complete

    def newest(self, question: str, low: int, high: int, limit: int) -> list[int]:
        """The highest numbers from ``low`` to ``high`` of traces that answer, descending."""
        found: list[int] = []
        for first in self._firsts:
            if first <= high and len(found) < limit:
                rows = self._connection.execute(
                    f"SELECT rowid FROM words_{first} WHERE words_{first} MATCH ? AND rowid BETWEEN ? AND ? "  # noqa: S608
                    "ORDER BY rowid DESC LIMIT ?",
                    [question, low, high, limit - len(found)],
                )
                found += [number for (number,) in rows.fetchall()]
            if first <= low:
                break
        return found

    def every(self, question: str, limit: int) -> array[int]:
        """The numbers of traces that answer, at most the ``limit`` highest of each segment and as many of all."""
        found = array("q")
        for first in self._firsts:
            if len(found) >= limit:
                break
            # As one text: a row for each of a hundred thousand numbers takes five times as long.
            (numbers,) = self._connection.execute(
                f"SELECT group_concat(rowid) FROM (SELECT rowid FROM words_{first} WHERE words_{first} MATCH ? "  # noqa: S608
                "ORDER BY rowid DESC LIMIT ?)",
                [question, limit - len(found)],
            ).fetchone()
            if numbers:
                found.extend(_decode(f"[{numbers}]"))
        return found

    def among(self, question: str, traces: Iterable[int]) -> set[int]:
        """Which of these traces answer."""
        wanted = sorted(traces)
        if not wanted:
            return set()
        found = set(self.newest(question, wanted[0], wanted[-1], 1 << 40)) if len(wanted) > _MANY else None
        if found is not None:
            return found & set(wanted)
        return {trace for trace in wanted if self.newest(question, trace, trace, 1)}


_MANY: Final = 200


def erase(path: Path) -> None:
    """Remove the file and what belongs to it."""
    for each in _files(path):
        each.unlink(missing_ok=True)


def _files(path: Path) -> tuple[Path, ...]:
    return path, Path(f"{path}-wal"), Path(f"{path}-shm")
