"""A batch that is stored is on disk, and only its sender waits for that."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from ai_dev_squad_dashboard.store import Selection, StoreError, duckdb_commit
from ai_dev_squad_dashboard.store.duckdb_file import File
from ai_dev_squad_dashboard.store.duckdb_store import DuckDBStore
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, SpanRow

ALL = Selection(0, 1 << 60)
T0 = 20_000 * 86_400_000_000
CAN_BE_TOLD = os.name == "posix" and bool(
    duckdb.execute("SELECT count(*) FROM duckdb_settings() WHERE name = 'fsync_mode'").fetchall()[0][0]
)
pytestmark = pytest.mark.skipif(not CAN_BE_TOLD, reason="this engine waits for the disk itself")


def batch(number: int) -> Batch:
    """A run of one call, and a line of its log."""
    span = SpanRow(f"{number:032x}", f"{1:016x}", None, T0 + number, 5, "x", "chat", usage_source="provider")
    return Batch([span], [LogRow(T0 + number, "INFO", "log", str(number))])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    """A store that has stored something, so that there is a log."""
    store = DuckDBStore(File(tmp_path / "store.duckdb", 256))
    store.write(batch(1))
    yield store
    store.close()


def test_while_a_batch_waits_for_the_disk_questions_are_answered(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk is its sender's alone, who hears of the batch when it is on disk and not before."""
    waits, goes_on = threading.Event(), threading.Event()

    def slow(file: int) -> None:
        waits.set()
        assert goes_on.wait(60)

    monkeypatch.setattr(duckdb_commit, "_to_disk", slow)
    with ThreadPoolExecutor(1) as sender:
        sent = sender.submit(store.write, batch(2))
        try:
            assert waits.wait(60)
            seen = store.totals(ALL).spans, sent.done()
        finally:
            goes_on.set()
        assert (*seen, sent.result().spans) == (2, False, 1)


def test_what_is_waited_for_is_the_log_that_the_engine_writes(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after a checkpoint and after the file was written anew, when there is another log; the first commit into one is the engine's."""
    waited: list[tuple[bool, bool]] = []

    def note(file: int) -> None:
        assert store._file.log.path is not None
        log = store._file.log.path.stat()
        waited.append((os.fstat(file).st_ino == log.st_ino, log.st_size > 0))

    monkeypatch.setattr(duckdb_commit, "_to_disk", note)
    for number, change in enumerate([lambda: None, store._file.checkpoint, store._file.rewrite]):
        change()
        for each in range(2):
            store.write(batch(10 * number + each + 2))
    assert waited == [(True, True)] * len(waited)
    assert len(waited) >= 4


def test_a_backup_is_on_disk_when_it_appears(
    store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written while batches come in, for which the engine is told not to wait."""
    waited: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: waited.append(os.fstat(file).st_ino))
    store.backup(tmp_path / "copy.duckdb")
    assert waited == [(tmp_path / "copy.duckdb").stat().st_ino]


def test_the_engine_waits_for_the_disk_itself_for_all_else(store: DuckDBStore) -> None:
    """A checkpoint has an order in which things have to be on disk, which only the engine knows."""
    store.write(batch(2))
    with store._file.reading() as cursor:
        assert cursor.execute("SELECT current_setting('fsync_mode')").fetchall() == [("STANDARD",)]


def test_a_disk_that_does_not_answer_is_told_and_what_is_sent_again_counts_once(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the batch is there is not known then; either way it is there once when its sender has sent it again."""

    def broken(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(duckdb_commit, "_to_disk", broken)
        with pytest.raises(StoreError, match="its disk does not say that a batch was written"):
            store.write(batch(2))
    store.write(batch(2))
    store.write(batch(3))
    with store._file.reading() as cursor:
        numbers = cursor.execute("SELECT seq FROM spans ORDER BY seq").fetchall()
    assert (store.totals(ALL).spans, numbers) == (3, [(1,), (2,), (3,)])
