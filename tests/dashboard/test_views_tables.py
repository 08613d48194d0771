"""Agents and tools, the frameworks side by side, and the dashboard's own health: whole answers to known numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad import Coverage, JournalLine
from ai_dev_squad.wire.coverage import Unannounced
from ai_dev_squad_dashboard.ingest import from_journal
from ai_dev_squad_dashboard.ingest.journal import JournalState
from ai_dev_squad_dashboard.ingest.queue import IngestQueue, QueueState
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import StoreError, open_memory_store
from ai_dev_squad_dashboard.store.base import Incident, SearchState
from ai_dev_squad_dashboard.store.rows import Batch, MetricRow, SpanRow
from ai_dev_squad_dashboard.views import agents, health, history
from ai_dev_squad_dashboard.views.agents import Bin, Scale, bins
from ai_dev_squad_dashboard.views.health import Concern, Health
from ai_dev_squad_dashboard.views.parity import runs

SECOND = 1_000_000
NOW = int(datetime(2026, 11, 22, 12, tzinfo=timezone.utc).timestamp()) * SECOND


@pytest.fixture
def site(tmp_path):
    """A site over an empty store; a test writes what it needs."""
    store = open_memory_store()
    queue = IngestQueue(store, max_pending_rows=100)
    yield Site(store, queue, DashboardSettings(db=tmp_path / "d"), sources=tuple)
    queue.close()
    store.close()


def ask(text=""):
    """The query of a URL at the moment of the tests."""
    args = [tuple(part.split("=")) for part in text.split("&") if part]
    return Query.parse(args, clock=lambda: NOW / SECOND)


def span(trace, number, parent, lasts_s, operation, name, framework="langgraph", **more):
    """A span of an hour ago."""
    return SpanRow(
        trace_id=f"{trace:032x}",
        span_id=f"{trace:08x}{number:08x}",
        parent_span_id=None if parent is None else f"{trace:08x}{parent:08x}",
        start_us=NOW - 3600 * SECOND,
        duration_us=round(lasts_s * SECOND),
        name=name,
        operation=operation,
        framework=framework,
        **more,
    )


def test_agents_and_tools_come_with_their_latency_on_one_scale(site):
    """A quick and a slow tool share the picture's ends, and calls without an agent or tool are neither."""
    spans = [span(1, n, 1, 0.001, "execute_tool", "quick", tool="quick") for n in range(2, 6)]
    spans.append(span(1, 6, 1, 1, "execute_tool", "slow", tool="slow", status="error"))
    spans.append(span(1, 7, 1, 2, "invoke_agent", "coder", agent="coder"))
    site.store.write(Batch(spans=[span(1, 1, None, 4, "invoke_workflow", "squad"), *spans]))

    view = agents.build(site, ask())

    named = [
        (member.group.key, member.group.calls, member.group.errors, [b.count for b in member.bins])
        for member in view.tools
    ]
    assert named == [("quick", 4, 0, [4]), ("slow", 1, 1, [1])]
    assert [(member.bins[0].x, member.bins[-1].height) for member in view.tools] == [(0.0, 24.0), (116.0, 24.0)]
    assert [(member.group.key, member.group.calls) for member in view.agents] == [("coder", 1)]
    assert view.tools_scale is not None
    assert view.tools_scale.low_us == pytest.approx(1_000, rel=0.1)
    assert view.tools_scale.high_us == pytest.approx(SECOND, rel=0.1)


def test_a_tool_is_told_over_time_with_what_it_did_in_each_step(site):
    """Two steps of an hour with calls: each has its own latency, and what lies between them has none."""
    early = span(1, 2, 1, 2, "execute_tool", "grep", tool="grep", status="error")
    late = [span(2, n, 1, lasts, "execute_tool", "grep", tool="grep") for n, lasts in ((2, 0.5), (3, 1))]
    other = span(2, 4, 1, 9, "execute_tool", "sed", tool="sed")
    site.store.write(Batch(spans=[early._replace(start_us=NOW - 5 * 3600 * SECOND), *late, other]))

    view = history.build(site, ask("range=7d&by=tool&name=grep"))

    assert (view.by, view.name, view.step_us) == ("tool", "grep", 3600 * SECOND)
    assert (view.group.calls, view.group.errors) == (3, 1)
    assert [(step.start_us, step.calls, step.errors) for step in view.steps] == [
        (NOW - 5 * 3600 * SECOND, 1, 1),
        (NOW - 3600 * SECOND, 2, 0),
    ]
    assert [step.p95_us for step in view.steps] == [
        pytest.approx(2 * SECOND, rel=0.05),
        pytest.approx(SECOND, rel=0.05),
    ]
    drawn = {series.key: series.values[-6:] for chart in (view.calls, view.latency) for series in chart.series}
    p50, p95 = (tuple(getattr(step, name) for step in view.steps) for name in ("p50_us", "p95_us"))
    assert drawn == {
        "ok": (0, 0, 0, 0, 2, 0),
        "failed": (1, 0, 0, 0, 0, 0),
        "p50": (p50[0], None, None, None, p50[1], None),
        "p95": (p95[0], None, None, None, p95[1], None),
    }


def test_a_name_that_nothing_has_is_an_empty_history(site):
    """No steps, no group, and charts with nothing in them."""
    view = history.build(site, ask("by=model&name=nothing"))
    assert (view.steps, view.group, view.cost.total, view.latency.total) == ((), None, 0, 0)


def test_no_agents_are_no_scale(site):
    """An empty page has nothing to measure."""
    assert agents.build(site, ask("order=p95")) == agents.Agents("p95", (), None, (), None, False, False)


def test_a_histogram_is_as_high_as_its_highest_bar():
    """Two calls are drawn twice as high as one, and each bar says what it counts."""
    assert bins([(1_000, 1), (1_000_000, 2)], Scale(1_000, 1_000_000)) == (
        Bin(0.0, 3.25, 12.0, 1, "1 call up to 1.0 ms"),
        Bin(116.0, 3.25, 24, 2, "2 calls up to 1.00 s"),
    )


@given(st.dictionaries(st.integers(0, 10**11), st.integers(1, 10**9), min_size=1, max_size=80))
def test_a_histogram_counts_every_call_and_stays_in_its_picture(counts):
    """Whatever the durations, no call is lost and no bar leaves the picture."""
    latency = sorted(counts.items())
    found = bins(latency, Scale(max(1, latency[0][0]), max(2, latency[-1][0])))

    assert sum(bar.count for bar in found) == sum(counts.values())
    assert all(0 <= bar.x <= 116 and 0 < bar.height <= 24 for bar in found)


def test_frameworks_stand_side_by_side_and_none_is_called_best(site):
    """Whatever runs there were is no comparison: numbers and names stand beside one another."""
    spans = []
    for trace in range(1, 6):
        spans += [
            span(trace, 1, None, 8, "invoke_workflow", "squad", "langgraph", status="error" if trace == 1 else "ok")
        ]
        spans += [span(trace + 10, 1, None, 2, "invoke_workflow", "squad", "crewai")]
    spans += [span(30, 1, None, 1, "invoke_workflow", "swarm", "autogen")]
    for trace, framework in ((1, "langgraph"), (11, "crewai"), (30, "autogen")):
        spans.append(
            span(
                trace,
                2,
                1,
                1,
                "chat",
                "gpt-4o",
                framework,
                model="gpt-4o",
                provider="openai",
                usage_source="provider",
                input_tokens=1000,
                output_tokens=10,
                cost_usd=0.5,
            )
        )
    site.store.write(Batch(spans=spans))

    view = runs.build(site, ask())

    assert [column.framework for column in view.columns] == ["autogen", "crewai", "langgraph"]
    shown = {measure.name: measure.values for measure in view.measures}
    close = {name: tuple(round(v / SECOND, 0) for v in shown[name]) for name in ("A run, p50", "A model call, p95")}
    assert close == {"A run, p50": (1.0, 2.0, 8.0), "A model call, p95": (1.0, 1.0, 1.0)}
    assert {
        name: shown[name] for name in ("Runs", "Runs that succeeded", "Tool calls that failed", "Cost of a run")
    } == {
        "Runs": (1, 5, 5),
        "Runs that succeeded": (1.0, 1.0, 0.8),
        "Tool calls that failed": (None, None, None),
        "Cost of a run": (0.5, 0.1, 0.1),
    }
    assert [(row.name, [cell and (cell.calls, cell.errors) for cell in row.cells]) for row in view.workflows] == [
        ("squad", [None, (5, 0), (5, 1)]),
        ("swarm", [(1, 0), None, None]),
    ]
    assert (view.tasks, view.same) == ((), None)


class Broken:
    """A store that cannot write."""

    def write(self, batch):
        """Fail like a full disk."""
        raise StoreError("the disk is full; make room")

    def mend(self):
        """There is no file."""


def test_health_answers_when_the_store_does_not(site):
    """It is the page that says what is wrong: with the store's own words, and the cure that is in them."""
    site.store.close()
    view = health.build(site, ask())
    assert [(each.kind, each.title, each.cure) for each in view.concerns] == [
        ("bad", "The store does not answer", "the store in memory is closed; open it again with open_store()")
    ]
    assert (view.store.spans, view.metrics, view.behind_us) == (0, (), None)


def test_health_tells_what_became_of_the_stores_file(site):
    """A file that was written anew is worth a word; one of which something is lost is worse, and stands first."""
    state = replace(
        site.store.state(),
        incidents=(Incident(1, "It was written anew.", False), Incident(2, "It was begun anew.", True)),
    )
    search = SearchState(available=False, indexed=0, behind=3, bytes=0, trouble="there is no FTS5")
    known = {"metric_names": lambda: (), "logs": site.store.logs, "search_state": lambda: search}
    site = replace(site, store=SimpleNamespace(state=lambda: state, **known))
    assert [(each.kind, each.title, each.cure.split(".")[0]) for each in health.build(site, ask()).concerns] == [
        ("bad", "It was begun anew.", "What came by OTLP and was in it is lost; what stands in journals is read again"),
        ("warn", "It was written anew.", "Find out what touches the file: only the dashboard may"),
        ("warn", "The search has no index", "There is no FTS5"),
    ]


def test_a_well_dashboard_has_no_concerns(site):
    """The state of the parts as they say it themselves, and nothing to look after."""
    metric = MetricRow(NOW, "gen_ai.client.token.usage", "histogram", "{token}", "svc", 12.0, 3, b"{}")
    site.store.write(Batch(spans=[span(1, 1, None, 1, "invoke_workflow", "squad")], metrics=[metric]))

    view = health.build(site, ask())

    assert view == Health(
        concerns=(),
        queue=site.queue.state(),
        store=site.store.state(),
        search=site.store.search_state(),
        behind_us=3600 * SECOND,
        ahead_us=0,
        sources=(),
        metrics=tuple(site.store.metric_names()),
        forwarded=None,
        limits={
            "retention_days": 30,
            "max_store_mib": None,
            "max_pending_rows": 50_000,
            "max_request_mib": 20,
            "memory_limit_mib": 1024,
        },
        versions=view.versions,
        endpoint="http://127.0.0.1:8080",
        coverage=Coverage(),
        coverage_text="0 of 0 model calls captured",
    )
    assert [metric.name for metric in view.metrics] == ["gen_ai.client.token.usage"]
    assert {"Python", "ai-dev-squad", "ai-dev-squad-dashboard", "duckdb"} <= set(view.versions)


def test_an_empty_store_is_neither_behind_nor_ahead(site):
    """Without spans there is no newest one."""
    view = health.build(site, ask())

    assert (view.behind_us, view.ahead_us, view.concerns) == (None, 0, ())


def self_check(time_us, **counts):
    """A line of a program's self-check, as it comes from a journal."""
    moment = datetime.fromtimestamp(time_us / SECOND, timezone.utc)
    line = JournalLine(timestamp=moment, level="INFO", event_type="wire.coverage", message="", metadata=counts)
    return from_journal.rows(line, now_us=NOW).log


def test_self_checks_of_all_programs_are_summed_up(site):
    """Of the last day; a call that was not captured is a concern, one that no framework announced is not."""
    pool = {"framework": "langgraph", "reason": "thread pool", "place": "task research"}
    own = {"framework": "crewai", "reason": "own client", "place": "execute_tool search"}
    site.store.write(
        Batch(
            logs=[
                self_check(NOW - 7200 * SECOND, seen=1200, captured=1200, unannounced=[{"calls": 30, **pool}]),
                self_check(NOW - SECOND, seen=6, captured=4, unobserved=1, unannounced=[{"calls": 1, **own}]),
                self_check(NOW - 49 * 3600 * SECOND, seen=9, captured=9),
            ]
        )
    )

    view = health.build(site, ask())

    assert view.coverage == Coverage(
        seen=1206, captured=1204, unobserved=1, unannounced=(Unannounced(30, **pool), Unannounced(1, **own))
    )
    assert view.coverage_text == (
        "1,204 of 1,206 model calls captured; 31 of them announced by no framework: thread pool in task research (30), "
        "own client in execute_tool search (1); 1 outside of observed runs"
    )
    assert [concern.title for concern in view.concerns] == [
        "1 of 1,206 model calls left a program uncaptured in the last 24 hours"
    ]


def of_a_budget_store(time_us, place, state, when_away="allow"):
    """A line of a program whose budgets are shared."""
    moment = datetime.fromtimestamp(time_us / SECOND, timezone.utc)
    facts = {"store": place, "state": state} | ({"when_away": when_away} if state == "away" else {})
    line = JournalLine(timestamp=moment, level="WARNING", event_type="budget.store", message="", metadata=facts)
    return from_journal.rows(line, now_us=NOW).log


def test_a_budget_store_that_is_away_is_a_concern_until_it_is_back(site):
    """What was said of each last counts: one is back, one was away days ago, of two others calls are refused or go on."""
    site.store.write(
        Batch(
            logs=[
                of_a_budget_store(NOW - 60 * SECOND, "redis://a:6379/0", "away"),
                of_a_budget_store(NOW - 30 * SECOND, "redis://a:6379/0", "back"),
                of_a_budget_store(NOW - 49 * 3600 * SECOND, "redis://old:6379/0", "away"),
                of_a_budget_store(NOW - 90 * SECOND, "redis://b:6379/0", "back"),
                of_a_budget_store(NOW - 20 * SECOND, "redis://b:6379/0", "away", "refuse"),
                of_a_budget_store(NOW - 10 * SECOND, "/tmp/budgets.sqlite3", "away"),
            ]
        )
    )

    assert [(concern.kind, concern.title) for concern in health.build(site, ask()).concerns] == [
        ("bad", "The budget store redis://b:6379/0 does not answer: calls are refused"),
        ("warn", "The budget store /tmp/budgets.sqlite3 does not answer: each process counts for itself"),
    ]


def test_what_went_wrong_is_named_with_its_cure(site, tmp_path):
    """Rows that were dropped, a journal that cannot be read, lines that are none, and a clock that is ahead."""
    site.store.write(
        Batch(spans=[span(1, 1, None, 1, "invoke_workflow", "squad")._replace(start_us=NOW + 60 * SECOND)])
    )
    broken = IngestQueue(Broken(), max_pending_rows=100)  # type: ignore[arg-type]
    failed = broken.submit(Batch(spans=[span(2, 1, None, 1, "invoke_workflow", "squad")]))
    assert isinstance(failed.exception(timeout=5), StoreError)
    broken.close()
    sources = (
        JournalState("/logs/a.jsonl", "unreadable", 0, 0, 0, None, None, "permission denied; make it readable"),
        JournalState("/logs/b.jsonl", "following", 10, 2, 0, NOW, "not JSON", None),
    )

    view = health.build(Site(site.store, broken, site.settings, lambda: sources), ask())

    assert view.concerns == (
        Concern(
            "bad",
            "1 rows could not be written, and their senders were told",
            "The last error: the disk is full; make room",
        ),
        Concern("bad", "/logs/a.jsonl cannot be read", "permission denied; make it readable"),
        Concern(
            "warn",
            "2 lines of journals are no journal lines and were skipped",
            "`ai-dev-squad doctor` names the files; other programs may write into the directory.",
        ),
        Concern(
            "warn",
            "The newest span ends 60 s in the future",
            "The clock of a sender is ahead, or this machine's is behind; set both by NTP.",
        ),
    )
    assert view.ahead_us == 60 * SECOND
    assert isinstance(view.queue, QueueState)
