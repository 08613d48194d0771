"""A receiver as it is written in a file, and understood."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from .entries import length_us, named, shaped
from .errors import RuleFileError
from .rules import QuietHours, Receiver
from .secrets import Secret

__all__ = ["ReceiverText", "read_receiver"]

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PAGERDUTY: Final = "https://events.pagerduty.com/v2/enqueue"
"""https://developer.pagerduty.com/docs/events-api-v2-overview"""


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


def read_receiver(entry: Any, beside: Path) -> Receiver:
    """Understand one receiver; files of secrets are found from ``beside``. Raises ``RuleFileError``."""
    text = shaped(entry, ReceiverText)
    problems: list[str] = []
    named(problems, "name", text.name)
    needed: dict[str, tuple[tuple[str, Any], ...]] = {
        "webhook": (("url", text.url),),
        "email": (("host", text.host), ("sender", text.sender), ("to", text.to)),
        "command": (("command", text.command),),
    }
    missing = [name for name, value in needed[text.type] if not value]
    is_pagerduty = text.type == "webhook" and text.body == "pagerduty"
    if is_pagerduty:
        missing = [] if text.secret else ["secret (PagerDuty's routing key)"]
    problems += [f"a receiver of type {text.type} needs {name}; write it" for name in missing]
    problems += _wrong_in_url(text.url)
    url = _PAGERDUTY if is_pagerduty and text.url is None else text.url
    port = text.port if text.port is not None else {"starttls": 587, "tls": 465, "none": 25}[text.tls]
    problems += _wrong_in_mail(text, port)
    lengths = {
        name: length_us(problems, name, value, low * 1_000_000, high * 1_000_000) / 1_000_000
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


def _wrong_in_url(url: str | SecretText | None) -> Iterator[str]:
    if isinstance(url, str) and not url.startswith(("http://", "https://")):
        yield 'url is no http:// or https:// address; correct it, or name a variable: url = { env = "…" }'
    elif isinstance(url, str) and "@" in url.split("/")[2]:
        yield 'url has a name or a password in it; put the address into a variable: url = { env = "…" }'


def _wrong_in_mail(text: ReceiverText, port: int) -> Iterator[str]:
    if not 1 <= port <= 65535:
        yield f"port {port} is no port; use 1 to 65535"
    if text.tls == "none" and text.password is not None and text.host not in {"localhost", "127.0.0.1", "::1"}:
        yield 'a password would be sent in clear; use tls = "starttls" or "tls"'
    for address in (text.sender, *text.to):
        if address and ("@" not in address or any(ord(letter) < 32 for letter in address)):
            yield f"{address!r} is no mail address; write one like ops@example.org"


def _quiet(problems: list[str], text: QuietText) -> QuietHours | None:
    moments: list[time] = []
    for name, value in (("from", text.start), ("to", text.end)):
        try:
            moments.append(time.fromisoformat(value))
        except ValueError:
            problems.append(f"quiet.{name} {value!r} is no time of day; write one like 22:00")
    try:
        ZoneInfo(text.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
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
