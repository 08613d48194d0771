"""Writing: a batch in steps, each of which may be repeated. Whoever repeats a batch that failed finds what of it is there already.

There are no transactions, and several dashboards may write at once. So known spans are left out first; afterwards a writer looks
again, and of several rows of one span everybody deletes all but the one that came first. Positions are written last.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b, md5
from typing import Any, Final
from uuid import uuid4

from ai_dev_squad_dashboard.store.base import SETTLED_S, Written
from ai_dev_squad_dashboard.store.clashes import clashes_with
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, OpenRow, SpanRow
from ai_dev_squad_dashboard.store.series import MAX_SERIES
from ai_dev_squad_dashboard.store.tombstones import Tombstones

from .client import RAW, Client
from .delete import bury_traces, load, remove
from .facts import LATE, RELAYED, facts, note_facts
from .incoming import (
    Columns,
    Identity,
    content_columns,
    identity_of,
    log_columns,
    mended,
    metric_columns,
    open_columns,
    span_columns,
)
from .literals import fixed
from .marks import new_marks
from .numbering import Numbering
from .rows import OPEN_COLUMNS
from .series import SeriesBook
from .summaries import LONGEST_IDS, renew

__all__ = ["Writer"]

_LINE: Final = "time_us, level, event_type, message, session_id, agent"
_DIGEST: Final = "lower(hex(MD5(ifNull(details, ''))))"
_NEAR_US: Final = 60_000_000
"""How far apart two senders may tell the start of one span."""


class Writer:
    """Writes batches, one after the other."""

    def __init__(self, client: Client, max_series: int = MAX_SERIES) -> None:
        self._client = client
        self.series = SeriesBook(client, max_series)
        self.tombstones = Tombstones()
        self._buried = -1
        self._lock = threading.Lock()
        self._own = uuid4().bytes
        self._may_run = client.number("SELECT count() FROM running WHERE closed = 0") > 0
        self._numbering = Numbering(client)
        self._is_late = False
        self.learn()

    def learn(self) -> None:
        """Take what is noted of the whole store."""
        self._relayed = RELAYED in facts(self._client)

    def write(self, batch: Batch) -> Written:
        """Store a batch. When it returns, all of it is stored; when it raises, it may be repeated as it is."""
        with self._lock:
            self._know_deletions()
            kept, late = self.tombstones.kept(batch)
            if late:  # only now it turns out to whom these belong
                remove(self._client, {bytes.fromhex(trace_id) for trace_id in late})
                bury_traces(self._client, late)
            return self._write(kept)

    def _know_deletions(self) -> None:
        buried = self._client.number("SELECT count() FROM tombstones")
        if buried != self._buried:
            load(self._client, self.tombstones)
            self._buried = buried

    def _write(self, batch: Batch) -> Written:
        first: dict[Identity, SpanRow] = {}
        for row in batch.spans:
            first.setdefault(identity_of(row), row)
        first = dict(sorted(first.items(), key=_start))
        # All columns before the first insert: what cannot be stored leaves nothing of its batch behind.
        metrics, opened = metric_columns(batch.metrics), self._begun(batch.opened)
        opened_columns, spans, _ = open_columns(opened), span_columns(first), log_columns(batch.logs)
        stored = self._stored(first)
        fresh = {each: row for each, row in first.items() if each not in stored}
        lost = self._spans(fresh, spans if len(fresh) == len(first) else span_columns(fresh)) if fresh else 0
        if first:
            starts = [row.start_us for row in first.values()]
            renew(self._client, {trace for trace, _ in first}, min(starts), max(starts))
            self._close(first)
        clashes = self._clashes(batch.spans, first, stored) if len(fresh) < len(batch.spans) else 0
        clashes += self._note_clashes([(*identity_of(row), row.start_us, row.name) for row in batch.clashes])
        if opened:
            self._open(opened, opened_columns)
        if batch.logs:
            self._logs(batch)
        if batch.metrics:
            self._client.insert("metrics", metrics, _token("metrics", batch.metrics))
        self._note_late()
        self.note_positions(batch.positions)
        kept = len(fresh) - lost
        return Written(spans=kept, duplicates=len(batch.spans) - kept, logs=len(batch.logs), clashes=clashes)

    def note_positions(self, positions: Mapping[str, str]) -> None:
        """How far sources have been read."""
        if positions:
            columns: Columns = {
                "source": mended(positions),
                "position": mended(positions.values()),
                "at_ns": [time.time_ns()] * len(positions),
            }
            self._client.insert("positions", columns)

    def _stored(self, spans: Mapping[Identity, SpanRow]) -> dict[Identity, tuple[int, str, str]]:
        """What is known of the spans that are stored: start, name and operation. Of a trace of which nothing is told nothing is
        looked for: who stored it without coming to tell of it is found by ``_settle``.
        """
        known: dict[bytes, tuple[int, int]] = {}
        for own in _among({trace for trace, _ in spans}):
            for trace, first, last in self._client.ask(
                f"SELECT trace_id, min(start_us), max(last_start_us) FROM traces WHERE {own} GROUP BY trace_id"
            ):
                known[trace] = (first, last)
        found: dict[Identity, tuple[int, str, str]] = {}
        for among, start_us, end_us in _parts({each: row for each, row in spans.items() if each[0] in known}):
            # A trace may have spans of its own far from those of the batch, one of which has the same id.
            begin = min(start_us - _NEAR_US, *(first for first, _ in known.values()))
            end = max(end_us + _NEAR_US, *(last for _, last in known.values()))
            for trace, span, *told in self._client.ask(
                f"SELECT trace_id, span_id, start_us, name, operation FROM spans WHERE start_us BETWEEN {_time(begin)} "
                f"AND {_time(end)} AND {among[0]} AND span_id IN ({among[1]})",
                settings=RAW,
            ):
                found[trace, span] = (told[0], told[1], told[2])
        return {each: told for each, told in found.items() if each in spans}

    def _spans(self, spans: dict[Identity, SpanRow], columns: Columns) -> int:
        """Store spans that are new, and return how many somebody else stored first."""
        token = blake2b(b"".join(trace + span for trace, span in spans), digest_size=16).hexdigest()
        batch = int.from_bytes(blake2b(token.encode() + self._own, digest_size=8).digest(), "big")
        size = len(spans)
        columns["series"] = self.series.numbers(list(spans.values()))
        columns["arrived_us"] = [time.time_ns() // 1000] * size
        columns["batch"] = [batch] * size
        # By the number: whoever repeats the batch in another process has another one, by which the texts are found.
        self._client.insert("content", {**content_columns(spans), "batch": columns["batch"]}, f"content {batch}")
        self._insert_numbered(columns, size, token)
        return sum(row[-1] == batch for row in self._settle(spans))

    def _insert_numbered(self, columns: Columns, size: int, token: str) -> None:
        """Store spans as soon as they have numbers, and know if it took too long for who reads on, or nobody knows how long."""
        before, self._is_late = self._is_late, True
        began_s = time.monotonic()
        columns["seq"] = self._numbering.take(size)
        self._client.insert("spans", columns, token)
        self._is_late = before or time.monotonic() - began_s > SETTLED_S / 2

    def _note_late(self) -> None:
        if self._is_late:
            note_facts(self._client, {LATE: str(self._numbering.newest)})
            self._is_late = False

    def _settle(self, spans: Mapping[Identity, SpanRow]) -> list[tuple[Any, ...]]:
        """Delete all rows of a span but the first: two may have stored the same one at the same time. What is deleted by both of
        them is deleted once.
        """
        gone: list[tuple[Any, ...]] = []
        starts = [row.start_us for row in spans.values()]
        near = f"start_us BETWEEN {_time(min(starts) - _NEAR_US)} AND {_time(max(starts) + _NEAR_US)}"
        for among in _among({trace for trace, _ in spans}):
            several = self._client.ask(
                f"SELECT trace_id, span_id, arraySort(groupArray((arrived_us, batch))) FROM spans WHERE {near} AND {among} "
                "GROUP BY trace_id, span_id HAVING count() > 1",
                settings=RAW,
            )
            losers = [(trace, span, *row) for trace, span, rows in several for row in rows[1:]]
            if losers:
                which = ", ".join(
                    f"({fixed(trace)}, {fixed(span)}, {arrived}, {batch})" for trace, span, arrived, batch in losers
                )
                self._client.do(
                    f"DELETE FROM spans WHERE {near} AND (trace_id, span_id, arrived_us, batch) IN ({which})",
                    settings={"lightweight_deletes_sync": 2},
                )
            gone += losers
        return gone

    def _clashes(
        self,
        spans: Sequence[SpanRow],
        first: Mapping[Identity, SpanRow],
        stored: Mapping[Identity, tuple[int, str, str]],
    ) -> int:
        """Note spans that are others than those of their id, and return how many were not noted before."""
        kept = {each: (row.start_us, row.name, row.operation) for each, row in first.items()} | dict(stored)
        others = {
            (*each, row.start_us, row.name): None for row in spans if clashes_with(row, *kept[each := identity_of(row)])
        }
        return self._note_clashes(others)

    def _note_clashes(self, others: Collection[tuple[bytes, bytes, int, str]]) -> int:
        if not others:
            return 0
        traces = ", ".join({fixed(trace) for trace, *_ in others})
        known = set(
            self._client.ask(f"SELECT trace_id, span_id, start_us, name FROM clashes WHERE trace_id IN ({traces})")
        )
        new = [each for each in others if each not in known]
        if new:
            columns = zip(("trace_id", "span_id", "start_us", "name"), zip(*new, strict=True), strict=True)
            self._client.insert("clashes", dict(columns))
        return len(new)

    def _begun(self, opened: Sequence[OpenRow]) -> dict[Identity, OpenRow]:
        first: dict[Identity, OpenRow] = {}
        for row in opened:
            first.setdefault(identity_of(row), row)
        return first

    def _open(self, opened: Mapping[Identity, OpenRow], columns: Columns) -> None:
        """Note operations that have begun; those that have ended already as closed, so that they stay so."""
        ended: set[Identity] = set()
        for among, start_us, end_us in _parts(opened):
            near = f"start_us BETWEEN {_time(start_us - _NEAR_US)} AND {_time(end_us + _NEAR_US)}"
            ended |= {
                (trace, span)
                for trace, span in self._client.ask(
                    f"SELECT trace_id, span_id FROM spans WHERE {near} AND {among[0]} AND span_id IN ({among[1]})",
                    settings=RAW,
                )
            }
        columns["closed"] = [int(each in ended) for each in opened]
        self._client.insert("running", columns)
        self._may_run = True

    def _close(self, spans: Mapping[Identity, SpanRow]) -> None:
        """What has ended runs no more."""
        if not self._may_run:
            return
        for among, _, _ in _parts(spans):
            self._client.do(
                f"INSERT INTO running ({OPEN_COLUMNS}, closed) SELECT {OPEN_COLUMNS}, 1 FROM running FINAL "
                f"WHERE closed = 0 AND {among[0]} AND span_id IN ({among[1]})"
            )

    def _logs(self, batch: Batch) -> None:
        if batch.relayed and not self._relayed:
            note_facts(self._client, {RELAYED: "1"})
            self._relayed = True
        marks, logs = new_marks(self._client, batch.logs)
        if self._relayed:
            logs = self._unknown(logs)
        if logs:
            columns = log_columns(logs)
            columns["id"] = self._numbering.take(len(logs))
            # The token is of all lines: which of them are left out may differ when the batch is repeated.
            self._client.insert("logs", columns, _token("logs", batch.logs))
            if self._relayed:
                self._settle_lines(logs)
        if marks:  # behind the lines: a mark that is known leaves out its line
            self._client.insert("marks", marks)

    def _settle_lines(self, logs: Sequence[LogRow]) -> None:
        """Delete all rows of a line but the first: two may have stored the same one at the same time, as with spans."""
        times = {row.time_us for row in logs if row.source == "journal"}
        if not times:
            return
        among = f"source = 'journal' AND time_us IN ({', '.join(map(str, sorted(times)))})"
        losers = self._client.ask(
            f"SELECT arrayJoin(arraySlice(arraySort(groupArray(id)), 2)) FROM logs WHERE {among} "
            f"GROUP BY {_LINE}, trace_id, span_id, {_DIGEST} HAVING count() > 1"
        )
        if losers:
            which = ", ".join(str(number) for (number,) in losers)
            self._client.do(
                f"DELETE FROM logs WHERE {among} AND id IN ({which})", settings={"lightweight_deletes_sync": 2}
            )

    def _unknown(self, logs: Sequence[LogRow]) -> list[LogRow]:
        """The lines that are new: the same line of a journal may come from a collector and from the file."""
        times = [row.time_us for row in logs if row.source == "journal"]
        if not times:
            return list(logs)
        seen: set[tuple[Any, ...]] = set(
            self._client.ask(
                f"SELECT {_LINE}, lower(hex(trace_id)), lower(hex(span_id)), {_DIGEST} FROM logs "
                f"WHERE time_us BETWEEN {min(times)} AND {max(times)} AND source = 'journal'"
            )
        )
        kept = []
        for row in logs:
            if row.source != "journal":
                kept.append(row)
            elif (key := _key_of(row)) not in seen:
                kept.append(row)
                seen.add(key)
        return kept


def _key_of(row: LogRow) -> tuple[Any, ...]:
    """By what a line of a journal is known when it comes again: ``_LINE``, its ids, and ``_DIGEST``."""
    texts = mended([row.level, row.event_type, row.message, row.session_id, row.agent])
    ids = ((text or "").lower() or None for text in (row.trace_id, row.span_id))
    return (row.time_us, *texts, *ids, md5(row.details or b"", usedforsecurity=False).hexdigest())


def _start(each: tuple[Identity, SpanRow]) -> int:
    return each[1].start_us


def _time(moment: int) -> int:
    return max(-(1 << 62), min(1 << 62, moment))


def _among(traces: Collection[bytes]) -> Iterator[str]:
    """The condition on as many of the traces as one statement may name."""
    ids = sorted(traces)
    for place in range(0, len(ids), LONGEST_IDS):
        yield f"trace_id IN ({', '.join(map(fixed, ids[place : place + LONGEST_IDS]))})"


def _parts(rows: Mapping[Identity, SpanRow | OpenRow]) -> Iterator[tuple[tuple[str, str], int, int]]:
    """As many of the rows as one statement may name: the condition on their traces, their spans, and from when to when they are."""
    items = sorted(rows.items())
    for place in range(0, len(items), LONGEST_IDS):
        part = items[place : place + LONGEST_IDS]
        traces = ", ".join(dict.fromkeys(fixed(trace) for (trace, _), _ in part))
        ids = ", ".join(dict.fromkeys(fixed(span) for (_, span), _ in part))
        starts = [row.start_us for _, row in part]
        yield (f"trace_id IN ({traces})", ids), min(starts), max(starts)


def _token(table: str, rows: Iterable[Any]) -> str:
    """Tells a repeated batch from another one."""
    digest = blake2b(table.encode(), digest_size=16)
    for row in rows:
        digest.update(repr(row).encode("utf-8", "replace"))
    return digest.hexdigest()
