"""The pages about runs, over a store with the sample runs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ai_dev_squad_dashboard.app import create_app, running
from ai_dev_squad_dashboard.page import NotFoundError, Site
from ai_dev_squad_dashboard.query import Query, QueryError
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import Store, open_memory_store
from ai_dev_squad_dashboard.trace_export import create_blueprint
from ai_dev_squad_dashboard.views import compare, span, story, trace, traces
from ai_dev_squad_dashboard.views.texts import Text

sys.path.insert(0, str(Path(__file__).parent))

from sample import HOSTILE, STACK, Run, huge_content, sample, trace_id

# The application answers by the machine's clock.
NOW = int(time.time() * 1_000_000)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store with the sample, less the long trace and most of the everyday runs."""
    store = open_memory_store()
    for batch in sample(NOW, runs=6, long_spans=0):
        store.write(batch)
    yield store
    store.close()


@pytest.fixture(scope="module")
def site(store: Store) -> Site:
    """What pages ask; they need no queue and no settings here."""
    return Site(store, None, None, tuple)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A browser's view of an application over the sample."""
    store = open_memory_store()
    for batch in (*sample(NOW, runs=0, long_spans=0), huge_content(NOW, mib=2)):
        store.write(batch)
    app = create_app(DashboardSettings(db=tmp_path_factory.mktemp("db") / "store"), store=store, follow=False)
    with_export(app, store)
    yield app.test_client()
    running(app).close()


def with_export(app: Flask, store: Store) -> None:
    """The route of downloads, where the application has not registered it itself."""
    if "trace_export" not in app.blueprints:
        app.register_blueprint(create_blueprint(Site(store, None, None, tuple)))  # type: ignore[arg-type]


def asked(**arguments: str) -> Query:
    """A URL's arguments, at the sample's moment."""
    return Query.parse(list({"range": "7d", **arguments}.items()), clock=lambda: NOW / 1_000_000)


def names(view: traces.TracesView) -> list[str]:
    """Names of the runs of a page."""
    return [row.name for row in view.rows]


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({"status": "interrupted"}, {"interrupted"}),
        ({"status": "cancelled"}, {"cancelled"}),
        ({"operation": "retrieval"}, {"retried"}),
        ({"tool": "run_tests", "status": "error"}, {"failed"}),
        ({"tool": "run_tests", "status": "failed_step"}, {"everyday-4"}),
        ({"min_calls": "6", "min_spans": "9", "min_tokens": "70000.5", "min_errors": "1"}, {"retried"}),
        ({"min_duration_ms": "30000"}, {"failed"}),
        ({"min_cost_usd": "0.2"}, {"retried"}),
        ({"q": "PYTEST timed"}, {"failed"}),
        ({"q": "picture CHART"}, {"multimodal"}),
        ({"q": "nobody wrote this"}, set()),
        ({"framework": "openai_agents"}, {"foreign"}),
        ({"session": "approval-7"}, {"interrupted", "resumed"}),
    ],
    ids=str,
)
def test_each_filter_of_the_list_finds_its_runs(site, arguments, expected):
    """Status, operation, tool, duration, cost, text in names, errors and content, and the common filters."""
    view = traces.build(site, asked(**arguments))
    assert {row.trace_id for row in view.rows} == {trace_id(key) for key in expected}


def test_pages_of_the_list_follow_one_another_without_gap_or_repetition(site):
    """Walking by cursor gives every run once, newest first."""
    whole = [row.trace_id for row in traces.build(site, asked(limit="200")).rows]
    walked, cursor = [], ""
    while cursor is not None:
        page = traces.build(site, asked(limit="4", cursor=cursor))
        walked += [row.trace_id for row in page.rows]
        cursor = page.next
    assert walked == whole
    assert len(whole) == len(set(whole)) == 24


def test_a_run_in_which_something_runs_is_called_by_its_outermost_operation(site):
    """Its root has not ended, so the row itself knows a name of what did."""
    view = traces.build(site, asked())
    assert view.active == {trace_id("running"): "DevSquad"}
    assert view.running == ()


def test_a_run_of_which_nothing_has_ended_stands_above_the_list(site):
    """It is shown without filters, and with those that its beginning can answer."""
    store = open_memory_store()
    run = Run("begun", "crewai", NOW - 5_000_000, session="s1")
    run.open("invoke_agent", "writer", run.open("invoke_workflow", "Crew", None, 0), 1)
    store.write(run.batch)
    begun = Site(store, None, None, tuple)  # type: ignore[arg-type]
    expected = traces.RunningTrace(trace_id("begun"), "Crew", "crewai", "s1", NOW - 5_000_000, 2)
    assert traces.build(begun, asked()).running == (expected,)
    assert traces.build(begun, asked(framework="crewai", session="s1")).running == (expected,)
    assert traces.build(begun, asked(framework="autogen")).running == ()
    assert traces.build(begun, asked(model="gpt-4o")).running == ()
    assert traces.build(begun, asked(q="x")).running == ()
    tomorrow = Query.parse([("range", "7d")], clock=lambda: NOW / 1_000_000 + 86_400)
    assert traces.build(begun, tomorrow).running == ()
    view = trace.build(begun, asked(), trace_id=trace_id("begun"))
    assert [(row.name, row.status, row.depth) for row in view.rows] == [
        ("Crew", "running", 0),
        ("writer", "running", 1),
    ]
    assert (view.name, view.status, view.duration_us) == ("Crew", "running", 5_000_000)
    store.close()


def test_what_a_url_cannot_mean_is_refused_with_the_choices(site):
    """An unknown status and a duration that is no number name what is allowed."""
    with pytest.raises(QueryError, match="status='lost' is unknown; use one of ok, error, failed_step, interrupted"):
        traces.build(site, asked(status="lost"))
    with pytest.raises(QueryError, match="min_duration_ms='long' is not a number from 0"):
        traces.build(site, asked(min_duration_ms="long"))


def test_a_failed_run_leads_to_where_it_failed(site):
    """The tool whose error ended the run is selected, then comes the error that was dealt with; the time went to the tool."""
    view = trace.build(site, asked(), trace_id=trace_id("failed"))
    assert [failure.name for failure in view.failures] == ["run_tests", "read_file"]
    assert (view.status, view.running, view.partial, view.truncated, view.links) == ("error", 0, False, False, ())
    assert (view.waits[0].name, view.waits[0].wait_us) == ("run_tests", 30_020_000)
    selected = view.selected
    assert selected is not None
    assert (selected.name, selected.error_type, selected.stacktrace) == (
        "run_tests",
        "TimeoutExpired",
        Text(STACK, len(STACK)),
    )
    assert selected.input == Text('{\n  "command": "pytest -q",\n  "timeout": 30\n}', 45, json=True)
    assert [line.event_type for line in selected.lines] == ["tool.call", "custom.event", "tool.result"]
    assert not selected.wants_content


def test_the_url_chooses_the_operation(site):
    """``span`` names it; one that is not there selects nothing."""
    rows = trace.build(site, asked(), trace_id=trace_id("failed")).rows
    chosen = trace.build(site, asked(span=rows[1].span_id), trace_id=trace_id("failed"))
    assert chosen.selected is not None
    assert chosen.selected.span_id == rows[1].span_id
    assert trace.build(site, asked(span="f" * 16), trace_id=trace_id("failed")).selected is None


def test_an_interrupted_run_and_its_resumption_are_one_tree(site):
    """Whichever of its traces is opened: what came after the interruption stands below the same root, without the time it waited."""
    view = trace.build(site, asked(), trace_id=trace_id("interrupted"))
    assert view.rows == trace.build(site, asked(), trace_id=trace_id("resumed")).rows
    told = [(row.name, row.depth, row.part, row.at_us, row.resumed_after_us) for row in view.rows]
    assert told == [
        ("dev-squad", 0, 0, 0, None),
        ("gpt-4o", 1, 0, 100000, None),
        ("approval", 1, 0, 1600000, None),
        ("approval", 1, 1, 1710000, 1738300000),
        ("gpt-4o-mini", 1, 1, 1800000, None),
    ]
    assert [part.trace_id for part in view.parts] == [trace_id("interrupted"), trace_id("resumed")]
    assert (view.status, view.duration_us, view.waited_us, view.links) == ("ok", 2_900_000, 1_738_300_000, ())
    assert (view.row.calls, view.row.input_tokens) == (2, 1600)


def test_details_of_a_resumed_run_come_from_the_trace_they_are_in(site):
    """An operation of the later part, and the root of that part, which is no row of its own."""
    view = trace.build(site, asked(), trace_id=trace_id("interrupted"))
    later, root = view.rows[3].span_id, view.parts[1].root_span_id
    for span_id in (later, root):
        shown = trace.build(site, asked(span=span_id), trace_id=trace_id("interrupted")).selected
        assert shown is not None
        assert (shown.trace_id, shown.span_id) == (trace_id("resumed"), span_id)


def test_a_model_call_shows_what_it_used_and_which_price_says_so(site):
    """Tokens, cache, cost, price with source and date; speed counts from the first chunk."""
    view = trace.build(site, asked(), trace_id=trace_id("turn-3"))
    call = span.build(site, asked(), trace_id=trace_id("turn-3"), span_id=view.rows[1].span_id)
    assert call.usage == span.Usage(
        source="provider",
        input_tokens=3300,
        output_tokens=240,
        cache_read_tokens=3072,
        cache_write_tokens=None,
        reasoning_tokens=0,
        cost_usd=pytest.approx(0.0052056),
        cost_reason=None,
        price="anthropic/claude-sonnet-4-5",
        price_date="2026-11-01",
        price_source="genai-prices",
        cache_saving_usd=pytest.approx(0.0082944),
        tokens_per_s=pytest.approx(240 / 1.49),
    )
    assert (call.first_chunk_us, call.duration_us) == (310_000, 1_800_000)
    assert call.conversation is not None
    assert [message.role for message in call.conversation.messages] == ["user", "assistant"] * 4


def test_a_call_without_content_says_how_to_capture_it(site, client):
    """Model calls and tools want content; the page names the setting."""
    view = trace.build(site, asked(), trace_id=trace_id("retried"))
    call = next(row for row in view.rows if row.name == "squad-tuned-7b")
    shown = span.build(site, asked(), trace_id=trace_id("retried"), span_id=call.span_id)
    assert (shown.wants_content, shown.conversation) == (True, None)
    assert shown.usage is not None
    assert (shown.usage.cost_usd, shown.usage.cost_reason) == (None, "no price is known for openai/squad-tuned-7b")
    page = client.get(f"/traces/{trace_id('retried')}/spans/{call.span_id}").text
    assert "AI_DEV_SQUAD_CAPTURE_CONTENT=1" in page
    assert "no price is known for openai/squad-tuned-7b" in page


def test_a_running_operation_can_be_looked_at(site):
    """Its opening line is there, and that it has not ended."""
    rows = trace.build(site, asked(), trace_id=trace_id("running")).rows
    assert [row.status for row in rows] == ["running", "running", "ok", "running"]
    shown = span.build(site, asked(), trace_id=trace_id("running"), span_id=rows[0].span_id)
    assert (shown.name, shown.status, shown.usage, shown.wants_content) == ("DevSquad", "running", None, False)


def test_what_is_not_there_is_said_to_be_missing(site):
    """A trace, a span and nonsense instead of ids."""
    for arguments in ({"trace_id": "0" * 31 + "1"}, {"trace_id": "../etc"}):
        with pytest.raises(NotFoundError, match="is not in the store"):
            trace.build(site, asked(), **arguments)
    with pytest.raises(NotFoundError, match="span zzz of trace"):
        span.build(site, asked(), trace_id=trace_id("failed"), span_id="zzz")


def test_a_trace_whose_root_is_missing_says_so(site):
    """Its operations stand at the top, and the page tells that part has not arrived."""
    view = trace.build(site, asked(), trace_id=trace_id("partial"))
    assert view.partial
    assert [(row.name, row.depth, row.orphan) for row in view.rows] == [("coder", 0, True), ("gpt-4o-mini", 1, False)]


def chosen(*keys: str, **arguments: str) -> Query:
    """The address of a comparison of runs of the sample."""
    ids = [("t", trace_id(key)) for key in keys]
    return Query.parse([*ids, *arguments.items()], clock=lambda: NOW / 1_000_000)


def test_runs_of_different_frameworks_are_compared_by_turns_of_agents(site):
    """What each framework wraps around the work is left out unless the URL asks for the tree."""
    view = compare.build(site, chosen("everyday-3", "everyday-4", "everyday-5"))
    shown = [([cell and cell.name for cell in row.cells], row.verdict) for row in view.rows]
    assert (view.by, view.missing, view.different, view.parting) == ("agents", 4, 1, 5)
    assert shown == [
        (["dev-squad", "DevSquad", "GraphFlow"], "same"),
        (["planner"] * 3, "same"),
        (["gpt-4o"] * 3, "same"),
        (["coder"] * 3, "same"),
        (["gpt-4o-mini"] * 3, "same"),
        (["read_file"] * 3, "status"),
        ([None, "gpt-4o-mini", "gpt-4o-mini"], "missing"),
        ([None, "run_tests", "run_tests"], "missing"),
        ([None, None, "gpt-4o-mini"], "missing"),
        ([None, None, "run_tests"], "missing"),
        (["reviewer"] * 3, "same"),
        (["o4-mini"] * 3, "same"),
    ]
    assert view.measures[4] == compare.Measure("Model calls", "", (3, 4, 5))
    only = compare.build(site, chosen("everyday-3", "everyday-4", "everyday-5", rows="differ"))
    assert [row.depth for row in only.rows] == [0, 1, 2, 2, 2, 2, 2]
    assert (only.operations, only.parting) == (12, 2)
    assert compare.build(site, chosen("everyday-3", "everyday-4", by="tree")).by == "tree"


def test_an_interrupted_run_is_compared_with_its_resumption(site):
    """Whichever of its traces is chosen, the run is whole: all its tokens, its time at work, and how it ended."""
    for keys in (("everyday-0", "interrupted"), ("everyday-0", "resumed"), ("everyday-0", "resumed", "interrupted")):
        view = compare.build(site, chosen(*keys, by="tree"))
        run = view.runs[1].run
        assert len(view.runs) == 2
        assert [part.trace_id for part in run.parts] == [trace_id("interrupted"), trace_id("resumed")]
        assert (run.row.status, run.row.calls, run.row.input_tokens) == ("ok", 2, 1600)
        assert (run.row.duration_us, run.waited_us) == (2_900_000, 1_738_300_000)
        root = view.rows[0].cells[1]
        assert root is not None
        assert (root.status, root.duration_us, root.model_calls, root.below) == ("ok", 2_900_000, 2, 4)


def test_what_was_asked_and_answered_is_compared(site):
    """The first question and the last answer of each run, where content was captured."""
    view = compare.build(site, chosen("turn-1", "everyday-3"))
    (asked, answered), silent = [(run.asked, run.answered) for run in view.runs]
    assert asked is not None
    assert answered is not None
    assert asked.text == "Question 2: what does the module do?"
    assert answered.text.startswith("Answer 2: it reads dates.")
    assert silent == (None, None)


def test_fewer_than_two_runs_lead_to_what_can_be_chosen(site):
    """One is offered runs that are like it, none the newest ones; the same run twice is one run."""
    none = compare.build(site, chosen())
    assert (none.runs, none.rows, len(none.newest)) == ((), (), 12)
    one = compare.build(site, chosen("everyday-3", "everyday-3"))
    assert (len(one.runs), one.rows, one.newest) == (1, (), ())
    assert {related.relation for related in one.offered} == {"session", "later", "framework"}
    assert trace_id("everyday-3") not in {related.row.trace_id for related in one.offered}


def test_more_than_six_runs_and_runs_that_are_not_there_are_refused(site):
    """The message says how many, and what to do."""
    with pytest.raises(QueryError, match="7 runs were chosen; 6 can be compared"):
        compare.build(site, Query.parse([("t", str(number)) for number in range(7)]))
    with pytest.raises(NotFoundError, match="is not in the store"):
        compare.build(site, Query.parse([("t", "f" * 32)]))


def test_a_run_is_told_in_steps(site):
    """Who did what in order, what went wrong, and how long it waited for a person before it went on."""
    view = story.build(site, asked(), trace_id=trace_id("resumed"))
    told = [
        (step.agent, [(used.name, used.times) for used in step.models], step.waited_before_us) for step in view.steps
    ]
    assert told == [
        ("planner", [("gpt-4o", 1)], 0),
        ("approval", [], 0),
        ("writer", [("gpt-4o-mini", 1)], 1_738_300_000),
    ]
    failed = story.build(site, asked(), trace_id=trace_id("failed"))
    (coder,) = [step for step in failed.steps if step.agent == "coder"]
    assert coder.models == (story.Used("gpt-4o-mini", 2),)
    assert [(mishap.name, mishap.error_type) for mishap in coder.mishaps] == [
        ("read_file", "FileNotFoundError"),
        ("run_tests", "TimeoutExpired"),
    ]
    assert failed.mishaps == 2
    assert failed.asked is not None
    assert failed.asked.text == "Issue: Retry uploads"
    with pytest.raises(NotFoundError, match="is not in the store"):
        story.build(site, asked(), trace_id="f" * 32)


class Elements(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]


def elements(page: str) -> Elements:
    """Parse a page as a browser would, roughly."""
    parser = Elements()
    parser.feed(page.split("<main", 1)[1])
    return parser


@pytest.mark.parametrize(
    "of", ["/traces?range=7d", "trace", "spans", "/compare?t={0}", "/compare?t={0}&t={1}", "/traces/{0}/story"]
)
def test_hostile_text_stays_text_on_every_page(client, of):
    """No element, attribute or address of anybody else's, no control character and no mark that reorders."""
    own = trace_id("hostile")
    if of == "spans":
        view: Any = client.get(f"/api/traces/{own}").json
        paths = [f"/traces/{own}/spans/{row['span_id']}" for row in view["rows"]]
    else:
        paths = [f"/traces/{own}" if of == "trace" else of.format(own, trace_id("failed"))]
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200
        found = elements(answer.text)
        assert found.tags.isdisjoint({"script", "img", "style", "i", "u", "iframe"})
        assert {name for name in found.attributes if name.startswith("on") or name == "style"} == set()
        assert all(link.startswith(("/", "#", "?")) for link in found.links)
        assert not set("\x1b\x00\x07\u202e\u2066\u200b") & set(answer.text)
        assert "49 " not in answer.text.split("template", 1)[-1][:80]


def test_every_kind_of_message_part_is_shown(client):
    """Text, media as placeholders, reasoning, calls, results, and a part of a kind that nobody knows."""
    own = trace_id("multimodal")
    call = client.get(f"/api/traces/{own}").json["rows"][1]["span_id"]
    page = client.get(f"/traces/{own}/spans/{call}").text
    for words in (
        "What is on the picture?",
        "image · image/png",
        "document · https://example.com/report.pdf",
        "something-new",
        "Reasoning",
        "read_chart",
        "web_search",
        "&#34;axis&#34;: &#34;years&#34;",
        "A chart of three years.",
    ):
        assert words in page
    # The picture waits for its reader.
    assert page.count("iVBORw0KGgo") == page.count('data-markdown="![picture](data:image/png;base64,iVBORw0KGgo') == 1


def test_content_of_megabytes_is_cut_on_the_page_and_whole_in_the_download(client):
    """The page stays small and says how much is missing; the download has every character."""
    own = trace_id("huge")
    view = client.get(f"/api/traces/{own}").json
    page = client.get(f"/traces/{own}/spans/{view['rows'][1]['span_id']}")
    assert len(page.data) < 120_000
    assert "more characters are in" in page.text
    download = client.get(f"/api/traces/{own}/export")
    assert download.headers["Content-Disposition"] == f'attachment; filename="trace-{own}.json"'
    spans = json.loads(download.data)["spans"]
    assert max(len(str(item.get("details", {}).get("output", ""))) for item in spans) > 2_000_000


def test_the_download_has_the_whole_trace(client):
    """The row, every span with its details, every line, what still runs; a trace that is not there is 404."""
    for key in ("failed", "running", "hostile"):
        own = trace_id(key)
        download = json.loads(client.get(f"/api/traces/{own}/export").data)
        batches = [
            batch for batch in sample(NOW, runs=0, long_spans=0) if any(row.trace_id == own for row in batch.spans)
        ]
        (batch,) = batches
        expected = {row.span_id: json.loads(row.details or b"{}") for row in batch.spans}
        assert {item["span_id"]: item["details"] for item in download["spans"]} == expected
        assert len(download["logs"]) == len(batch.logs)
        assert {item["span_id"] for item in download["running"]} == {row.span_id for row in batch.opened}
        assert download["trace"]["trace_id"] == own
    assert client.get("/api/traces/0/export").status_code == 404


def test_an_empty_list_teaches_the_next_step(tmp_path):
    """Without runs it shows how to observe one; with filters it offers to remove them."""
    app = create_app(DashboardSettings(db=tmp_path / "store"), store=open_memory_store(), follow=False)
    browser = app.test_client()
    assert "from ai_dev_squad_langgraph import observe" in browser.get("/traces").text
    assert "Remove all filters" in browser.get("/traces?status=error").text
    running(app).close()


def test_hostile_names_are_in_the_sample():
    """What the tests above look for is there."""
    run = next(
        batch
        for batch in sample(NOW, runs=0, long_spans=0)
        if batch.spans and batch.spans[0].trace_id == trace_id("hostile")
    )
    assert any(row.name == HOSTILE["html"] for row in run.spans)


def test_clocks_that_differ_and_ids_that_clash_are_told(client: FlaskClient) -> None:
    """From OTLP to the page: an hour ahead, set back, and a second span of an id; nothing of it stretches the run."""
    begin = NOW - 60_000_000

    def sent(number: int, parent: int, name: str, start_us: int, lasted_us: int) -> dict[str, Any]:
        times = {"startTimeUnixNano": str(start_us * 1000), "endTimeUnixNano": str((start_us + lasted_us) * 1000)}
        above = {"parentSpanId": f"{parent:016x}"} if parent else {}
        return {"traceId": trace_id("clocks"), "spanId": f"{number:016x}", "name": name, **above, **times}

    spans = [
        sent(1, 0, "the run", begin, 1_000_000),
        sent(2, 1, "another machine", begin + 3_600_000_000, 400_000),
        sent(3, 1, "set back", begin + 1000, -250_000),
        sent(3, 1, "not unique", begin + 5_000_000, 7),
    ]
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    assert client.post("/v1/traces", json=body).status_code == 200

    page = client.get(f"/traces/{trace_id('clocks')}").text
    for words in (
        "1 operation says that it began before its parent",
        "clock ahead 1 h 00 m",
        "1 operation ended before it began",
        "1 span came with the id of another one and is not here",
    ):
        assert words in page
    view = client.get(f"/api/traces/{trace_id('clocks')}").json
    assert [(row["name"], row["duration_us"]) for row in view["rows"]] == [
        ("the run", 1_000_000), ("set back", 0), ("another machine", 400_000),
    ]  # fmt: skip
    assert (view["duration_us"], view["row"]["duration_us"], view["row"]["skewed"]) == (1_000_000, 1_000_000, True)
    assert "set back by 250" in client.get(f"/traces/{trace_id('clocks')}/spans/{3:016x}").text
    assert "1 span came with the id of another one and was left out" in client.get("/health").text
    assert "clocks differ" in client.get("/traces?range=1h").text
