"""What a span of time comes to, by every kind of name: from a series' sums and histograms most of a page is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from .base import Facets, Group, OrderBy, Selection, Totals
from .percentiles import histogram, percentiles
from .selection import FILTERS
from .series import FIELDS, Key

__all__ = ["COUNTED", "MONEY", "NAMES", "ORDERS", "SUMS", "Rootless", "Summary", "sort_key", "wanted_places"]

SUMS: Final = (
    "spans",
    "errors",
    "duration_us",
    "cost_usd",
    "unpriced",
    "estimated",
    "uncounted",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cache_saving_usd",
)
"""What is added up of spans, whatever the engine."""

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

COUNTED: Final = {"tool": "execute_tool", "agent": "invoke_agent"}
"""The operation that is counted, where it is not model calls."""

ORDERS: Final = ("cost", "calls", "errors", "p95", "tokens", "key")

_PLACE: Final = {name: place for place, name in enumerate(SUMS)}
_ROOT: Final = FIELDS.index("root")
_CALL: Final = FIELDS.index("call")
_OPERATION: Final = FIELDS.index("operation")


_OF_TRACE: Final = (FIELDS.index("framework"), FIELDS.index("service"))


class Rootless(NamedTuple):
    """Traces of which no root has arrived, as that of a caller who sends his spans elsewhere: each is a run all the same."""

    framework: str | None
    service: str | None
    failed: bool
    """Whether the span that speaks for them failed."""
    bin: int
    """Of the time from their first start to their last end."""
    runs: int


class _Sum:
    """The sums of some series: of all their spans, of those that are counted, and of the model calls among them."""

    def __init__(self) -> None:
        self.spans = self.counted = self.errors = self.duration_us = self.calls = 0
        self.money = [0] * len(MONEY)

    def add(self, sums: tuple[Any, ...], counts: bool, call: bool) -> None:
        self.spans += sums[_PLACE["spans"]]
        if counts:
            self.counted += sums[_PLACE["spans"]]
            self.errors += sums[_PLACE["errors"]]
            self.duration_us += sums[_PLACE["duration_us"]]
        if call:
            self.calls += sums[_PLACE["spans"]]
            self.money = [total + sums[_PLACE[name]] for total, name in zip(self.money, MONEY, strict=True)]

    def named(self) -> dict[str, Any]:
        """What calls cost and how long they took in the mean, as answers name it."""
        cost, unpriced, given, made, read, written, thought, saving = self.money
        return {
            "cost_usd": float(cost),
            "unpriced_calls": unpriced,
            "input_tokens": given,
            "output_tokens": made,
            "cache_read_tokens": read,
            "cache_write_tokens": written,
            "reasoning_tokens": thought,
            "cache_saving_usd": float(saving),
            "mean_us": round(self.duration_us / self.counted) if self.counted else None,
        }


@dataclass(frozen=True)
class Summary:
    """The sums and histograms of each series over a span of time."""

    names: Mapping[int, Key]
    sums: Mapping[int, tuple[Any, ...]]
    """In the order of ``SUMS``."""
    bins: Mapping[int, Mapping[int, int]]
    rootless: Sequence[Rootless] = ()
    filters: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """The place of a name in a series' key → the names that count."""

    def filtered(self, selection: Selection) -> Summary:
        """The same for the series that have the names of ``selection``."""
        return replace(self, filters=wanted_places(selection))

    def totals(self) -> Totals:
        """What model calls cost and how runs went."""
        calls, runs = _Sum(), _Sum()
        of_calls: dict[int, int] = {}
        of_runs: dict[int, int] = {}
        estimated = uncounted = 0
        for number, key, sums in self._series():
            calls.add(sums, key[_CALL], key[_CALL])
            runs.add(sums, key[_ROOT], False)
            estimated += sums[_PLACE["estimated"]]
            uncounted += sums[_PLACE["uncounted"]]
            if key[_CALL]:
                self._pour(of_calls, number)
            if key[_ROOT]:
                self._pour(of_runs, number)
        for each in self.rootless_chosen():
            runs.counted += each.runs
            runs.errors += each.runs * each.failed
            of_runs[each.bin] = of_runs.get(each.bin, 0) + each.runs
        return Totals(
            calls=calls.counted,
            call_errors=calls.errors,
            runs=runs.counted,
            run_errors=runs.errors,
            spans=calls.spans,
            estimated_calls=estimated,
            uncounted_calls=uncounted,
            **calls.named(),
            **_named_percentiles("", of_calls),
            **_named_percentiles("run_", of_runs),
        )

    def groups(self, by: str, order: OrderBy, limit: int, latency: bool) -> list[Group]:
        """A table by one of ``NAMES``."""
        place = FIELDS.index(by)
        counted_operation = COUNTED.get(by)
        rows: dict[Any, _Sum] = {}
        spreads: dict[Any, dict[int, int]] = {}
        for number, key, sums in self._series():
            counts = key[_CALL] if counted_operation is None else key[_OPERATION] == counted_operation
            call = key[_CALL] and by != "tool"
            if counts or call:
                rows.setdefault(key[place], _Sum()).add(sums, counts, call)
            if counts:
                self._pour(spreads.setdefault(key[place], {}), number)
        found = [_group(key, row, spreads.get(key, {}), latency) for key, row in rows.items()]
        return sorted(found, key=lambda group: sort_key(group, order))[:limit]

    def facets(self) -> Facets:
        """The names there are, most used first."""
        used: dict[str, dict[str, int]] = {name: {} for name in NAMES}
        for _, key, sums in self._series():
            for name, counts in used.items():
                value = key[FIELDS.index(name)]
                if isinstance(value, str):
                    counts[value] = counts.get(value, 0) + sums[0]
        return Facets(
            *(
                tuple(sorted(used[name], key=lambda value, counts=used[name]: (-counts[value], value))[:200])  # type: ignore[misc]
                for name in ("framework", "provider", "model", "agent", "tool", "service")
            )
        )

    def _series(self) -> Iterator[tuple[int, Key, tuple[Any, ...]]]:
        for number, sums in self.sums.items():
            key = self.names[number]
            if all(key[place] in wanted for place, wanted in self.filters.items()):
                yield number, key, sums

    def rootless_chosen(self) -> Iterator[Rootless]:
        """Traces without a root that have the names that count. A root has no model, provider or tool, and nobody knows what agent it would have."""
        if self.filters.keys() <= set(_OF_TRACE):
            for each in self.rootless:
                if all(each[_OF_TRACE.index(place)] in wanted for place, wanted in self.filters.items()):
                    yield each

    def _pour(self, target: dict[int, int], number: int) -> None:
        for each, spans in self.bins.get(number, {}).items():
            target[each] = target.get(each, 0) + spans


def wanted_places(selection: Selection) -> dict[int, frozenset[str]]:
    """The place of a name in a series' key → the names that ``selection`` has, where it has some."""
    return {
        FIELDS.index(name): frozenset(getattr(selection, source))
        for name, source in FILTERS.items()
        if getattr(selection, source)
    }


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


def _group(key: str | None, row: _Sum, spread: dict[int, int], latency: bool) -> Group:
    return Group(
        key=key,
        calls=row.counted,
        errors=row.errors,
        **row.named(),
        **_named_percentiles("", spread),
        model_calls=row.calls,
        latency=tuple(histogram(spread)) if latency else (),
    )


def _named_percentiles(prefix: str, spread: dict[int, int]) -> dict[str, Any]:
    names = (f"{prefix}p50_us", f"{prefix}p95_us", f"{prefix}p99_us")
    return dict(zip(names, percentiles(spread, 0.5, 0.95, 0.99), strict=True))
