"""What a rule says: what is measured, of which spans, over how long, from when on it is too much, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from ai_dev_squad_dashboard.store.figures import NANO, FigureName, Kind

from .secrets import Secret

__all__ = [
    "MEASURES",
    "OF",
    "Measure",
    "QuietHours",
    "Receiver",
    "Rule",
    "Severity",
]

Severity = Literal["info", "warning", "critical"]
Way = Literal["sum", "ratio", "latency", "event", "level"]

OF: Final[Mapping[str, Kind]] = {
    "calls": Kind.CALL,
    "runs": Kind.RUN,
    "tools": Kind.TOOL,
    "agents": Kind.AGENT,
    "spans": Kind.SPAN,
}
"""What ``of`` may say: which spans are counted, timed and looked at for errors."""


class Measure(NamedTuple):
    """One thing that rules look at."""

    about: str
    way: Way
    unit: str
    scale: float = 1
    """What one unit of a rule is in the numbers that are added up."""
    kind: Kind | None = None
    """What it is of; ``None`` where the rule says so by ``of``."""
    default: float | None = None
    """``above`` where the rule has neither ``above`` nor ``below``."""


MEASURES: Final[Mapping[str, Measure]] = {
    "cost_usd": Measure("US dollars of model calls with a known price", "sum", "USD", NANO, Kind.CALL),
    "tokens": Measure("input and output tokens of model calls", "sum", "tokens", 1, Kind.CALL),
    "input_tokens": Measure("input tokens of model calls", "sum", "tokens", 1, Kind.CALL),
    "output_tokens": Measure("output tokens of model calls", "sum", "tokens", 1, Kind.CALL),
    "count": Measure("how many there were", "sum", ""),
    "errors": Measure("how many of them failed", "sum", ""),
    "error_rate": Measure("the share of them that failed, from 0 to 1", "ratio", "share"),
    "mean_ms": Measure("how long they took on average, in milliseconds", "ratio", "ms", 1000),
    "p50_ms": Measure("how long half of them took at most, in milliseconds", "latency", "ms", 1000),
    "p95_ms": Measure("how long 95 of 100 of them took at most, in milliseconds", "latency", "ms", 1000),
    "p99_ms": Measure("how long 99 of 100 of them took at most, in milliseconds", "latency", "ms", 1000),
    "silence": Measure("nothing arrived for as long as `over` says", "sum", ""),
    "budget_warnings": Measure("a program told that a share of its budget is spent", "event", "", 1, Kind.BUDGET_WARNING, 0),
    "budget_crossed": Measure("a program told that its budget is spent", "event", "", 1, Kind.BUDGET_CROSSED, 0),
    "budget_refused": Measure("a program's budget refused a call", "event", "", 1, Kind.BUDGET_REFUSED, 0),
    "budget_spent": Measure(
        "what is spent of a budget that the dashboard watches, as a share of its limit", "level", "share", 1, Kind.BUDGET_SPENT, 1
    ),
    "budget_forecast": Measure(
        "what will be spent of it at the end of its period if it goes on so, as a share of its limit", "level", "share", 1,
        Kind.BUDGET_FORECAST, 1,
    ),
    "loops": Measure("an agent was found in a loop", "event", "", 1, Kind.LOOP, 0),
    "dropped": Measure("spans and rows that were lost, in programs or here", "event", "", 1, Kind.DROPPED, 0),
}  # fmt: skip
"""What ``measure`` may say."""


@dataclass(frozen=True)
class Rule:
    """One rule, understood. Durations are microseconds."""

    name: str
    """Names the rule in messages and in what is kept: one that is changed and keeps its name is the same rule."""
    measure: str
    """A key of ``MEASURES``."""
    kind: Kind
    over_us: int
    """The length of the window that is looked at; it moves in 60 steps."""
    threshold: float
    """In the measure's own unit."""
    above: bool
    """Whether too much is above the threshold, or below it."""
    where: tuple[tuple[FigureName, tuple[str, ...]], ...] = ()
    """Which spans: each name has one of these values. Sorted."""
    by: tuple[FigureName, ...] = ()
    """For each of what it is looked at apart."""
    notify: tuple[str, ...] = ()
    """Names of receivers."""
    severity: Severity = "warning"
    min_count: int = 1
    """How many there must be for a share or a latency to mean anything."""
    rearm_us: int = 0
    """How long after it told it may tell again, once it was well in between."""
    repeat_us: int | None = None
    """How often it tells again while it lasts."""
    resolved: bool = True
    """Whether it tells that it is over."""
    note: str = ""
    """What to do, for whoever is told: words, or the address of a page."""

    @property
    def scaled(self) -> float:
        """The threshold in the numbers that are added up."""
        return self.threshold * MEASURES[self.measure].scale

    def distance(self, value: float | None) -> float:
        """By which values are ordered: the nearer to what it looks for, the less; unknown is the farthest."""
        if value is None:
            return float("inf")
        return -value if self.above else value

    @property
    def condition(self) -> str:
        """What it looks at, for telling whether a rule of the same name is still the same question."""
        return repr(
            (
                self.measure,
                int(self.kind),
                self.over_us,
                self.threshold,
                self.above,
                self.where,
                self.by,
                self.min_count,
            )
        )


@dataclass(frozen=True)
class QuietHours:
    """When a receiver is left alone, by the clock of a place. What was decided meanwhile is sent at the end, in one message."""

    start: time
    end: time
    """Before ``start`` when they go past midnight."""
    zone: str = "UTC"
    days: tuple[int, ...] = ()
    """The days on which they begin, Monday is 0; every day when empty."""
    critical_too: bool = False
    """Whether what is critical waits as well."""

    def until_us(self, now_us: int) -> int | None:
        """When the quiet hours that ``now_us`` lies in end, in microseconds since 1970; ``None`` outside of them."""
        zone = ZoneInfo(self.zone)
        now = datetime.fromtimestamp(now_us / 1_000_000, timezone.utc).astimezone(zone)
        for back in (0, 1):
            day = now.date() - timedelta(days=back)
            if self.days and day.weekday() not in self.days:
                continue
            start = datetime.combine(day, self.start, zone)
            end_day = day if self.end > self.start else day + timedelta(days=1)
            end = datetime.combine(end_day, self.end, zone)
            # Compared as moments: on the day of a clock change the same reading comes twice, or not at all.
            if start.timestamp() * 1_000_000 <= now_us < end.timestamp() * 1_000_000:
                return round(end.timestamp() * 1_000_000)
        return None


@dataclass(frozen=True)
class Receiver:
    """Who is told, and how. Times are seconds."""

    name: str
    type: Literal["webhook", "email", "command"]
    body: Literal["json", "slack", "teams", "pagerduty"] = "json"
    """What a webhook is sent."""
    url: Secret | None = None
    secret: Secret | None = None
    """Signs a webhook; PagerDuty's routing key."""
    host: str = ""
    port: int = 25
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: Secret | None = None
    password: Secret | None = None
    sender: str = ""
    to: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    timeout_s: float = 10.0
    group_s: float = 30.0
    """How long it waits for more, to tell of all of it in one message."""
    give_up_s: float = 86_400.0
    """How long a message is tried for."""
    quiet: QuietHours | None = None

    @property
    def address(self) -> str:
        """Where it is, with nothing secret in it."""
        if self.type == "email":
            return f"{', '.join(self.to)} by {self.host}:{self.port}"
        return self.command[0] if self.type == "command" else str(self.url or "")
