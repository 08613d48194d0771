"""Budgets: the guide's calls, scopes, thresholds, alerts, and the refusal before money is spent."""

from __future__ import annotations

import copy
import gc
import logging
import math
import pickle
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad import guard
from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs.budgets import Budget, BudgetExceeded, BudgetManager, BudgetStatus
from ai_dev_squad.costs.ledger.entry import CostEntry
from ai_dev_squad.schema import EventType

NOON = datetime(2026, 3, 18, 12, 0, tzinfo=timezone.utc)  # a Wednesday


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def __call__(self) -> float:
        return self.moment.timestamp()

    def forward(self, **delta: float) -> None:
        self.moment += timedelta(**delta)


def entry(usd: float | None, at: datetime = NOON, model: str = "gpt-4o", **fields: Any) -> CostEntry:
    return CostEntry(at, model, "openai", 100, 10, usd, 5, **fields)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def manager(clock: Clock) -> BudgetManager:
    return BudgetManager(clock=clock)


@pytest.fixture
def alerts(manager: BudgetManager) -> list[tuple[str, float]]:
    """Name and threshold of every alert, in the order they came."""
    sent: list[tuple[str, float]] = []
    manager.alert_callbacks.append(lambda alert: sent.append((alert["budget_name"], alert["threshold"])))
    return sent


def spent(manager: BudgetManager) -> dict[tuple[str, str | None], float]:
    return {(status.name, status.key): status.spent_usd for status in manager.status()}


# --- the guide's calls ------------------------------------------------------------------------------------------------


def test_the_guides_calls_alert_with_the_guides_keys() -> None:
    """set_budget(name, limit, period, thresholds), alert_callbacks and check_budgets work as in the guide."""
    manager = BudgetManager()
    received: list[dict[str, Any]] = []
    manager.alert_callbacks.append(received.append)
    manager.set_budget("daily", 10.0, "daily", [0.5])

    manager.check_budgets(entry(6.0, datetime.now(timezone.utc).replace(tzinfo=None)))  # the guide's naive UTC time

    budget = manager.budgets["daily"]
    assert (budget.name, budget.limit_usd, budget.period, budget.alert_thresholds, budget.alerts_sent) == (
        "daily",
        10.0,
        "daily",
        [0.5],
        {0.5: True},
    )
    alert = received.pop()
    assert not received
    assert alert.pop("timestamp").utcoffset() == timedelta(0)
    assert alert == {
        "budget_name": "daily",
        "spend_ratio": 0.6,
        "current_spend_usd": 6.0,
        "limit_usd": 10.0,
        "threshold": 0.5,
        "period": "daily",
        "scope": {},
        "key": None,
    }


def test_default_thresholds_are_the_guides(manager: BudgetManager) -> None:
    """Without thresholds a budget alerts at 80 and 90 per cent, and with an empty list never."""
    assert manager.set_budget("a", 1, "daily").alert_thresholds == [0.8, 0.9]
    assert manager.set_budget("b", 1, "hourly", []).alert_thresholds == []


@pytest.mark.parametrize(
    "arguments, told",
    [
        ({"limit_usd": 0}, "limit_usd of budget 'x' is 0; allowed: a finite number of US dollars above 0"),
        ({"limit_usd": -1.5}, "limit_usd of budget 'x' is -1.5; allowed"),
        ({"limit_usd": math.nan}, "limit_usd of budget 'x' is nan; allowed"),
        ({"limit_usd": math.inf}, "limit_usd of budget 'x' is inf; allowed"),
        ({"limit_usd": "10"}, "limit_usd of budget 'x' is '10'; allowed"),
        ({"limit_usd": True}, "limit_usd of budget 'x' is True; allowed"),
        ({"limit_usd": 1e-20}, "limit_usd of budget 'x' is 1e-20; allowed"),
        ({"name": ""}, "budget name '' is not usable; allowed: a non-empty string"),
        ({"period": "yearly"}, "unknown budget period 'yearly'; allowed: hourly, daily, weekly, monthly, run, total"),
        ({"period": None}, "unknown budget period None; allowed"),
        ({"alert_thresholds": [80]}, "alert threshold 80 of budget 'x' is out of range; allowed: shares of the limit"),
        ({"alert_thresholds": [0]}, "alert threshold 0 of budget 'x' is out of range"),
        ({"alert_thresholds": [math.nan]}, "alert threshold nan of budget 'x' is out of range"),
        ({"alert_thresholds": "0.8"}, "alert threshold '0' of budget 'x' is out of range"),
        ({"alert_thresholds": 0}, "alert threshold 0 of budget 'x' is out of range"),
        ({"on_exceed": "explode"}, "on_exceed='explode' is unknown; allowed: 'alert', 'stop'"),
        ({"unknown_price": "guess"}, "unknown_price='guess' is unknown; allowed: 'allow', 'stop'"),
        ({"per": "planet"}, "per='planet' is unknown; allowed: 'session', 'agent'"),
        ({"per": "session", "session_id": "s"}, "names its scope twice: session_id='s' and per='session'"),
        ({"period": "run", "per": "session"}, "has period='run' and per='session'"),
        ({"agent_id": ""}, "agent_id of budget 'x' is ''; allowed: a non-empty string"),
        ({"agent_id": 7}, "agent_id of budget 'x' is 7; allowed: a non-empty string"),
        ({"timezone": "Mars/Olympus"}, "unknown time zone 'Mars/Olympus'; allowed: an IANA name"),
        ({"on_alert": 5}, "on_alert of budget 'x' is 5; allowed: a function"),
    ],
)
def test_an_impossible_budget_is_refused(manager: BudgetManager, arguments: dict[str, Any], told: str) -> None:
    """An impossible budget raises ValueError naming the value and what is allowed, and changes nothing."""
    with pytest.raises(ValueError, match="allowed") as failure:
        manager.set_budget(**{"name": "x", "limit_usd": 1, "period": "daily", **arguments})

    assert told in str(failure.value)
    assert manager.budgets == {}
    assert manager.status() == []


@pytest.mark.parametrize(
    "settings, told", [({"max_keys": 0}, "max_keys=0; allowed"), ({"save_interval": -1}, "save_interval=-1; allowed")]
)
def test_impossible_settings_are_refused(settings: dict[str, Any], told: str) -> None:
    """Settings that can't work raise ValueError naming the value and what is allowed."""
    with pytest.raises(ValueError, match=told):
        BudgetManager(**settings)


def test_two_limits_of_which_one_can_never_hold_are_refused(manager: BudgetManager) -> None:
    """Two stop budgets of one scope and period, or the same budget under two names, raise; two alerts do not."""
    manager.set_budget("a", 1, "daily")
    manager.set_budget("b", 2, "day")
    manager.set_budget("c", 1, "daily", on_exceed="stop")

    with pytest.raises(ValueError, match="'a' and 'd' have the same scope everything"):
        manager.set_budget("d", 1, "daily")
    with pytest.raises(ValueError, match=r"'c' and 'd' have the same scope .* \(limits \$1.00 and \$7.00\)"):
        manager.set_budget("d", 7, "daily", on_exceed="stop")
    assert list(manager.budgets) == ["a", "b", "c"]


# --- the dictionary of budgets ----------------------------------------------------------------------------------------


def test_budgets_is_a_dictionary_whose_changes_count(manager: BudgetManager) -> None:
    """Every way of changing the dictionary changes what is counted."""
    budgets = manager.budgets
    budgets["a"] = Budget("a", 1, "daily")
    budgets.update({"b": Budget("b", 1, "hourly")})
    budgets |= {"c": Budget("c", 1, "weekly")}
    assert budgets.setdefault("d", Budget("d", 1, "monthly")) is budgets["d"]
    assert budgets.setdefault("d") is budgets["d"]
    assert isinstance(budgets, dict)
    assert list(spent(manager)) == [("a", None), ("b", None), ("c", None), ("d", None)]

    del budgets["a"]
    assert budgets.pop("b").name == "b"
    assert budgets.pop("b", None) is None
    assert budgets.popitem()[0] == "d"
    assert list(spent(manager)) == [("c", None)]
    assert copy.deepcopy(budgets) == dict(budgets)

    budgets.clear()
    assert manager.status() == []


def test_a_budget_filed_under_a_wrong_name_is_refused(manager: BudgetManager) -> None:
    """Only a Budget under its own name can be put into the dictionary, and a missing one can't be removed."""
    with pytest.raises(ValueError, match=r"budgets\['a'\] is 5; allowed: a Budget"):
        manager.budgets["a"] = 5  # type: ignore[assignment]
    with pytest.raises(ValueError, match="allowed: a Budget with the name 'a'"):
        manager.budgets["a"] = Budget("b", 1, "daily")
    with pytest.raises(ValueError, match="no budget 'a'; there are: none"):
        manager.remove_budget("a")
    assert manager.budgets == {}


def test_raising_a_limit_keeps_what_was_spent_and_arms_alerts_again(
    manager: BudgetManager, alerts: list[tuple[str, float]]
) -> None:
    """Setting a budget again keeps its spend; a threshold that is ahead again alerts again."""
    manager.set_budget("d", 10, "daily", [0.5, 0.8])
    manager.check_budgets(entry(8))
    manager.set_budget("d", 12, "daily", [0.5, 0.8])
    manager.check_budgets(entry(1.6))
    manager.set_budget("d", 12, "daily", agent_id="coder")

    assert alerts == [("d", 0.5), ("d", 0.8), ("d", 0.8)]
    assert spent(manager) == {("d", None): 0.0}  # of another scope: nothing was counted for it yet


def test_removing_a_budget_stops_counting(manager: BudgetManager) -> None:
    """A removed budget no longer stops calls, and reservations made under it settle without harm."""
    manager.set_budget("d", 1, "daily", on_exceed="stop")
    held = manager.reserve(1.0)
    assert manager.may_stop

    manager.remove_budget("d")
    held.settle(2.0)

    assert not manager.may_stop
    manager.reserve(5.0).release()


# --- scopes -----------------------------------------------------------------------------------------------------------


def test_an_entry_counts_in_every_budget_it_belongs_to(manager: BudgetManager) -> None:
    """Scopes are conjunctions: an entry counts where all of them match, and nowhere else."""
    manager.set_budget("all", 100, "total")
    manager.set_budget("framework", 100, "total", framework="langgraph")
    manager.set_budget("agent", 100, "total", agent_id="coder")
    manager.set_budget("both", 100, "total", framework="langgraph", agent_id="coder")
    manager.set_budget("model", 100, "total", model="gpt-4o")
    manager.set_budget("session", 100, "total", session_id="s1")
    manager.set_budget("user", 100, "total", user_id="ada")

    manager.check_budgets(entry(1, framework="langgraph", agent_id="coder", session_id="s1", user_id="ada"))
    manager.check_budgets(entry(2, framework="crewai", agent_id="coder", session_id="s2", user_id="bob"))
    manager.check_budgets(entry(4, model="claude-3-opus", framework="langgraph"))

    assert spent(manager) == {
        ("all", None): 7.0,
        ("framework", None): 5.0,
        ("agent", None): 3.0,
        ("both", None): 1.0,
        ("model", None): 3.0,
        ("session", None): 1.0,
        ("user", None): 1.0,
    }


def test_a_model_budget_covers_its_dated_snapshots(manager: BudgetManager) -> None:
    """A budget for gpt-4o counts gpt-4o-2024-08-06 but not gpt-4o-mini; one for a snapshot counts only that."""
    manager.set_budget("family", 100, "total", model="gpt-4o")
    manager.set_budget("snapshot", 100, "total", model="gpt-4o-2024-08-06")
    manager.set_budget("each", 100, "total", per="model")
    for model, usd in [("gpt-4o", 1), ("gpt-4o-2024-08-06", 2), ("gpt-4o-mini", 4), ("gpt-4o@20250101", 8)]:
        manager.check_budgets(entry(usd, model=model))

    assert spent(manager) == {
        ("family", None): 11.0,
        ("snapshot", None): 2.0,
        ("each", "gpt-4o"): 11.0,
        ("each", "gpt-4o-mini"): 4.0,
    }


@pytest.mark.parametrize(
    "name, spelled",
    [
        ("gpt-4o", ["openai/gpt-4o", "azure/gpt-4o", "GPT-4o", "openrouter/openai/gpt-4o", "openai/gpt-4o:nitro"]),
        ("openai/gpt-4o", ["gpt-4o", "azure/gpt-4o-2024-08-06"]),
        (
            "claude-sonnet-4-5",
            [
                *("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5@20250929", "vertex_ai/claude-sonnet-4-5@20250929"),
                *("anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
                "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            ],
        ),
        ("claude-sonnet-4-5-20250929", ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5@20250929"]),
        ("gemini-2.5-flash", ["models/gemini-2.5-flash", "google/gemini-2.5-flash", "vertex_ai/gemini-2.5-flash"]),
        (
            "meta-llama/Llama-3.3-70B-Instruct",
            ["llama-3.3-70b-instruct", "together_ai/meta-llama/Llama-3.3-70B-Instruct"],
        ),
    ],
)
def test_a_model_budget_holds_however_the_model_is_spelled(
    manager: BudgetManager, name: str, spelled: list[str]
) -> None:
    """Providers and gateways write one model in many ways (litellm#25549, litellm#24770, litellm#31842)."""
    manager.set_budget("it", len(spelled), "total", model=name, on_exceed="stop")
    manager.set_budget("another", 100, "total", model="gpt-4o-mini")
    for other in spelled:
        manager.check_budgets(entry(1, model=other))

    assert spent(manager) == {("it", None): float(len(spelled)), ("another", None): 0.0}
    for other in spelled:
        with pytest.raises(BudgetExceeded):
            manager.reserve(0.01, Attribution(model=other))


@pytest.mark.parametrize(
    "per, field",
    [("session", "session_id"), ("agent", "agent_id"), ("user", "user_id"), ("framework", "framework")],
)
def test_per_gives_each_value_its_own_limit(manager: BudgetManager, per: Any, field: str) -> None:
    """With per, each value has its own limit, and calls without the value share one."""
    manager.set_budget("each", 5, "daily", per=per, on_exceed="stop")
    for value, usd in [("a", 4), ("b", 1), (None, 2), ("a", 1)]:
        manager.check_budgets(entry(usd, **{field: value}))

    assert spent(manager) == {("each", "a"): 5.0, ("each", "b"): 1.0, ("each", None): 2.0}
    with pytest.raises(BudgetExceeded, match=f"budget 'each' for {per} 'a' refuses this call"):
        manager.reserve(0.01, Attribution(**{field: "a"}))
    manager.reserve(0.01, Attribution(**{field: "b"})).release()


@pytest.mark.parametrize("label", [7, ["a", "list"], {}, 0.5], ids=repr)
def test_labels_of_a_wrong_type_are_counted_all_the_same(manager: BudgetManager, label: Any) -> None:
    """A call with labels that are no strings counts in every budget that does not ask for them."""
    manager.set_budget("all", 100, "total")
    manager.set_budget("each", 100, "total", per="session")
    manager.set_budget("coder", 100, "total", agent_id="coder")
    manager.check_budgets(entry(1, model=label, session_id=label, agent_id="coder"))

    assert list(spent(manager).values()) == [1.0, 1.0, 1.0]


def test_a_run_is_a_trace(manager: BudgetManager) -> None:
    """A run budget counts each trace by itself; the reservation's run decides where an entry belongs."""
    manager.set_budget("run", 1, "run", on_exceed="stop")
    manager.check_budgets(entry(0.5, trace_id="t1"))
    manager.check_budgets(entry(0.25, trace_id="t2"))
    manager.check_budgets(entry(9.0))  # in no run
    manager.reserve(9.0).release()
    held = manager.reserve(0.5, Attribution(run_id="t1"))
    manager.check_budgets(entry(0.5, trace_id="child of t1"), held)

    assert spent(manager) == {("run", "t1"): 1.0, ("run", "t2"): 0.25}
    assert manager.budgets["run"].per == "run"


def test_values_of_per_are_bounded(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond max_keys the values used longest ago are forgotten, running calls never, and it is said once."""
    manager = BudgetManager(clock=clock, max_keys=3)
    manager.set_budget("each", 10, "total", per="session", on_exceed="stop")
    held = manager.reserve(1, Attribution(session_id="running"))
    with caplog.at_level(logging.WARNING, "ai_dev_squad"):
        for number in range(100):
            manager.check_budgets(entry(1, session_id=f"s{number}"))

    assert [status.key for status in manager.status()] == ["running", "s98", "s99"]
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "budget 'each' has seen more than 3 values of session"
    ]
    held.settle(1.0)
    assert spent(manager)["each", "running"] == 1.0


# --- thresholds and alerts --------------------------------------------------------------------------------------------


def test_several_thresholds_crossed_at_once_alert_once_each_ascending(
    manager: BudgetManager, alerts: list[tuple[str, float]]
) -> None:
    """One entry that crosses several thresholds sends each once, in ascending order, and never again."""
    manager.set_budget("d", 10, "daily", [0.9, 0.5, 1.0, 0.5, 2])
    manager.check_budgets(entry(4.99))
    assert alerts == []

    manager.check_budgets(entry(5.01))
    manager.check_budgets(entry(5))

    assert alerts == [("d", 0.5), ("d", 0.9), ("d", 1.0)]


def test_thresholds_arm_again_with_the_next_period(
    manager: BudgetManager, clock: Clock, alerts: list[tuple[str, float]]
) -> None:
    """Every period alerts afresh, and alerts_sent is that of the current period."""
    manager.set_budget("d", 1, "daily", [0.5])
    manager.check_budgets(entry(0.6))
    manager.check_budgets(entry(0.6, NOON + timedelta(days=1)))
    assert alerts == [("d", 0.5), ("d", 0.5)]

    clock.forward(days=2)
    (status,) = manager.status()

    assert (status.alerts_sent, manager.budgets["d"].alerts_sent) == ((), {})


@given(
    costs=st.lists(st.integers(0, 10**12), max_size=30),
    thresholds=st.lists(st.floats(0.01, 2), max_size=5, unique=True),
)
def test_each_threshold_alerts_exactly_when_it_is_reached(costs: list[int], thresholds: list[float]) -> None:
    """Whatever is spent: a threshold alerts once if spend reaches it, else never, and in ascending order."""
    manager = BudgetManager(clock=Clock())
    sent: list[float] = []
    manager.alert_callbacks.append(lambda alert: sent.append(alert["threshold"]))
    manager.set_budget("t", 3, "total", thresholds)
    for cost in costs:
        manager.check_budgets(entry(cost / 10**12))

    assert sent == [t for t in sorted(thresholds) if sum(costs) >= round(t * 3 * 10**12)]


@given(costs=st.lists(st.decimals(0, 1000, places=12), max_size=50))
def test_spend_is_the_exact_sum_of_the_entries(costs: list[Decimal]) -> None:
    """What a budget says was spent is the sum of the entries to the picodollar, in any order."""
    forward, backward = BudgetManager(clock=Clock()), BudgetManager(clock=Clock())
    for manager, order in [(forward, costs), (backward, costs[::-1])]:
        manager.set_budget("t", 1e9, "total")
        for cost in order:
            manager.check_budgets(entry(float(cost)))

    assert forward.status() == backward.status()
    assert forward.status()[0].spent_usd == float(sum(costs))


def test_callbacks_may_raise(
    manager: BudgetManager, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A callback that raises harms neither the caller nor the other callbacks, and is reported."""
    guard.set_strict(False)
    monkeypatch.setattr(guard, "_seen", set())
    received: list[float] = []

    def broken(alert: dict[str, Any]) -> None:
        raise ConnectionError("pager is down")

    async def wrong_kind(alert: dict[str, Any]) -> None:
        received.append(-1)

    manager.alert_callbacks += [broken, wrong_kind, lambda alert: received.append(alert["threshold"])]
    manager.on_event = lambda *event: 1 / 0
    manager.set_budget("d", 1, "daily", [0.5], on_alert=broken)
    with caplog.at_level(logging.WARNING, "ai_dev_squad"):
        manager.check_budgets(entry(0.7))

    assert received == [0.5]
    assert "budget alert callback failed (ConnectionError: pager is down)" in caplog.text
    assert "is a coroutine function and was not run" in caplog.text
    assert "recording budget.alert failed (ZeroDivisionError" in caplog.text


def test_one_callbacks_changes_do_not_reach_the_next(manager: BudgetManager) -> None:
    """Each callback gets its own dictionary."""
    received: list[dict[str, Any]] = []
    manager.alert_callbacks += [lambda alert: alert.clear(), received.append]
    manager.set_budget("d", 1, "daily", [0.5])

    manager.check_budgets(entry(0.7))

    assert received[0]["budget_name"] == "d"


def test_callbacks_may_use_the_manager(manager: BudgetManager) -> None:
    """A callback may set budgets, count, reserve and ask for the status without a deadlock."""
    seen: list[float] = []

    def react(alert: dict[str, Any]) -> None:
        manager.set_budget("d", 100, "daily", [0.5])
        manager.check_budgets(entry(1))
        manager.reserve(1).release()
        seen.append(manager.status()[0].spent_usd)

    manager.set_budget("d", 1, "daily", [0.5], on_alert=react)
    manager.check_budgets(entry(0.7))

    assert seen == [1.7]


def test_events_of_alerts(manager: BudgetManager) -> None:
    """The journal gets one budget.alert for each threshold and one budget.exceeded when the limit is passed."""
    events: list[tuple[EventType, str, str, dict[str, Any]]] = []
    manager.on_event = lambda *event: events.append(event)  # type: ignore[arg-type]
    manager.set_budget("d", 10, "daily", [0.5, 1.0], per="agent")
    manager.check_budgets(entry(10, agent_id="coder"))
    manager.check_budgets(entry(0.5, agent_id="coder"))
    manager.check_budgets(entry(0.5, agent_id="coder"))

    assert [event[:3] for event in events] == [
        (
            EventType.BUDGET_ALERT,
            "WARNING",
            "budget 'd' for agent 'coder' reached 50%: $10.00 of $10.00 daily spent (100%)",
        ),
        (
            EventType.BUDGET_ALERT,
            "ERROR",
            "budget 'd' for agent 'coder' reached 100%: $10.00 of $10.00 daily spent (100%)",
        ),
        (
            EventType.BUDGET_EXCEEDED,
            "ERROR",
            "budget 'd' for agent 'coder' is exceeded: $10.50 of $10.00 daily spent (105%)",
        ),
    ]
    assert events[2][3] == {
        "budget_name": "d",
        "spend_ratio": 1.05,
        "current_spend_usd": 10.5,
        "limit_usd": 10.0,
        "threshold": None,
        "period": "daily",
        "scope": {},
        "key": "coder",
    }


# --- unknown prices ---------------------------------------------------------------------------------------------------


def test_an_unknown_price_is_counted_as_unknown(manager: BudgetManager) -> None:
    """A call without a price adds nothing to spend and one to unpriced_calls."""
    manager.set_budget("d", 1, "daily")
    for usd in (0.25, None, 0.0, None):
        manager.check_budgets(entry(usd))

    (status,) = manager.status()
    assert (status.spent_usd, status.unpriced_calls) == (0.25, 2)


@pytest.mark.parametrize("usd", [-1.0, math.nan, math.inf])
def test_an_amount_that_is_none_is_reported_and_unknown(manager: BudgetManager, usd: float) -> None:
    """A negative or non-finite cost is reported and counted as unknown; it never lowers what was spent."""
    guard.set_strict(False)
    manager.set_budget("d", 1, "daily")
    manager.check_budgets(entry(usd))

    (status,) = manager.status()
    assert (status.spent_usd, status.unpriced_calls) == (0.0, 1)
    guard.set_strict(True)
    with pytest.raises(ValueError, match="is not an amount of money"):
        manager.check_budgets(entry(usd))


def test_a_stop_budget_lets_unknown_prices_pass_while_anything_is_left(manager: BudgetManager) -> None:
    """By default a call of unknown price passes and is counted, until the limit is reached."""
    manager.set_budget("d", 1, "daily", on_exceed="stop")
    with manager.reserve(None) as held:
        assert held.estimate_usd is None
        held.settle(None)
    (status,) = manager.status()
    assert (status.spent_usd, status.reserved_usd, status.unpriced_calls) == (0.0, 0.0, 1)

    manager.check_budgets(entry(1))
    with pytest.raises(BudgetExceeded, match="an unknown price would exceed"):
        manager.reserve(None)


def test_a_stop_budget_may_refuse_unknown_prices(manager: BudgetManager) -> None:
    """With unknown_price="stop" a call whose price nobody knows is refused."""
    manager.set_budget("d", 1, "daily", on_exceed="stop", unknown_price="stop")

    with pytest.raises(BudgetExceeded) as refusal:
        manager.reserve(None)
    assert refusal.value.estimate_usd is None


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_a_call_that_would_exceed_is_refused_with_everything_needed(manager: BudgetManager) -> None:
    """The refusal names budget, spent, reserved, estimate, limit, when it resets and how to raise it."""
    manager.set_budget("team", 5, "daily", agent_id="coder", on_exceed="stop")
    manager.check_budgets(entry(4.5, agent_id="coder"))
    held = manager.reserve(0.25, Attribution(agent_id="coder"))

    with pytest.raises(RuntimeError) as refusal:
        manager.reserve(0.2500001, Attribution(agent_id="coder"))

    error = refusal.value
    assert isinstance(error, BudgetExceeded)
    assert str(error) == (
        "budget 'team' refuses this call before it is made: $4.50 spent + $0.25 reserved + $0.2500001 estimated for it "
        "would exceed the daily limit of $5.00; it resets at 2026-03-19 00:00 UTC. To go on now, raise it: "
        "set_budget('team', limit_usd=<more>, period='daily', agent_id='coder', on_exceed='stop'); "
        "or choose a cheaper model"
    )
    expected = {
        "budget": "team",
        "key": None,
        "limit_usd": 5.0,
        "spent_usd": 4.5,
        "reserved_usd": 0.25,
        "estimate_usd": 0.2500001,
        "resets_at": datetime(2026, 3, 19, tzinfo=timezone.utc),
    }
    assert vars(error) == expected
    thawed = pickle.loads(pickle.dumps(error))
    assert (str(thawed), vars(thawed)) == (str(error), expected)
    manager.reserve(0.25, Attribution(agent_id="coder")).release()
    held.release()


def test_a_refusal_reserves_nowhere(manager: BudgetManager) -> None:
    """When one of several budgets refuses, none keeps anything set aside."""
    manager.set_budget("wide", 100, "daily", on_exceed="stop")
    manager.set_budget("narrow", 1, "daily", agent_id="coder", on_exceed="stop")

    with pytest.raises(BudgetExceeded, match="'narrow'"):
        manager.reserve(2, Attribution(agent_id="coder"))

    assert [status.reserved_usd for status in manager.status()] == [0.0, 0.0]
    assert [status.refused_calls for status in manager.status()] == [0, 1]


def test_a_free_call_always_passes(manager: BudgetManager) -> None:
    """A call that costs nothing, such as one to a local model, passes an exhausted budget."""
    manager.set_budget("d", 1, "daily", on_exceed="stop")
    manager.check_budgets(entry(2))

    manager.reserve(0.0).settle(0.0)

    assert spent(manager) == {("d", None): 2.0}


def test_settling_replaces_the_estimate_once(manager: BudgetManager) -> None:
    """Settling takes the reservation away and adds the actual cost; settling or releasing again does nothing."""
    manager.set_budget("d", 10, "daily", on_exceed="stop")
    manager.set_budget("watch", 10, "daily")
    held = manager.reserve(3.0)
    assert manager.status()[0].reserved_usd == 3.0
    assert manager.status()[0].remaining_usd == 7.0

    held.settle(entry(1.0))
    held.settle(entry(1.0))
    held.settle(5.0)
    held.release()

    assert [(s.spent_usd, s.reserved_usd, s.remaining_usd) for s in manager.status()] == [(1.0, 0.0, 9.0)] * 2


def test_releasing_frees_once_and_spends_nothing(manager: BudgetManager) -> None:
    """Releasing gives the money back; a call recorded afterwards all the same is counted."""
    manager.set_budget("d", 10, "daily", on_exceed="stop")
    held, other = manager.reserve(3.0), manager.reserve(4.0)
    held.release()
    held.release()
    held.settle(1.0)
    assert [(s.spent_usd, s.reserved_usd) for s in manager.status()] == [(0.0, 4.0)]

    manager.check_budgets(entry(1.0), held)
    other.release()

    assert [(s.spent_usd, s.reserved_usd) for s in manager.status()] == [(1.0, 0.0)]


def test_the_context_manager_releases_when_the_call_fails(manager: BudgetManager) -> None:
    """Leaving the with block by an exception gives the money back and lets the exception through."""
    manager.set_budget("d", 10, "daily", on_exceed="stop")
    with pytest.raises(ConnectionError):
        with manager.reserve(3.0):
            raise ConnectionError

    assert manager.status()[0].reserved_usd == 0.0


def test_what_was_set_aside_decides_where_it_is_spent(manager: BudgetManager) -> None:
    """An answer that names another model than the request is counted where it was reserved, and once."""
    manager.set_budget("mini", 10, "daily", model="gpt-4o-mini", on_exceed="stop")
    manager.set_budget("each", 10, "daily", per="model", on_exceed="stop")
    held = manager.reserve(3.0, Attribution(model="gpt-4o-mini"))
    manager.check_budgets(entry(2.0, model="router/some-model"), held)

    assert spent(manager) == {("mini", None): 2.0, ("each", "gpt-4o-mini"): 2.0}


def test_a_forgotten_reservation_is_given_back_when_collected(manager: BudgetManager) -> None:
    """A reservation nobody settles frees its money once it is collected, also out of a cycle."""
    manager.set_budget("d", 10, "daily", on_exceed="stop")
    manager.reserve(6.0)
    cycle: dict[str, Any] = {"held": manager.reserve(6.0)}
    cycle["self"] = cycle
    with pytest.raises(BudgetExceeded):
        manager.reserve(6.0)

    del cycle
    gc.collect()

    manager.reserve(6.0).release()
    assert manager.status()[0].reserved_usd == 0.0


def test_refusals_reach_the_journal_at_most_once_a_second(manager: BudgetManager, clock: Clock) -> None:
    """A loop of refused calls writes one budget.exceeded a second, which counts all refusals so far."""
    events: list[tuple[Any, ...]] = []
    manager.on_event = lambda *event: events.append(event)
    manager.set_budget("d", 1, "daily", on_exceed="stop")
    for wait in (0, 0.25, 0.5, 0.5, 0.25):
        clock.forward(seconds=wait)
        with pytest.raises(BudgetExceeded):
            manager.reserve(2.0)

    assert [(kind, level, facts["refused_calls"]) for kind, level, _, facts in events] == [
        (EventType.BUDGET_EXCEEDED, "ERROR", 1),
        (EventType.BUDGET_EXCEEDED, "ERROR", 4),
    ]
    assert events[0][2].startswith("budget 'd' refuses this call before it is made")
    assert manager.status()[0].refused_calls == 5


def test_a_reservation_over_the_end_of_a_period_counts_in_the_next(manager: BudgetManager, clock: Clock) -> None:
    """A call that runs over midnight stays reserved in the new day and is spent there."""
    manager.set_budget("d", 10, "daily", on_exceed="stop")
    manager.check_budgets(entry(9))
    held = manager.reserve(1.0)
    clock.forward(days=1)
    (status,) = manager.status()
    assert (status.spent_usd, status.reserved_usd) == (0.0, 1.0)

    manager.check_budgets(entry(0.75, clock.moment), held)

    (status,) = manager.status()
    assert (status.spent_usd, status.reserved_usd) == (0.75, 0.0)


# --- status -----------------------------------------------------------------------------------------------------------


def test_the_whole_status(manager: BudgetManager) -> None:
    """The status of a budget has every figure a person asks for."""
    manager.set_budget("d", 10, "daily", [0.5], agent_id="coder", on_exceed="stop")
    manager.check_budgets(entry(6, agent_id="coder"))
    manager.check_budgets(entry(None, agent_id="coder"))
    held = manager.reserve(1, Attribution(agent_id="coder"))

    assert manager.status() == [
        BudgetStatus(
            name="d",
            scope={"agent_id": "coder"},
            per=None,
            key=None,
            period="daily",
            period_start=datetime(2026, 3, 18, tzinfo=timezone.utc),
            resets_at=datetime(2026, 3, 19, tzinfo=timezone.utc),
            limit_usd=10.0,
            spent_usd=6.0,
            reserved_usd=1.0,
            remaining_usd=3.0,
            ratio=0.6,
            alerts_sent=(0.5,),
            unpriced_calls=1,
            refused_calls=0,
            on_exceed="stop",
            forecast_usd=12.0,  # half of the day has passed
        )
    ]
    held.release()


def test_there_is_no_forecast_where_there_is_no_ground_for_one(manager: BudgetManager, clock: Clock) -> None:
    """A period that never ends and one that has just begun have no forecast."""
    manager.set_budget("total", 10, "total")
    manager.set_budget("d", 10, "daily")
    clock.moment = datetime(2026, 3, 18, 0, 14, tzinfo=timezone.utc)
    manager.check_budgets(entry(1, clock.moment))

    assert [(s.forecast_usd, s.resets_at is None) for s in manager.status()] == [(None, True), (None, False)]
