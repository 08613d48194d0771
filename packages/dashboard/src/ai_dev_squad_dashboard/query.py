"""What a URL asks for: the span of time and the filters. URLs carry all state, so a view can be shared."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Final
from urllib.parse import urlencode

from .store.base import Selection

__all__ = ["OPEN_FOR_US", "RANGES", "Query", "QueryError"]

HOUR_US: Final = 3_600_000_000
RANGES: Final[Mapping[str, int]] = {
    "15m": HOUR_US // 4,
    "1h": HOUR_US,
    "24h": 24 * HOUR_US,
    "7d": 168 * HOUR_US,
    "30d": 720 * HOUR_US,
}
"""The spans of time that have a name, in microseconds, ending now."""

OPEN_FOR_US: Final = 24 * HOUR_US
"""An operation that began longer ago and has not ended is no longer shown as running: it was cut off, most likely."""

FILTERS: Final[Mapping[str, str]] = {
    "framework": "frameworks",
    "provider": "providers",
    "model": "models",
    "agent": "agents",
    "service": "services",
    "session": "sessions",
    "user": "users",
    "task": "tasks",
}
"""Filter in a URL → field of ``Selection``. Each may be given several times; in ``frameworks`` commas separate."""

MAX_TEXT: Final = 500


class QueryError(ValueError):
    """A URL that asks for something impossible. The message names the value, what is allowed and the cure."""


@dataclass(frozen=True)
class Query:
    """A URL's arguments, understood. ``args`` has all of them, so that ``url`` can change one and keep the others."""

    selection: Selection
    range: str
    """A name of ``RANGES``, or ``custom`` where ``from`` and ``to`` were given."""
    args: tuple[tuple[str, str], ...] = ()
    live: bool = True
    """False where the span of time lies in the past, so that nothing can change any more."""
    now_us: int = field(default=0, compare=False)

    @classmethod
    def parse(
        cls, args: Sequence[tuple[str, str]], *, default: str = "24h", clock: Callable[[], float] = time.time
    ) -> Query:
        """Understand the arguments of a URL, in order. Unknown names are kept for the page. Raises ``QueryError``."""
        now_us = int(clock() * 1_000_000)
        first = {name: value for name, value in reversed(args) if value}
        # The guide's name for the range stands beside ours.
        name = first.get("range") or first.get("time_range") or default
        start, end = first.get("from"), first.get("to")
        if start or end:
            name = "custom"
            selection = Selection(
                start_us=_moment("from", start) if start else 0, end_us=_moment("to", end) if end else now_us + 1
            )
            if selection.start_us >= selection.end_us:
                raise QueryError(f"from={start!r} is not before to={end!r}; swap them")
        elif name in RANGES:
            selection = Selection(start_us=now_us - RANGES[name], end_us=now_us + 1)
        else:
            raise QueryError(f"range {name!r} is unknown; use one of {', '.join(RANGES)}, or from= and to= in ISO 8601")
        chosen: dict[str, Any] = {
            target: _several(args, source) for source, target in FILTERS.items() if _several(args, source)
        }
        if "frameworks" in first and "frameworks" not in chosen:
            chosen["frameworks"] = tuple(part for part in first["frameworks"].split(",") if part)
        labels = tuple(_label(text) for text in _several(args, "label"))
        if labels:
            chosen["labels"] = labels
        return cls(
            selection=replace(selection, **chosen),
            range=name,
            args=tuple((key, value) for key, value in args if value),
            live=not end,
            now_us=now_us,
        )

    @property
    def step_us(self) -> int:
        """The step of a timeline: a minute to a day, so that there are some 60 to 180 of them."""
        length = self.selection.end_us - self.selection.start_us
        steps = (60, 300, 900, 3600, 6 * 3600, 86_400, 7 * 86_400)
        return next((step * 1_000_000 for step in steps if length / (step * 1_000_000) <= 180), 7 * 86_400_000_000)

    @property
    def open_since_us(self) -> int:
        """From when on what has begun and not ended counts as running, as the page's moment sees it."""
        return self.now_us - OPEN_FOR_US

    @property
    def filtered(self) -> bool:
        """Whether any filter is set besides the span of time."""
        return bool(self.selection.labels) or any(getattr(self.selection, target) for target in FILTERS.values())

    def get(self, name: str, default: str = "") -> str:
        """The first value of an argument. Raises ``QueryError`` for one that is too long."""
        value = next((value for key, value in self.args if key == name), default)
        if len(value) > MAX_TEXT:
            raise QueryError(f"{name} has {len(value)} characters; use at most {MAX_TEXT}")
        return value

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of an argument."""
        return tuple(value for key, value in self.args if key == name)

    def number(self, name: str, *, minimum: float = 0, maximum: float = float("inf")) -> float | None:
        """A number, or ``None`` where the argument is absent. Raises ``QueryError``."""
        text = self.get(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not minimum <= value <= maximum:
            raise QueryError(f"{name}={text!r} is not a number from {minimum:g} to {maximum:g}; correct or remove it")
        return value

    def choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        """One of ``allowed``. Raises ``QueryError``."""
        value = self.get(name) or default
        if value not in allowed:
            raise QueryError(f"{name}={value!r} is unknown; use one of {', '.join(filter(None, allowed))}")
        return value

    def limit(self, default: int, maximum: int = 500) -> int:
        """How many rows a page has."""
        return int(self.number("limit", minimum=1, maximum=maximum) or default)

    def url(self, path: str, *, keep: bool = True, **changes: Any) -> str:
        """``path`` with these arguments. ``keep``: all others as they are, but for the cursor. ``None`` removes one."""
        kept = [(key, value) for key, value in self.args if keep and key not in changes and key != "cursor"]
        added = [
            (key, str(item))
            for key, value in changes.items()
            if value is not None
            for item in (value if isinstance(value, (list, tuple)) else [value])
        ]
        text = urlencode(kept + added)
        return f"{path}?{text}" if text else path

    def carried(self) -> dict[str, list[str]]:
        """The arguments that go along from page to page: the span of time and the filters."""
        names = {"range", "from", "to", "label", *FILTERS}
        carried: dict[str, list[str]] = {}
        for key, value in self.args:
            if key in names:
                carried.setdefault(key, []).append(value)
        return carried


def _several(args: Sequence[tuple[str, str]], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for key, value in args if key == name and value))


def _label(text: str) -> tuple[str, str]:
    """A tag or a member of metadata, as ``key:value``."""
    key, colon, value = text.partition(":")
    if not (key and colon and value):
        raise QueryError(f"label={text[:80]!r} is no key and value; write it like tenant:acme, or tag:beta")
    return key, value


def _moment(name: str, text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 moment, UTC where it has no offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise QueryError(f"{name}={text!r} is no moment; write it like 2026-11-22T10:30:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    try:
        return int(moment.timestamp() * 1_000_000)
    except (OverflowError, OSError):
        raise QueryError(f"{name}={text!r} is too far away; use a year from 1970 to 9998") from None
