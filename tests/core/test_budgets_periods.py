"""Periods: aligned to the calendar, whole, and never going back."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.costs.budgets import BudgetManager
from ai_dev_squad.costs.budgets.periods import PERIODS, parse_period, parse_timezone, window
from ai_dev_squad.costs.ledger.entry import CostEntry

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo"]
MOMENTS = st.integers(int(datetime(1990, 1, 1).timestamp()), int(datetime(2060, 1, 1).timestamp())).map(float)


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def entry(usd: float, moment: str) -> CostEntry:
    return CostEntry(datetime.fromisoformat(moment), "gpt-4o", "openai", 100, 10, usd, 5)


@pytest.mark.parametrize(
    "period, zone, start, end",
    [
        ("hourly", "UTC", "2026-03-18T12:00:00+00:00", "2026-03-18T13:00:00+00:00"),
        ("daily", "UTC", "2026-03-18T00:00:00+00:00", "2026-03-19T00:00:00+00:00"),
        ("weekly", "UTC", "2026-03-16T00:00:00+00:00", "2026-03-23T00:00:00+00:00"),
        ("monthly", "UTC", "2026-03-01T00:00:00+00:00", "2026-04-01T00:00:00+00:00"),
        ("hourly", "Asia/Kolkata", "2026-03-18T18:00:00+05:30", "2026-03-18T19:00:00+05:30"),
        ("daily", "Asia/Kolkata", "2026-03-18T00:00:00+05:30", "2026-03-19T00:00:00+05:30"),
        ("monthly", "Europe/Berlin", "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"),
        ("weekly", "America/New_York", "2026-03-16T00:00:00-04:00", "2026-03-23T00:00:00-04:00"),
    ],
)
def test_periods_are_aligned_to_the_calendar(period: Any, zone: str, start: str, end: str) -> None:
    """A period begins where people say it does: on the hour, at midnight, on Monday, on the first."""
    assert window(period, parse_timezone(zone), at("2026-03-18T12:34:56.789+00:00")) == (at(start), at(end))


@pytest.mark.parametrize("period", ["run", "total"])
def test_a_run_and_the_total_never_end(period: Any) -> None:
    """Run and total hold every moment."""
    assert window(period, timezone.utc, 0.0) == (-math.inf, math.inf)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("period", ["hourly", "daily", "weekly", "monthly"])
@given(moment=MOMENTS)
def test_periods_leave_no_gap(period: Any, zone: str, moment: float) -> None:
    """Any moment lies in its period, and the next period begins no earlier than this one ends."""
    start, end = window(period, parse_timezone(zone), moment)
    assert start <= moment < end

    following, _ = window(period, parse_timezone(zone), end)

    if (period, zone) != ("hourly", "Australia/Lord_Howe"):  # its clocks change by half an hour
        assert following == end
        assert window(period, parse_timezone(zone), start) == (start, end)


def test_days_of_a_clock_change_have_23_and_25_hours() -> None:
    """A day is a day of the zone's calendar, however many hours it has."""
    berlin = ZoneInfo("Europe/Berlin")
    lengths = [
        end - start
        for start, end in (
            window("daily", berlin, at("2026-03-29T12:00:00+00:00")),
            window("daily", berlin, at("2026-10-25T12:00:00+00:00")),
        )
    ]

    assert lengths == [23 * 3600, 25 * 3600]


@pytest.mark.parametrize(
    "spelling, period",
    [("hour", "hourly"), ("day", "daily"), ("week", "weekly"), ("month", "monthly"), (" Daily ", "daily")]
    + [(period, period) for period in PERIODS],
)
def test_spellings(spelling: str, period: str) -> None:
    """A period may be written as in the guide or as a noun."""
    assert parse_period(spelling) == period


def test_a_budget_follows_its_own_zone() -> None:
    """The manager's zone is the default, a budget's own wins."""
    manager = BudgetManager(clock=lambda: at("2026-03-18T23:30:00+00:00"), timezone="Europe/Berlin")
    manager.set_budget("berlin", 1, "daily")
    manager.set_budget("utc", 1, "daily", timezone="UTC")

    starts = [status.period_start for status in manager.status()]

    assert starts == [datetime(2026, 3, 18, 23, tzinfo=timezone.utc), datetime(2026, 3, 18, tzinfo=timezone.utc)]


def test_a_clock_that_steps_back_forgets_nothing() -> None:
    """An entry older than the current period counts in the current one, which never goes back."""
    now = [at("2026-03-19T00:00:01+00:00")]
    manager = BudgetManager(clock=lambda: now[0])
    manager.set_budget("d", 10, "daily", [0.15])
    alerts: list[float] = []
    manager.alert_callbacks.append(lambda alert: alerts.append(alert["current_spend_usd"]))

    manager.check_budgets(entry(1, "2026-03-19T00:00:00+00:00"))
    manager.check_budgets(entry(1, "2026-03-18T23:59:59+00:00"))
    now[0] -= 3600
    (status,) = manager.status()

    assert (status.spent_usd, status.period_start) == (2.0, datetime(2026, 3, 19, tzinfo=timezone.utc))
    assert alerts == [2.0]


def test_a_new_value_of_per_joins_the_current_period() -> None:
    """A session first seen while the clock is behind belongs to the period that has begun already."""
    manager = BudgetManager(clock=lambda: at("2026-03-19T00:00:01+00:00"))
    manager.set_budget("d", 10, "daily", per="agent")
    for moment in ("2026-03-19T00:00:00+00:00", "2026-03-18T23:59:59+00:00"):
        late = entry(1, moment)
        late.agent_id = moment
        manager.check_budgets(late)

    assert {status.period_start for status in manager.status()} == {datetime(2026, 3, 19, tzinfo=timezone.utc)}


@given(steps=st.lists(st.tuples(st.floats(-7200, 90000), st.integers(0, 10**13)), max_size=30))
def test_periods_only_go_forward(steps: list[tuple[float, int]]) -> None:
    """However entries are dated, a day holds the entries since it began and no start is earlier than the last."""
    now = datetime(2026, 3, 18, 12, tzinfo=timezone.utc)
    manager = BudgetManager(clock=lambda: now.timestamp())  # noqa: PLW0108 - `now` moves
    manager.set_budget("d", 1000, "daily", [])
    expected_day, expected = None, 0
    for shift, pico in steps:
        now += timedelta(seconds=shift)
        day = now.date() if expected_day is None else max(now.date(), expected_day)
        expected = pico if day != expected_day else expected + pico
        expected_day = day
        manager.check_budgets(CostEntry(now, "m", "p", 1, 1, pico / 10**12, 1))

        (status,) = manager.status()
        assert status.period_start is not None
        assert (status.period_start.date(), status.spent_usd) == (day, expected / 10**12)
