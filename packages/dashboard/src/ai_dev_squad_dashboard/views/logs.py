"""Logs: every journal line and log record, newest first, with a live tail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from ai_dev_squad.schema import LogLevel, registered_event_types
from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import SETTLED_S, BadCursorError, Facets
from ai_dev_squad_dashboard.store.rows import LogRow

__all__ = ["LEVELS", "PAGE", "LogLine", "Logs", "Tail", "build", "tail"]

LEVELS: Final = tuple(level.name for level in LogLevel)
"""From the most talkative to the gravest."""
SHOWN: Final = 200
"""Lines on a page, and in one message of the tail."""
CAUGHT_UP: Final = 1000
"""Lines that a tail may be behind; beyond that it starts again from the newest."""
MAX_MESSAGE: Final = 20_000
MAX_DETAILS: Final = 32 * 1024
_AHEAD_US: Final = 86_400_000_000


@dataclass(frozen=True)
class LogLine:
    """One line of a log."""

    time_us: int
    level: str
    event_type: str
    message: str
    """At most 20,000 characters."""
    message_cut: int
    """Characters of the message that are left out here."""
    framework: str | None
    service: str | None
    session_id: str | None
    agent: str | None
    trace_id: str | None
    span_id: str | None
    source: str
    """``journal`` or ``otlp``."""
    details: Any
    """Everything else of the line, as JSON; ``null`` when there is nothing else, or when it is longer than 32 KiB."""
    details_start: str | None
    """Where ``details`` is too long: how it begins."""
    details_bytes: int


@dataclass(frozen=True)
class Logs:
    """A page of log lines, newest first."""

    lines: tuple[LogLine, ...]
    next: str | None
    """The cursor of the following, older lines."""
    newest: str | None
    """Where a live tail goes on."""
    level: str
    """The least grave level that is shown."""
    event_types: tuple[str, ...]
    """Chosen event types; all when empty."""
    text: str
    trace_id: str | None
    known_event_types: tuple[str, ...]
    facets: Facets
    tails: bool
    """Whether new lines are added while the page is open: not for older lines, nor for a span of time in the past."""


@dataclass(frozen=True)
class Tail:
    """Lines that have come in since a cursor, newest first."""

    lines: tuple[LogLine, ...]
    newest: str | None
    """The cursor to go on from."""
    skipped: int
    """When more came in than can be read: how many lines, at least, lie between these and the ones before."""


def build(site: Site, query: Query) -> Logs:
    """Lines of the span of time that match the filters."""
    cursor = query.get("cursor") or None
    tails = query.live and cursor is None
    page = site.store.logs(
        query.selection,
        cursor=cursor,
        settled_s=SETTLED_S if tails else 0.0,  # the tail brings what is newer
        limit=query.limit(SHOWN),
        trace_id=query.get("trace") or None,
        **_filters(query),
    )
    return Logs(
        lines=_lines(page.rows),
        next=page.next,
        newest=page.newest,
        level=_level(query),
        event_types=query.all("event"),
        text=query.get("q"),
        trace_id=query.get("trace") or None,
        known_event_types=_known(query),
        facets=site.store.facets(query.selection),
        tails=tails,
    )


def tail(site: Site, query: Query, after: str | None) -> Tail:
    """What has been stored since ``after`` and matches the filters; the newest lines without, or when too much came in."""
    # A clock that runs ahead must not hide lines from the tail for ever.
    selection = replace(query.selection, end_us=query.selection.end_us + _AHEAD_US)
    trace_id = query.get("trace") or None
    came: Sequence[LogRow] = ()
    if after is not None:
        try:
            page = site.store.logs(
                selection, after=after, settled_s=SETTLED_S, limit=CAUGHT_UP, trace_id=trace_id, **_filters(query)
            )
        except BadCursorError:
            after = None  # of a store that is gone: start again
        else:
            came = page.rows
            if len(came) < CAUGHT_UP:
                shown = tuple(reversed(came[-SHOWN:]))
                return Tail(_lines(shown), page.newest, len(came) - len(shown))
    page = site.store.logs(selection, settled_s=SETTLED_S, limit=SHOWN, trace_id=trace_id, **_filters(query))
    return Tail(_lines(page.rows), page.newest, max(0, len(came) - SHOWN))


def _filters(query: Query) -> dict[str, Any]:
    level = _level(query)
    # An OpenTelemetry record may have a level that is none of ours, so the lowest choice means every line.
    levels = () if level == LEVELS[0] else LEVELS[LEVELS.index(level) :]
    return {"levels": levels, "event_types": query.all("event"), "text": query.get("q")}


def _level(query: Query) -> str:
    return query.choice("level", LEVELS, LEVELS[0])


def _known(query: Query) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*(str(kind) for kind in registered_event_types()), *query.all("event"))))


def _lines(rows: Sequence[LogRow]) -> tuple[LogLine, ...]:
    return tuple(_line(row) for row in rows)


def _line(row: LogRow) -> LogLine:
    details, start = _details(row.details)
    return LogLine(
        **{**row._asdict(), "message": row.message[:MAX_MESSAGE], "details": details},
        message_cut=max(0, len(row.message) - MAX_MESSAGE),
        details_start=start,
        details_bytes=len(row.details or b""),
    )


def _details(raw: bytes | None) -> tuple[Any, str | None]:
    """The object, or how it begins when it is too long or no JSON."""
    if not raw:
        return None, None
    if len(raw) <= MAX_DETAILS:
        try:
            return msgspec.json.decode(raw), None
        except msgspec.MsgspecError:
            pass
    return None, raw[:4000].decode("utf-8", "replace")


PAGE = Page(
    "logs",
    "/logs",
    "/api/logs",
    "Logs",
    build,
    Logs,
    navigation="Logs",
    key="l",
    parameters=("level", "event", "q", "trace", "cursor", "limit"),
)
