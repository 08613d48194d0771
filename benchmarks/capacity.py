"""How many machines, how much disk and how much money so many spans a second take, and what runs out first.

    python benchmarks/capacity.py --spans-per-second 1000000 --days 30

The figures of a span are those that ``cost_of_a_span.py`` measured, kept in ``cost_of_a_span.json`` with the machine, the date and the
versions; the result says so. All else is arithmetic, and every assumption is printed. It is a plan, no measurement: nobody has run a
million spans a second with this.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["PRICES", "Costs", "Plan", "plan", "read_costs"]

MEASURED: Final = Path(__file__).with_name("cost_of_a_span.json")
DAY_S: Final = 86_400
HOURS_A_MONTH: Final = 730
GB: Final = 1_000_000_000


@dataclass(frozen=True)
class Costs:
    """What one span takes, as measured on one core of one machine."""

    receive_us: float
    """Processor time of a receiver: reading OTLP, translating, pricing."""
    hand_over_us: float
    """Processor time of a receiver: writing its rows to the engine."""
    store_us: float
    """Processor time of the engine for storing it, merges during the measurement included."""
    stored_bytes: float
    """Bytes on the engine's disk."""
    page_ms: float
    """Processor time of an overview page, dashboard and engine together."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} {value!r} is no cost; measure it again with benchmarks/cost_of_a_span.py")


@dataclass(frozen=True)
class Prices:
    """List prices in USD, where they are from, and of when."""

    machine_cores: int = 2
    machine_gib: int = 8
    machine_usd_hour: float = 0.0816
    """m7g.large, Linux, us-east-1, on demand."""
    disk_usd_gb_month: float = 0.08
    """EBS gp3, us-east-1, without more throughput than it has by itself."""
    source: str = (
        "m7g.large $0.0816 an hour: AWS list price of 2026-06-17 as told by "
        "factualminds.com/blog/amazon-ec2-on-demand-pricing-instance-families-2026; gp3 $0.08 a GB and month: "
        "aws.amazon.com/ebs/pricing, an assumption to check"
    )


PRICES: Final = Prices()
BUSY: Final = 0.5
"""How much of a core is planned for: the rest is for peaks, for merges that come later, and for one machine that is away."""
REPLICAS: Final = 2
DISK_FULL: Final = 0.7
"""How full a disk may be: a merge needs room for what it writes anew."""
CORES_OF_A_WRITER: Final = 1
"""A receiver writes from one thread, whatever it runs on: then one more is needed, or more machines."""


@dataclass(frozen=True)
class Plan:
    """What is needed. Money is USD a month."""

    spans_a_second: float
    days: float
    receivers: int
    """Processes of ``ai-dev-squad receive``, a core each."""
    store_cores: int
    """Cores of the engine, for all replicas."""
    shards: int
    """Machines among which the engine's work is shared, each with its replicas."""
    stored_gb: float
    """On all disks: every replica, and the room that has to stay free."""
    machines: int
    machines_usd: float
    disks_usd: float
    first_limit: str
    """What runs out first when more comes than planned."""

    @property
    def usd(self) -> float:
        """A month of it."""
        return self.machines_usd + self.disks_usd

    @property
    def usd_a_million(self) -> float:
        """A million spans."""
        return self.usd / (self.spans_a_second * HOURS_A_MONTH * 3600 / 1e6)


def plan(spans_a_second: float, days: float, costs: Costs, prices: Prices = PRICES, replicas: int = REPLICAS) -> Plan:
    """The arithmetic. Raises ``ValueError`` for a rate, days or replicas that are none."""
    if not (spans_a_second > 0 and days > 0 and replicas >= 1):
        raise ValueError(
            f"{spans_a_second!r} spans a second for {days!r} days on {replicas!r} replicas is no plan; use numbers above 0"
        )
    receiving = spans_a_second * (costs.receive_us + costs.hand_over_us) / 1e6 / BUSY
    storing = spans_a_second * costs.store_us / 1e6 / BUSY
    receivers = max(2, math.ceil(receiving / CORES_OF_A_WRITER))
    shards = max(1, math.ceil(storing / prices.machine_cores))
    gb = spans_a_second * DAY_S * days * costs.stored_bytes / GB * replicas / DISK_FULL
    # Two dashboards beside them: pages cost by visitor, not by span.
    machines = math.ceil(receivers / prices.machine_cores) + shards * replicas + 1
    return Plan(
        spans_a_second=spans_a_second,
        days=days,
        receivers=receivers,
        store_cores=shards * replicas * prices.machine_cores,
        shards=shards,
        stored_gb=gb,
        machines=machines,
        machines_usd=machines * prices.machine_usd_hour * HOURS_A_MONTH,
        disks_usd=gb * prices.disk_usd_gb_month,
        first_limit=_first_limit(spans_a_second, costs, shards),
    )


def _first_limit(spans_a_second: float, costs: Costs, shards: int) -> str:
    """The part whose core is full first as the rate grows and nothing is added."""
    receiver = 1e6 / (costs.receive_us + costs.hand_over_us)
    if shards > 1:
        return f"more than one shard ({shards}): spelled by schema.statements, run nowhere yet"
    engine = PRICES.machine_cores * 1e6 / costs.store_us
    if receiver <= engine:
        return f"the one core of a receiver, at {receiver:,.0f} spans/s each"
    return f"the engine's {PRICES.machine_cores} cores, at {engine:,.0f} spans/s"


LANGFUSE: Final[Sequence[tuple[str, int, float, float]]] = (
    ("Web, two for availability", 2, 2, 4),
    ("Worker", 1, 2, 4),
    ("PostgreSQL", 1, 2, 4),
    ("Redis or Valkey", 1, 1, 1.5),
    ("ClickHouse", 1, 2, 8),
)
"""(part, how many, CPUs each, GiB each): Langfuse's published minimum for v4, langfuse.com/self-hosting/configuration/scaling and
/deployment/infrastructure/containers, read 2026-11-29; object storage comes on top. It publishes no spans a second for any size: add
containers from 50 % of a CPU on."""


def read_costs(file: Path = MEASURED) -> tuple[Costs, Mapping[str, object]]:
    """What was measured, and on what."""
    told = json.loads(file.read_text(encoding="utf-8"))
    return Costs(**told["costs"]), told["measured"]


def table(made: Plan) -> list[tuple[str, str]]:
    """A plan as rows of text."""
    return [
        ("receivers (processes, a core each)", f"{made.receivers:,}"),
        ("shards of the engine, of two cores", f"{made.shards:,}"),
        ("cores of the engine, all replicas", f"{made.store_cores:,}"),
        ("disk, GB", f"{made.stored_gb:,.0f}"),
        ("machines of 2 cores, 8 GiB", f"{made.machines:,}"),
        ("machines, USD a month", f"{made.machines_usd:,.0f}"),
        ("disks, USD a month", f"{made.disks_usd:,.0f}"),
        ("USD for a million spans", f"{made.usd_a_million:.3f}"),
        ("what runs out first", made.first_limit),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans-per-second", type=float, default=1_000_000, metavar="N")
    parser.add_argument("--days", type=float, default=30, metavar="N")
    parser.add_argument("--replicas", type=int, default=REPLICAS, metavar="N")
    options = parser.parse_args(arguments)
    costs, measured = read_costs()
    try:
        made = plan(options.spans_per_second, options.days, costs, replicas=options.replicas)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{made.spans_a_second:,.0f} spans a second, kept {made.days:g} days, {options.replicas} replicas\n")
    for name, value in table(made):
        print(f"  {name:38} {value}")
    print("\nWhat it rests on:")
    for name, figure in vars(costs).items():
        print(f"  {name:38} {figure:,.1f}")
    print(f"  measured: {', '.join(f'{name} {value}' for name, value in measured.items())}")
    print(f"  cores planned to {BUSY:.0%}, disks to {DISK_FULL:.0%}; prices: {PRICES.source}")
    print("\nLangfuse's published minimum (v4), for whatever rate it bears:")
    for part, many, cpus, gib in LANGFUSE:
        print(f"  {part:38} {many} x {cpus:g} CPU, {gib:g} GiB")
    total = sum(many * cpus for _, many, cpus, _ in LANGFUSE)
    print(f"  {'together':38} {total:g} CPU, and object storage; no rate is published, so no rate is compared")
    return 0


if __name__ == "__main__":
    sys.exit(main())
