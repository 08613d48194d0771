"""Each model call counts once, however many instrumentations saw it.

A program that observes its framework *and* its model client sends two spans for one call, often in two traces. They are
recognised by

1. nesting: one is the other's parent;
2. the provider's id of the answer: the same, from another instrumentation, at the same time;
3. the counts: likewise and of the same service, but the same token counts, and names of the model of which one begins with the other.

The first that is known keeps tokens and cost; within one request that is the one with tokens, then our own, then one that
knows its framework or has a place in a trace. The others stay in their traces, count nothing, and name the span that does.
What came first without tokens takes none away from a call inside it that has some: requests arrive in any order.

The memory is bounded and that of this process: the spans of one call arrive within seconds of each other, and after a
restart nothing is remembered. Not recognised are two spans of which one has neither tokens nor an answer's id, unless one is
the other's parent. Taken for one are two calls of one service at the same time, each seen by one instrumentation only, that
use exactly as many tokens of the same model.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from ai_dev_squad_dashboard.store.rows import SpanRow

__all__ = ["Counting"]

KEPT = 20_000
"""Model calls that are remembered: this many at least, twice as many at most."""

_OWN = "ai_dev_squad"
_SLACK_US = 100_000
"""How far two clock readings of the same moment may be apart, in two instrumentations of one process."""
_LOOKED_AT = 256
"""Spans of an instrumentation that are looked at, of all that have something in common."""
_NOTHING: Mapping[Any, Any] = MappingProxyType({})

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
    """A span of a model call: when it was, what it told, and which instrumentations have told of the same call."""

    __slots__ = ("answer", "end_us", "identity", "kind", "model", "scopes", "service", "start_us", "tells")

    def __init__(self, row: SpanRow, kind: str, answer: str | None) -> None:
        self.identity: _Identity = (row.trace_id, row.span_id)
        """The span that counts for it."""
        self.kind = kind
        self.answer = answer
        self.model = row.model or ""
        self.service = row.service
        self.start_us = row.start_us
        self.end_us = row.start_us + max(0, row.duration_us)
        self.scopes = {row.instrumentation}
        self.tells = row.input_tokens is not None or row.output_tokens is not None
        """Whether it knows of tokens."""


class _Alike:
    """Spans by what spans of one call have in common; forgets the older half from time to time."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._count = 0
        self._new: dict[Any, dict[str | None, list[_Seen]]] = {}
        self._old: dict[Any, dict[str | None, list[_Seen]]] = {}

    def add(self, key: Any, scope: str | None, seen: _Seen) -> None:
        if self._count >= self._kept:
            self._old, self._new, self._count = self._new, {}, 0
        self._count += 1
        self._new.setdefault(key, {}).setdefault(scope, []).append(seen)

    def of_others(self, key: Any, scope: str | None) -> Iterator[_Seen]:
        """The newest spans of each instrumentation but ``scope``."""
        for memory in (self._new, self._old):
            for other, calls in memory.get(key, _NOTHING).items():
                if other != scope:
                    yield from islice(reversed(calls), _LOOKED_AT)


class Counting:
    """Decides which spans of model calls count. Safe under threads; one for everything that is received."""

    def __init__(self, kept: int = KEPT) -> None:
        self._lock = threading.Lock()
        self._calls: _Memory[_Seen] = _Memory(kept)
        """Spans that count."""
        self._same: _Memory[tuple[_Seen, bool]] = _Memory(kept)
        """Spans that count nothing → the call that does, and whether that one is inside."""
        self._inside: _Memory[_Seen] = _Memory(kept)
        """Parents of spans of model calls → the call that counts."""
        self._alike = _Alike(2 * kept)  # a call has up to two things in common with others

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
        known = self._same.get(identity)
        if known is not None:
            return known[0].identity
        if self._calls.get(identity) is not None:
            return None
        kind = "embeddings" if row.operation == "embeddings" else "generation"
        parent = (row.trace_id, row.parent_span_id) if row.parent_span_id else None
        seen = _Seen(row, kind, answer)
        keys = _keys(row, kind, answer)
        call = self._inside.get(identity)
        is_outer = call is not None and call.kind == kind
        if not is_outer:
            call = self._around(parent, seen) or self._twin(seen, row.instrumentation, keys)
        if call is None:
            self._calls.put(identity, seen)
        else:
            self._same.put(identity, (call, is_outer))
            call.scopes.add(row.instrumentation)
            # A third observer may recognise this span and not the first.
            seen.identity, seen.scopes = call.identity, call.scopes
        if parent is not None:
            self._inside.put(parent, call or seen)
        for key in keys:
            self._alike.add(key, row.instrumentation, seen)
        return None if call is None else call.identity

    def _around(self, parent: _Identity | None, seen: _Seen) -> _Seen | None:
        """The call that the parent is, if it's the whole of this one."""
        if parent is None:
            return None
        call = self._calls.get(parent)
        if call is None:
            known = self._same.get(parent)
            # Several calls may be inside one: that another one counts says nothing of this.
            call = known[0] if known is not None and not known[1] else None
        if call is None or call.kind != seen.kind or (seen.tells and not call.tells):
            return None
        return call

    def _twin(self, seen: _Seen, scope: str | None, keys: list[tuple[Any, ...]]) -> _Seen | None:
        start_us, end_us = seen.start_us - _SLACK_US, seen.end_us + _SLACK_US
        for key in keys:
            for call in self._alike.of_others(key, scope):
                if (
                    scope not in call.scopes
                    and call.start_us <= end_us
                    and start_us <= call.end_us
                    and (seen.answer is None or call.answer is None or seen.answer == call.answer)
                    # A journal doesn't name its service; who does, names the same.
                    and (seen.service is None or call.service is None or seen.service == call.service)
                    and (call.model.startswith(seen.model) or seen.model.startswith(call.model))
                ):
                    return call
        return None


def _keys(row: SpanRow, kind: str, answer: str | None) -> list[tuple[Any, ...]]:
    """What another span of the same call has in common with this one."""
    keys: list[tuple[Any, ...]] = [] if answer is None else [(kind, answer)]
    if row.input_tokens and (row.output_tokens is not None or kind == "embeddings"):
        keys.append((row.service, kind, row.input_tokens, row.output_tokens))
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
