"""Budgets of the settings and budgets that programs told about."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard.budgets import Budget, BudgetRule, ReportedBudget, parse_budget, reported, watched
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.base import Selection
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, SpanRow

HOUR = 3_600_000_000
NOW = int(datetime(2026, 11, 22, 12, tzinfo=timezone.utc).timestamp()) * 1_000_000
MIDNIGHT = NOW - 12 * HOUR


@pytest.fixture
def store():
    """An empty store."""
    held = open_memory_store()
    yield held
    held.close()


def call(number, ago_hours, cost, *, agent="coder", source="provider", reason=None):
    """A model call."""
    return SpanRow(
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        parent_span_id=None,
        start_us=round(NOW - ago_hours * HOUR),
        duration_us=1_000_000,
        name="gpt-4o",
        operation="chat",
        framework="langgraph",
        agent=agent,
        provider="openai",
        model="gpt-4o",
        input_tokens=100,
        output_tokens=10,
        usage_source=source,
        cost_usd=cost,
        cost_reason=reason,
    )


def test_a_budget_is_a_name_a_limit_a_period_and_filters():
    """The text of a setting is taken apart, and filters may repeat."""
    assert [
        parse_budget("team=50/month"),
        parse_budget(" team = $0.5 / Hour "),
        parse_budget("coder=2/day?agent=coder&agent=planner&framework=crewai"),
    ] == [
        BudgetRule("team", 50.0, "monthly"),
        BudgetRule("team", 0.5, "hourly"),
        BudgetRule("coder", 2.0, "daily", (("agent", "coder"), ("agent", "planner"), ("framework", "crewai"))),
    ]


@pytest.mark.parametrize(
    "text, message",
    [
        ("team", "budget 'team' is not NAME=LIMIT/PERIOD; write one like team=50/month"),
        ("=5/day", "budget '=5/day' is not NAME=LIMIT/PERIOD; write one like team=50/month"),
        ("a=many/day", "budget 'a=many/day' has the limit 'many'; use US dollars above 0, such as 50 or 0.5"),
        ("a=-1/day", "budget 'a=-1/day' has the limit '-1'; use US dollars above 0, such as 50 or 0.5"),
        ("a=nan/day", "budget 'a=nan/day' has the limit 'nan'; use US dollars above 0, such as 50 or 0.5"),
        ("a=1/year", "budget 'a=1/year' has the period 'year'; use one of hour, day, week, month"),
        (
            "a=1/day?color=red",
            (
                "budget 'a=1/day?color=red' has the filter 'color=red'; use framework, provider, model, agent, service, "
                "session, user, task, as in ?agent=coder&framework=crewai"
            ),
        ),
    ],
)
def test_a_budget_that_cannot_be_understood_names_the_cure(text, message):
    """The message has the value, what is allowed, and an example."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_budget(text)


@given(st.text(max_size=40))
def test_any_text_is_a_budget_or_a_value_error(text):
    """Nothing that somebody types ends in another error, and what is accepted has a limit above nothing."""
    try:
        rule = parse_budget(text)
    except ValueError:
        return

    assert rule.limit_usd > 0
    assert rule.name == text.partition("=")[0].strip()


def test_a_budget_is_spent_since_its_period_began_and_forecast_by_the_recent_rate(store):
    """Twelve of the day's hours are gone; the last three cost 0.3 USD, so the other twelve will cost 1.2."""
    store.write(
        Batch(
            spans=[
                call(1, 13, 5.0),  # yesterday
                call(2, 6, 0.5),
                call(3, 2, 0.2),
                call(4, 1, 0.1, source="estimated"),
                call(5, 1, None, reason="no price"),
                call(6, 1, 7.0, agent="planner"),
            ]
        )
    )

    (budget,) = watched(store, ("coder=1.5/day?agent=coder",), NOW)

    assert budget == Budget(
        name="coder",
        limit_usd=1.5,
        period="daily",
        filters=(("agent", "coder"),),
        start_us=MIDNIGHT,
        end_us=MIDNIGHT + 24 * HOUR,
        spent_usd=pytest.approx(0.8),
        unpriced_calls=1,
        estimated_calls=1,
        recent_hours=3.0,
        recent_usd_per_hour=pytest.approx(0.1),
        forecast_usd=pytest.approx(2.0),
        state="near",
    )


def test_a_budget_is_over_when_more_is_spent_than_its_limit(store):
    """The state tells over, near and well apart."""
    store.write(Batch(spans=[call(1, 1, 1.0)]))

    rules = ("a=0.5/day", "b=2/day", "c=50/week", "d=1/hour")

    assert [(budget.name, budget.state) for budget in watched(store, rules, NOW)] == [
        ("a", "over"),
        ("b", "near"),
        ("c", "ok"),
        ("d", "ok"),
    ]


def line(minutes, event_type, message, facts, **more):
    """A journal line about a budget."""
    details = json.dumps({"metadata": facts}).encode() if facts is not None else None
    return LogRow(NOW - minutes * 60_000_000, "WARNING", event_type, message, details=details, **more)


def test_a_refusal_is_no_overspending_and_a_budget_for_each_run_stands_once(store):
    """A call that was refused at nothing spent has not gone over; a limit for each of many runs is one budget."""
    refused = {"budget_name": "run", "current_spend_usd": 0.0, "limit_usd": 0.01, "period": "per run"}
    store.write(
        Batch(logs=[line(n, "budget.exceeded", f"refused {n}", {**refused, "key": f"{n:032x}"}) for n in (1, 2, 3)])
    )

    (found,) = reported(store, Selection(NOW - HOUR, NOW))

    assert (found.state, found.keys, found.times, found.key, found.message) == (
        "refused",
        3,
        3,
        f"{1:032x}",
        "refused 1",
    )


def test_what_programs_told_of_their_budgets_is_kept_by_name_and_key_as_it_was_last(store):
    """Both ways to write such lines are understood, and lines without facts still say something."""
    store.write(
        Batch(
            logs=[
                line(50, "budget.alert", "reached 80%", {"budget_name": "team", "threshold": 0.8, "limit_usd": 5.0}),
                line(
                    40,
                    "budget.exceeded",
                    "exceeded",
                    {
                        "budget_name": "team",
                        "current_spend_usd": 5.5,
                        "limit_usd": 5.0,
                        "period": "daily",
                        "threshold": None,
                        "key": None,
                    },
                    framework="crewai",
                    trace_id="a" * 32,
                ),
                line(
                    30, "budget.alert", "nearly", {"budget": "lab", "spent_usd": 0.9, "limit_usd": 1, "threshold": 0.9}
                ),
                line(20, "budget.alert", "per session", {"budget_name": "each", "key": "s-1", "threshold": True}),
                line(10, "budget.alert", "no facts", None),
                line(5, "llm.request", "something else", {"budget_name": "no"}),
            ]
        )
    )

    found = reported(store, Selection(NOW - HOUR, NOW))

    minute = 60_000_000
    assert found == (
        ReportedBudget(
            "team", None, "over", 5.0, 5.5, "daily", None, NOW - 40 * minute, 2, "crewai", "a" * 32, "exceeded"
        ),
        ReportedBudget("(unnamed)", None, "near", None, None, None, None, NOW - 10 * minute, 1, None, None, "no facts"),
        ReportedBudget("each", "s-1", "near", None, None, None, None, NOW - 20 * minute, 1, None, None, "per session"),
        ReportedBudget("lab", None, "near", 1.0, 0.9, None, 0.9, NOW - 30 * minute, 1, None, None, "nearly"),
    )
