"""What a live connection may look at: a page's URL, checked against the pages, and rendered as the page itself is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
from flask import Flask, render_template
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from . import pages
from .page import NotFoundError, Page, Site
from .query import Query, QueryError
from .views import PAGES, logs

__all__ = ["Lines", "Rendered", "Subscription", "Views"]

MAX_URL: Final = 4096
PARTS: Final = ("html", "data")
_PAGES: Final[Mapping[str, Page]] = {f"pages.{page.name}": page for page in PAGES}


@dataclass(frozen=True)
class Subscription:
    """A page's URL, understood."""

    url: str
    """As the client wrote it: clients with the same one share a rendering."""
    page: Page
    arguments: tuple[tuple[str, str], ...]
    """What stands in the path."""
    args: tuple[tuple[str, str], ...]
    """What stands in the query."""
    parts: frozenset[str]
    """What is sent: ``html``, ``data`` or both."""
    live: bool
    """False where nothing can change: a span of time in the past, or an older part of a list."""
    after: str | None = None
    """Where the tail of a log goes on; only on the page of logs."""

    @property
    def tails(self) -> bool:
        """Whether new lines are sent rather than the whole page."""
        return self.page is logs.PAGE


@dataclass(frozen=True)
class Rendered:
    """A page as it stands now."""

    digest: str
    """Changes exactly when the HTML does."""
    html: str
    view: Any

    @cached_property
    def data(self) -> msgspec.Raw:
        """The page's JSON, made once for all who want it."""
        return msgspec.Raw(msgspec.json.encode(self.view))

    def message(self, subscription: Subscription) -> dict[str, Any]:
        """What a client of ``subscription`` receives."""
        message: dict[str, Any] = {"path": subscription.url}
        if "html" in subscription.parts:
            message["html"] = self.html
        if "data" in subscription.parts:
            message["data"] = self.data
        return message


@dataclass(frozen=True)
class Lines:
    """Lines of a log that have come in, newest first."""

    tail: logs.Tail
    html: str

    def message(self, subscription: Subscription) -> dict[str, Any]:
        """What a client of ``subscription`` receives."""
        message: dict[str, Any] = {
            "path": subscription.url,
            "count": len(self.tail.lines),
            "skipped": self.tail.skipped,
            "newest": self.tail.newest,
        }
        if "html" in subscription.parts:
            message["html"] = self.html
        if "data" in subscription.parts:
            message["data"] = msgspec.Raw(msgspec.json.encode(self.tail))
        return message


class Views:
    """Understands and renders what clients subscribe to."""

    def __init__(self, app: Flask, site: Site) -> None:
        self._app = app
        self._site = site

    def understand(self, message: Any) -> Subscription:
        """The subscription that a client asks for. Raises ``QueryError`` or ``NotFoundError`` with what to write instead."""
        if not isinstance(message, Mapping) or not isinstance(message.get("path"), str):
            raise QueryError('a subscription is an object such as {"path": "/?range=1h"}; send the URL of a page')
        url = message["path"]
        if len(url) > MAX_URL:
            raise QueryError(f"the URL has {len(url)} characters; use at most {MAX_URL}")
        try:
            split = urlsplit(url)
        except ValueError:
            raise QueryError(f"path {url!r} is no URL; send what stands after the host, as /?range=1h") from None
        if split.scheme or split.netloc or not split.path.startswith("/"):
            raise QueryError(
                f"path {url!r} is not a page of this dashboard; send what stands after the host, as /?range=1h"
            )
        page, arguments = self._match(split.path)
        try:
            args = parse_qsl(split.query, max_num_fields=200)
        except ValueError:
            raise QueryError("the URL has too many arguments; use at most 200") from None
        query = Query.parse(args, default=page.default_range)
        return Subscription(
            url=url,
            page=page,
            arguments=tuple(arguments.items()),
            args=tuple(args),
            parts=_parts(message.get("parts")),
            live=query.live and not query.get("cursor"),
            after=_after(message.get("after")),
        )

    def _match(self, path: str) -> tuple[Page, Mapping[str, str]]:
        try:
            endpoint, arguments = self._app.url_map.bind("localhost").match(path, method="GET")
        except (HTTPException, RequestRedirect):
            endpoint, arguments = "", {}
        page = _PAGES.get(endpoint)
        if page is None:
            allowed = ", ".join(page.path for page in PAGES)
            raise NotFoundError(f"{path} is not a page; use one of {allowed}")
        return page, arguments

    def render(self, subscription: Subscription) -> Rendered:
        """The page of ``subscription`` as it stands now. Raises what the page raises."""
        page, arguments = subscription.page, dict(subscription.arguments)
        with self._app.test_request_context(subscription.url):
            query = self._query(subscription)
            view, html = pages.render(self._site, page, query, arguments, whole=False)
        return Rendered(hashlib.blake2b(html.encode(), digest_size=16).hexdigest(), html, view)

    def tail(self, subscription: Subscription, after: str | None) -> Lines:
        """The lines that came in after the cursor ``after``. Raises what the page raises."""
        with self._app.test_request_context(subscription.url):
            query = self._query(subscription)
            tail = logs.tail(self._site, query, after)
            html = render_template("logs_lines.html", lines=tail.lines, query=query) if tail.lines else ""
        return Lines(tail, html)

    @staticmethod
    def _query(subscription: Subscription) -> Query:
        return Query.parse(subscription.args, default=subscription.page.default_range)


def _parts(value: Any) -> frozenset[str]:
    if value is None:
        return frozenset(PARTS)
    if isinstance(value, Sequence) and not isinstance(value, str) and value and all(part in PARTS for part in value):
        return frozenset(value)
    raise QueryError(f"parts {value!r} is not a list of what to send; use {list(PARTS)} or one of them")


def _after(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= 500):
        return value
    raise QueryError("after is not a cursor; send the one of the page or of the last log_lines")
