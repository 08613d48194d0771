"""Whom tools ask: a store that is open here, or a dashboard that runs elsewhere. Both answer with the pages' own records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

import msgspec

from ai_dev_squad_dashboard.page import NotFoundError, Page, Site, moment_of
from ai_dev_squad_dashboard.query import Query, QueryError
from ai_dev_squad_dashboard.sql.routes import as_record
from ai_dev_squad_dashboard.store.base import BadCursorError, StoreError
from ai_dev_squad_dashboard.store.sql_answers import SqlError
from ai_dev_squad_dashboard.views import PAGES

__all__ = ["Arguments", "RefusedError", "RemoteSource", "SiteSource", "Source", "path_of"]

Arguments = Sequence[tuple[str, str]]
"""What stands behind the ``?`` of a page's address."""

_PAGES: Final[Mapping[str, Page]] = {page.name: page for page in PAGES}


class RefusedError(Exception):
    """What was asked for cannot be answered. The message says why, what is allowed, and the cure."""


class Source(Protocol):
    """Answers with the record of a page, as JSON has it. Raises ``RefusedError``."""

    base: str
    """The address of the dashboard whose pages links lead to, without a slash at its end."""

    def page(self, name: str, arguments: Arguments = (), **path: str) -> dict[str, Any]:
        """The record of the page called ``name``."""

    def sql(self, question: str) -> dict[str, Any]:
        """The answer to a SELECT: ``columns``, ``rows``, ``truncated``."""


def path_of(name: str, arguments: Arguments = (), *, api: bool = False, **path: str) -> str:
    """The path of a page, or of its JSON, with these arguments."""
    page = _PAGES[name]
    rule = page.api if api else page.path
    for part, value in path.items():
        rule = rule.replace(f"<{part}>", quote(value, safe=""))
    return f"{rule}?{urlencode(list(arguments))}" if arguments else rule


class SiteSource:
    """Asks a store in this process. ``base``: where a dashboard shows its pages. ``before``: called before each answer."""

    def __init__(self, site: Site, base: str, before: Callable[[], object] = lambda: None) -> None:
        self.base = base.rstrip("/")
        self._site = site
        self._before = before

    def page(self, name: str, arguments: Arguments = (), **path: str) -> dict[str, Any]:
        """The record of the page called ``name``. Raises ``RefusedError``."""
        self._before()
        page = _PAGES[name]
        try:
            query = Query.parse(arguments, default=page.default_range)
            with moment_of(self._site, page):
                record = page.build(self._site, query, **path)
        except (QueryError, NotFoundError, BadCursorError, StoreError) as error:
            raise RefusedError(str(error)) from None
        answer: dict[str, Any] = msgspec.to_builtins(record, str_keys=True)
        return answer

    def sql(self, question: str) -> dict[str, Any]:
        """The answer to a SELECT. Raises ``RefusedError``."""
        self._before()
        try:
            return as_record(self._site.store.sql(question))
        except (SqlError, StoreError) as error:
            raise RefusedError(str(error)) from None


class RemoteSource:
    """Asks the dashboard at ``base`` over HTTP, with a read token where it wants one."""

    def __init__(self, base: str, token: str | None = None) -> None:
        self.base = base.rstrip("/")
        self._token = token

    def page(self, name: str, arguments: Arguments = (), **path: str) -> dict[str, Any]:
        """The record of the page called ``name``. Raises ``RefusedError``."""
        return self._asked(path_of(name, arguments, api=True, **path))

    def sql(self, question: str) -> dict[str, Any]:
        """The answer to a SELECT. Raises ``RefusedError``."""
        return self._asked("/api/sql", {"sql": question})

    def _asked(self, path: str, body: object = None) -> dict[str, Any]:
        from ai_dev_squad_cli.asking import asked
        from ai_dev_squad_dashboard.commands import CommandError

        try:
            answer: dict[str, Any] = asked(self.base, path, token=self._token, body=body)
        except CommandError as error:
            raise RefusedError(str(error)) from None
        return answer
