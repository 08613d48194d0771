"""A store as another one, of any engine: everything in it, once, however often it is interrupted; and whether both say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isclose
from typing import Final

from .base import Store, StoreError
from .rows import Batch
from .selection import Selection

__all__ = ["Copied", "copy_store", "differences"]

_MARK: Final = "copy:"
"""What the position of a copy is called by, before the name of what is copied."""
_ENOUGH: Final = 1_000_000
_EVER_US: Final = 1 << 60
_OF_A_DAY: Final = (
    "calls", "errors", "model_calls", "cost_usd", "unpriced_calls", "input_tokens", "output_tokens", "cache_read_tokens",
    "cache_write_tokens", "reasoning_tokens", "cache_saving_usd",
)  # fmt: skip
_MOST_TOLD: Final = 20


@dataclass(frozen=True)
class Copied:
    """What was copied by one call; what an earlier one has done is not in it."""

    spans: int = 0
    logs: int = 0
    metrics: int = 0
    resumed: bool = False
    """Whether an earlier call had begun it."""

    def __add__(self, batch: Batch) -> Copied:
        return replace(
            self,
            spans=self.spans + len(batch.spans),
            logs=self.logs + len(batch.logs),
            metrics=self.metrics + len(batch.metrics),
        )


def copy_store(
    source: Store, target: Store, name: str, *, limit: int = 5_000, tell: Callable[[Copied], None] = lambda _: None
) -> Copied:
    """Copy all of ``source`` into ``target``, which is empty, or holds what an earlier call with the same ``name`` has copied.

    Rows and how far they are read are written together, so an interruption, also by ``kill -9``, is made up by the next call. What was
    written to ``source`` since then is copied as well; what was deleted there is not deleted here. ``tell`` is told after each
    batch. Raises ``StoreError`` when ``target`` has something else in it. Whether both say the same then is ``differences``.
    """
    mark = _MARK + name
    after = target.position(mark)
    if after is None:
        _ensure_empty(target, name)
        target.write(Batch(positions={mark: ""}))
    done = Copied(resumed=after is not None)
    after = after or ""
    while (found := source.extract(after, limit)) is not None:
        after = found.after
        target.write(replace(found.batch, positions={mark: after}))
        done += found.batch
        tell(done)
    kept = source.kept()
    target.keep(replace(kept, positions=_of_sources(kept.positions or {})))
    return done


def differences(source: Store, target: Store) -> list[str]:
    """In what two stores differ: how many rows they have, what was deleted, how far sources are read, tokens and money by day."""
    theirs, ours = (dict(_figures(store, source)) for store in (source, target))
    told = [
        f"{what}: {_said(theirs.get(what))} in what is copied, {_said(ours.get(what))} in the copy"
        for what in {**theirs, **ours}
        if not _alike(theirs.get(what), ours.get(what))
    ]
    return told if len(told) <= _MOST_TOLD else [*told[:_MOST_TOLD], f"and {len(told) - _MOST_TOLD:,} more"]


def _ensure_empty(target: Store, name: str) -> None:
    others = [source.removeprefix(_MARK) for source in target.positions() if source.startswith(_MARK)]
    if others:
        raise StoreError(f"this store holds a copy of {others[0]}, not of {name}; name an empty one")
    state = target.state()
    if state.spans or state.logs or target.positions():
        raise StoreError(
            f"this store is not empty ({state.spans:,} spans, {state.logs:,} log lines); name one that does not exist yet"
        )


def _of_sources(positions: Mapping[str, str]) -> dict[str, str]:
    return {source: position for source, position in positions.items() if not source.startswith(_MARK)}


def _figures(store: Store, first: Store) -> Iterator[tuple[str, float | str]]:
    """What is compared. ``first`` says over which time."""
    state, over, kept = store.state(), first.state(), store.kept()
    yield from (("spans", state.spans), ("log lines", state.logs), ("traces", state.traces))
    yield from (("deleted runs", len(kept.traces)), ("deleted names", len(kept.until or {})))
    yield "deletions", len(kept.deletions)
    yield "operations under way", len(store.running(-_EVER_US, _ENOUGH))
    for source, position in _of_sources(kept.positions or {}).items():
        yield f"how far {source} is read", position
    for metric in store.metric_names(_ENOUGH):
        yield f"points of the metric {metric.name} ({metric.kind}, {metric.unit})", metric.points
    selection = Selection(over.oldest_us or 0, (over.newest_us or 0) + 1)
    with store.snapshot():
        for day in store.groups(selection, "day", limit=_ENOUGH):
            yield from ((f"{name} of {day.key}", getattr(day, name)) for name in _OF_A_DAY)
        for mark in store.marked(selection, "day", limit=_ENOUGH):
            yield f"runs of {mark.key} that were marked {mark.name}", mark.runs
        for tool in store.tool_inputs(selection, _ENOUGH):
            yield f"tokens that {tool.tool} took of model calls", tool.tokens


def _alike(one: float | str | None, other: float | str | None) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)  # sums of the same numbers in another order
    return one == other


def _said(value: float | str | None) -> str:
    return "nothing" if value is None else f"{value:,}" if isinstance(value, (int, float)) else repr(value)
