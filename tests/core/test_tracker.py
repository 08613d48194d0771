"""The ledger: every call entered once, priced, summed up exactly, in memory that does not grow."""

from __future__ import annotations

import logging
import os
import threading
import tracemalloc
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad import Attribution, OptimizedCostTracker, guard
from ai_dev_squad.costs import (
    BudgetExceeded,
    BudgetManager,
    CostEntry,
    CostTracker,
    ModelPricing,
    Totals,
)
from ai_dev_squad.costs.ledger.totals import OTHER, RunningTotals
from ai_dev_squad.costs.prices.catalog import catalog
from ai_dev_squad.schema import Cost, Usage

READ_ON = catalog().read_on

GPT_4O = Attribution(model="gpt-4o", provider="openai")
MORNING = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
USED = Usage(input_tokens=1_000, output_tokens=200, cache_read_input_tokens=640, source="provider")


def record(tracker: CostTracker, **changes: Any) -> CostEntry:
    belongs = {name: changes.pop(name) for name in Attribution.__struct_fields__ if name in changes}
    call = Attribution(**{"model": "gpt-4o", "provider": "openai"} | belongs)
    usage = changes.pop("usage", USED)
    return tracker.record(call, usage, **{"duration_ms": 12.5, "timestamp": MORNING} | changes)


@pytest.fixture
def lenient():
    """As in production: what fails inside is logged, not raised."""
    before = guard.set_strict(False)
    yield
    guard.set_strict(before)


# --- one call ---------------------------------------------------------------------------------------------------------


def test_a_call_is_entered_with_all_that_is_known():
    """The entry has the guide's fields, the usage, the cost and the price that was used."""
    tracker = CostTracker()
    entry = record(
        tracker,
        session_id="s",
        agent_id="a",
        framework="langgraph",
        user_id="u",
        run_id="r",
        trace_id="t",
        span_id="x",
        prompt_hash="h",
        attempt=2,
    )
    assert entry == CostEntry(
        MORNING,
        "gpt-4o",
        "openai",
        1_000,
        200,
        0.0037,
        12.5,
        "s",
        "a",
        "langgraph",
        user_id="u",
        trace_id="t",
        span_id="x",
        usage=USED,
        cost=Cost(usd=0.0037, price="openai/gpt-4o", price_date=READ_ON, price_source="genai-prices"),
        prompt_hash="h",
        attempt=2,
        run_id="r",
    )
    assert tracker.entries == [entry]


def test_the_short_form_is_a_face_over_the_same_entry():
    """``track_llm_usage`` takes token counts and enters the call now."""
    tracker = CostTracker()
    before = datetime.now(timezone.utc)
    entry = tracker.track_llm_usage("gpt-4o", "openai", 1_000, 200, 12, "s", "a", "f", cache_read_input_tokens=640)
    assert (entry.cost_usd, entry.session_id, entry.agent_id, entry.framework) == (0.0037, "s", "a", "f")
    assert before <= entry.timestamp <= datetime.now(timezone.utc)
    assert tracker.entries[0] is entry


def test_counts_with_fractions_are_rounded_up():
    """A rough counter's 1.3 tokens a word are whole tokens in the ledger."""
    assert CostTracker().track_llm_usage("gpt-4o", "openai", 1.3, 0.2, 5).input_tokens == 2


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "12", True])
def test_impossible_counts_are_refused(value):
    """The error names the argument, the value and what is allowed; nothing is entered."""
    tracker = CostTracker()
    with pytest.raises(ValueError, match=r"output_tokens is .*; allowed: a whole number of tokens from 0 up") as error:
        tracker.track_llm_usage("gpt-4o", "openai", 1, value, 5)
    assert repr(value) in str(error.value)
    assert len(tracker.entries) == 0


def test_an_unknown_price_is_none_and_visible():
    """Never 0: the entry says why, totals count it, and the list of unknown prices names it."""
    tracker = CostTracker()
    entry = record(tracker, model="mystery", provider="acme")
    assert (entry.cost_usd, entry.cost.price) == (None, None)
    assert "no price is known for model 'mystery' of provider 'acme'" in entry.cost.reason
    record(tracker, model="mystery", provider="acme")
    record(tracker, model="other", provider="acme")
    record(tracker)
    assert tracker.totals().unpriced_calls == 3
    assert tracker.totals().cost_usd == 0.0037
    assert [(row.provider, row.model, row.calls) for row in tracker.unknown_prices()] == [
        ("acme", "mystery", 2),
        ("acme", "other", 1),
    ]


def test_a_call_nobody_counted_is_no_unknown_price():
    """A failed call without usage has no cost, but its price is not what is missing."""
    tracker = CostTracker()
    entry = record(tracker, usage=Usage(source="missing"), status="error")
    assert (entry.cost_usd, entry.input_tokens, entry.status) == (None, 0, "error")
    assert tracker.unknown_prices() == []
    assert tracker.totals() == Totals(calls=1, uncounted_calls=1, failed_calls=1, duration_ms=12.5)


def test_the_providers_own_amount_wins():
    """A cost that came with the answer is kept with its label, whatever the price list says."""
    assert record(CostTracker(), reported_usd=0.25).cost == Cost(usd=0.25, price_source="provider")
    assert record(CostTracker(), reported_usd=float("nan")).cost_usd == 0.0037


def test_a_hit_in_the_programs_own_cache_costs_nothing():
    """0 with the reason why."""
    assert record(CostTracker(), cache_hit=True).cost == Cost(usd=0.0, price_source="cache_hit")


def test_a_call_is_priced_as_of_its_time():
    """An entry of the past gets the price of its day."""
    used = Usage(input_tokens=1_000_000, output_tokens=0, source="provider")
    old = datetime(2025, 1, 1)
    assert record(CostTracker(), model="o3", usage=used, timestamp=old).cost_usd == 10.0
    assert record(CostTracker(), model="o3", usage=used).cost_usd == 2.0


def test_an_estimate_is_marked():
    """Tokens we counted ourselves make an estimated entry."""
    tracker = CostTracker()
    assert record(tracker, usage=Usage(input_tokens=1, output_tokens=1, source="estimated")).estimated is True
    assert tracker.totals().estimated_calls == 1


# --- nothing is lost --------------------------------------------------------------------------------------------------


class Broken(BudgetManager):
    """A budget manager whose check fails."""

    def check_budgets(self, cost_entry: CostEntry, reservation: Any = None) -> None:
        raise RuntimeError("broken")


@pytest.mark.usefixtures("lenient")
def test_a_failing_budget_manager_loses_nothing(caplog):
    """The entry is kept and counted, the failure logged, the reservation given back."""
    tracker = CostTracker(budget_manager=Broken())
    tracker.budget_manager.set_budget("b", 1.0, "daily", on_exceed="stop")
    reservation = tracker.reserve(GPT_4O, input_tokens=10)
    with caplog.at_level(logging.WARNING, "ai_dev_squad"):
        entry = record(tracker, reservation=reservation)
    assert list(tracker.entries) == [entry]
    assert tracker.totals().calls == 1
    assert [status.reserved_usd for status in tracker.budget_manager.status()] == [0.0]
    assert "checking budgets failed (RuntimeError: broken)" in caplog.text


@pytest.mark.usefixtures("lenient")
def test_a_raising_budget_callback_loses_nothing():
    """What a user's callback raises stays with the budgets."""
    tracker = CostTracker()
    tracker.budget_manager.set_budget("b", 0.001, "daily")
    tracker.budget_manager.alert_callbacks.append(lambda alert: 1 / 0)
    record(tracker)
    record(tracker)
    assert tracker.totals().calls == len(tracker.entries) == 2


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize(
    "changes",
    [
        {"usage": None},
        {"usage": {"input_tokens": 5}},
        {"usage": Usage(input_tokens="many", output_tokens=1, source="provider")},
        {"session_id": ["unhashable"]},
        {"model": None},
        {"provider": None},
        {"duration_ms": None},
        {"reported_usd": "free"},
        {"service_tier": 5},
        {"service_tier": ["flex"]},
    ],
)
def test_recording_never_raises(changes):
    """Whatever an adapter hands over, the call is in the ledger and seen by the budgets once."""
    seen = []
    tracker = CostTracker()
    tracker.budget_manager.check_budgets = seen.append
    entry = record(tracker, **changes)
    assert list(tracker.entries) == seen == [entry]


def test_usage_of_another_type_is_reported_and_none_is_not():
    """A call that nobody counted is no mistake; where failures are raised, as in tests, one that was told otherwise is."""
    tracker = CostTracker()

    assert record(tracker, usage=None).usage == Usage(source="missing")
    with pytest.raises(TypeError, match="usage is a dict; allowed: Usage or None"):
        record(tracker, usage={"input_tokens": 5})
    assert [entry.usage for entry in tracker.entries] == [Usage(source="missing")] * 2


def test_budgets_see_each_entry_exactly_once():
    """Also entries with a reservation, which is settled in the same step."""
    tracker = CostTracker()
    tracker.budget_manager.set_budget("b", 1.0, "daily", on_exceed="stop")
    reservation = tracker.reserve(GPT_4O, input_tokens=1_000, max_output_tokens=1_000)
    assert [(s.spent_usd, s.reserved_usd) for s in tracker.budget_manager.status()] == [(0.0, 0.0125)]
    entry = record(tracker, reservation=reservation, timestamp=None)
    assert [(s.spent_usd, s.reserved_usd) for s in tracker.budget_manager.status()] == [(entry.cost_usd, 0.0)]


def test_a_reservation_stops_a_call_before_money_is_spent():
    """The estimate alone exceeds the limit: nothing is entered, and the tracker says that budgets may stop."""
    tracker = CostTracker()
    assert tracker.may_stop is False
    tracker.budget_manager.set_budget("b", 0.01, "daily", on_exceed="stop")
    assert tracker.may_stop is True
    with pytest.raises(BudgetExceeded) as refusal:
        tracker.reserve(GPT_4O, input_tokens=1_000, max_output_tokens=1_000)
    assert refusal.value.estimate_usd == 0.0125
    assert len(tracker.entries) == 0


def test_a_reservation_without_a_limit_expects_an_answer():
    """500 tokens, or half the prompt, but no more than the context window leaves."""
    tracker = CostTracker()
    tracker.add_pricing_model(ModelPricing("m", "acme", 0.0, 1.0, 10_000))
    expected = [
        tracker.reserve(Attribution(model="m", provider="acme"), input_tokens=size).estimate_usd
        for size in (10, 4_000, 9_900, 20_000)
    ]
    assert expected == [0.5, 2.0, 0.1, 0.0]
    assert tracker.reserve(Attribution(model="mystery", provider="acme"), input_tokens=10).estimate_usd is None


# --- estimates --------------------------------------------------------------------------------------------------------


def test_an_estimate_before_the_call():
    """The guide's keys, and where count and price come from."""
    assert CostTracker().estimate_cost("Hello world", "gpt-4", "openai") == {
        "input_tokens": 2,
        "estimated_output_tokens": 1,
        "input_cost_usd": 0.00006,
        "estimated_output_cost_usd": 0.00006,
        "estimated_cost_usd": 0.00012,
        "token_source": "tiktoken",
        "price": "openai/gpt-4",
        "price_date": READ_ON,
        "price_source": "genai-prices",
    }


def test_an_estimate_for_messages_and_a_limit():
    """Chat messages are counted with their frame; a limit on the answer is its dearest case."""
    estimate = CostTracker().estimate_cost(
        model_name="gpt-4",
        provider="openai",
        messages=[{"role": "user", "content": "Hello world"}],
        max_output_tokens=100,
    )
    assert (estimate["input_tokens"], estimate["estimated_output_tokens"], estimate["token_source"]) == (
        10,
        100,
        "estimate",
    )
    assert estimate["estimated_cost_usd"] == pytest.approx(0.0063)


def test_an_estimate_for_a_prompt_that_fills_the_window_is_not_negative():
    """No room for an answer is no answer, not a negative one."""
    tracker = CostTracker()
    tracker.add_pricing_model(ModelPricing("m", "acme", 1.0, 1.0, 10))
    assert tracker.estimate_cost("word " * 100, "m", "acme")["estimated_output_tokens"] == 0


def test_an_estimate_for_an_unknown_model_is_refused():
    """The error names model, provider and the cure."""
    with pytest.raises(
        ValueError, match=r"no price is known for model 'mystery' of provider 'openai'.*add_pricing_model"
    ):
        CostTracker().estimate_cost("Hello", "mystery", "openai")


# --- entries ----------------------------------------------------------------------------------------------------------


def test_entries_behave_like_a_list():
    """Index, slice, iterate, compare, append, add: as code written for a list does."""
    tracker = CostTracker()
    one, two, three = (record(tracker, agent_id=name) for name in "abc")
    entries = tracker.entries
    assert (entries[0], entries[-1], entries[1:], len(entries)) == (one, three, [two, three], 3)
    assert [entry.agent_id for entry in entries] == ["a", "b", "c"]
    assert entries + (one,) == [one, two, three, one]  # noqa: RUF005 - the operator is what is tested
    assert two in entries
    entries.append(one)
    entries.extend([two])
    assert list(reversed(entries)) == [two, one, three, two, one]
    entries.clear()
    assert entries == []
    assert entries != 5


def test_the_oldest_entries_go_and_the_totals_stay():
    """``max_entries`` bounds the list, not the sums."""
    tracker = OptimizedCostTracker(max_entries=3)
    for number in range(10):
        record(tracker, agent_id=str(number))
    assert [entry.agent_id for entry in tracker.entries] == ["7", "8", "9"]
    assert tracker.totals() == Totals(10, 0.037, 10_000, 2_000, 6_400, duration_ms=125.0)


def test_a_subclass_may_trim_entries_itself():
    """The guide's own way of bounding memory keeps working."""

    class Trimming(CostTracker):
        def __init__(self, max_entries: int = 2) -> None:
            super().__init__()
            self.max_entries = max_entries

        def track_llm_usage(self, *args: Any, **more: Any) -> CostEntry:
            entry = super().track_llm_usage(*args, **more)
            if len(self.entries) > 1:
                self.entries = self.entries[-1:]
            return entry

    tracker = Trimming()
    entries = [tracker.track_llm_usage("gpt-4o", "openai", 1, 1, 1) for _ in range(3)]
    assert tracker.entries == entries[-1:]
    assert tracker.max_entries == 2


@pytest.mark.parametrize("value", [0, -1, 1.5, "10", None, True])
def test_an_impossible_number_of_entries_is_refused(value):
    """The error names the value and what is allowed."""
    with pytest.raises(ValueError, match=r"max_entries is .*; allowed: a whole number from 1 up"):
        CostTracker(max_entries=value)


# --- sums -------------------------------------------------------------------------------------------------------------


def test_sums_by_everything():
    """By model, provider, agent, framework, session, user and day, the dearest first, ``None`` for no label."""
    tracker = CostTracker()
    record(tracker, agent_id="planner", session_id="s1", framework="langgraph", user_id="u")
    record(tracker, agent_id="coder", session_id="s1", framework="langgraph", timestamp=MORNING + timedelta(days=1))
    record(tracker, agent_id="coder", model="gpt-4", session_id="s2")
    sums = {by: {key: (t.calls, t.cost_usd) for key, t in tracker.summary(by).items()} for by in DIMENSIONS}
    assert sums == {
        "model": {"gpt-4": (1, 0.042), "gpt-4o": (2, 0.0074)},
        "provider": {"openai": (3, 0.0494)},
        "agent_id": {"coder": (2, 0.0457), "planner": (1, 0.0037)},
        "framework": {None: (1, 0.042), "langgraph": (2, 0.0074)},
        "session_id": {"s2": (1, 0.042), "s1": (2, 0.0074)},
        "user_id": {None: (2, 0.0457), "u": (1, 0.0037)},
        "day": {"2026-11-22": (2, 0.0457), "2026-11-23": (1, 0.0037)},
    }
    assert list(tracker.summary("model")) == ["gpt-4", "gpt-4o"]
    assert tracker.summary("agent") == tracker.summary("agent_id")


DIMENSIONS = ("model", "provider", "agent_id", "framework", "session_id", "user_id", "day")


def test_days_are_utc():
    """An entry late in the evening of another zone belongs to its UTC day; naive times are UTC."""
    tracker = CostTracker()
    record(tracker, timestamp=datetime(2026, 11, 22, 23, 30, tzinfo=timezone(timedelta(hours=-5))))
    record(tracker, timestamp=datetime(2026, 11, 22, 23, 30))
    assert set(tracker.summary("day")) == {"2026-11-23", "2026-11-22"}


def test_an_unknown_dimension_is_refused():
    """The error lists what there is to sum up by."""
    with pytest.raises(ValueError, match="cannot sum up by 'colour'; allowed: model, provider, agent_id, framework"):
        CostTracker().summary("colour")


@given(
    st.lists(
        st.tuples(st.integers(0, 10**12), st.sampled_from("abcdef"), st.sampled_from(["s1", "s2", "s3", None])),
        max_size=60,
    )
)
def test_sums_are_exact_and_complete(calls):
    """However many groups there are and however few are kept, each kind of sum has every pico-dollar of every call."""
    totals = RunningTotals(max_groups=2, max_cells=3)
    for pico, agent, session in calls:
        totals.add(CostEntry(MORNING, "m", "p", 1, 2, pico / 10**12, 1.0, session, agent))
    exact = float(Fraction(sum(pico for pico, _, _ in calls), 10**12))
    assert (totals.totals().calls, totals.totals().cost_usd) == (len(calls), exact)
    for dimension in ("agent_id", "session_id"):
        groups = totals.by(dimension)
        assert len(groups) <= 3
        assert sum(group.calls for group in groups.values()) == len(calls)
        assert sum(round(group.cost_usd * 10**12) for group in groups.values()) == round(exact * 10**12)


def test_many_small_amounts_do_not_drift():
    """Where adding floats drifts, these sums do not."""
    totals = RunningTotals()
    entry = CostEntry(MORNING, "m", "p", 0, 0, 0.001, 1.0)
    drifting = 0.0
    for _ in range(100_000):
        totals.add(entry)
        drifting += 0.001
    assert totals.totals().cost_usd == 100.0
    assert drifting != 100.0


def test_sessions_without_end_keep_memory_flat():
    """Ten thousand sessions in two hundred groups: the oldest are summed up together, nothing is lost, nothing grows."""
    totals = RunningTotals(max_groups=200)
    entry = CostEntry(MORNING, "m", "p", 10, 5, 0.001, 1.0)

    def add(start: int) -> None:
        for number in range(start, start + 5_000):
            entry.session_id = f"session-{number}"
            totals.add(entry)

    add(0)
    tracemalloc.start()
    try:
        add(5_000)
        totals.totals()
        before = tracemalloc.get_traced_memory()[0]
        add(10_000)
        totals.totals()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    sessions = totals.by("session_id")
    assert after - before < 100_000
    assert len(sessions) == 200 + 1
    assert sessions[OTHER].calls == 15_000 - 200
    assert sum(group.calls for group in sessions.values()) == 15_000


def test_threads_lose_nothing():
    """Eight threads, each entry counted once in ledger, totals and budget."""
    tracker = CostTracker(max_entries=100_000)
    tracker.budget_manager.set_budget("b", 1_000.0, "total")

    def work(name: str) -> None:
        for _ in range(500):
            record(tracker, agent_id=name, timestamp=None)

    threads = [threading.Thread(target=work, args=(f"agent-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tracker.entries) == tracker.totals().calls == 4_000
    assert tracker.totals().cost_usd == 14.8
    assert {key: t.calls for key, t in tracker.summary("agent_id").items()} == {f"agent-{n}": 500 for n in range(8)}
    assert [status.spent_usd for status in tracker.budget_manager.status()] == [14.8]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forking is a matter of POSIX systems")
def test_a_forked_worker_can_go_on_recording():
    """A lock that another thread held at the moment of the fork does not block the child."""
    tracker = CostTracker()
    record(tracker)
    with tracker._totals._lock:
        child = os.fork()
        if child == 0:
            record(tracker)
            os._exit(0 if tracker.totals().calls == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
