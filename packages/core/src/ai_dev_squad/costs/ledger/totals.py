"""Totals that stay exact however many calls there were, in memory that does not grow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timezone
from typing import Any, NamedTuple

from ai_dev_squad.costs.ledger.entry import CostEntry
from ai_dev_squad.costs.money import PICO, to_pico
from ai_dev_squad.process import ForkSafeLock
from ai_dev_squad.schema import Cost, Usage

__all__ = ["OTHER", "RunningTotals", "Totals", "UnpricedModel"]

OTHER = "(other)"
"""The group of everything that no longer has a group of its own."""

_DIMENSIONS = ("model", "provider", "agent_id", "framework", "session_id", "user_id", "day")
_SYNONYMS = {"model_name": "model", "agent": "agent_id", "session": "session_id", "user": "user_id"}


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over model calls. ``cost_usd`` covers the calls whose price is known; the others are counted beside it."""

    calls: int = 0
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    unpriced_calls: int = 0
    """Calls without a known price: their cost is missing from ``cost_usd``."""
    uncounted_calls: int = 0
    """Calls whose tokens, of one side or both, nobody counted, such as failed ones."""
    estimated_calls: int = 0
    """Calls whose tokens are our own estimate."""
    failed_calls: int = 0
    duration_ms: float = 0.0


class UnpricedModel(NamedTuple):
    """A model that was called and has no known price."""

    provider: str
    model: str
    calls: int
    reason: str


class RunningTotals:
    """Totals by model, provider, agent, framework, session, user and day, in memory that does not grow.

    Adding costs one look-up: calls that agree in everything share a cell, and cells are sorted into the groups when
    somebody asks or when there are many. Each kind has at most ``max_groups`` groups; the one that was longest without
    a call then goes into ``(other)``, so that sums stay complete.
    """

    def __init__(self, *, max_groups: int = 1000, max_cells: int = 1024) -> None:
        self.max_groups = max_groups
        self._max_cells = max_cells
        self._lock = ForkSafeLock()  # reentrant: a finalizer of a client may end a call in the midst of this
        self._cells: dict[tuple[Any, ...], list[Any]] = {}
        self._groups: dict[str, dict[Any, list[Any]]] = {name: {} for name in _DIMENSIONS}
        self._unpriced: dict[tuple[str, str], list[Any]] = {}
        self._all = _empty()

    def add(self, entry: CostEntry) -> None:
        """Count an entry."""
        moment = entry.timestamp
        if moment.tzinfo is not timezone.utc and moment.tzinfo is not None:
            moment = moment.astimezone(timezone.utc)
        key = (
            entry.model_name,
            entry.provider,
            entry.agent_id,
            entry.framework,
            entry.session_id,
            entry.user_id,
            moment.toordinal(),
        )
        usd = entry.cost_usd
        usage = entry.usage
        with self._lock.now:
            cell = self._cells.get(key)
            if cell is None:
                if len(self._cells) >= self._max_cells:
                    self._sort_in()
                cell = self._cells[key] = _empty()
            cell[0] += 1
            cell[2] += entry.input_tokens
            cell[3] += entry.output_tokens
            cell[9] += entry.duration_ms
            if usd is not None:
                cell[1] += to_pico(usd)
            elif usage is not None and _is_uncounted(usage, entry.cost):
                cell[6] += 1
            else:
                cell[5] += 1
                self._note_unpriced(entry)
            if usage is not None and usage.cache_read_input_tokens:
                cell[4] += usage.cache_read_input_tokens
            if entry.estimated:
                cell[7] += 1
            if entry.status == "error":
                cell[8] += 1

    def unpriced(self) -> list[UnpricedModel]:
        """The models called without a known price, the most called first."""
        with self._lock.now:
            rows = [UnpricedModel(house, model, *row) for (house, model), row in self._unpriced.items()]
        return sorted(rows, key=lambda row: -row.calls)

    def totals(self) -> Totals:
        """Everything ever added."""
        with self._lock.now:
            self._sort_in()
            return _totals(self._all)

    def by(self, dimension: str) -> dict[str | None, Totals]:
        """Totals of each group, the dearest first. ``None`` is the group of calls without that label.

        Raises ``ValueError`` for an unknown dimension.
        """
        name = _SYNONYMS.get(dimension, dimension)
        if name not in self._groups:
            raise ValueError(f"cannot sum up by {dimension!r}; allowed: {', '.join(_DIMENSIONS)}")
        with self._lock.now:
            self._sort_in()
            rows = sorted(self._groups[name].items(), key=lambda item: (-item[1][1], -item[1][0]))
            return {
                date.fromordinal(key).isoformat() if isinstance(key, int) else key: _totals(row) for key, row in rows
            }

    def _note_unpriced(self, entry: CostEntry) -> None:
        key = (entry.provider, entry.model_name)
        row = self._unpriced.get(key)
        if row is not None:
            row[0] += 1
        elif len(self._unpriced) < self.max_groups:
            self._unpriced[key] = [1, (entry.cost.reason if entry.cost else None) or "no price is known"]

    def _sort_in(self) -> None:
        cells, self._cells = self._cells, {}
        for key, cell in cells.items():
            _plus(self._all, cell)
            for name, label in zip(_DIMENSIONS, key, strict=True):
                groups = self._groups[name]
                row = groups.pop(label, None)
                if row is None:
                    row = _empty()
                    if len(groups) >= self.max_groups:
                        self._merge_oldest(groups)
                groups[label] = row
                _plus(row, cell)

    def _merge_oldest(self, groups: dict[Any, list[Any]]) -> None:
        other = groups.pop(OTHER, None) or _empty()
        _plus(other, groups.pop(next(iter(groups))))
        groups[OTHER] = other


def _is_uncounted(usage: Usage, cost: Cost | None) -> bool:
    """Whether it is the tokens that are missing. A cost without an amount names its price if that is known."""
    return (cost is not None and cost.price is not None) or (usage.input_tokens is None and usage.output_tokens is None)


def _empty() -> list[Any]:
    # calls, pico-dollars, input, output, cache reads, unpriced, uncounted, estimated, failed, milliseconds
    return [0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0]


def _plus(row: list[Any], more: list[Any]) -> None:
    # Spelled out: this runs for every kind of group, and a loop takes three times as long.
    row[0] += more[0]
    row[1] += more[1]
    row[2] += more[2]
    row[3] += more[3]
    row[4] += more[4]
    row[5] += more[5]
    row[6] += more[6]
    row[7] += more[7]
    row[8] += more[8]
    row[9] += more[9]


def _totals(row: list[Any]) -> Totals:
    return Totals(row[0], row[1] / PICO, *row[2:])
