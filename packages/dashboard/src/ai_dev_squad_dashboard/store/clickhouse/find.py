"""What an id names: a trace, a span, a session, a user, wherever it was copied from and however much of it."""

from __future__ import annotations

from typing import Literal

from ai_dev_squad_dashboard.store.base import Found
from ai_dev_squad_dashboard.store.lookup import look_up

from .client import Client
from .literals import fixed, literal
from .schema import HOUR_US

__all__ = ["find"]


def find(client: Client, text: str, limit: int) -> tuple[Found, ...]:
    """What is meant by ``text``; see ``look_up``."""
    return look_up(_Lookup(client), text, limit)


class _Lookup:
    def __init__(self, client: Client) -> None:
        self._client = client

    def traces(self, digits: str, limit: int) -> tuple[Found, ...]:
        between = _between("trace_id", digits, 32)
        # What has only begun is no trace yet, and has an id.
        rows = self._client.ask(
            "SELECT trace_id, argMin(name, unfinished), argMin(start_us, unfinished) AS begun FROM ("
            f"SELECT trace_id, toString(name) AS name, start_us, 0 AS unfinished FROM traces FINAL WHERE {between} UNION ALL "
            "SELECT trace_id, name, start_us, 1 + (parent_span_id IS NOT NULL) AS unfinished FROM running FINAL "
            f"WHERE closed = 0 AND {between}) GROUP BY trace_id ORDER BY begun DESC, trace_id LIMIT {int(limit)}"
        )
        return tuple(
            Found("trace", trace_id.hex(), trace_id.hex(), name, start_us, exact=len(digits) == 32)
            for trace_id, name, start_us in rows
        )

    def spans(self, digits: str, limit: int, trace_id: str | None = None) -> tuple[Found, ...]:
        of_trace = f" AND trace_id = {fixed(bytes.fromhex(trace_id))}" if trace_id is not None else ""
        rows = self._client.ask(
            f"SELECT span_id, trace_id, name, start_us FROM spans WHERE {_between('span_id', digits, 16)}{of_trace} "
            f"ORDER BY start_us DESC, trace_id LIMIT {int(limit)}"
        )
        return tuple(
            Found("span", span_id.hex(), own.hex(), name, start_us, exact=len(digits) == 16)
            for span_id, own, name, start_us in rows
        )

    def called(self, kind: Literal["session", "user"], text: str, limit: int, *, parts: bool) -> tuple[Found, ...]:
        column, wanted = f"{kind}_id", literal(text)
        condition = f"startsWith(assumeNotNull({column}), {wanted})" if parts else f"{column} = {wanted}"
        rows = self._client.ask(
            f"SELECT assumeNotNull({column}) AS called, argMax(name, start_us), max(start_us) AS newest FROM traces FINAL "
            f"WHERE intDiv(start_us, {HOUR_US}) = hour AND {column} IS NOT NULL AND {condition} GROUP BY called "
            f"ORDER BY called = {wanted} DESC, newest DESC, called LIMIT {int(limit)}"
        )
        return tuple(Found(kind, called, None, name, at, exact=called == text) for called, name, at in rows)


def _between(column: str, digits: str, length: int) -> str:
    """The condition that an id begins with ``digits``."""
    first, last = (fixed(bytes.fromhex(digits.ljust(length, filling))) for filling in "0f")
    return f"{column} = {first}" if first == last else f"{column} BETWEEN {first} AND {last}"
