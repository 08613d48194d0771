"""What a span of time comes to, by every kind of name at once: two questions, from which most of a page is read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from .base import Facets, Group, OrderBy, Selection, Totals
from .duckdb_facts import bins, sums
from .percentiles import histogram, percentiles

__all__ = ["MONEY", "NAMES", "ORDERS", "Summary", "sort_key", "summarise"]

NAMES: Final = ("framework", "provider", "model", "agent", "tool", "operation", "service")

MONEY: Final = (
    "cost_usd",
    "unpriced",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cache_saving_usd",
)
"""The sums that stand on model calls."""

_KINDS: Final[dict[str, str]] = {
    "call": "call",
    "run": "root",
    "tool": "operation = 'execute_tool'",
    "agent": "operation = 'invoke_agent'",
}
"""What is counted → which spans these are."""

ORDERS: Final = ("cost", "calls", "errors", "p95", "tokens", "key")

_ALL: Final = (1 << len(NAMES)) - 1
_LEVELS: Final[dict[int, str]] = {
    _ALL: "",
    **{_ALL & ~(1 << (len(NAMES) - 1 - place)): name for place, name in enumerate(NAMES)},
}
"""What GROUPING() says of a row → the name that it is a sum over."""


@dataclass
class _Row:
    """The sums under one key."""

    spans: int
    counts: dict[str, tuple[int, int, int]]
    """By kind: number, errors, duration in microseconds."""
    money: tuple[Any, ...]
    estimated: int
    uncounted: int


@dataclass
class Summary:
    """The sums by every name, and the latency of every kind. The empty name has the sums over everything."""

    rows: dict[str, dict[str | None, _Row]]
    bins: dict[tuple[str, str | None, str], dict[int, int]]
    """By (name, key, kind)."""

    def totals(self) -> Totals:
        """What model calls cost and how runs went."""
        row = self.rows[""][None]
        (calls, call_errors, duration), (runs, run_errors, _) = row.counts["call"], row.counts["run"]
        cost, unpriced, given, made, read, written, thought, saving = row.money
        return Totals(
            calls=calls,
            call_errors=call_errors,
            runs=runs,
            run_errors=run_errors,
            spans=row.spans,
            cost_usd=cost,
            unpriced_calls=unpriced,
            input_tokens=given,
            output_tokens=made,
            cache_read_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=thought,
            estimated_calls=row.estimated,
            uncounted_calls=row.uncounted,
            cache_saving_usd=saving,
            **_named_percentiles("", self.bins["", None, "call"]),
            mean_us=round(duration / calls) if calls else None,
            **_named_percentiles("run_", self.bins["", None, "run"]),
        )

    def groups(self, by: str, order: OrderBy, limit: int, latency: bool) -> list[Group]:
        """A table by one of ``NAMES``."""
        kind = by if by in {"tool", "agent"} else "call"
        found = []
        for key, row in self.rows[by].items():
            calls, errors, duration = row.counts[kind]
            if not calls and (by == "tool" or not row.counts["call"][0]):
                continue
            spread = self.bins.get((by, key, kind), {})
            found.append(
                Group(
                    key,
                    calls,
                    errors,
                    *row.money,
                    *percentiles(spread, 0.5, 0.95, 0.99),
                    round(duration / calls) if calls else None,
                    tuple(histogram(spread)) if latency else (),
                )
            )
        return sorted(found, key=lambda group: sort_key(group, order))[:limit]

    def facets(self) -> Facets:
        """The names there are, most used first."""

        def names(kind: str) -> tuple[str, ...]:
            used = [(-row.spans, key) for key, row in self.rows[kind].items() if key is not None]
            return tuple(key for _, key in sorted(used)[:200])

        return Facets(*map(names, ("framework", "provider", "model", "agent", "tool", "service")))


def summarise(cursor: duckdb.DuckDBPyConnection, selection: Selection) -> Summary:
    """Ask for all sums and all histograms."""
    counted = ", ".join(
        f"coalesce(sum({column}) FILTER ({which}), 0)::BIGINT"
        for which in _KINDS.values()
        for column in ("spans", "errors", "duration_us")
    )
    money = ", ".join(
        f"coalesce(sum({column}) FILTER (call), 0)" + ("" if column.endswith("_usd") else "::BIGINT")
        for column in MONEY
    )
    sets = ", ".join(f"({name})" for name in NAMES)
    # Each row is a sum over one name at most, so the one that is not NULL is its key.
    names = ", ".join(NAMES)
    relation, values = sums(cursor, selection)
    rows: dict[str, dict[str | None, _Row]] = {name: {} for name in ("", *NAMES)}
    for level, key, spans, estimated, uncounted, *numbers in cursor.execute(
        f"SELECT GROUPING({names}), coalesce({names}), coalesce(sum(spans), 0)::BIGINT, coalesce(sum(estimated), 0)::BIGINT, "  # noqa: S608
        f"coalesce(sum(uncounted), 0)::BIGINT, {counted}, {money} FROM ({relation}) GROUP BY GROUPING SETS ((), {sets})",
        values,
    ).fetchall():
        by = _LEVELS[level]
        counts = {
            kind: (numbers[at], numbers[at + 1], numbers[at + 2])
            for at, kind in zip(range(0, 12, 3), _KINDS, strict=True)
        }
        rows[by][key] = _Row(spans, counts, tuple(numbers[12:]), estimated, uncounted)
    binned = ", ".join(f"coalesce(sum(spans) FILTER ({which}), 0)::BIGINT" for which in _KINDS.values())
    shown = " OR ".join(_KINDS.values())
    sets = ", ".join(f"({name}, bin)" for name in NAMES)
    relation, values = bins(cursor, selection)
    spread: dict[tuple[str, str | None, str], dict[int, int]] = defaultdict(dict)
    for level, key, number, calls, runs, tools, agents in cursor.execute(
        f"SELECT GROUPING({names}), coalesce({names}), bin, {binned} FROM ({relation}) WHERE {shown} "  # noqa: S608
        f"GROUP BY GROUPING SETS ((bin), {sets})",
        values,
    ).fetchall():
        by = _LEVELS[level]
        for kind, spans in (("call", calls), ("run", runs), ("tool", tools), ("agent", agents)):
            if spans:
                spread[by, key, kind][number] = spans
    spread.setdefault(("", None, "call"), {})
    spread.setdefault(("", None, "run"), {})
    return Summary(rows, dict(spread))


def sort_key(group: Group, order: OrderBy) -> tuple[Any, ...]:
    """Where a group stands: the largest first, equal ones by name, the nameless last."""
    name = (group.key is None, group.key or "")
    if order == "key":
        return name
    first: Any = {
        "cost": group.cost_usd,
        "calls": group.calls,
        "errors": group.errors,
        "p95": -1 if group.p95_us is None else group.p95_us,
        "tokens": group.input_tokens + group.output_tokens,
    }[order]
    return (-first, -group.calls, *name)


def _named_percentiles(prefix: str, spread: dict[int, int]) -> dict[str, int | None]:
    names = (f"{prefix}p50_us", f"{prefix}p95_us", f"{prefix}p99_us")
    return dict(zip(names, percentiles(spread, 0.5, 0.95, 0.99), strict=True))
