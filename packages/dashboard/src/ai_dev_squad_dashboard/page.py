"""What a page is: one frozen dataclass, shown as HTML, as JSON and over the live connection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from flask import request

from .alerts.alerting import Alerting
from .forwarding.forwarder import Forwarder
from .ingest.queue import IngestQueue
from .kept import Kept
from .query import Query
from .settings import DashboardSettings
from .store.base import Store

__all__ = ["NotFoundError", "Page", "Site", "asked", "moment_of"]


MOST_KEPT_ROWS: Final = 250_000
"""Rows of the trees that are kept: about half a kilobyte each."""


class NotFoundError(LookupError):
    """What the URL names is not there. The message says what to look at instead."""


@dataclass(frozen=True)
class Site:
    """What a page may ask."""

    store: Store
    queue: IngestQueue
    settings: DashboardSettings
    sources: Callable[[], tuple[Any, ...]]
    """How the journals that are followed stand: one state for each."""
    alerting: Alerting | None = None
    """What watches the rules of alerts."""
    trees: Kept[Any] = field(default_factory=lambda: Kept(MOST_KEPT_ROWS, lambda tree: len(tree.rows)))
    """Trees of long runs that were looked at just now."""
    forwarder: Forwarder | None = None
    """What sends on what was received."""
    changes: Callable[[], object] = lambda: None
    """What differs once another process has written into the store."""


Build: TypeAlias = Callable[..., Any]
"""Makes a page's dataclass: ``build(site, query, **path arguments)``. Raises ``NotFoundError``, ``QueryError``."""


@dataclass(frozen=True)
class Page:
    """A page: its template is ``<name>.html``, with ``view``, ``query`` and ``page`` in it."""

    name: str
    path: str
    """The HTML's URL, as Flask writes rules."""
    api: str
    """The JSON's URL, with the same path arguments."""
    title: str
    build: Build
    view: type
    """The dataclass that ``build`` returns."""
    navigation: str | None = None
    """The name in the navigation; ``None`` for a page that others lead to."""
    key: str | None = None
    """The letter that leads there after ``g`` on the keyboard."""
    default_range: str = "24h"
    needs_store: bool = True
    """Whether the page can do nothing without the store. Health can: it says what is wrong with it."""
    parameters: tuple[str, ...] = ()
    """Arguments of the URL that this page understands besides the span of time and the filters."""
    whole: tuple[tuple[str, str], ...] = ()
    """Arguments with which it holds all of its rows, where it shows fewer: its tables leave with them."""
    live: bool = True
    """False for a page with a form: what is filled in there must not be replaced."""


def moment_of(site: Site, page: Page) -> AbstractContextManager[None]:
    """All that the page asks is answered from the rows of one moment."""
    return site.store.snapshot() if page.needs_store else nullcontext()


def asked(default_range: str) -> Query:
    """What the URL of the request that is under way asks for. Raises ``QueryError``."""
    return Query.parse(list(request.args.items(multi=True)), default=default_range)
