"""What other products know of what somebody thinks of a run comes in as marks: once, and with their own totals.

The samples in ``data/imports`` are Langfuse's scores as the models of its SDK write them, and Phoenix's annotations as the types of its
API have them and as its client makes a dataframe of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad_dashboard import cli
from ai_dev_squad_dashboard.imported.importing import Imported, import_files
from ai_dev_squad_dashboard.store import Store, open_store
from ai_dev_squad_dashboard.store.base import Selection
from ai_dev_squad_dashboard.store.marks import EVENT, mark_of

DATA = Path(__file__).parent / "data" / "imports"
OF_A_SESSION = "a score of a session or of a dataset's run, which is of no trace"
ELSEWHERE = "an annotation of a span that is not in these files; name the file with its spans as well"


@pytest.fixture
def store(tmp_path: Path):
    opened = open_store(tmp_path / "store.duckdb")
    yield opened
    opened.close()


def marks(store: Store) -> list[tuple[Any, ...]]:
    """The marks as they are stored, by time: trace, operation, name, score, label, comment, who."""
    page = store.logs(Selection(0, 1 << 60), event_types=(EVENT,))
    found = [(line.trace_id, mark_of(line)) for line in sorted(page.rows, key=lambda line: line.time_us)]
    return [(trace, mark.span_id, mark.name, mark.score, mark.label, mark.comment, mark.by) for trace, mark in found]


def outcome(found: Imported) -> tuple[int, float, dict[str, int], list[str]]:
    return found.here.marks, found.here.scores, dict(found.skipped), [str(each) for each in found.differences]


ONE, TWO = f"{1:032x}", f"{2:032x}"
OF_LANGFUSE = [
    (ONE, None, "faithful", 0.75, None, "cites its source", None),
    (ONE, f"{3:016x}", "tone", -2.5, None, None, None),
    (TWO, None, "helpful", 1.0, "True", None, "ada"),
    (TWO, None, "length", None, "too long", None, None),
    (ONE, None, "verdict", 2.0, "good", None, "bob"),
    (TWO, None, "note", None, None, "The bread was stale.", None),
    (TWO, None, "output", None, None, "Buy rye.", "ada"),
]


def test_scores_of_langfuse_are_marks(store: Store) -> None:
    """Each kind of score says what it says there: numbers, truth, categories with and without a number, texts, corrections. A score of
    a session is left out and told; a second import adds nothing.
    """
    files = [DATA / "langfuse_api.jsonl", DATA / "langfuse_scores.jsonl"]
    for _ in range(2):
        assert outcome(import_files("langfuse", files, store)) == (7, 1.25, {OF_A_SESSION: 1}, [])
        assert marks(store) == OF_LANGFUSE


def test_langfuses_exports_of_scores_say_the_same_as_its_api(store: Store, tmp_path: Path) -> None:
    """In snake case and without a zone, as blob storage has them; and below their trace, as the API's traces have them."""
    api = [json.loads(line) for line in (DATA / "langfuse_scores.jsonl").read_text().splitlines()]
    names = {"traceId": "trace_id", "observationId": "observation_id", "dataType": "data_type"}
    names |= {"stringValue": "string_value", "configId": "config_id", "authorUserId": "author_user_id"}
    rows = [
        {names.get(key, key): value for key, value in score.items()}
        | {"timestamp": score["timestamp"].removesuffix("Z")}
        for score in api
        if "traceId" in score
    ]
    exported = tmp_path / "scores"
    exported.mkdir()
    (exported / "1.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert outcome(import_files("langfuse", [exported / "1.jsonl"], store)) == (7, 1.25, {}, [])
    assert marks(store) == OF_LANGFUSE
    below = [
        {
            "id": trace,
            "timestamp": "2026-09-21T13:20:00Z",
            "scores": [each for each in api if each.get("traceId") == trace],
        }
        for trace in (ONE, TWO)
    ]
    (tmp_path / "traces.json").write_text(json.dumps({"data": below}))
    other = open_store(tmp_path / "other.duckdb")
    assert outcome(import_files("langfuse", [tmp_path / "traces.json"], other)) == (7, 1.25, {}, [])
    assert marks(other) == OF_LANGFUSE
    other.close()


FIRST, SECOND = "68b006705e7c4c3d7424fdbe322e972f", "c06122c769a369d23d91243bc209f525"
OF_PHOENIX = [
    (FIRST, "b81b100e99a49e75", "faithful", 1.0, "faithful", "cites its source", None),
    (SECOND, "0e29b8decd5d4d69", "faithful", 0.0, "made up", None, None),
    (FIRST, "31c79abfec4286f3", "helpful", None, "good", None, "VXNlcjox"),
    (FIRST, "6d67a69af0dd84b7", "latency", 0.25, None, None, None),
]


@pytest.mark.parametrize("name", ["phoenix_span_annotations.json", "phoenix_annotations.parquet"])
@pytest.mark.parametrize("spans_come_first", [True, False])
def test_annotations_of_phoenix_find_the_trace_of_their_span(store: Store, name: str, spans_come_first: bool) -> None:
    """Of spans, by the API or the client's dataframe, which say no trace: they come in with the spans, in whatever order of files."""
    files = [DATA / "phoenix_spans.parquet", DATA / name]
    found = import_files("phoenix", files if spans_come_first else files[::-1], store)
    assert outcome(found) == (4, 1.25, {}, [])
    assert marks(store) == OF_PHOENIX


def test_annotations_of_traces_come_by_themselves(store: Store) -> None:
    """A trace's annotation says of which trace; a span's that is nowhere to be found is left out and told."""
    files = [DATA / "phoenix_trace_annotations.json", DATA / "phoenix_span_annotations.json"]
    assert outcome(import_files("phoenix", files, store)) == (1, 1.0, {ELSEWHERE: 4}, [])
    assert marks(store) == [(SECOND, None, "solved", 1.0, None, None, "VXNlcjox")]


def test_feedback_of_langsmith_is_a_mark(store: Store, tmp_path: Path) -> None:
    """As its API lists it: the key is what was judged, a value in words the label."""
    from langsmith.schemas import Feedback

    def feedback(**said: Any) -> dict[str, Any]:
        ids = {"id": f"{5:032x}", "run_id": f"{3:032x}", "trace_id": ONE, "created_at": "2026-09-21T13:25:00Z"}
        return dict(json.loads(Feedback(**{**ids, "modified_at": ids["created_at"], **said}).model_dump_json()))

    path = tmp_path / "feedback.jsonl"
    rows = [
        feedback(key="correct", score=True),
        feedback(key="correct", score=0.5, comment="half of it", created_at="2026-09-21T13:26:00Z"),
        feedback(key="tone", value="kind", created_at="2026-09-21T13:27:00Z"),
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert outcome(import_files("langsmith", [path], store)) == (3, 1.5, {}, [])
    assert [(trace, *rest[1:5]) for trace, *rest in marks(store)] == [
        (ONE, "correct", 1.0, None, None),
        (ONE, "correct", 0.5, None, "half of it"),
        (ONE, "tone", None, "kind", None),
    ]


def test_what_is_said_twice_within_a_second_counts_once_on_both_sides(store: Store, tmp_path: Path) -> None:
    """Two records that say the same of the same at one moment are one mark, and no difference; a minute later it is another one."""
    first = json.loads((DATA / "langfuse_scores.jsonl").read_text().splitlines()[0])
    path = tmp_path / "scores.jsonl"
    later = first | {"id": "c", "timestamp": "2026-09-21T13:26:01Z"}
    path.write_text("\n".join(map(json.dumps, [first, first | {"id": "b"}, later])))
    found = import_files("langfuse", [path], store)
    assert (outcome(found), found.repeated) == ((2, 1.5, {}, []), 1)


def test_marks_are_told_and_what_is_no_mark_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How many came, what their scores add up to, and why a record was left out; with ``--json`` as numbers."""
    arguments = ["import", "langfuse", str(DATA / "langfuse_scores.jsonl"), "--db", str(tmp_path / "a.duckdb")]
    assert cli.main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-2:] == ["7 marks, whose scores add up to 1.25", "the same as in the source"]
    assert f"1 left out: {OF_A_SESSION}" in captured.err
    cli.main([*arguments, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (said["source"]["marks"], said["here"]["marks"], said["here"]["scores"]) == (7, 7, 1.25)


@pytest.mark.parametrize(
    "kind, record, reason",
    [
        ("langfuse", {"id": "s", "traceId": ONE, "source": "API", "name": "x", "value": 1}, "without a moment"),
        ("langfuse", {"traceId": ONE, "dataType": "NEWEST", "timestamp": "2026-09-21T13:25:00Z"}, "unknown kind"),
        ("langfuse", {"traceId": ONE, "dataType": "NUMERIC", "timestamp": "2026-09-21T13:25:00Z"}, "without a score"),
        ("phoenix", {"annotator_kind": "LLM", "session_id": "s"}, "of a session"),
        ("phoenix", {"annotator_kind": "LLM", "trace_id": ONE, "result": {"score": 1}}, "without a moment"),
        ("phoenix", {"annotator_kind": "LLM", "trace_id": ONE, "created_at": "2026-09-21T13:25:00Z"}, "without a score"),
        ("langsmith", {"key": "x", "score": 1}, "without trace_id"),
    ],
)  # fmt: skip
def test_a_record_that_is_no_mark_costs_itself(
    store: Store, tmp_path: Path, kind: str, record: dict[str, Any], reason: str
) -> None:
    """It is left out with the reason, and nothing else is."""
    path = tmp_path / "odd.jsonl"
    path.write_text(json.dumps(record))
    found = import_files(kind, [path], store)
    assert (found.here.marks, len(found.skipped), found.differences) == (0, 1, [])
    assert reason in next(iter(found.skipped))
