"""The one way into the store: groups, bounds, failures of one batch, and the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from ai_dev_squad_dashboard.ingest.queue import Busy, IngestQueue, Retention
from ai_dev_squad_dashboard.store import Selection, StoreError, open_memory_store, open_store
from ai_dev_squad_dashboard.store.base import Written
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, SpanRow

EVER = Selection(start_us=0, end_us=1 << 60)


def span(number: int) -> SpanRow:
    return SpanRow(f"{number:032x}", f"{number:016x}", None, 1_000_000 + number, 5, f"s{number}", "other")


def batch(*numbers: int) -> Batch:
    return Batch(spans=[span(number) for number in numbers])


class Gate:
    """A store whose writing waits until it is let through, and fails where it is told to."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[str]] = []
        self.positions: dict[str, str] = {}
        self.poison: type[Exception] | None = None
        self.retained: list[dict[str, int | None]] = []

    def write(self, given: Batch) -> Written:
        self.entered.set()
        assert self.open.wait(10)
        names = [row.name for row in given.spans]
        if self.poison is not None and "s13" in names:
            raise self.poison("s13 cannot be stored")
        self.batches.append(names)
        self.positions.update(given.positions)
        return Written(len(names), 0, len(given.logs))

    def position(self, source: str) -> str | None:
        return self.positions.get(source)

    def retain(self, **what: int | None) -> int:
        self.retained.append(what)
        return 7


@contextmanager
def gated(limit: int = 1_000, **more: object) -> Iterator[tuple[Gate, IngestQueue]]:
    gate = Gate()
    queue = IngestQueue(gate, max_pending_rows=limit, **more)
    try:
        yield gate, queue
    finally:
        gate.open.set()
        queue.close(10)


def results(futures: list[Future[Written]]) -> list[object]:
    return [future.exception(10) or future.result(0) for future in futures]


def test_what_a_future_confirms_is_in_the_store() -> None:
    """A future resolves when its rows can be read, and repeated spans are counted as such."""
    store = open_memory_store()
    queue = IngestQueue(store, max_pending_rows=100)
    try:
        first = queue.submit(batch(1, 2)).result(10)
        again = queue.submit(batch(2, 3)).result(10)
        assert (first, again) == (Written(2, 0, 0), Written(1, 1, 0))
        assert store.totals(EVER).spans == 3
        state = queue.state()
        assert (state.written_spans, state.duplicates, state.commits, state.pending_rows) == (3, 1, 2, 0)
        assert state.last_written_us is not None
        assert state.last_error is None
    finally:
        queue.close()
        store.close()


def test_what_queues_up_meanwhile_becomes_one_commit() -> None:
    """While one commit is under way, later batches gather and are written together."""
    with gated() as (gate, queue):
        first = queue.submit(batch(1))
        assert gate.entered.wait(10)
        later = [queue.submit(batch(number)) for number in (2, 3, 4)]
        gate.open.set()
        assert results([first, *later]) == [Written(1, 0, 0), *[Written(3, 0, 0)] * 3]
        assert gate.batches == [["s1"], ["s2", "s3", "s4"]]


def test_a_commit_is_bounded() -> None:
    """A commit takes no batch that would make it larger than the bound, and keeps their order."""
    with gated(group_rows=3) as (gate, queue):
        first = queue.submit(batch(1))
        assert gate.entered.wait(10)
        later = [queue.submit(batch(*numbers)) for numbers in [(2, 3), (4,), (5,), (6, 7, 8, 9)]]
        gate.open.set()
        results([first, *later])
        assert gate.batches == [["s1"], ["s2", "s3", "s4"], ["s5"], ["s6", "s7", "s8", "s9"]]


def test_too_many_waiting_rows_are_refused_and_later_welcome() -> None:
    """Beyond the limit ``submit`` raises ``Busy`` with seconds to wait; once there is room the batch is taken."""
    with gated(limit=4) as (gate, queue):
        taken = [queue.submit(batch(1, 2)), queue.submit(batch(3, 4))]
        with pytest.raises(Busy, match="4 rows wait for the store, and at most 4 may; send again in 1 s") as caught:
            queue.submit(batch(5))
        assert caught.value.retry_after_s == 1
        assert not queue.wait_for_room(0)
        assert queue.state().refused == 1
        gate.open.set()
        assert queue.wait_for_room(10)
        results(taken)
        assert queue.submit(batch(5)).result(10) == Written(1, 0, 0)


def test_a_batch_larger_than_the_limit_is_taken_alone() -> None:
    """A batch that could never fit is written when nothing else waits."""
    with gated(limit=2) as (gate, queue):
        gate.open.set()
        assert queue.submit(batch(1, 2, 3)).result(10) == Written(3, 0, 0)


@pytest.mark.parametrize("error", [StoreError, OverflowError])
def test_one_bad_batch_does_not_fail_its_neighbours(error: type[Exception]) -> None:
    """When a group fails its batches are written one by one: only the bad one fails, and the state names the error."""
    with gated() as (gate, queue):
        gate.poison = error
        first = queue.submit(batch(1))
        assert gate.entered.wait(10)
        later = [queue.submit(batch(number)) for number in (12, 13, 14)]
        gate.open.set()
        answers = results([first, *later])
        assert [type(answer) for answer in answers] == [Written, Written, error, Written]
        assert gate.batches == [["s1"], ["s12"], ["s14"]]
        state = queue.state()
        assert (state.dropped, state.written_spans, state.pending_rows) == (1, 3, 0)
        assert state.last_error is not None
        assert state.last_error.endswith("s13 cannot be stored")


def test_closing_writes_what_waits_and_takes_no_more() -> None:
    """``close`` drains the queue; afterwards senders are told to come again."""
    with gated() as (gate, queue):
        waiting = [queue.submit(batch(number)) for number in range(5)]
        gate.open.set()
        assert queue.close(10)
        assert [type(answer) for answer in results(waiting)] == [Written] * 5
        with pytest.raises(Busy, match="shutting down") as caught:
            queue.submit(batch(9))
        assert caught.value.retry_after_s == 5


def test_closing_has_an_end_when_the_store_hangs() -> None:
    """``close`` returns in time and fails the batches that were never written."""
    with gated() as (gate, queue):
        queue.submit(batch(1))
        assert gate.entered.wait(10)
        waiting = queue.submit(batch(2))
        assert not queue.close(0.05)
        with pytest.raises(StoreError, match="closed before this batch was written"):
            waiting.result(0)


def test_a_listener_hears_of_each_commit_and_cannot_stop_it(caplog: pytest.LogCaptureFixture) -> None:
    """``on_written`` is called after each commit; one that raises is reported once and writing goes on."""
    heard: list[Written] = []

    def listen(written: Written) -> None:
        heard.append(written)
        raise RuntimeError("nobody home")

    with gated(on_written=listen) as (gate, queue):
        gate.open.set()
        for number in range(3):
            queue.submit(batch(number)).result(10)
        queue.close(10)
    assert heard == [Written(1, 0, 0)] * 3
    assert [record.message for record in caplog.records] == ["telling what was written failed; this is said once"]


def test_retention_is_looked_after() -> None:
    """Old spans are deleted by the writing thread, by age and size, also while nothing is written."""
    began_us = time.time_ns() // 1000
    with gated(retention=Retention(days=2, max_mib=3, first_s=0, every_s=1000)) as (gate, queue):
        gate.open.set()
        for _ in range(1_000):
            if gate.retained:
                break
            time.sleep(0.01)
        queue.submit(batch(1)).result(10)
        (what,) = gate.retained
        assert what["max_bytes"] == 3 * 1024 * 1024
        assert began_us <= (what["oldest_us"] or 0) + 2 * 86_400_000_000 <= time.time_ns() // 1000
        assert queue.state().retained_spans == 7


def test_nothing_is_deleted_without_limits() -> None:
    """With neither age nor size limited the store is left alone."""
    with gated(retention=Retention(first_s=0, every_s=0)) as (gate, queue):
        gate.open.set()
        queue.submit(batch(1)).result(10)
        # It is asked all the same: what was deleted by hand is taken out of the file then.
        assert all(each == {"oldest_us": None, "max_bytes": None} for each in gate.retained)


def test_positions_are_committed_with_the_rows(tmp_path: Path) -> None:
    """A position that comes with rows is there after the store was opened anew."""
    store = open_store(tmp_path / "a.duckdb")
    queue = IngestQueue(store, max_pending_rows=100)
    log = LogRow(1, "INFO", "custom.event", "hello")
    queue.submit(Batch(logs=[log], positions={"journal:/x": "17"})).result(10)
    assert queue.position("journal:/x") == "17"
    queue.close()
    store.close()
    store = open_store(tmp_path / "a.duckdb")
    assert (store.position("journal:/x"), [row.message for row in store.logs(EVER).rows]) == ("17", ["hello"])
    store.close()


def test_many_senders_at_once_lose_nothing() -> None:
    """Threads that submit at the same time, coming again when told to, have every span stored exactly once."""
    store = open_memory_store()
    queue = IngestQueue(store, max_pending_rows=50)
    failures: list[BaseException] = []

    def send(thread: int) -> None:
        try:
            for number in range(40):
                while True:
                    try:
                        queue.submit(batch(thread * 1_000 + number)).result(20)
                    except Busy:
                        queue.wait_for_room(1)
                        continue
                    break
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=send, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    queue.close()
    assert failures == []
    assert (store.totals(EVER).spans, queue.state().pending_rows) == (320, 0)
    store.close()
