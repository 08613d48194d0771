"""Each model call counts once, however many instrumentations saw it.

A program that observes its framework *and* its model client sends two spans for one call, often in two traces. They are
recognised by

1. nesting: one is the other's parent;
2. the provider's id of the answer: the same, from another instrumentation of the same service, at the same time;
3. the counts: likewise, but the same token counts, and names of the model of which one begins with the other.

The first that is known keeps tokens and cost; within one request that is the one with tokens, then our own, then one that
knows its framework or has a place in a trace. The others stay in their traces, count nothing, and name the span that does.

The memory is bounded and that of this process: the spans of one call arrive within seconds of each other, and after a
restart nothing is remembered. Not recognised are two spans of which one has neither tokens nor an answer's id, unless one is
the other's parent. Taken for one are two calls of one service at the same time, each seen by one instrumentation only, that
use exactly as many tokens of the same model.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

from ai_dev_squad_dashboard.store.rows import SpanRow

__all__ = ["Counting"]

KEPT = 20_000
"""Model calls that are remembered: this many at least, twice as many at most."""

_OWN = "ai_dev_squad"
_SLACK_US = 100_000
"""How far two clock readings of the same moment may be apart, in two instrumentations of one process."""
_LOOKED_AT = 256

_Identity = tuple[str, str]
_V = TypeVar("_V")


class _Memory(Generic[_V]):
    """A dictionary that forgets the older half of what it knows from time to time."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._new: dict[Any, _V] = {}
        self._old: dict[Any, _V] = {}

    def get(self, key: Any) -> _V | None:
        found = self._new.get(key)
        return self._old.get(key) if found is None else found

    def put(self, key: Any, value: _V) -> None:
        if len(self._new) >= self._kept:
            self._old, self._new = self._new, {}
        self._new[key] = value


class _Seen:
    """A call that counts, and which instrumentations have told of it."""

    __slots__ = ("answer", "end_us", "identity", "model", "scopes", "start_us")

    def __init__(self, row: SpanRow, answer: str | None) -> None:
        self.identity: _Identity = (row.trace_id, row.span_id)
        self.answer = answer
        self.model = row.model or ""
        self.start_us = row.start_us
        self.end_us = row.start_us + row.duration_us
        self.scopes = {row.instrumentation}


class Counting:
    """Decides which spans of model calls count. Safe under threads; one for everything that is received."""

    def __init__(self, kept: int = KEPT) -> None:
        self._lock = threading.Lock()
        self._same: _Memory[_Identity] = _Memory(kept)
        """Spans that count nothing → the span that counts."""
        self._calls: _Memory[str] = _Memory(kept)
        """Spans that count → the kind of call."""
        self._inner: _Memory[tuple[str, _Identity]] = _Memory(kept)
        """Parents of spans that count → the kind of call, and the span."""
        self._alike: _Memory[dict[str | None, list[_Seen]]] = _Memory(kept)
        """What calls have in common → instrumentation → calls, oldest first."""

    def settle(self, rows: list[SpanRow], answers: Sequence[str | None]) -> None:
        """Take tokens and cost from those of ``rows`` that tell of a call which counts already. ``answers`` are the
        providers' ids of the answers, one for each row. Sent again, the same spans are settled in the same way.
        """
        calls = [index for index, row in enumerate(rows) if row.usage_source is not None]
        if len(calls) > 1:
            calls.sort(key=lambda index: _rank(rows[index]))
        with self._lock:
            for index in calls:
                counting = self._counted_on(rows[index], answers[index])
                if counting is not None:
                    rows[index] = _counting_nothing(rows[index], counting)

    def _counted_on(self, row: SpanRow, answer: str | None) -> _Identity | None:
        """The other span on which this call counts; ``None`` when it counts on this one."""
        identity = (row.trace_id, row.span_id)
        first = self._same.get(identity)
        if first is not None or self._calls.get(identity) is not None:
            return first
        kind = "embeddings" if row.operation == "embeddings" else "generation"
        parent = (row.trace_id, row.parent_span_id) if row.parent_span_id else None
        inner = self._inner.get(identity)
        if inner is not None and inner[0] == kind:
            first = inner[1]
        elif parent is not None and self._calls.get(parent) == kind:
            first = parent
        else:
            first = self._twin(row, answer)
        if first is not None:
            self._same.put(identity, first)
            return first
        self._calls.put(identity, kind)
        if parent is not None:
            self._inner.put(parent, (kind, identity))
        seen = _Seen(row, answer)
        for key in _keys(row, answer):
            alike = self._alike.get(key)
            if alike is None:
                self._alike.put(key, {row.instrumentation: [seen]})
            else:
                calls = alike.setdefault(row.instrumentation, [])
                calls.append(seen)
                if len(calls) > 2 * _LOOKED_AT:
                    del calls[:_LOOKED_AT]
        return None

    def _twin(self, row: SpanRow, answer: str | None) -> _Identity | None:
        model, scope = row.model or "", row.instrumentation
        start_us, end_us = row.start_us - _SLACK_US, row.start_us + row.duration_us + _SLACK_US
        for key in _keys(row, answer):
            for other, calls in (self._alike.get(key) or {}).items():
                if other == scope:
                    continue
                for seen in islice(reversed(calls), _LOOKED_AT):
                    if (
                        scope not in seen.scopes
                        and seen.start_us <= end_us
                        and start_us <= seen.end_us
                        and (answer is None or seen.answer is None or answer == seen.answer)
                        and (seen.model.startswith(model) or model.startswith(seen.model))
                    ):
                        seen.scopes.add(scope)
                        return seen.identity
        return None


def _keys(row: SpanRow, answer: str | None) -> list[tuple[Any, ...]]:
    """What another span of the same call has in common with this one."""
    keys: list[tuple[Any, ...]] = [] if answer is None else [(row.service, answer)]
    if row.input_tokens and row.output_tokens is not None:
        keys.append((row.service, row.input_tokens, row.output_tokens))
    return keys


def _rank(row: SpanRow) -> tuple[bool, bool, bool, bool]:
    """The lowest counts: one with tokens, our own, one of a framework, one that hangs in a trace."""
    return (
        row.input_tokens is None,
        row.instrumentation != _OWN,
        row.framework is None,
        row.parent_span_id is None,
    )


def _counting_nothing(row: SpanRow, counting: _Identity) -> SpanRow:
    return row._replace(
        provider=None,
        model=None,
        input_tokens=None,
        output_tokens=None,
        cache_read_tokens=None,
        cache_write_tokens=None,
        reasoning_tokens=None,
        usage_source=None,
        cost_usd=None,
        price=None,
        price_date=None,
        price_source=None,
        cost_reason=f"this call counts on span {counting[1]} of trace {counting[0]}, made by another instrumentation",
        cache_saving_usd=None,
    )
