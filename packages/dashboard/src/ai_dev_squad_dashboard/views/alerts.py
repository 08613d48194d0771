"""Alerts: the rules and how they stand, who is told and whether that works, and what was told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ai_dev_squad_dashboard.alerts.alert import Alert
from ai_dev_squad_dashboard.alerts.alerting import Alerting, RuleState
from ai_dev_squad_dashboard.alerts.delivery import ReceiverHealth
from ai_dev_squad_dashboard.alerts.durations import words
from ai_dev_squad_dashboard.alerts.outbox import Waiting
from ai_dev_squad_dashboard.alerts.rules import MEASURES, Receiver
from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query

__all__ = ["PAGE", "AlertDelivery", "AlertGroup", "AlertLine", "AlertReceiver", "AlertRule", "Alerts", "build"]

SHOWN_RULES = 200

_LAST: Final = 1 << 53
"""No alert has a number beyond this."""


@dataclass(frozen=True)
class AlertGroup:
    """One of those that a rule looks at apart."""

    names: tuple[tuple[str, str], ...]
    value: float | None
    """What is measured now, in the measure's unit."""
    firing: bool
    since_us: int | None
    """Since when, as it was told."""


@dataclass(frozen=True)
class AlertRule:
    """A rule and how it stands."""

    name: str
    measure: str
    about: str
    """What the measure is."""
    condition: str
    """The whole of it in words."""
    unit: str
    severity: str
    notify: tuple[str, ...]
    note: str
    from_file: bool
    """Whether it stands in the file; else it was made here."""
    firing: int
    """For how many groups it holds."""
    groups: tuple[AlertGroup, ...]
    """Those that hold, and those that come nearest."""
    crowded: bool
    """Whether there are more groups than are told apart; the others are put together."""


@dataclass(frozen=True)
class AlertReceiver:
    """Who is told. Nothing of it is secret."""

    name: str
    type: str
    body: str
    address: str
    """Where it is, without what may be secret of it."""
    state: Literal["new", "well", "failing", "quiet"]
    waiting: int
    """Alerts that it was not sent yet."""
    failed: int
    """Alerts that were given up."""
    failures: int
    """Attempts in a row that failed."""
    error: str
    well_us: int | None
    """When it last took a message, since the dashboard started."""
    quiet_until_us: int | None
    tested: str | None
    """What came of the last test: empty when it took it, else what went wrong; ``None`` without one."""
    tested_us: int | None


@dataclass(frozen=True)
class AlertDelivery:
    """What became of an alert at one receiver."""

    receiver: str
    state: str
    """``waiting``, ``sent``, ``failed`` (given up) or ``crowded`` (too much waited already)."""
    error: str


@dataclass(frozen=True)
class AlertLine:
    """An alert of the history."""

    id: int
    time_us: int
    what: str
    """``fired``, ``repeated`` or ``resolved``."""
    severity: str
    rule: str
    title: str
    text: str
    note: str
    deliveries: tuple[AlertDelivery, ...]


@dataclass(frozen=True)
class Alerts:
    """Rules, receivers and what was told."""

    file: str | None
    """The file of rules that the dashboard was started with."""
    problem: str | None
    """Why the file as it is now is not in force."""
    rules: tuple[AlertRule, ...]
    """Those that hold first."""
    rule_count: int
    firing: int
    """Rules that hold, for any group."""
    receivers: tuple[AlertReceiver, ...]
    history: tuple[AlertLine, ...]
    """Newest first."""
    next: int | None
    """``before`` of the following page."""


def build(site: Site, query: Query) -> Alerts:
    """How alerts stand, now. The span of time and the filters change nothing here."""
    alerting = site.alerting
    limit = query.limit(50)
    if alerting is None:
        return Alerts(None, None, (), 0, 0, (), (), None)
    before = query.number("before", minimum=1, maximum=_LAST)
    outbox = alerting.outbox
    past = () if outbox is None else outbox.history(limit + 1, None if before is None else int(before))
    count, firing, states = alerting.states(SHOWN_RULES)
    return Alerts(
        file=None if site.settings.alerts is None else str(site.settings.alerts),
        problem=alerting.problem,
        rules=tuple(_rule(state) for state in states),
        rule_count=count,
        firing=firing,
        receivers=_receivers(alerting, query.now_us),
        history=tuple(
            _line(each.id, each.alert, tuple(AlertDelivery(*became) for became in each.deliveries))
            for each in past[:limit]
        ),
        next=past[limit - 1].id if len(past) > limit else None,
    )


def _rule(state: RuleState) -> AlertRule:
    rule = state.rule
    return AlertRule(
        name=rule.name,
        measure=rule.measure,
        about=MEASURES[rule.measure].about,
        condition=_condition(state),
        unit=MEASURES[rule.measure].unit,
        severity=rule.severity,
        notify=rule.notify,
        note=rule.note,
        from_file=state.from_file,
        firing=state.firing,
        groups=tuple(
            AlertGroup(tuple(zip(rule.by, group, strict=True)), value, firing, since)
            for group, value, firing, since in state.groups
        ),
        crowded=state.crowded,
    )


def _condition(state: RuleState) -> str:
    rule = state.rule
    measure = MEASURES[rule.measure]
    of = "" if measure.kind is not None or rule.kind.name is None else f" of {rule.kind.name.lower()}s"
    window = "" if measure.way == "level" else f" in {words(rule.over_us)}"
    if rule.measure == "silence":
        said = f"no {(rule.kind.name or 'span').lower()} for {words(rule.over_us)}"
    else:
        said = f"{rule.measure}{of} {'above' if rule.above else 'below'} {rule.threshold:g}{window}"
    where = "".join(f", {name} {' or '.join(values)}" for name, values in rule.where)
    by = f", for each {' and '.join(rule.by)}" if rule.by else ""
    return f"{said}{where}{by}"


def _receivers(alerting: Alerting, now_us: int) -> tuple[AlertReceiver, ...]:
    health = alerting.health()
    waiting = {} if alerting.outbox is None else alerting.outbox.waiting()
    return tuple(
        _receiver(
            each,
            health.get(each.name, ReceiverHealth()),
            waiting.get(each.name, Waiting()),
            alerting.tested.get(each.name),
            now_us,
        )
        for each in alerting.receivers
    )


def _receiver(
    receiver: Receiver, health: ReceiverHealth, waiting: Waiting, tested: tuple[int, str] | None, now_us: int
) -> AlertReceiver:
    quiet = None if receiver.quiet is None else receiver.quiet.until_us(now_us)
    state: Literal["new", "well", "failing", "quiet"] = "new"
    if health.failures:
        state = "failing"
    elif quiet is not None:
        state = "quiet"
    elif health.well_us is not None:
        state = "well"
    return AlertReceiver(
        name=receiver.name,
        type=receiver.type,
        body=receiver.body,
        address=receiver.address,
        state=state,
        waiting=waiting.alerts,
        failed=waiting.failed,
        failures=health.failures,
        error=health.error,
        well_us=health.well_us,
        quiet_until_us=quiet,
        tested=None if tested is None else tested[1],
        tested_us=None if tested is None else tested[0],
    )


def _line(number: int, alert: Alert, deliveries: tuple[AlertDelivery, ...]) -> AlertLine:
    return AlertLine(
        number, alert.time_us, alert.what, alert.severity, alert.rule, alert.title, alert.text, alert.note, deliveries
    )


PAGE = Page(
    "alerts",
    "/alerts",
    "/api/alerts",
    "Alerts",
    build,
    Alerts,
    navigation="Alerts",
    key="n",
    parameters=("limit", "before"),
    live=False,
)
