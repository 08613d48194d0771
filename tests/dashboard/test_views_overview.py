"""The overview and the costs: the whole answer to runs whose numbers are known."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl

import pytest

from ai_dev_squad_dashboard.app import create_app
from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query, QueryError
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.base import Group, Totals, TraceRow
from ai_dev_squad_dashboard.store.rows import Batch, OpenRow, SpanRow
from ai_dev_squad_dashboard.views import costs, overview
from ai_dev_squad_dashboard.views.advice import AdviceReport, advice
from ai_dev_squad_dashboard.views.costs import Costs, UnknownPrice
from ai_dev_squad_dashboard.views.marked import Marks
from ai_dev_squad_dashboard.views.overview import Overview, RunningNow
from ai_dev_squad_dashboard.views.recent_answers import recent
from ai_dev_squad_dashboard.views.timeline import Chart, Series

SECOND = 1_000_000
HOUR = 3600 * SECOND
START = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
NOW = int(START.timestamp()) * SECOND


def span(trace, number, parent, ago_s, lasts_s, operation, name, **more):
    """A span of the run called ``trace``."""
    return SpanRow(
        trace_id=f"{trace:032x}",
        span_id=f"{trace:08x}{number:08x}",
        parent_span_id=None if parent is None else f"{trace:08x}{parent:08x}",
        start_us=NOW - ago_s * SECOND,
        duration_us=lasts_s * SECOND,
        name=name,
        operation=operation,
        **more,
    )


def call(trace, number, ago_s, lasts_s, framework, agent, model, cost, **more):
    """A model call below the run's root."""
    usage = {"input_tokens": 1000, "output_tokens": 100, "usage_source": "provider", **more}
    return span(
        trace, number, 1, ago_s, lasts_s, "chat", model, framework=framework, agent=agent, provider="openai",
        model=model, cost_usd=cost, **usage,
    )  # fmt: skip


RUNS = Batch(
    spans=[
        # An hour of two frameworks: one run well, one failed.
        span(1, 1, None, 1800, 8, "invoke_workflow", "squad", framework="langgraph", session_id="s"),
        span(1, 2, 1, 1800, 4, "invoke_agent", "coder", framework="langgraph", agent="coder", session_id="s"),
        call(1, 3, 1800, 2, "langgraph", "coder", "gpt-4o", 0.5, cache_read_tokens=400, cache_saving_usd=0.05),
        span(1, 4, 1, 1797, 1, "execute_tool", "read_file", framework="langgraph", agent="coder", tool="read_file"),
        span(2, 1, None, 600, 4, "invoke_workflow", "crew", framework="crewai", status="error", error_type="Boom"),
        call(2, 3, 600, 1, "crewai", "planner", "house-model", None, cost_reason="no price is known"),
        # The hour before.
        span(3, 1, None, 5400, 2, "invoke_workflow", "squad", framework="langgraph"),
        call(3, 3, 5400, 2, "langgraph", "coder", "gpt-4o", 0.25, usage_source="estimated"),
    ],
    opened=[
        OpenRow("b" * 32, "b" * 16, None, NOW - 5 * SECOND, "live", "invoke_workflow", "crewai", "s-2", "chief"),
        OpenRow("c" * 32, "c" * 16, None, NOW - 9 * SECOND, "other", "invoke_workflow", "autogen"),
    ],
)

NOTHING = Totals(
    calls=0, call_errors=0, runs=0, run_errors=0, spans=0, cost_usd=0.0, unpriced_calls=0, input_tokens=0,
    output_tokens=0, cache_read_tokens=0, cache_write_tokens=0, reasoning_tokens=0, estimated_calls=0,
    uncounted_calls=0, cache_saving_usd=0.0, p50_us=None, p95_us=None, p99_us=None, mean_us=None, run_p50_us=None,
    run_p95_us=None, run_p99_us=None,
)  # fmt: skip


@pytest.fixture
def site(tmp_path):
    """A site over an empty store; a test writes what it needs."""
    store = open_memory_store()
    queue = IngestQueue(store, max_pending_rows=100)
    yield Site(store, queue, DashboardSettings(db=tmp_path / "d", budgets=("team=1/day",)), sources=tuple)
    queue.close()
    store.close()


def about(us):
    """Percentiles come from a histogram: off by at most 5 %."""
    return pytest.approx(us, rel=0.05)


def ask(text):
    """The query of a URL at the moment of the tests."""
    args = [tuple(part.split("=")) for part in text.split("&") if part]
    return Query.parse(args, clock=lambda: NOW / SECOND)


def group(key, calls, us, **more):
    """A row of a table, zero where nothing is said."""
    zero = dict.fromkeys(("errors", "unpriced_calls", "input_tokens", "output_tokens", "cache_read_tokens"), 0)
    zero |= {"cache_write_tokens": 0, "reasoning_tokens": 0, "cache_saving_usd": 0.0, "cost_usd": 0.0}
    times = {"p50_us": about(us), "p95_us": about(us), "p99_us": about(us), "mean_us": us}
    return Group(key=key, calls=calls, **{**zero, **times, **more})


TOTALS = Totals(
    calls=2, call_errors=0, runs=2, run_errors=1, spans=6, cost_usd=0.5, unpriced_calls=1, input_tokens=2000,
    output_tokens=200, cache_read_tokens=400, cache_write_tokens=0, reasoning_tokens=0, estimated_calls=0,
    uncounted_calls=0, cache_saving_usd=0.05, p50_us=about(SECOND), p95_us=about(2 * SECOND), p99_us=about(2 * SECOND),
    mean_us=1_500_000, run_p50_us=about(4 * SECOND), run_p95_us=about(8 * SECOND), run_p99_us=about(8 * SECOND),
)  # fmt: skip


def test_the_overview_answers_with_totals_their_predecessors_and_what_stands_out(site):
    """Each number of the page, from two runs of this hour and one of the hour before."""
    site.store.write(RUNS)

    view = overview.build(site, ask("range=1h"))

    # A minute a step: the first begins at 11:00, the last at the moment of asking.
    starts = tuple(range(NOW - HOUR, NOW + 1, 60 * SECOND))
    first, second = (
        (NOW - 1800 * SECOND - starts[0]) // (60 * SECOND),
        (NOW - 600 * SECOND - starts[0]) // (60 * SECOND),
    )
    one = {"input_tokens": 1000, "output_tokens": 100}
    assert view == Overview(
        totals=TOTALS,
        previous=Totals(
            **{
                **{name: getattr(NOTHING, name) for name in Totals.__dataclass_fields__},
                "calls": 1, "runs": 1, "spans": 2, "cost_usd": 0.25, "estimated_calls": 1, **one,
                **{name: about(2 * SECOND) for name in ("p50_us", "p95_us", "p99_us")}, "mean_us": 2 * SECOND,
                **{name: about(2 * SECOND) for name in ("run_p50_us", "run_p95_us", "run_p99_us")},
            }
        ),
        cost=Chart(
            60 * SECOND, starts,
            (
                Series("langgraph", 1, _at(len(starts), first, 0.5), 0.5),
                Series("crewai", 2, _at(len(starts), second, 0.0), 0.0),
            ),
            0.5,
        ),
        tokens=Chart(
            60 * SECOND, starts,
            (
                Series("crewai", 2, _at(len(starts), second, 1100.0), 1100.0),
                Series("langgraph", 1, _at(len(starts), first, 1100.0), 1100.0),
            ),
            2200.0,
        ),
        rank="cost",
        agents=(
            group("coder", 1, 4 * SECOND, cost_usd=0.5, cache_read_tokens=400, cache_saving_usd=0.05, model_calls=1, **one),
            group("planner", 0, 0, unpriced_calls=1, model_calls=1, **one,
                  **dict.fromkeys(("p50_us", "p95_us", "p99_us", "mean_us"))),
        ),
        tools=(group("read_file", 1, SECOND),),
        models=(
            group("gpt-4o", 1, 2 * SECOND, cost_usd=0.5, cache_read_tokens=400, cache_saving_usd=0.05, model_calls=1, **one),
            group("house-model", 1, SECOND, unpriced_calls=1, model_calls=1, **one),
        ),
        budgets=view.budgets,
        reported_budgets=(),
        running=(
            RunningNow("b" * 32, "b" * 16, "live", "invoke_workflow", "crewai", "chief", "s-2", NOW - 5 * SECOND),
            RunningNow("c" * 32, "c" * 16, "other", "invoke_workflow", "autogen", None, None, NOW - 9 * SECOND),
        ),
        recent=(
            TraceRow(
                f"{2:032x}", f"{2:08x}{1:08x}", "crew", "invoke_workflow", "crewai", None, None, "error", "Boom",
                NOW - 600 * SECOND, 4 * SECOND, 2, 1, 1, 0, 1000, 100, 0.0, 1,
                models=("house-model",), failures=1,
            ),
            TraceRow(
                f"{1:032x}", f"{1:08x}{1:08x}", "squad", "invoke_workflow", "langgraph", None, "s", "ok", None,
                NOW - 1800 * SECOND, 8 * SECOND, 4, 0, 1, 1, 1000, 100, 0.5, 0,
                models=("gpt-4o",),
            ),
        ),
    )  # fmt: skip
    assert [(budget.name, budget.spent_usd, budget.state) for budget in view.budgets] == [("team", 0.75, "near")]


def _at(length, place, value):
    values = [0.0] * length
    values[place] = value
    return tuple(values)


def test_an_empty_overview_has_no_numbers_it_does_not_know(site):
    """Without runs there are no percentiles, and no previous period to compare with."""
    view = overview.build(site, ask("range=1h"))

    assert (view.totals, view.previous, view.cost.series, view.running, view.recent) == (NOTHING, NOTHING, (), (), ())


def test_what_runs_now_passes_the_filters_and_is_gone_where_the_past_is_looked_at(site):
    """The feed follows the framework, agent and session of the URL, and a span of time that has ended has no now."""
    site.store.write(RUNS)
    names = lambda text: [row.name for row in overview.build(site, ask(text)).running]  # noqa: E731

    assert {
        "crewai": names("framework=crewai"),
        "agent": names("agent=chief"),
        "session": names("session=nobody"),
        "past": names("from=2026-11-20&to=2026-11-21"),
    } == {"crewai": ["live"], "agent": ["live"], "session": [], "past": []}


def test_what_began_more_than_a_day_before_the_page_was_asked_for_runs_no_more(site):
    """A process that was killed leaves operations without an end; a day later nobody takes them for running."""
    begun = [
        OpenRow(letter * 32, letter * 16, None, NOW - ago_us, letter, "invoke_workflow")
        for letter, ago_us in (("e", 24 * HOUR), ("f", 24 * HOUR + 1))
    ]
    site.store.write(Batch(opened=begun))

    assert [row.name for row in overview.build(site, ask("range=1h")).running] == ["e"]


def test_a_run_that_still_runs_is_listed_once(site):
    """What has arrived of a running trace is not also among those that ran last."""
    site.store.write(RUNS)
    early = SpanRow("b" * 32, "d" * 16, "b" * 16, NOW - 4 * SECOND, SECOND, "tool", "execute_tool", framework="crewai")
    site.store.write(Batch(spans=[early]))

    view = overview.build(site, ask("range=1h"))

    assert [row.trace_id for row in view.recent] == [f"{2:032x}", f"{1:032x}"]


def test_an_unknown_order_names_the_allowed_ones(site):
    """The URL's mistakes are told, not ignored."""
    with pytest.raises(QueryError, match="rank='size' is unknown; use one of cost, p95, calls"):
        overview.build(site, ask("rank=size"))


def test_the_numbers_of_a_page_agree_while_spans_arrive(site, monkeypatch):
    """What is written while a page is put together is on the next one: tiles, chart and tables of this one have the same sums."""
    app = create_app(site.settings, store=site.store, follow=False)
    timeline = site.store.timeline

    def written_meanwhile(*asked):
        site.store.write(RUNS)
        return timeline(*asked)

    monkeypatch.setattr(site.store, "timeline", written_meanwhile)
    with app.test_client() as client:
        before, after = (client.get("/api/overview?from=2026-11-22&to=2026-11-23").json for _ in range(2))
    assert [page["cost"]["total"] for page in (before, after)] == [0, 0.75]
    for page in (before, after):
        assert page["totals"]["cost_usd"] == page["cost"]["total"] == sum(row["cost_usd"] for row in page["models"])


def test_the_costs_answer_with_the_split_the_advice_and_what_has_no_price(site):
    """Each number of the page, by model."""
    site.store.write(RUNS)

    view = costs.build(site, ask("range=1h&by=model"))

    one = {"input_tokens": 1000, "output_tokens": 100}
    begun = START - timedelta(seconds=1800)
    assert view == Costs(
        totals=TOTALS,
        previous=view.previous,
        by="model",
        chart=view.chart,
        groups=(
            group(
                "gpt-4o",
                1,
                2 * SECOND,
                cost_usd=0.5,
                cache_read_tokens=400,
                cache_saving_usd=0.05,
                model_calls=1,
                **one,
            ),
            group("house-model", 1, SECOND, unpriced_calls=1, model_calls=1, **one),
        ),
        limited=False,
        tools=(),
        captured=(0, 0),
        tools_made_usd=0.0,
        marked=(),
        marks=Marks("model", (), None),
        budgets=view.budgets,
        reported_budgets=(),
        advice=AdviceReport(
            made_us=NOW,
            calls=2,
            complete=True,
            spent_usd=0.5,
            unpriced_calls=1,
            first=begun,
            last=begun + timedelta(seconds=1200),
            advice=view.advice.advice,
        ),
        unknown_prices=(UnknownPrice("openai", "house-model", 1, "no price is known"),),
    )
    assert view.previous.cost_usd == 0.25
    assert [(series.key, series.total) for series in view.chart.series] == [("gpt-4o", 0.5), ("house-model", 0.0)]
    assert {item.kind for item in view.advice.advice} <= {"cheaper_model", "prompt_cache", "failed_calls"}


@pytest.mark.parametrize(
    "by, keys, series",
    [
        ("provider", ["openai"], ["openai"]),
        ("agent", ["coder", "planner"], ["coder", "planner"]),
        ("framework", ["langgraph", "crewai"], ["langgraph", "crewai"]),
        ("day", ["2026-11-22"], ["langgraph", "crewai"]),
    ],
)
def test_costs_are_split_by_any_name_and_the_chart_by_the_same_or_by_framework(site, by, keys, series):
    """A chart over time cannot be split by time, nor by more sessions than there are colours."""
    site.store.write(RUNS)

    view = costs.build(site, ask(f"range=1h&by={by}"))

    assert ([row.key for row in view.groups], [one.key for one in view.chart.series]) == (keys, series)


def test_advice_is_made_once_a_minute_for_each_question(site):
    """The same question a second later has the same report; a minute later, or with a filter, it is made anew."""
    site.store.write(RUNS)
    first = advice(site.store, ask("range=1h"))
    site.store.write(Batch(spans=[call(9, 3, 5, 1, "langgraph", "coder", "gpt-4o", 9.0)]))
    later = lambda text, s: advice(site.store, Query.parse([("range", "1h"), *text], clock=lambda: NOW / SECOND + s))  # noqa: E731

    assert first.calls == 2
    assert later([], 30) is first
    assert later([("framework", "langgraph")], 30).calls == 2
    assert later([("framework", "crewai")], 30).calls == 1
    assert later([], 61).calls == 3


def test_an_answer_that_took_long_may_get_old(site):
    """Twenty times as old as it took to find; for other names, other filters or another question it is asked for at once."""
    now, asked = [0.0], []

    def ask(took, what="calls", address="range=1h"):
        def find():
            now[0] += took
            asked.append(what)
            return len(asked)

        return recent(site.store, Query.parse(parse_qsl(address)), what, find, lambda: now[0])

    assert [ask(2), ask(2), ask(0, "steps"), ask(0, "steps"), ask(1, address="range=1h&model=m")] == [1, 1, 2, 3, 4]
    now[0] = 41.9
    assert ask(2) == 1
    now[0] = 42.0
    assert ask(2) == 5
