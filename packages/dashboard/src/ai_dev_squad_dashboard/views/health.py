"""How the dashboard itself is: what comes in, what waits, what was dropped, and how large the store is."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from ai_dev_squad import Coverage
from ai_dev_squad_dashboard.forwarding.forwarder import Forwarded
from ai_dev_squad_dashboard.ingest.journal import JournalState
from ai_dev_squad_dashboard.ingest.queue import QueueState
from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store.base import MetricName, SearchState, StoreError, StoreState
from ai_dev_squad_dashboard.views.budget_stores import stores_away
from ai_dev_squad_dashboard.views.coverage import coverage

__all__ = ["PAGE", "Concern", "Health", "build"]

PACKAGES = (
    "ai-dev-squad",
    "ai-dev-squad-dashboard",
    "duckdb",
    "flask",
    "flask-socketio",
    "msgspec",
    "opentelemetry-proto",
)
SKEW_US = 5_000_000
"""How far ahead the newest span may be before it is worth a word: clocks of one machine differ by less."""


@dataclass(frozen=True)
class Concern:
    """Something to look after, with the cure."""

    kind: Literal["warn", "bad"]
    title: str
    cure: str


@dataclass(frozen=True)
class Health:
    """How the dashboard is."""

    concerns: tuple[Concern, ...]
    """The worst first; none when all is well."""
    queue: QueueState
    store: StoreState
    search: SearchState
    """The index of words."""
    behind_us: int | None
    """How old the newest span is; ``None`` without spans."""
    ahead_us: int
    """How far in the future the newest span lies, by this machine's clock: the sender's clock is ahead by at least that."""
    sources: tuple[JournalState, ...]
    """The journals that are followed."""
    metrics: tuple[MetricName, ...]
    """OpenTelemetry metrics that came in."""
    forwarded: Forwarded | None
    """How sending on to a second back end goes; ``None`` where nothing is sent on."""
    limits: Mapping[str, int | None]
    """What the settings allow: retention in days, the store's size, waiting rows, request size."""
    versions: Mapping[str, str]
    endpoint: str
    """Where OpenTelemetry programs send to."""
    coverage: Coverage
    """Model calls that left the programs, and how many of them were captured, in the last 24 hours."""
    coverage_text: str
    """The same in a sentence."""


def build(site: Site, query: Query) -> Health:
    """The state of the parts, now. The span of time and the filters change nothing here."""
    queue, settings = site.queue.state(), site.settings
    sources = tuple(site.sources())
    forwarded = None if site.forwarder is None else site.forwarder.state()
    silent: tuple[Concern, ...] = ()
    metrics: tuple[MetricName, ...] = ()
    try:
        store, metrics = site.store.state(), tuple(site.store.metric_names())
        calls, away, search = coverage(site, query), tuple(stores_away(site, query)), site.store.search_state()
    except StoreError as error:
        store, calls, away, search = _unknown(settings), Coverage(), (), SearchState(False, 0, 0, 0)
        silent = (Concern("bad", "The store does not answer", str(error)),)
    lag = None if store.newest_us is None else query.now_us - store.newest_us
    ahead = max(0, -(lag or 0))
    concerns = (
        *silent,
        *_incidents(store),
        *_uncaptured(calls),
        *_away(away),
        *_unindexed(search),
        *_unsent(forwarded),
        *_arriving(queue),
        *_unreadable(sources),
        *_doubtful(queue.clashes, ahead),
        *_outgrown(store, settings.max_store_mib),
    )
    return Health(
        concerns=tuple(sorted(concerns, key=lambda concern: concern.kind != "bad")),
        queue=queue,
        store=store,
        search=search,
        behind_us=None if lag is None else max(0, lag),
        ahead_us=ahead,
        sources=sources,
        metrics=metrics,
        forwarded=forwarded,
        limits={
            "retention_days": settings.retention_days,
            "max_store_mib": settings.max_store_mib,
            "max_pending_rows": settings.max_pending_rows,
            "max_request_mib": settings.max_request_mib,
            "memory_limit_mib": settings.memory_limit_mib,
        },
        versions=_versions(),
        endpoint=f"{'https' if settings.behind_tls else 'http'}://{settings.host}:{settings.port}",
        coverage=calls,
        coverage_text=str(calls),
    )


def _unknown(settings: DashboardSettings) -> StoreState:
    return StoreState(
        engine="",
        path=settings.place_shown,
        bytes=0,
        spans=0,
        logs=0,
        traces=0,
        series=0,
        series_dropped=0,
        oldest_us=None,
        newest_us=None,
        schema_version=0,
    )


def _incidents(store: StoreState) -> Iterator[Concern]:
    for incident in store.incidents:
        yield Concern(
            "bad" if incident.lost else "warn",
            incident.text,
            "What came by OTLP and was in it is lost; what stands in journals is read again. Find out what touches the file."
            if incident.lost
            else "Find out what touches the file: only the dashboard may.",
        )


def _uncaptured(calls: Coverage) -> Iterator[Concern]:
    missed = calls.seen - calls.captured - calls.unobserved
    if missed > 0:
        yield Concern(
            "bad",
            f"{missed:,} of {calls.seen:,} model calls left a program uncaptured in the last 24 hours",
            "`ai-dev-squad doctor` in that program's environment says more; its log names what failed.",
        )


def _away(stores: Iterable[tuple[str, str]]) -> Iterator[Concern]:
    for place, then in stores:
        meanwhile = "calls are refused" if then == "refuse" else "each process counts for itself"
        yield Concern(
            "bad" if then == "refuse" else "warn",
            f"The budget store {place} does not answer: {meanwhile}",
            "`ai-dev-squad doctor` in that program's environment says why; what is spent meanwhile is added when it is back.",
        )


def _unindexed(search: SearchState) -> Iterator[Concern]:
    if search.trouble is not None:
        yield Concern(
            "warn",
            "The search has no index that goes on" if search.available else "The search has no index",
            f"{search.trouble[:1].upper()}{search.trouble[1:]}.",
        )


def _unsent(forwarded: Forwarded | None) -> Iterator[Concern]:
    if forwarded is None:
        return
    if forwarded.dropped:
        yield Concern(
            "bad",
            f"{forwarded.dropped:,} {'request was' if forwarded.dropped == 1 else 'requests were'} not kept to be sent on",
            f"Their spans are here, and not at {forwarded.to}. At most {forwarded.max_bytes >> 20:,} MiB wait; raise "
            "DASHBOARD_FORWARD_MAX_MIB where the other end is often away that long.",
        )
    if forwarded.last_problem is not None:
        yield Concern(
            "warn",
            f"{forwarded.to} does not take what is sent on: {forwarded.last_problem}",
            f"{forwarded.waiting:,} {'request waits' if forwarded.waiting == 1 else 'requests wait'}, also for the next start, and "
            "the first is tried again at least once a minute. Where a login is missing, set DASHBOARD_FORWARD_HEADERS.",
        )


def _arriving(queue: QueueState) -> Iterator[Concern]:
    if queue.dropped:
        yield Concern(
            "bad",
            f"{queue.dropped:,} rows could not be written, and their senders were told",
            f"The last error: {queue.last_error}",
        )
    if queue.refused:
        yield Concern(
            "warn",
            f"{queue.refused:,} batches were told to come again, because too much waited",
            "Senders that retry lose nothing. Raise DASHBOARD_MAX_PENDING_ROWS if bursts are normal here.",
        )


def _unreadable(sources: Sequence[JournalState]) -> Iterator[Concern]:
    for source in sources:
        if source.error:
            yield Concern("bad", f"{source.path} cannot be read", source.error)
    bad = sum(source.bad_lines for source in sources)
    if bad:
        yield Concern(
            "warn",
            f"{bad:,} lines of journals are no journal lines and were skipped",
            "`ai-dev-squad doctor` names the files; other programs may write into the directory.",
        )


def _doubtful(clashes: int, ahead_us: int) -> Iterator[Concern]:
    if clashes:
        yield Concern(
            "warn",
            f"{clashes:,} {'span' if clashes == 1 else 'spans'} came with the id of another one and "
            f"{'was' if clashes == 1 else 'were'} left out",
            "A sender's span ids are not unique: look for a generator that is seeded, or forked, without new randomness.",
        )
    if ahead_us > SKEW_US:
        yield Concern(
            "warn",
            f"The newest span ends {ahead_us / 1_000_000:.0f} s in the future",
            "The clock of a sender is ahead, or this machine's is behind; set both by NTP.",
        )


def _outgrown(store: StoreState, max_mib: int | None) -> Iterator[Concern]:
    if store.series_dropped:
        yield Concern(
            "warn",
            f"The names of {store.series_dropped:,} spans are put together as (other) in sums",
            "An agent, tool or service name that changes with each run makes too many; use constant names.",
        )
    if max_mib and store.bytes > max_mib << 20:
        yield Concern(
            "warn",
            f"The store has {store.bytes >> 20:,} MiB, more than the {max_mib:,} MiB that are allowed",
            "The oldest days are deleted at the next look, within the hour.",
        )


def _versions() -> dict[str, str]:
    known = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            continue
    return known


PAGE = Page(
    "health", "/health", "/api/health", "Health", build, Health, navigation="Health", key="h", needs_store=False
)
