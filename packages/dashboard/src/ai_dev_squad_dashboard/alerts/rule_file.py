"""The file of rules: TOML that is kept under version control, read with every mistake told at once.

A mistake names the rule, the value, what is allowed and the cure. Rules that are made on the page are read by the same code.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from ai_dev_squad_dashboard.store.figures import FIGURE_NAMES, FigureName, Kind

from .durations import duration_us
from .rules import MEASURES, OF, Measure, QuietHours, Receiver, Rule, Severity
from .secrets import Secret

__all__ = ["MAX_RULES", "RuleFileError", "RuleText", "Rules", "read_rule", "read_rules"]

MAX_RULES: Final = 20_000
_MAX_BYTES: Final = 32 << 20
_MAX_COMBINATIONS: Final = 1000
_MINUTE_US: Final = 60_000_000
_LONGEST_US: Final = 31 * 1440 * _MINUTE_US
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAME_LENGTH: Final = 100

Read = TypeVar("Read")


class RuleFileError(ValueError):
    """Rules that cannot be understood. ``problems`` has one line for each mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class SecretText(msgspec.Struct, forbid_unknown_fields=True):
    """Where a secret is."""

    env: str | None = None
    file: str | None = None


class QuietText(msgspec.Struct, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    """Quiet hours as they are written."""

    start: str
    end: str
    zone: str = "UTC"
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = []
    critical_too: bool = False


class ReceiverText(msgspec.Struct, forbid_unknown_fields=True):
    """A receiver as it is written."""

    name: str
    type: Literal["webhook", "email", "command"]
    body: Literal["json", "slack", "teams", "pagerduty"] = "json"
    url: str | SecretText | None = None
    secret: SecretText | None = None
    host: str = ""
    port: int | None = None
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str | SecretText | None = None
    password: SecretText | None = None
    sender: str = ""
    to: list[str] = []
    command: list[str] = []
    timeout: str = "10s"
    group: str = "30s"
    give_up: str = "1d"
    quiet: QuietText | None = None


class RuleText(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A rule as it is written, in a file or on the page."""

    name: str
    measure: str
    of: Literal["calls", "runs", "tools", "agents", "spans"] | None = None
    over: str = "5m"
    above: float | None = None
    below: float | None = None
    where: dict[str, str | list[str]] = {}
    by: list[str] = []
    notify: list[str] = []
    severity: Severity = "warning"
    min_count: int = 1
    rearm: str | None = None
    repeat: str | None = None
    resolved: bool = True
    note: str = ""


@dataclass(frozen=True)
class Rules:
    """What a file says, understood."""

    rules: tuple[Rule, ...] = ()
    receivers: tuple[Receiver, ...] = ()


def read_rules(path: Path) -> Rules:
    """Read a file of rules. Raises ``RuleFileError``."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise RuleFileError([f"{path} cannot be read ({error.strerror or error}); correct --alerts"]) from None
    if len(content) > _MAX_BYTES:
        raise RuleFileError(
            [f"{path} is larger than {_MAX_BYTES >> 20} MiB; group by a name instead of writing a rule for each"]
        )
    try:
        tables = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RuleFileError([f"{path} is no TOML: {error}"]) from None
    return _understood(tables, path.parent)


def _understood(tables: Mapping[str, Any], beside: Path) -> Rules:
    problems = [
        f"{name!r} is no table of a rule file; write [[rule]] or [[receiver]]"
        for name in tables
        if name not in {"rule", "receiver"}
    ]

    def each(kind: str, read: Callable[[Any], Read]) -> Iterator[Read]:
        entries = tables.get(kind, [])
        if not isinstance(entries, list):
            problems.append(f"[{kind}] is one table; write [[{kind}]], with two brackets")
            return
        for number, entry in enumerate(entries, 1):
            try:
                yield read(entry)
            except RuleFileError as error:
                problems.extend(f"{kind} {number}{_named(entry)}: {problem}" for problem in error.problems)

    receivers = tuple(each("receiver", lambda entry: _receiver(_shaped(entry, ReceiverText), beside)))
    known = {receiver.name for receiver in receivers}
    rules = tuple(each("rule", read_rule))
    problems += _twice("receiver", [receiver.name for receiver in receivers])
    problems += _twice("rule", [rule.name for rule in rules])
    if len(rules) > MAX_RULES:
        problems.append(f"{len(rules)} rules are too many; use at most {MAX_RULES}, and group by a name")
    if not problems or known:
        problems += [
            f"rule {rule.name!r} notifies {name!r}, which is no receiver; {_choose(known)}"
            for rule in rules
            for name in rule.notify
            if name not in known
        ]
    if problems:
        raise RuleFileError(problems)
    return Rules(rules, receivers)


def read_rule(entry: Any) -> Rule:
    """Understand one rule, whose receivers are not looked at. Raises ``RuleFileError``."""
    text = _shaped(entry, RuleText)
    problems: list[str] = []
    measure = MEASURES.get(text.measure)
    if measure is None:
        raise RuleFileError([f"measure {text.measure!r} is unknown; use one of {', '.join(MEASURES)}"])
    over_us = _length(problems, "over", text.over, _MINUTE_US, _LONGEST_US)
    above, threshold = _threshold(problems, text, measure)
    kind = measure.kind or OF[text.of or ("spans" if text.measure == "silence" else "calls")]
    if text.of is not None and measure.kind is not None:
        problems.append(f"{text.measure} is not counted `of` anything; leave `of` out")
    _text(problems, "name", text.name)
    if len(text.note) > 2000:
        problems.append(f"note has {len(text.note)} characters; use at most 2000, or the address of a page")
    if text.min_count < 1:
        problems.append(f"min_count {text.min_count} is too small; use 1 or more")
    where = _where(problems, text.where)
    by = _names(problems, "by", text.by)
    rearm_us = over_us if text.rearm is None else _length(problems, "rearm", text.rearm, 0, _LONGEST_US)
    repeat_us = None if text.repeat is None else _length(problems, "repeat", text.repeat, _MINUTE_US, _LONGEST_US)
    if problems:
        raise RuleFileError(problems)
    return Rule(
        name=text.name,
        measure=text.measure,
        kind=Kind(kind),
        over_us=over_us,
        threshold=threshold,
        above=above,
        where=where,
        by=by,
        notify=tuple(dict.fromkeys(text.notify)),
        severity=text.severity,
        min_count=text.min_count,
        rearm_us=rearm_us,
        repeat_us=repeat_us,
        resolved=text.resolved,
        note=text.note,
    )


def _threshold(problems: list[str], text: RuleText, measure: Measure) -> tuple[bool, float]:
    if text.measure == "silence":
        if text.above is not None or text.below is not None:
            problems.append("silence has no threshold; leave `above` and `below` out, and say how long with `over`")
        return False, 1.0
    if text.above is not None and text.below is not None:
        problems.append("it has `above` and `below`; write two rules")
        return True, 0.0
    value = text.above if text.above is not None else text.below if text.below is not None else measure.default
    if value is None:
        problems.append(
            f"it has no threshold; write above = … or below = …{f', in {measure.unit}' if measure.unit else ''}"
        )
        return True, 0.0
    if not math.isfinite(value) or not 0 <= value <= 1e12:
        problems.append(f"the threshold {value!r} is not from 0 to 1e12; correct it")
        return True, 0.0
    return text.below is None, float(value)


def _where(problems: list[str], given: Mapping[str, str | list[str]]) -> tuple[tuple[FigureName, tuple[str, ...]], ...]:
    chosen: dict[FigureName, tuple[str, ...]] = {}
    combinations = 1
    for name, values in given.items():
        several = tuple(dict.fromkeys([values] if isinstance(values, str) else values))
        if not several:
            problems.append(f"where.{name} is empty; leave it out, or name values")
            continue
        combinations *= len(several)
        for known in _names(problems, "where", [name]):
            chosen[known] = several
    if combinations > _MAX_COMBINATIONS:
        problems.append(
            f"where has {combinations} combinations; use at most {_MAX_COMBINATIONS}, or write several rules"
        )
    return tuple(sorted(chosen.items()))


def _names(problems: list[str], field: str, given: Sequence[str]) -> tuple[FigureName, ...]:
    known = [name for name in FIGURE_NAMES if name in given]
    problems.extend(
        f"{field} has {name!r}; use {', '.join(FIGURE_NAMES)}" for name in given if name not in FIGURE_NAMES
    )
    return tuple(known)


def _receiver(text: ReceiverText, beside: Path) -> Receiver:
    problems: list[str] = []
    _text(problems, "name", text.name)
    needed: dict[str, tuple[tuple[str, Any], ...]] = {
        "webhook": (("url", text.url),),
        "email": (("host", text.host), ("sender", text.sender), ("to", text.to)),
        "command": (("command", text.command),),
    }
    missing = [name for name, value in needed[text.type] if not value]
    if text.type == "webhook" and text.body == "pagerduty":
        missing = [] if text.secret else ["secret (PagerDuty's routing key)"]
    problems += [f"a receiver of type {text.type} needs {name}; write it" for name in missing]
    url = text.url
    if isinstance(url, str) and not url.startswith(("http://", "https://")):
        problems.append('url is no http:// or https:// address; correct it, or name a variable: url = { env = "…" }')
    if isinstance(url, str) and "@" in url.split("/")[2:3].__str__():
        problems.append('url has a name or a password in it; put the address into a variable: url = { env = "…" }')
    if text.type == "webhook" and text.body == "pagerduty" and url is None:
        url = "https://events.pagerduty.com/v2/enqueue"
    port = text.port if text.port is not None else {"starttls": 587, "tls": 465, "none": 25}[text.tls]
    if not 1 <= port <= 65535:
        problems.append(f"port {port} is no port; use 1 to 65535")
    if text.tls == "none" and text.password is not None and text.host not in {"localhost", "127.0.0.1", "::1"}:
        problems.append('a password would be sent in clear; use tls = "starttls" or "tls"')
    for address in (text.sender, *text.to):
        if address and ("@" not in address or any(ord(letter) < 32 for letter in address)):
            problems.append(f"{address!r} is no mail address; write one like ops@example.org")
    lengths = {
        name: _length(problems, name, value, low * 1_000_000, high * 1_000_000) / 1_000_000
        for name, value, low, high in (
            ("timeout", text.timeout, 1, 120),
            ("group", text.group, 0, 3600),
            ("give_up", text.give_up, 60, 7 * 86_400),
        )
    }
    quiet = None if text.quiet is None else _quiet(problems, text.quiet)
    secrets = {
        name: _secret(problems, name, value, beside)
        for name, value in (("url", url), ("secret", text.secret), ("user", text.user), ("password", text.password))
    }
    if problems:
        raise RuleFileError(problems)
    return Receiver(
        name=text.name,
        type=text.type,
        body=text.body,
        host=text.host,
        port=port,
        tls=text.tls,
        sender=text.sender,
        to=tuple(text.to),
        command=tuple(text.command),
        timeout_s=lengths["timeout"],
        group_s=lengths["group"],
        give_up_s=lengths["give_up"],
        quiet=quiet,
        **secrets,
    )


def _quiet(problems: list[str], text: QuietText) -> QuietHours | None:
    moments: list[time] = []
    for name, value in (("from", text.start), ("to", text.end)):
        try:
            moments.append(time.fromisoformat(value))
        except ValueError:
            problems.append(f"quiet.{name} {value!r} is no time of day; write one like 22:00")
    try:
        ZoneInfo(text.zone)
    except (ValueError, OSError):
        problems.append(f"quiet.zone {text.zone!r} is unknown; use a name like Europe/Berlin")
        return None
    if len(moments) < 2:
        return None
    if any(moment.tzinfo for moment in moments):
        problems.append("quiet hours have an offset; leave it out, and name the zone with zone = …")
        return None
    return QuietHours(
        moments[0], moments[1], text.zone, tuple(_DAYS.index(day) for day in text.days), text.critical_too
    )


def _secret(problems: list[str], name: str, given: str | SecretText | None, beside: Path) -> Secret | None:
    if given is None:
        return None
    if isinstance(given, str):
        return Secret(text=given)
    if bool(given.env) == bool(given.file):
        problems.append(f'{name} needs one of env and file; write {name} = {{ env = "NAME" }}')
        return None
    return Secret(env=given.env or None, file=beside / given.file if given.file else None)


def _length(problems: list[str], name: str, text: str, low_us: int, high_us: int) -> int:
    value = duration_us(text)
    if value is None:
        problems.append(f"{name} {text!r} is no length of time; write one like 90s, 5m, 1h or 7d")
        return low_us
    if not low_us <= value <= high_us:
        low, high = low_us // 1_000_000, high_us // 1_000_000
        problems.append(f"{name} {text!r} is not from {low} s to {high} s; correct it")
        return low_us
    return value


def _text(problems: list[str], name: str, text: str) -> None:
    if not text.strip() or len(text) > _NAME_LENGTH or any(ord(letter) < 32 for letter in text):
        problems.append(
            f"{name} {text[:40]!r} is empty, longer than {_NAME_LENGTH} characters or not one line; correct it"
        )


def _shaped(entry: Any, kind: type[Read]) -> Read:
    try:
        return msgspec.convert(entry, kind)
    except msgspec.ValidationError as error:
        allowed = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))  # type: ignore[arg-type]
        raise RuleFileError([f"{error}; allowed: {allowed}"]) from None


def _named(entry: Any) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return f" ({name[:_NAME_LENGTH]!r})" if isinstance(name, str) else ""


def _twice(kind: str, names: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    return [
        f"two {kind}s are called {name!r}; names tell them apart, so change one"
        for name in names
        if name in seen or seen.add(name)  # type: ignore[func-returns-value]
    ]


def _choose(known: set[str]) -> str:
    return f"use one of {', '.join(sorted(known))}" if known else "write a [[receiver]] of that name"
