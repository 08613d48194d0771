"""What goes wrong around a store's file: killed, full, damaged, foreign, newer, shared; nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from ai_dev_squad_dashboard.store import Selection, Store, StoreError, duckdb_file, open_store
from ai_dev_squad_dashboard.store.base import StoreBegunAnewError
from ai_dev_squad_dashboard.store.deletions import Subject
from ai_dev_squad_dashboard.store.duckdb_file import File
from ai_dev_squad_dashboard.store.duckdb_schema import _MIGRATIONS, SCHEMA_VERSION
from ai_dev_squad_dashboard.store.duckdb_store import DuckDBStore
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, SpanRow

ALL = Selection(0, 1 << 60)
DAY = 86_400_000_000
T0 = 20_000 * DAY

WRITER = """
    import os, sys
    from pathlib import Path
    from ai_dev_squad_dashboard.store import StoreError, duckdb_file, duckdb_store, open_store
    from ai_dev_squad_dashboard.store.rows import Batch, LogRow, SpanRow

    def batch(number, spans=50, size=2000):
        rows = [
            SpanRow(f"{number + 1:032x}", f"{n + 1:016x}", None if n == 0 else f"{1:016x}", 1728000000000000 + number, 5, "x",
                    "chat", usage_source="provider", cost_usd=1.0, text=os.urandom(size // 2).hex(), session_id="s")
            for n in range(spans)
        ]
        return Batch(spans=rows, logs=[LogRow(1728000000000000 + number, "INFO", "log", str(number))],
                     positions={"journal": str(number)})
"""


def run(program: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own, which knows ``batch``."""
    code = textwrap.dedent(WRITER) + textwrap.dedent(program)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def spans(count: int, start_us: int = T0, **more: object) -> list[SpanRow]:
    """Runs of one call each."""
    return [
        SpanRow(
            f"{start_us + n:032x}", f"{1:016x}", None, start_us + n, 5, "x", "chat", usage_source="provider", **more
        )  # type: ignore[arg-type]
        for n in range(count)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may be made."""
    return tmp_path / "store.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A store in a file."""
    store = open_store(path)
    yield store
    store.close()


@pytest.mark.parametrize("checkpoint_bytes", [1 << 30, 100_000])
def test_killed_at_any_time_it_has_all_that_was_acknowledged(path: Path, checkpoint_bytes: int) -> None:
    """Kill -9 between, during and after commits and checkpoints loses no acknowledged batch and tears none."""
    acknowledged = -1
    for round_number in range(3):
        process = run(
            """
            duckdb_file.CHECKPOINT_BYTES = int(sys.argv[2])
            store = duckdb_store.DuckDBStore(duckdb_file.File(Path(sys.argv[1]), 256), roll_every=120)
            for number in range(int(sys.argv[3]), 100_000):
                store.write(batch(number))
                print(number, flush=True)
            """,
            path,
            checkpoint_bytes,
            acknowledged + 1,
        )
        assert process.stdout is not None
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged % 40 == 30 + round_number:
                os.kill(process.pid, signal.SIGKILL)
                break
        rest = process.stdout.read().split()
        acknowledged = int(rest[-1]) if rest else acknowledged
        process.communicate()

        store = open_store(path)
        found = store.traces(ALL, limit=1000).rows
        written = int(store.positions()["journal"])
        # The last batch may have been stored and its acknowledgement lost.
        assert written in {acknowledged, acknowledged + 1}
        assert [row.start_us - T0 for row in found] == list(range(written, -1, -1))
        assert {row.spans for row in found} == {50}
        totals = store.totals(ALL)
        assert (totals.spans, totals.calls, totals.cost_usd) == ((written + 1) * 50,) * 2 + ((written + 1) * 50.0,)
        assert len(store.logs(ALL, limit=1000).rows) == written + 1
        assert store.groups(ALL, "session")[0].calls == totals.calls
        store.close()
        acknowledged = written


@pytest.mark.parametrize("checkpoint_bytes", [1 << 30, 1_000_000])
def test_a_full_disk_is_told_and_got_over(path: Path, checkpoint_bytes: int) -> None:
    """Without space a batch is refused whole, reading goes on, and with space again so does writing, by itself."""
    process = run(
        """
        import resource, signal
        duckdb_file.CHECKPOINT_BYTES = int(sys.argv[2])
        store = duckdb_store.DuckDBStore(duckdb_file.File(Path(sys.argv[1]), 256), roll_every=500)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, resource.RLIM_INFINITY))
        done = 0
        for number in range(400):
            try:
                store.write(batch(number, 100, 1500))
            except StoreError as error:
                message = str(error)
                break
            done += 1
        print(message)
        from ai_dev_squad_dashboard.store import Selection
        everything = Selection(0, 1 << 60)
        assert store.totals(everything).spans == done * 100, (store.totals(everything).spans, done)
        try:
            store.write(batch(number, 100, 1500))
            assert False, "there was no space"
        except StoreError:
            pass
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for number in range(number, number + 10):
            store.write(batch(number, 100, 1500))
        done += 10
        assert store.totals(everything).spans == done * 100
        assert len(store.logs(everything, limit=10_000).rows) == done
        store.close()
        store = open_store(Path(sys.argv[1]))
        assert store.totals(everything).spans == done * 100
        assert [row.spans for row in store.traces(everything, limit=10_000).rows] == [100] * done
        store.close()
        """,
        path,
        checkpoint_bytes,
    )
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    assert str(path) in out
    assert "free space" in out


@pytest.mark.parametrize(
    "content",
    [b"this is no database", b"SQLite format 3\x00" + bytes(5000), bytes(20_000), os.urandom(20_000)],
    ids=["text", "sqlite", "zeros", "noise"],
)
def test_a_file_that_is_no_store_is_left_alone(path: Path, content: bytes) -> None:
    """Anything else is refused with its name and a cure, and not a byte of it changes."""
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"store\.duckdb .*(restore a backup|choose another file)"):
        open_store(path)
    assert path.read_bytes() == content
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def _delete(path: Path) -> None:
    for each in path.parent.iterdir():
        each.unlink()


def _replace(path: Path) -> None:
    other = path.with_name("other.duckdb")
    open_store(other).close()
    other.replace(path)


def _cut(path: Path) -> None:
    os.truncate(path, 5000)


@pytest.mark.parametrize(
    "happens, told, aside",
    [(_delete, "deleted", 0), (_replace, "replaced", 1), (_cut, "cut short", 1)],
)
@pytest.mark.parametrize("when", ["checkpoint", "log"])
def test_a_file_that_is_lost_while_it_is_open_is_noticed_told_and_written_anew(
    path: Path, happens: Callable[[Path], None], told: str, aside: int, when: str
) -> None:
    """Nothing acknowledged is lost, whether it stood in the file or still in its log; what is in the way is put aside."""
    file = File(path, 256)
    store = DuckDBStore(file)
    store.write(Batch(spans=spans(500), positions={"journal": "5"}))
    if when == "checkpoint":
        file.checkpoint()
    happens(path)
    store.write(Batch(spans=spans(100, T0 + DAY)))
    state = store.state()
    assert [(each.lost, f"was {told} while it was in use" in each.text) for each in state.incidents] == [(False, True)]
    assert state.spans == 600
    assert len(list(path.parent.glob("*.aside"))) == aside
    store.close()
    store = open_store(path)
    assert (store.totals(ALL).spans, store.position("journal")) == (600, "5")
    store.close()


@pytest.mark.parametrize("while_copied", [True, False], ids=["while it is written", "when it is"])
def test_a_copy_that_is_taken_away_as_well_is_written_again(
    path: Path, while_copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever deletes the file again and again, with all that is called like it, delays batches, and nothing is lost."""
    store = open_store(path)
    store.write(Batch(spans=spans(500), positions={"journal": "5"}))
    copy = duckdb_file.copy_database

    def taken_away(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
        monkeypatch.setattr(duckdb_file, "copy_database", copy)
        copy(connection, target)
        target.unlink()
        if while_copied:
            raise duckdb.IOException(f"Cannot open file {target}")

    monkeypatch.setattr(duckdb_file, "copy_database", taken_away)
    _delete(path)
    with pytest.raises(StoreError, match="could not be written anew yet, and nothing is lost; send this again"):
        store.write(Batch(spans=spans(100, T0 + DAY)))
    assert store.totals(ALL).spans == 500
    store.write(Batch(spans=spans(100, T0 + DAY)))
    store.close()
    store = open_store(path)
    assert (store.totals(ALL).spans, store.position("journal")) == (600, "5")
    store.close()


def test_a_lost_file_is_written_anew_when_nothing_is_written(path: Path) -> None:
    """``mend`` is enough: whoever looks after the store finds out before the next batch comes."""
    store = open_store(path)
    store.write(Batch(spans=spans(5)))
    _delete(path)
    store.mend()
    store.close()
    store = open_store(path)
    assert store.totals(ALL).spans == 5
    store.close()


def test_a_file_that_cannot_be_saved_is_begun_anew_and_what_was_deleted_stays_deleted(path: Path) -> None:
    """Cut short before it was read: the batch fails, the next goes into an empty file, and deleted runs do not come back."""
    store = open_store(path)
    store.write(
        Batch(spans=[row._replace(details=os.urandom(3000)) for row in spans(3000)], positions={"journal": "5"})
    )
    store.delete(Subject("trace", f"{T0:032x}"), by="test", at_us=T0 + DAY)
    store.close()
    store = open_store(path)
    store.deletions()
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StoreBegunAnewError, match="was cut short and begun anew; send this again"):
        store.write(Batch(spans=spans(100, T0 + DAY)))
    assert store.position("journal") is None
    store.write(Batch(spans=spans(100)))
    assert (store.totals(ALL).spans, [each.lost for each in store.state().incidents]) == (99, [True])
    assert len(list(path.parent.glob("*.aside"))) == 1
    store.close()


def test_damage_is_called_damage(path: Path) -> None:
    """A block with a wrong checksum is no file "in use by another process"."""
    store = open_store(path)
    store.write(Batch(spans=[row._replace(details=os.urandom(3000)) for row in spans(3000)]))
    store.close()
    whole = bytearray(path.read_bytes())
    for at in range(12_288, len(whole), 262_144):
        whole[at + 100 : at + 200] = os.urandom(100)
    path.write_bytes(whole)
    with pytest.raises(StoreError, match=r"store\.duckdb (cannot be opened as a store|is damaged)") as told:
        opened = open_store(path)
        try:
            list(opened.details(f"{T0:032x}"))
        finally:
            opened.close()
    assert "another process" not in str(told.value)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_damaged_store_is_refused_not_replaced(path: Path, keep: float) -> None:
    """A store cut short tells of it when it is opened or asked, and is never silently empty."""
    store = open_store(path)
    store.write(Batch(spans=spans(3000, details=os.urandom(500))))
    store.close()
    damaged = path.read_bytes()[: int(path.stat().st_size * keep)]
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match=r"store\.duckdb"):
        store = open_store(path)
        try:
            list(store.details(f"{T0:032x}"))
            store.export("spans", ALL, path.with_name("x.jsonl"), "jsonl")
        finally:
            store.close()
    assert path.read_bytes()[:4096] == damaged[:4096]


def test_a_foreign_database_is_left_alone(path: Path) -> None:
    """A DuckDB file of another program is refused and stays as it is."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE customers AS SELECT 1 AS id")
    with pytest.raises(StoreError, match="customers"):
        open_store(path)
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SHOW TABLES").fetchall() == [("customers",)]


def test_an_older_store_is_brought_up_to_date(path: Path) -> None:
    """What a run goes on with, and what was thought of it, is found in the rows of an older version, which had it in details only."""
    first, second = f"{1:032x}", f"{2:032x}"
    link = f'{{"links":[{{"trace_id":"{first}","span_id":"{1:016x}","type":"resumes","attributes":{{}}}}]}}'
    said = '{"input":"\\"trace_id\\":\\"' + second + '\\",\\"type\\":\\"resumes\\""}'
    store = open_store(path)
    spans = [
        SpanRow(first, f"{1:016x}", None, T0, 1, "a", "other", details=said.encode()),
        SpanRow(second, f"{1:016x}", None, T0 + 9, 1, "b", "other", details=link.encode()),
    ]
    evaluation = b'{"metadata":{"gen_ai.evaluation.name":"fast","gen_ai.evaluation.score.value":0.5,"gen_ai.evaluation.explanation":"so"}}'
    line = LogRow(T0 + 10, "INFO", "gen_ai.evaluation.result", "", trace_id=first, details=evaluation)
    store.write(Batch(spans=spans, logs=[line]))
    store.close()
    with duckdb.connect(str(path)) as connection:
        for table, columns in (
            ("spans", "task resumes version"),
            ("traces", "task task_head version version_head resumes resumes_head first_seq root_start_us"),
        ):
            for column in columns.split():
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute(
            "DROP TABLE excerpts; DROP TABLE failures; DROP TABLE clashes; DROP TABLE carried; DROP TABLE marks"
        )
        connection.execute("UPDATE meta SET value = 3 WHERE key = 'schema_version'")
    store = open_store(path)
    whole = store.run(second)
    third = SpanRow(f"{3:032x}", f"{1:016x}", None, T0 + 20, 1, "c", "other", resumes=second, task="refund")
    store.write(Batch(spans=[third]))
    longer = store.run(first)
    marks = store.sql("SELECT trace_id, span_id, name, score, label, comment FROM marks").rows
    store.close()
    assert marks == ((first, None, "fast", 0.5, None, "so"),)
    assert whole is not None
    assert [part.trace_id for part in whole.parts] == [first, second]
    assert longer is not None
    assert ([part.trace_id for part in longer.parts], longer.row.task) == ([first, second, third.trace_id], "refund")


def test_a_label_that_an_older_store_has_several_times_is_counted_once(path: Path) -> None:
    """Version 9 kept a label for each batch in which it came: what is counted by labels counts runs all the same."""
    store = open_store(path)
    store.write(Batch(spans=[SpanRow(f"{1:032x}", f"{1:016x}", None, T0, 1, "a", "other", labels='{"tenant":"acme"}')]))
    store.close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO labels SELECT trace_id, start_us + 5, key, value FROM labels")
        connection.execute("UPDATE meta SET value = 9 WHERE key = 'schema_version'")
    store = open_store(path)
    found = [(row.key, row.runs) for row in store.users(ALL, key="tenant").rows]
    choices = store.choices(replace(ALL, start_us=T0, end_us=T0 + 1)).labels
    store.close()
    assert (found, choices) == ([("acme", 1)], (("tenant", ("acme",)),))


def test_a_newer_store_asks_for_a_newer_version(path: Path) -> None:
    """The file of a later release is refused with both versions and the cure."""
    open_store(path).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    with pytest.raises(StoreError, match=rf"store\.duckdb .*version 99, this one knows {SCHEMA_VERSION}\); upgrade"):
        open_store(path)


def test_a_store_of_the_first_version_is_complete_when_it_is_opened(path: Path) -> None:
    """What later versions have columns for is read out of what an older one kept, and new rows are written beside it."""
    trace, spans = "00000000000000000000000000000007", "seq, series, bin, trace_id, span_id, parent_span_id, start_us"
    with duckdb.connect(str(path)) as connection:
        connection.execute(_MIGRATIONS[0])
        connection.execute("INSERT INTO series VALUES (1, NULL, 'chat', NULL, 'm', NULL, NULL, NULL, true, true)")
        for number, parent, attributes in (
            (1, None, '{"langgraph.metadata.tenant":"acme"}'),
            (2, 1, '{"ai_dev_squad.user.id":"ada"}'),
        ):
            connection.execute(
                f"INSERT INTO spans ({spans}, duration_us, name, operation, status, usage_source, cost_usd, source, ingested_us, "
                "details) VALUES (?, 1, 0, 7, ?, ?, ?, 5, 'm', 'chat', 'ok', 'provider', 1.0, 'otlp', 1, encode(?))",
                [number, number, parent, T0 + number, f'{{"attributes":{attributes}}}'],
            )
        connection.execute(
            "INSERT INTO traces VALUES (7, ?, ?, ?, 1, 5, 'm', 'chat', 'ok', NULL, 1, NULL, NULL, NULL, NULL, NULL, NULL, "
            "2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2.0, 0, 0)",
            [T0 + 1, T0 + 7, T0 + 2],
        )
    store = open_store(path)
    new = SpanRow(trace, f"{3:016x}", f"{1:016x}", T0 + 3, 1, "m", "chat", usage_source="provider", cost_usd=1.0)
    store.write(Batch(spans=[new]))
    for chosen in (replace(ALL, users=("ada",)), replace(ALL, labels=(("tenant", "acme"),))):
        assert [(row.trace_id, row.user_id, row.spans) for row in store.traces(chosen).rows] == [(trace, "ada", 3)]
        assert store.totals(chosen).cost_usd == 3.0
    assert store.state().schema_version == SCHEMA_VERSION
    store.close()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A path below a file is refused with the reason."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StoreError, match="directory cannot be made"):
        open_store(tmp_path / "file" / "store.duckdb")


def test_one_process_owns_the_file(path: Path) -> None:
    """A second process is told who has the file; when the first one ends, it can have it."""
    process = run(
        """
        store = open_store(Path(sys.argv[1]))
        store.write(batch(0))
        print("ready", flush=True)
        sys.stdin.readline()
        store.close()
        print("closed", flush=True)
        sys.stdin.readline()
        """,
        path,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    with pytest.raises(StoreError, match=rf"in use by another process .*{process.pid}.*close that dashboard"):
        open_store(path)
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "closed\n"
    store = open_store(path)
    assert store.state().spans == 50
    store.close()
    process.communicate("\n")


def test_one_store_a_file_in_a_process(path: Path, store: Store) -> None:
    """Opening the same file twice in one process is refused; after closing it works."""
    with pytest.raises(StoreError, match="open in this process already"):
        open_store(path)
    store.close()
    open_store(path).close()


def test_everything_is_there_after_opening_again(path: Path) -> None:
    """Closing and opening changes no answer, and numbering goes on where it ended."""
    store = DuckDBStore(File(path, 256), roll_every=4)
    for number in range(7):
        store.write(
            Batch(spans=spans(3, T0 + number * DAY // 5, model=f"m{number}"), logs=[LogRow(T0, "INFO", "x", "y")])
        )
    before = (store.totals(ALL), store.facets(ALL), store.logs(ALL), store.timeline(ALL, DAY), store.traces(ALL))
    store.close()
    store = DuckDBStore(File(path, 256), roll_every=4)
    assert (
        store.totals(ALL),
        store.facets(ALL),
        store.logs(ALL),
        store.timeline(ALL, DAY),
        store.traces(ALL),
    ) == before
    tail = store.logs(ALL).newest
    store.write(Batch(spans=spans(3, T0 + 9 * DAY), logs=[LogRow(T0, "INFO", "x", "new")]))
    assert [row.message for row in store.logs(ALL, after=tail).rows] == ["new"]
    assert store.totals(ALL).calls == 24
    store.close()


def test_questions_are_answered_while_rows_arrive(store: Store) -> None:
    """Readers in several threads see whole batches only, and never an error."""
    stop = threading.Event()
    wrong: list[object] = []

    def ask() -> None:
        try:
            while not stop.is_set():
                totals = store.totals(ALL)
                trace = store.trace(f"{T0:032x}")
                found = (totals.calls % 100, totals.calls == totals.runs, trace is None or len(trace.spans))
                if found not in {(0, True, True), (0, True, 1)}:
                    wrong.append(found)
        except Exception as error:
            wrong.append(error)

    readers = [threading.Thread(target=ask) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(40):
        store.write(Batch(spans=spans(100, T0 + number * 1000)))
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert store.totals(ALL).calls == 4000


def test_a_backup_is_a_store_and_may_be_made_any_time(store: Store, tmp_path: Path) -> None:
    """A copy made while batches arrive has whole batches, opens as a store, and replaces nothing."""
    stop = threading.Event()
    written = []

    def write() -> None:
        number = 0
        while not stop.is_set():
            written.append(store.write(Batch(spans=spans(100, T0 + number * 1000))))
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    while not written:
        time.sleep(0.001)
    target = tmp_path / "backups" / "it's a copy.duckdb"
    store.backup(target)
    stop.set()
    thread.join()
    with pytest.raises(StoreError, match="exists already"):
        store.backup(target)
    copy = open_store(target)
    totals = copy.totals(ALL)
    assert totals.calls == totals.runs == totals.spans == len(copy.traces(ALL, limit=100_000).rows)
    assert totals.calls % 100 == 0
    assert 0 < totals.calls <= store.totals(ALL).calls
    assert copy.write(Batch(spans=spans(1))).duplicates == 1
    copy.close()
    # Beside it the indexes of words, which opening it made.
    index = target.with_suffix(".search").name
    assert sorted(each.name for each in target.parent.iterdir()) == [target.name, index, f"{index}.lines"]


@pytest.mark.parametrize("put_together", [0, 1 << 40], ids=["large", "small"])
def test_retention_by_size_deletes_the_oldest_days_and_gives_space_back(
    store: Store, path: Path, put_together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days go from the oldest on until the rest fits, and the file becomes smaller, whether checkpoints put rows together or not."""
    monkeypatch.setattr("ai_dev_squad_dashboard.store.duckdb_file._PUT_TOGETHER_BYTES", put_together)
    for day in range(6):
        store.write(Batch(spans=[row._replace(details=os.urandom(2000)) for row in spans(1000, T0 + day * DAY)]))
    store.retain()
    full = store.state().bytes
    limit = full // 2
    deleted = store.retain(max_bytes=limit)
    state = store.state()
    assert deleted == 6000 - state.spans
    assert deleted % 1000 == 0
    assert 1000 <= state.spans <= 3000
    assert state.oldest_us == T0 + deleted // 1000 * DAY
    assert state.bytes <= limit
    assert path.stat().st_size <= limit


@pytest.mark.parametrize("put_together, fewest", [(0, 8), (1 << 40, 1)], ids=["large", "small"])
def test_a_checkpoint_leaves_what_earlier_ones_wrote_in_a_large_store(
    path: Path, put_together: int, fewest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To put it together again and again would be most of what storing takes; a small one has few pieces however often it is opened."""
    monkeypatch.setattr("ai_dev_squad_dashboard.store.duckdb_file._PUT_TOGETHER_BYTES", put_together)
    file = File(path, 256)
    store = DuckDBStore(file)
    for number in range(8):
        store.write(Batch(spans=spans(1000, T0 + number * DAY)))
        file.checkpoint()
    with file.reading() as cursor:
        pieces = cursor.execute("SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('spans')").fetchall()
    assert store.state().spans == 8000
    store.close()
    if duckdb.__version__ >= "2":  # before, a checkpoint goes on with the piece that is not full
        assert pieces == [(fewest,)]


def test_space_is_given_back_while_questions_never_cease(store: Store, path: Path) -> None:
    """New questions wait for the instant in which the smaller file takes its place, however many there are."""
    for day in range(6):
        store.write(Batch(spans=[row._replace(details=os.urandom(2000)) for row in spans(1000, T0 + day * DAY)]))
    store.retain()
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            with store.snapshot():
                store.totals(ALL)
                ended.wait(0.05)

    readers = [threading.Thread(target=ask) for _ in range(8)]
    limit = store.state().bytes // 2
    retaining = threading.Thread(target=store.retain, kwargs={"max_bytes": limit})
    for thread in (*readers, retaining):
        thread.start()
    retaining.join(60)
    waited = retaining.is_alive()
    ended.set()
    for thread in (*readers, retaining):
        thread.join()
    assert not waited
    assert 0 < store.state().bytes <= limit
    assert 1000 <= store.totals(ALL).spans <= 3000


def test_an_answer_that_is_not_read_to_its_end_keeps_the_file_and_no_more_days_go(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that downloads slowly puts giving back space off; batches and questions go on, and nothing else is deleted for it."""
    monkeypatch.setattr("ai_dev_squad_dashboard.store.duckdb_file.EXCHANGE_S", 0.01)
    for day in range(6):
        store.write(Batch(spans=[row._replace(details=os.urandom(2000)) for row in spans(1000, T0 + day * DAY)]))
    store.retain()
    limit = store.state().bytes // 2
    download = store.details(store.traces(ALL).rows[0].trace_id)
    next(download)
    store.retain(max_bytes=limit)
    left = store.totals(ALL).spans
    assert left >= 1000
    assert path.stat().st_size > limit
    assert store.write(Batch(spans=spans(10, T0 + 5 * DAY + 1_000_000))).spans == 10
    download.close()  # type: ignore[attr-defined]
    store.retain(max_bytes=limit)
    assert path.stat().st_size <= limit
    assert store.totals(ALL).spans in {left + 10, left - 1000 + 10}
    assert [each.name for each in path.parent.iterdir() if each.name.endswith(".part")] == []


def test_names_that_are_gone_make_room(path: Path) -> None:
    """When the days of a combination of names are deleted, its place among the limited ones is free again."""
    store = DuckDBStore(File(path, 256), max_series=2, roll_every=1)
    store.write(Batch(spans=spans(1, T0, model="old")))
    store.write(Batch(spans=spans(1, T0 + 2 * DAY, model="new")))
    store.write(Batch(spans=spans(1, T0 + 3 * DAY, model="too many")))
    assert store.facets(ALL).models == ("(other)", "new", "old")
    store.retain(oldest_us=T0 + DAY)
    store.write(Batch(spans=spans(1, T0 + 4 * DAY, model="newest")))
    assert store.facets(ALL).models == ("(other)", "new", "newest")
    store.close()


def test_nothing_is_downloaded(store: Store) -> None:
    """The engine may not fetch extensions, and those it needs are built in."""
    assert isinstance(store, DuckDBStore)
    with store._file.reading() as cursor:
        settings = dict(
            cursor.execute(
                "SELECT name, value FROM duckdb_settings() WHERE name LIKE 'auto%extensions' ORDER BY name"
            ).fetchall()
        )
        loaded = {
            name for (name,) in cursor.execute("SELECT extension_name FROM duckdb_extensions() WHERE loaded").fetchall()
        }
    assert settings == {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    assert {"json", "parquet"} <= loaded
