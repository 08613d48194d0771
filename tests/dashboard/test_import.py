"""``ai-dev-squad import``: what other products have exported comes in once, whole, and compared with their own totals.

The samples in ``data/imports`` come from the real products: Phoenix's from its server and client (spans sent over OTLP, taken out as
a dataframe and by the API), Langfuse's from the models of its SDK. LangSmith's runs are made here of its SDK's model.
"""

from __future__ import annotations

import gzip
import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_squad import guard
from ai_dev_squad_dashboard import cli
from ai_dev_squad_dashboard.imported.importing import SOURCES, Imported, import_files
from ai_dev_squad_dashboard.imported.records import UnreadableFileError, UnreadableRecord, records
from ai_dev_squad_dashboard.imported.told import Context, Judged, Untellable, moment_ns, span_id, trace_id
from ai_dev_squad_dashboard.imported.totals import Totals
from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.store import Store, open_store

DATA = Path(__file__).parent / "data" / "imports"
START = datetime(2026, 9, 21, 13, 20, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path):
    opened = open_store(tmp_path / "store.duckdb")
    yield opened
    opened.close()


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows as a table, each column of the type that DuckDB reads out of JSON."""
    lines = path.with_suffix(".lines")
    lines.write_text("\n".join(json.dumps(row, default=str) for row in rows))
    duckdb.sql(f"COPY (SELECT * FROM read_json('{lines}', sample_size = -1)) TO '{path}' (FORMAT parquet)")
    return path


def tree(store: Store, trace: str) -> list[tuple[Any, ...]]:
    """What was stored of a trace: name, operation, name of the parent, status, model, tokens."""
    whole = store.trace(trace)
    assert whole is not None
    names = {row.span_id: row.name for row in whole.spans}
    return [
        (
            row.name,
            row.operation,
            names.get(row.parent_span_id or ""),
            row.status,
            row.model,
            row.input_tokens,
            row.output_tokens,
        )
        for row in whole.spans
    ]


def outcome(found: Imported) -> tuple[int, int, dict[str, int], list[str]]:
    return found.new_spans, found.known_spans, dict(found.skipped), [str(each) for each in found.differences]


# --- Langfuse -----------------------------------------------------------------------------------------------------------


def test_observations_of_langfuse_come_in_whole_and_once(store: Store) -> None:
    """Kinds, tree, tokens by kind, cost, first token, errors and labels are those that the API states; a second import adds nothing."""
    found = import_files("langfuse", [DATA / "langfuse_api.jsonl"], store)
    assert outcome(found) == (12, 0, {}, [])
    assert found.source == Totals(2, 12, 316, pytest.approx(0.00006272))
    assert tree(store, f"{2:032x}") == [
        ("planner", "task", None, "ok", None, None, None),
        ("cook", "invoke_agent", "planner", "ok", None, None, None),
        ("gpt-4o-mini", "chat", "cook", "ok", "gpt-4o-mini", 120, 30),
        ("shop", "execute_tool", "cook", "error", None, None, None),
        ("text-embedding-3-small", "embeddings", "cook", "ok", "text-embedding-3-small", 8, None),
        ("said", "other", "planner", "ok", None, None, None),
    ]
    call, _ = store.span(f"{1:032x}", f"{3:016x}") or pytest.fail("the call is missing")
    assert (call.cache_read_tokens, call.reasoning_tokens, call.cost_usd, call.first_chunk_us) == (
        64,
        5,
        0.0000312,
        50_000,
    )
    assert (call.session_id, call.user_id, call.labels) == ("s-0", "ada", '{"tag":"beta","environment":"production"}')
    assert call.text == "Plan a picnic\nBread."
    assert outcome(import_files("langfuse", [DATA / "langfuse_api.jsonl"], store)) == (0, 0, {}, [])


def test_langfuses_tables_say_the_same_as_its_api(store: Store, tmp_path: Path) -> None:
    """Parquet and JSON of the blob storage export, in snake case, with times without a zone and settings as text, are the same spans."""
    api = [json.loads(line) for line in (DATA / "langfuse_api.jsonl").read_text().splitlines()]
    snake = {
        "startTime": "start_time",
        "endTime": "end_time",
        "traceId": "trace_id",
        "completionStartTime": "completion_start_time",
    }
    snake |= {
        "parentObservationId": "parent_observation_id",
        "model": "provided_model_name",
        "usageDetails": "usage_details",
    }
    snake |= {"costDetails": "cost_details", "totalCost": "total_cost", "sessionId": "session_id", "userId": "user_id"}
    snake |= {"traceName": "trace_name", "statusMessage": "status_message", "modelParameters": "model_parameters"}
    rows = []
    for record in api:
        row = {snake.get(name, name): value for name, value in record.items()}
        for name in ("start_time", "end_time", "completion_start_time"):
            if row.get(name):
                row[name] = row[name].replace("T", " ").removesuffix("Z")
        for name in ("input", "output", "model_parameters"):
            if name in row and not isinstance(row[name], str):
                row[name] = json.dumps(row[name])
        rows.append({"total_cost": 0, **row})
    import_files("langfuse", [DATA / "langfuse_api.jsonl"], store)
    wanted = tree(store, f"{1:032x}"), tree(store, f"{2:032x}")
    for name in ("observations.parquet", "observations.json"):
        path = tmp_path / name
        if name.endswith("json"):
            path.write_text(json.dumps(rows, indent=1))
        else:
            parquet(path, rows)
        other = open_store(tmp_path / f"{name}.duckdb")
        found = import_files("langfuse", [path], other)
        assert outcome(found) == (12, 0, {}, [])
        assert (tree(other, f"{1:032x}"), tree(other, f"{2:032x}")) == wanted
        assert found.here == Totals(2, 12, 316, pytest.approx(0.00006272))
        other.close()


def test_what_a_trace_of_langfuse_says_apart_holds_for_its_observations(store: Store, tmp_path: Path) -> None:
    """User, session and tags of the older export stand in ``traces/``; a trace in which nothing was observed is a run all the same."""
    (tmp_path / "a_observations.jsonl").write_text(
        json.dumps(
            {
                "id": "o",
                "trace_id": "t-1",
                "type": "SPAN",
                "name": "step",
                "start_time": "2026-09-21 13:20:00",
                "end_time": "2026-09-21 13:20:01",
            }
        )
    )
    traces = [
        {
            "id": "t-1",
            "timestamp": "2026-09-21 13:20:00",
            "name": "chat",
            "user_id": "ada",
            "session_id": "s-1",
            "tags": ["beta"],
        },
        {
            "id": "t-2",
            "timestamp": "2026-09-21 13:21:00",
            "name": "lone",
            "input": "hello",
            "output": "hi",
            "latency": 2.5,
        },
    ]
    (tmp_path / "traces.json").write_text(json.dumps({"data": traces, "meta": {"page": 1}}))
    found = import_files("langfuse", sorted(tmp_path.glob("*.json*")), store)
    assert outcome(found) == (2, 0, {}, [])
    step, _ = store.span(trace_id("t-1"), span_id("o")) or pytest.fail("the observation is missing")
    assert (step.user_id, step.session_id, step.labels) == ("ada", "s-1", '{"tag":"beta"}')
    lone = store.trace(trace_id("t-2"))
    assert lone is not None
    assert [(row.name, row.operation, row.duration_us) for row in lone.spans] == [
        ("lone", "invoke_workflow", 2_500_000)
    ]


# --- LangSmith ----------------------------------------------------------------------------------------------------------


def runs_of_langsmith() -> list[dict[str, Any]]:
    """A run, its agent, a model call and a tool, made of the SDK's own model."""
    from langsmith.schemas import Run

    def at(ms: int) -> datetime:
        return START + timedelta(milliseconds=ms)

    def run(number: int, parent: int | None, **said: Any) -> dict[str, Any]:
        made = Run(
            id=UUID(int=number),
            trace_id=UUID(int=1),
            parent_run_id=None if parent is None else UUID(int=parent),
            **{"status": "success", **said},
        )
        return dict(json.loads(made.model_dump_json(exclude_none=True)))

    message = {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"]}
    sums = {"total_tokens": 150, "prompt_tokens": 120, "completion_tokens": 30, "total_cost": Decimal("0.0000312")}
    return [
        run(1, None, name="LangGraph", run_type="chain", start_time=at(0), end_time=at(900), inputs={"ask": "Plan"}, **sums,
            extra={"metadata": {"thread_id": "s-1", "user_id": "ada", "tenant": "acme"}}, tags=["beta"]),
        run(2, 1, name="cook", run_type="chain", start_time=at(10), end_time=at(890), **sums),
        run(3, 2, name="ChatOpenAI", run_type="llm", start_time=at(20), end_time=at(400), first_token_time=at(70), **sums,
            prompt_token_details={"cache_read": 64}, completion_token_details={"reasoning": 5},
            inputs={"messages": [[{**message, "kwargs": {"content": "Plan a picnic", "type": "human"}}]]},
            outputs={"generations": [[{"text": "Bread.", "message": {"lc": 1, "type": "constructor", "id": ["AIMessage"],
                                                                     "kwargs": {"content": "Bread.", "type": "ai"}}}]]},
            extra={"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o-mini", "ls_temperature": 0.2}}),
        run(4, 2, name="shop", run_type="tool", start_time=at(410), end_time=at(500), inputs={"input": "bread"}, status="error",
            error="ValueError('sold out')"),
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["jsonl", "parquet", "api"])
def test_runs_of_langsmith_come_in_whole(store: Store, tmp_path: Path, form: str) -> None:
    """The bulk export, whose objects are JSON text, and the API's runs give the same tree; parents' sums are counted once."""
    rows = runs_of_langsmith()
    path = tmp_path / f"runs.{form}"
    if form == "parquet":
        for row in rows:
            for name in ("inputs", "outputs", "extra", "prompt_token_details", "completion_token_details"):
                if name in row:
                    row[name] = json.dumps(row[name])
        parquet(path, rows)
    else:
        path.write_text(json.dumps({"runs": rows}) if form == "api" else "\n".join(map(json.dumps, rows)))
    found = import_files("langsmith", [path], store)
    assert outcome(found) == (4, 0, {}, [])
    assert found.source == Totals(1, 4, 150, pytest.approx(0.0000312))
    trace = trace_id(UUID(int=1))
    assert tree(store, trace) == [
        ("LangGraph", "invoke_workflow", None, "ok", None, None, None),
        ("cook", "task", "LangGraph", "ok", None, None, None),
        ("gpt-4o-mini", "chat", "cook", "ok", "gpt-4o-mini", 120, 30),
        ("shop", "execute_tool", "cook", "error", None, None, None),
    ]
    root, _ = store.span(trace, span_id(UUID(int=1))) or pytest.fail("the root is missing")
    assert (root.session_id, root.user_id, root.labels) == ("s-1", "ada", '{"tag":"beta","tenant":"acme"}')
    call, _ = store.span(trace, span_id(UUID(int=3))) or pytest.fail("the call is missing")
    assert (call.provider, call.cache_read_tokens, call.reasoning_tokens, call.first_chunk_us) == (
        "openai",
        64,
        5,
        50_000,
    )
    assert (call.cost_usd, call.text) == (0.0000312, "Plan a picnic\nBread.")
    tool, _ = store.span(trace, span_id(UUID(int=4))) or pytest.fail("the tool is missing")
    assert (tool.error_type, tool.error_message) == ("ValueError", "ValueError('sold out')")


def test_a_parent_without_a_column_is_found_in_the_order_of_runs(store: Store, tmp_path: Path) -> None:
    """Exports may leave ``parent_run_id`` out; the dotted order names the run around each."""
    rows = [row for row in runs_of_langsmith() if row["name"] in ("LangGraph", "cook")]
    order = [f"20260921T132000000000Z{row['id']}" for row in rows]
    for depth, row in enumerate(rows, 1):
        row.pop("parent_run_id", None)
        row["dotted_order"] = ".".join(order[:depth])
    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    import_files("langsmith", [path], store)
    assert [row[:3] for row in tree(store, trace_id(UUID(int=1)))] == [
        ("LangGraph", "invoke_workflow", None),
        ("cook", "task", "LangGraph"),
    ]


def test_what_the_source_counts_otherwise_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A root whose sums are not those of its calls is a difference: it is named with both numbers, and the exit code is 1."""
    rows = runs_of_langsmith()
    rows[0] |= {"total_tokens": 151, "total_cost": "0.5"}
    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert cli.main(["import", "langsmith", str(path), "--db", str(tmp_path / "a.duckdb")]) == 1
    captured = capsys.readouterr()
    assert captured.out == (
        f"4 spans stored in {tmp_path}/a.duckdb, 0 were there already\n1 traces, 4 spans, 150 tokens, 0.000031 USD\n"
    )
    assert captured.err == (
        f"{path}: read\nnot the same as in the source: tokens: 151 in the source, 150 here; USD: 0.5 in the source, 3.12e-05 here\n"
    )


# --- Phoenix ------------------------------------------------------------------------------------------------------------


def test_phoenixs_dataframe_and_api_give_what_was_sent_to_it(store: Store, tmp_path: Path) -> None:
    """What its client exports of a run sent over OTLP is that run: messages, tools, errors, tokens, labels."""
    found = import_files("phoenix", [DATA / "phoenix_spans.parquet"], store)
    assert outcome(found) == (10, 0, {}, [])
    assert found.source == Totals(2, 10, 317, 0.0)
    assert found.priced_here == 4
    (first, second) = sorted(
        {row["context"]["trace_id"]: row["start_time"] for row in api_of_phoenix()}.items(), key=lambda item: item[1]
    )
    assert tree(store, second[0]) == [
        ("planner", "invoke_workflow", None, "ok", None, None, None),
        ("cook", "invoke_agent", "planner", "ok", None, None, None),
        ("gpt-4o-mini", "chat", "cook", "ok", "gpt-4o-mini", 121, 30),
        ("shop", "execute_tool", "cook", "error", None, None, None),
        ("text-embedding-3-small", "embeddings", "cook", "ok", "text-embedding-3-small", 8, None),
    ]
    (call,) = [row for row in (store.trace(first[0]) or pytest.fail("no trace")).spans if row.operation == "chat"]
    whole, _ = store.span(first[0], call.span_id) or pytest.fail("the call is missing")
    assert (whole.cache_read_tokens, whole.text) == (64, "Plan a picnic\nshop\nbread")
    root = (store.trace(first[0]) or pytest.fail("no trace")).spans[0]
    assert (root.session_id, root.user_id, root.labels) == ("s-0", "ada", '{"tag":"beta","tenant":"acme"}')
    # The same by the API: nothing of it is new, and the totals are the same.
    again = import_files("phoenix", [DATA / "phoenix_spans.json"], store)
    assert outcome(again) == (0, 10, {}, [])
    assert again.source == found.source


def api_of_phoenix() -> list[dict[str, Any]]:
    return list(json.loads((DATA / "phoenix_spans.json").read_text())["data"])


# --- OpenLLMetry --------------------------------------------------------------------------------------------------------


def test_a_dump_of_openllmetry_is_counted_at_its_calls(store: Store, tmp_path: Path) -> None:
    """Sums that workflows repeat count neither here nor in what is compared; what cannot be read is told."""

    def attribute(key: str, value: Any) -> dict[str, Any]:
        return {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}

    def span(number: int, parent: str, name: str, **said: Any) -> dict[str, Any]:
        start = int(START.timestamp()) * 10**9
        return {
            "traceId": f"{7:032x}", "spanId": f"{number:016x}", "parentSpanId": parent, "name": name,
            "startTimeUnixNano": str(start + number), "endTimeUnixNano": str(start + 10**9),
            "attributes": [attribute(key.replace("__", "."), value) for key, value in said.items()],
        }  # fmt: skip

    spans = [
        span(1, "", "picnic.workflow", traceloop__span__kind="workflow", traceloop__workflow__name="picnic", gen_ai__usage__input_tokens=120),
        span(2, f"{1:016x}", "openai.chat", llm__request__type="chat", gen_ai__request__model="gpt-4o-mini", gen_ai__system="openai",
             gen_ai__usage__input_tokens=120, gen_ai__usage__output_tokens=30, llm__usage__total_tokens=150),
        span(3, f"{1:016x}", "odd") | {"startTimeUnixNano": "soon"},
    ]  # fmt: skip
    path = tmp_path / "dump.jsonl.gz"
    request = {
        "resourceSpans": [
            {
                "resource": {},
                "scopeSpans": [{"scope": {"name": "opentelemetry.instrumentation.openai"}, "spans": spans}],
            }
        ]
    }
    path.write_bytes(gzip.compress(json.dumps(request).encode() + b"\n"))
    found = import_files("openllmetry", [path], store)
    assert (found.new_spans, found.source, found.differences) == (2, Totals(1, 2, 150, 0.0), [])
    assert sum(found.skipped.values()) == 1
    assert tree(store, f"{7:032x}")[1][4:] == ("gpt-4o-mini", 120, 30)


# --- resuming, cut files, hostile input ---------------------------------------------------------------------------------


def many(path: Path, traces: int = 900) -> Path:
    """An export of several batches: three observations a trace."""
    with path.open("w") as out:
        for number in range(traces):
            for place, kind in enumerate(("SPAN", "GENERATION", "EVENT")):
                out.write(
                    json.dumps(
                        {
                            "id": f"{number}-{place}", "trace_id": f"{number + 1:032x}", "type": kind, "name": kind,
                            "parent_observation_id": "" if not place else f"{number}-0", "provided_model_name": "gpt-4o-mini",
                            "start_time": str(START + timedelta(seconds=number)), "end_time": str(START + timedelta(seconds=number + 1)),
                            **({"usage_details": {"input": 7, "output": 3}, "total_cost": 0.001} if place == 1 else {}),
                        }
                    )
                    + "\n"
                )  # fmt: skip
    return path


def test_an_import_that_was_stopped_goes_on_where_it_was(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failure in the middle what was written is there; started again it writes the rest alone, and all of it is compared."""
    path = many(tmp_path / "export.jsonl")
    submit, count = IngestQueue.submit, 0

    def failing(self: IngestQueue, batch: Any, **said: Any) -> Any:
        nonlocal count
        count += 1
        if count == 2:
            raise OSError("the power went")
        return submit(self, batch, **said)

    monkeypatch.setattr(IngestQueue, "submit", failing)
    with pytest.raises(OSError, match="the power went"):
        import_files("langfuse", [path], store)
    monkeypatch.setattr(IngestQueue, "submit", submit)
    found = import_files("langfuse", [path], store)
    assert outcome(found) == (1_700, 0, {}, [])
    assert found.here == Totals(900, 2_700, 9_000, pytest.approx(0.9))


def test_a_file_that_ends_early_is_told_and_can_be_taken_up_again(store: Store, tmp_path: Path) -> None:
    """Of a gzip file that was cut off what came before is stored; the whole one brings the rest, and nothing twice."""
    whole = gzip.compress(many(tmp_path / "export.jsonl", 60).read_bytes())
    path = tmp_path / "export.jsonl.gz"
    path.write_bytes(whole[:-200])
    source = SOURCES["openllmetry"]  # notes nothing first, so the end is met while writing
    assert source.note is None
    with pytest.raises(UnreadableFileError, match="cannot be read on"):
        import_files("langfuse", [path], store)
    path.write_bytes(whole)
    assert outcome(import_files("langfuse", [path], store)) == (180, 0, {}, [])


@pytest.mark.parametrize("length", [0, 3, 4, 100, 2_000])
def test_a_parquet_file_that_was_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    """Whatever is left of it, the error names the file and what to do."""
    path = tmp_path / "cut.parquet"
    path.write_bytes((DATA / "phoenix_spans.parquet").read_bytes()[:length])
    if length == 0:
        assert list(records(path)) == []
    else:
        with pytest.raises(UnreadableFileError, match=r"cut\.parquet"):
            list(records(path))


def test_odd_records_cost_themselves_alone(store: Store, tmp_path: Path) -> None:
    """What is no object, no observation or of no time is left out, counted by its reason; its neighbours come in."""
    good = {
        "id": "a",
        "trace_id": "t",
        "type": "SPAN",
        "start_time": "2026-09-21 13:20:00",
        "end_time": "2026-09-21 13:20:01",
    }
    odd: list[Any] = [
        good,
        [1],
        "x",
        {"id": 1},
        {**good, "id": "b", "start_time": "soon"},
        {**good, "id": "c", "start_time": "1970-01-02"},
    ]
    path = tmp_path / "odd.jsonl"
    path.write_text("\n".join(map(json.dumps, odd)) + "\n{cut")
    found = import_files("langfuse", [path], store)
    assert dict(found.skipped) == {
        "a record is no JSON object": 3,
        "no observation of Langfuse: id, trace_id or start_time is missing, or is none": 2,
        "a span's times are before the year 2000; set the sender's clock": 1,
    }
    assert (found.new_spans, [str(each) for each in found.differences]) == (1, ["spans: 2 in the source, 1 here"])


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = (
    "id trace_id traceId parent_observation_id type name start_time end_time input output usage usage_details cost_details total_cost "
    "metadata model_parameters completion_start_time tags level run_type extra inputs outputs events dotted_order error "
    "total_tokens prompt_token_details context attributes span_kind parent_id resourceSpans attributes.metadata timestamp observations "
    "scores data_type dataType value string_value config_id source comment created_at annotator_kind span_id result annotation_name key "
    "score run_id"
).split()


@pytest.mark.parametrize("kind", sorted(SOURCES))
@settings(max_examples=40)
@given(record=st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=12), whole=st.booleans())
def test_no_record_breaks_a_translation(kind: str, record: dict[str, Any], whole: bool) -> None:
    """Whatever stands in the fields, a record becomes spans and marks with valid ids, or is refused with a reason."""
    if whole:
        record |= {"id": "a", "trace_id": "t", "start_time": START, "run_type": "llm", "type": "GENERATION"}
        record |= {"context.trace_id": "t", "context.span_id": "s"}
    source, context = SOURCES[kind], Context()
    if source.note is not None:
        source.note(record, context)
    try:
        told = [*source.tell(record, context), *source.left(context, {"0" * 32: {span_id("s"): False}})]
    except Untellable:
        return
    for one in told:
        if isinstance(one, Judged):
            assert (len(one.trace_id), len(one.mark.span_id or "0" * 16)) == (32, 16)
        else:
            assert (len(one.span.trace_id), len(one.span.span_id)) == (32, 16)


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2200, 1, 1)))
def test_a_moment_is_the_same_however_it_is_written(moment: datetime) -> None:
    """ISO text with and without a zone, a ``datetime``, and microseconds or nanoseconds since 1970."""
    ns = moment_ns(moment.replace(tzinfo=UTC))
    assert ns is not None
    assert [moment_ns(form) for form in (moment, moment.isoformat(), f"{moment.isoformat()}Z", str(moment), ns)] == [
        ns
    ] * 5


def test_nested_text_is_no_way_in(tmp_path: Path) -> None:
    """A line nested deeper than a walk can take is one bad record, wherever it stands."""
    path = tmp_path / "deep.jsonl"
    path.write_text('{"id": 1}\n' + '{"a":' * 5_000 + "1" + "}" * 5_000 + '\n{"id": 2}\n')
    found = list(records(path))
    assert [type(record) for record in found] == [dict, UnreadableRecord, dict]


def test_internal_failures_are_told(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record on which the translation fails is left out by the name of its error, and the rest comes in."""
    path = many(tmp_path / "export.jsonl", 2)
    tell, calls = SOURCES["langfuse"].tell, random.Random(0)

    def failing(record: Any, context: Context) -> Any:
        if record["id"] == "0-1":
            raise KeyError(calls.random())
        return tell(record, context)

    monkeypatch.setitem(SOURCES, "langfuse", SOURCES["langfuse"]._replace(tell=failing))
    monkeypatch.setattr(guard, "strict", False, raising=False)
    seen: list[str] = []
    monkeypatch.setattr("ai_dev_squad_dashboard.imported.importing.report", lambda what, error: seen.append(what))
    found = import_files("langfuse", [path], store)
    assert (found.new_spans, dict(found.skipped)) == (5, {"a record could not be read (KeyError)": 1})
    assert seen == ["importing a record of Langfuse"]
