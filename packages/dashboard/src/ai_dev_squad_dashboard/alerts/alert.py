"""An alert as it is kept and told: a decision, and what its rule said at that moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

import msgspec

from .durations import words
from .engine import Decision
from .rules import MEASURES, Rule, Severity

__all__ = ["Alert", "Message", "alert_of", "iso", "trial"]


class Alert(msgspec.Struct, frozen=True):
    """What somebody is told. Times are microseconds since 1970."""

    rule: str
    what: Literal["fired", "repeated", "resolved", "test"]
    severity: Severity
    group: dict[str, str]
    """The names that the rule looks at apart, and their values."""
    measure: str
    unit: str
    value: float | None
    threshold: float
    above: bool
    over_us: int
    since_us: int
    time_us: int
    note: str = ""

    @property
    def title(self) -> str:
        """One line."""
        for_whom = "".join(f", {name} {value}" for name, value in self.group.items())
        state = {"resolved": "over: ", "repeated": "still: ", "test": "test: "}.get(self.what, "")
        return f"{state}{self.rule}{for_whom}"

    @property
    def text(self) -> str:
        """What was measured, in a sentence."""
        if self.what == "test":
            return "This is a test; nothing is wrong."
        window = words(self.over_us)
        if self.measure == "silence":
            return f"Nothing arrived in {window}." if self.what != "resolved" else "Something arrived again."
        value = "unknown" if self.value is None else _number(self.value, self.unit)
        within = "now" if MEASURES[self.measure].way == "level" else f"in {window}"
        limit = f"{'above' if self.above else 'below'} {_number(self.threshold, self.unit)}"
        ending = "no longer " if self.what == "resolved" else ""
        return f"{self.measure} {within}: {value}, {ending}{limit}."


@dataclass(frozen=True)
class Message:
    """What one receiver is sent at once: it has the same id however often it is tried."""

    id: str
    receiver: str
    created_us: int
    attempts: int
    alerts: tuple[Alert, ...]

    @property
    def title(self) -> str:
        """One line."""
        first = self.alerts[0].title
        return first if len(self.alerts) == 1 else f"{first}, and {len(self.alerts) - 1} more"


def alert_of(rule: Rule, decision: Decision) -> Alert:
    """The alert of a decision about ``rule``."""
    return Alert(
        rule=rule.name,
        what=decision.what,
        severity=rule.severity,
        group=dict(zip(rule.by, decision.group, strict=True)),
        measure=rule.measure,
        unit=MEASURES[rule.measure].unit,
        value=decision.value,
        threshold=rule.threshold,
        above=rule.above,
        over_us=rule.over_us,
        since_us=decision.since_us,
        time_us=decision.time_us,
        note=rule.note,
    )


def trial(now_us: int) -> Alert:
    """What a receiver is sent to try it."""
    return Alert("Test of a receiver", "test", "info", {}, "count", "", None, 0.0, True, 60_000_000, now_us, now_us)


def iso(time_us: int) -> str:
    """A moment as programs read it, UTC."""
    return datetime.fromtimestamp(time_us / 1_000_000, timezone.utc).isoformat(timespec="seconds")


def _number(value: float, unit: str) -> str:
    if unit == "USD":
        return f"${value:,.4f}".rstrip("0").rstrip(".") if value < 1 else f"${value:,.2f}"
    if unit == "share":
        return f"{value:.1%}"
    return f"{value:,.6g}{f' {unit}' if unit else ''}"
