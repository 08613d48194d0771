"""What a Collector has written to ClickHouse is read as if it had been sent: the same rows, each once, late ones too."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clickhouse_engine import new_url, requires_engine
from otel_exporter import Layout, OtelDatabase

from ai_dev_squad_cli.main import main
from ai_dev_squad_dashboard.ingest.otel_tables import Shape, request_of, shape_of
from ai_dev_squad_dashboard.ingest.otlp_receive import Receiver
from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.store import Selection, Store, StoreError, open_memory_store, open_store
from ai_dev_squad_dashboard.store.answers import Written
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, SpanRow

DATA = Path(__file__).parent / "data"
EVER = Selection(0, 1 << 60)
HOUR_US = 3_600_000_000
MINUTE_NS = 60 * 10**9
RECORDED = (
    "openinference-langchain.langgraph.json",
    "openllmetry-crewai+openllmetry-openai.crewai.json",
    "pydantic-ai-native.pydantic_ai.json",
    "crewai-native.crewai.json",
)
START_NS = 1_767_225_600 * 10**9  # as the recordings begin
LAYOUTS = pytest.mark.parametrize("layout", get_args(Layout))


def recorded() -> list[dict[str, Any]]:
    """Spans of four instrumentations, as they were really sent."""
    return [json.loads((DATA / name).read_text(encoding="utf-8")) for name in RECORDED]


def logs(*records: dict[str, Any]) -> dict[str, Any]:
    """A request with these log records."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "forecast"}}]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": "app"}, "logRecords": records}]}]}


def record(body: str, minute: int = 0) -> dict[str, Any]:
    """A log record of somebody's."""
    return {
        "timeUnixNano": str(START_NS + minute * MINUTE_NS),
        "severityNumber": 13,
        "severityText": "WARN",
        "body": {"stringValue": body},
        "attributes": [{"key": "http.route", "value": {"stringValue": "/ask"}}],
    }


@contextmanager
def filled() -> Iterator[tuple[Store, IngestQueue]]:
    """An empty store, and the way into it."""
    store = open_memory_store()
    queue = IngestQueue(store, max_pending_rows=50_000)
    try:
        yield store, queue
    finally:
        queue.close(10)
        store.close()


def spans(store: Store) -> list[SpanRow]:
    """Every span, without when it arrived."""
    traces = [store.trace(row.trace_id) for row in store.traces(EVER, limit=1_000).rows]
    return sorted(span._replace(ingested_us=None) for trace in traces if trace for span in trace.spans)


def sent(*requests: dict[str, Any]) -> tuple[list[SpanRow], tuple[LogRow, ...]]:
    """What becomes of the same requests where they are received."""
    with filled() as (store, queue):
        receiver = Receiver(queue.submit)
        for request in requests:
            receiver.receive("traces" if "resourceSpans" in request else "logs", "json", json.dumps(request).encode())
        return spans(store), store.logs(EVER, limit=1_000).rows


def table(url: str, store: Store, submit: Callable[..., Any], late_us: int = 24 * HOUR_US) -> Any:
    """The reader of a table; its client is an extra."""
    from ai_dev_squad_dashboard.ingest.otel_source import OtelTable

    return OtelTable(url, store, submit, late_us=late_us)


@requires_engine
@LAYOUTS
def test_rows_are_those_of_the_same_spans_when_sent(layout: Layout) -> None:
    """Names, models, tokens, money, content and outcomes, whichever layout the attributes have; read again, nothing is added."""
    database = OtelDatabase(layout)
    for request in recorded():
        database.export(request)
    expected, _ = sent(*recorded())
    with filled() as (store, queue):
        traces = table(f"{database.url}/otel_traces", store, queue.submit)
        first, again = traces.read(), traces.read()
        traces.close()
        assert spans(store) == expected
        assert (first.rows, first.refused, again.rows) == (len(expected), 0, 0)


@requires_engine
def test_late_rows_count_and_what_was_read_counts_once(tmp_path: Path) -> None:
    """A row of an hour ago is noticed, by a process that did not see the others; what an exporter has written twice is one span."""
    database = OtelDatabase("map")
    early, *others = recorded()
    kept, late = (
        early["resourceSpans"][0]["scopeSpans"][0]["spans"][:1],
        early["resourceSpans"][0]["scopeSpans"][0]["spans"][1:],
    )
    early["resourceSpans"][0]["scopeSpans"][0]["spans"] = kept
    for request in (early, early, *others):
        database.export(request)
    store = tmp_path / "store.duckdb"
    command = ["ingest", "--from", f"{database.url}/otel_traces", "--db", str(store)]
    assert main(command) == 0
    early["resourceSpans"][0]["scopeSpans"][0]["spans"] = late
    database.export(early)
    assert main(command) == 0
    assert main(command) == 0

    opened = open_store(store)
    found = {(span.trace_id, span.span_id) for span in spans(opened)}
    opened.close()
    assert found == {(span.trace_id, span.span_id) for span in sent(*recorded())[0]}


@requires_engine
def test_rows_older_than_late_are_left_alone() -> None:
    """How late a row may be is the caller's; what is older than that, before the newest, is not looked at."""
    database = OtelDatabase("map")
    database.export(logs(record("new", minute=180)))
    with filled() as (store, queue):
        records = table(f"{database.url}/otel_logs", store, queue.submit, late_us=HOUR_US)
        records.read()
        database.export(logs(record("late", minute=121), record("too late", minute=119)))
        records.read()
        records.close()
        assert {row.message for row in store.logs(EVER).rows} == {"new", "late"}


@requires_engine
@LAYOUTS
def test_log_records_count_as_often_as_they_were_written(layout: Layout) -> None:
    """Equal records are as many as there are, however often their minute is read; the lines of a journal rebuild their run."""
    database = OtelDatabase(layout)
    database.export(logs(record("again"), record("again"), record("other")))
    with filled() as (store, queue):
        records = table(f"{database.url}/otel_logs", store, queue.submit)
        records.read()
        database.export(logs(record("again"), record("late")))
        records.read()
        records.close()
        found = store.logs(EVER).rows
    _, expected = sent(logs(record("again"), record("again"), record("other"), record("again"), record("late")))
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


@requires_engine
def test_what_was_interrupted_is_read_again_and_counts_once() -> None:
    """A store that fails in the middle of a minute loses nothing: the minute is read again, and no row is there twice."""
    database = OtelDatabase("map")
    for request in recorded():
        database.export(request)
    database.export(logs(*(record(f"line {number}", minute=number) for number in range(3))))
    with filled() as (store, queue):
        for name in ("otel_traces", "otel_logs"):
            allowed = 0
            while not _read_with(allowed, f"{database.url}/{name}", store, queue):
                allowed += 1
            assert allowed
        assert spans(store) == sent(*recorded())[0]
        assert sorted(row.message for row in store.logs(EVER).rows) == ["line 0", "line 1", "line 2"]


def _read_with(allowed: int, url: str, store: Store, queue: IngestQueue) -> bool:
    """Read a table with a store that takes so many batches and then none; whether that was all."""
    left = allowed

    def submit(batch: Batch) -> Future[Written]:
        nonlocal left
        left -= 1
        if left < 0:
            raise StoreError("the disk is full")
        return queue.submit(batch)

    reader = table(url, store, submit)
    try:
        reader.read()
    except StoreError:
        return False
    finally:
        reader.close()
    return True


@requires_engine
def test_who_follows_reads_what_comes_and_ends_when_told() -> None:
    """A process that was started before there were rows stores them as they come, and ends in peace with SIGTERM."""
    database, place = OtelDatabase("json"), new_url()
    tables = [part for name in ("otel_traces", "otel_logs") for part in ("--from", f"{database.url}/{name}")]
    command = [
        sys.executable,
        "-m",
        "ai_dev_squad_cli",
        "ingest",
        *tables,
        "--store",
        place,
        "--follow",
        "--every",
        "0.1",
    ]
    following = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    store = open_store(place)
    try:
        for request, spans_then, lines_then in ((recorded()[0], True, 0), (logs(record("late")), True, 1)):
            database.export(request)
            _wait(lambda: bool(store.state().spans) == spans_then and store.state().logs == lines_then, following)  # noqa: B023
        found = spans(store)
    finally:
        store.close()
        following.terminate()
    said, _ = following.communicate(timeout=60)
    assert (following.returncode, found) == (0, sent(recorded()[0])[0]), said


def _wait(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until it is so; not for a process that has ended."""
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)


@requires_engine
def test_other_tables_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A URL that names no table, and a table that the exporter did not make, are errors that say what to name."""
    database = OtelDatabase("map")
    database.run(f"CREATE TABLE {database.name}.mine (Timestamp DateTime64(9)) ENGINE = MergeTree ORDER BY Timestamp")
    for url, said in (
        (f"{database.url}/mine", "has no columns of the Collector's ClickHouse exporter"),
        ("clickhouse://127.0.0.1", "names no table; use clickhouse://user:password@host:8123/database/otel_traces"),
    ):
        assert main(["ingest", "--from", url, "--db", str(tmp_path / "x.duckdb")]) != 0
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "given, said", [([], "name journals"), (["--from", "clickhouse://h/t", "file"], "leave out files")]
)
def test_files_and_tables_are_told_apart(given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One of the two has to be named, and not both."""
    assert main(["ingest", *given]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "key, text, value",
    [
        ("gen_ai.usage.input_tokens", "42", {"intValue": "42"}),
        ("gen_ai.response.time_to_first_chunk", "1", {"doubleValue": 1.0}),
        ("gen_ai.response.finish_reasons", '["stop"]', {"arrayValue": {"values": [{"stringValue": "stop"}]}}),
        ("session.id", "42", {"stringValue": "42"}),
        ("gen_ai.usage.input_tokens", "many", {"stringValue": "many"}),
        ("gen_ai.usage.input_tokens", "4 2", {"stringValue": "4 2"}),
        ("gen_ai.input.messages", '[{"role":"user"}]', {"stringValue": '[{"role":"user"}]'}),
        ("note", '["not closed', {"stringValue": '["not closed'}),
    ],
)
def test_what_a_map_made_text_of_is_what_it_was(key: str, text: str, value: dict[str, Any]) -> None:
    """Numbers where the key says so, and lists of words; an id that looks like a number stays text."""
    shape = shape_of(dict.fromkeys(("Timestamp", "Body", "SeverityNumber", "LogAttributes"), "Map(String, String)"))
    assert isinstance(shape, Shape)
    given = {"time": 1, "severity": 9, "resource": "{}", "attributes": json.dumps({key: text})}
    row = [given.get(name, "") for name in shape.columns]
    (resource,) = json.loads(request_of(shape, [row]))["resourceLogs"]
    assert resource["scopeLogs"][0]["logRecords"][0]["attributes"] == [{"key": key, "value": value}]
