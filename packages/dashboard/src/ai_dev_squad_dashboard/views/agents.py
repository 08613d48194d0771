"""Agents and tools: how often they were called, how that went, and how long it took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ai_dev_squad_dashboard.formats import duration
from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Group

__all__ = ["MOST", "PAGE", "Agents", "Bin", "Member", "Scale", "bins", "build"]

ORDERS = ("calls", "errors", "p95", "cost", "key")
MOST = 5_000
"""Agents, and tools, that may be asked for: more names than a store tells apart."""
WIDTH, HEIGHT, COLUMNS = 120, 24, 30


@dataclass(frozen=True)
class Bin:
    """One bar of a histogram, in a picture of 120 by 24."""

    x: float
    width: float
    height: float
    count: int
    words: str
    """The bar as a sentence."""


@dataclass(frozen=True)
class Scale:
    """From where to where all histograms of a table go, in microseconds, logarithmic."""

    low_us: int
    high_us: int


@dataclass(frozen=True)
class Member:
    """An agent or a tool."""

    group: Group
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Agents:
    """The agents and the tools."""

    order: str
    """``calls``, ``errors``, ``p95`` or ``cost``, the largest first; ``key`` by name."""
    agents: tuple[Member, ...]
    agents_scale: Scale | None
    tools: tuple[Member, ...]
    tools_scale: Scale | None
    agents_limited: bool
    """Whether there are more agents than are here."""
    tools_limited: bool


def build(site: Site, query: Query) -> Agents:
    """The agents and tools of the span of time."""
    order: Any = query.choice("order", ORDERS, "calls")
    limit = query.limit(100, MOST)
    found = [
        # Calls outside of any agent or tool are no agent and no tool, and one more than is shown says that there are more.
        [group for group in groups if group.key is not None]
        for groups in (
            site.store.groups(query.selection, "agent", order=order, limit=limit + 2, latency=True),
            site.store.groups(query.selection, "tool", order=order, limit=limit + 2, latency=True),
        )
    ]
    (agents, agents_scale), (tools, tools_scale) = (_members(groups[:limit]) for groups in found)
    more_agents, more_tools = (len(groups) > limit for groups in found)
    return Agents(order, agents, agents_scale, tools, tools_scale, more_agents, more_tools)


def _members(named: Sequence[Group]) -> tuple[tuple[Member, ...], Scale | None]:
    bounds = [bound for group in named for bound, _ in group.latency]
    if not bounds:
        return tuple(Member(group, ()) for group in named), None
    scale = Scale(max(1, min(bounds)), max(2, *bounds))
    return tuple(Member(group, bins(group.latency, scale)) for group in named), scale


def bins(latency: Sequence[tuple[int, int]], scale: Scale) -> tuple[Bin, ...]:
    """A histogram's bars: at most 30 columns on the scale, the highest one as high as the picture."""
    low, high = math.log(scale.low_us), math.log(max(scale.high_us, scale.low_us + 1))
    counts: dict[int, tuple[int, int]] = {}
    for bound, count in latency:
        share = (math.log(max(1, bound)) - low) / (high - low)
        column = min(COLUMNS - 1, max(0, int(share * COLUMNS)))
        counts[column] = (counts.get(column, (0, 0))[0] + count, bound)
    most = max((count for count, _ in counts.values()), default=0)
    width = WIDTH / COLUMNS
    return tuple(
        Bin(
            x=round(column * width, 2),
            width=round(width - 0.75, 2),
            # A single call among thousands is still to be seen.
            height=round(max(2.0, HEIGHT * count / most), 2),
            count=count,
            words=f"{count:,} {'call' if count == 1 else 'calls'} up to {duration(bound)}",
        )
        for column, (count, bound) in sorted(counts.items())
    )


PAGE = Page(
    "agents",
    "/agents",
    "/api/agents",
    "Agents and tools",
    build,
    Agents,
    navigation="Agents and tools",
    key="a",
    parameters=("order", "limit"),
    whole=(("limit", str(MOST)),),
)
