"""The plan of machines, disks and money: arithmetic that grows with what is asked for, and whose figures say where they are from."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from capacity import Costs, main, plan, read_costs

COST = st.floats(0.1, 10_000)
COSTS = st.builds(Costs, receive_us=COST, hand_over_us=COST, store_us=COST, stored_bytes=COST, page_ms=COST)
RATES, DAYS = st.floats(1, 5_000_000), st.floats(1, 400)


@given(COSTS, RATES, DAYS, st.floats(1, 100), st.integers(1, 3))
def test_more_takes_no_less(costs: Costs, rate: float, days: float, times: float, replicas: int) -> None:
    """With the rate, the days and the replicas, nothing that is needed shrinks; days change disks only."""
    small = plan(rate, days, costs, replicas=replicas)
    for more in (
        plan(rate * times, days, costs, replicas=replicas),
        plan(rate, days * times, costs, replicas=replicas),
        plan(rate, days, costs, replicas=replicas + 1),
    ):
        for name in ("receivers", "shards", "store_cores", "stored_gb", "machines", "machines_usd", "disks_usd", "usd"):
            assert getattr(more, name) >= getattr(small, name)
    longer = plan(rate, days * times, costs, replicas=replicas)
    assert replace(longer, days=days, stored_gb=small.stored_gb, disks_usd=small.disks_usd) == small


def test_units_by_hand() -> None:
    """1,000 spans a second, 100 us each in a receiver, 200 in the engine, 300 bytes, half busy, two replicas, disks 70 % full."""
    made = plan(1_000, 10, Costs(receive_us=60, hand_over_us=40, store_us=200, stored_bytes=300, page_ms=50))
    assert (made.receivers, made.shards, made.store_cores, made.machines) == (2, 1, 4, 4)
    assert made.stored_gb == pytest.approx(1_000 * 86_400 * 10 * 300 / 1e9 * 2 / 0.7)
    assert made.machines_usd == pytest.approx(4 * 0.0816 * 730)
    assert made.usd_a_million == pytest.approx(made.usd / (1_000 * 730 * 3_600 / 1e6))


@pytest.mark.parametrize("rate, days", [(0, 1), (1, 0), (-1, 1), (float("nan"), 1)])
def test_what_is_no_plan_is_refused(rate: float, days: float) -> None:
    """The message names the values."""
    with pytest.raises(ValueError, match="is no plan; use numbers above 0"):
        plan(rate, days, Costs(1, 1, 1, 1, 1))


def test_the_command_says_what_it_rests_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the plan stand the measured figures, machine, date and versions, the source of prices, and the other's minimum."""
    costs, measured = read_costs()
    assert main(["--spans-per-second", "1000000", "--days", "30"]) == 0
    said = capsys.readouterr().out
    assert all(str(value) in said for value in (f"{costs.store_us:,.1f}", *measured.values(), "2026-06-17", "Langfuse"))
    assert main(["--spans-per-second", "0"]) == 2
