"""Answers that take long, kept for a while: the longer one took, the older it may get, so that a live page asks for little of it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Store, ToolCalls

__all__ = ["TIMES", "calls_of_tools", "recent"]

TIMES: Final = 20
"""How many times as old as it took to find it an answer may get: so finding it takes at most a twentieth of a processor."""
_MOST: Final = 32
_MOST_TOOLS: Final = 1_000

_answers: WeakKeyDictionary[Store, OrderedDict[Hashable, tuple[float, Any]]] = WeakKeyDictionary()
_lock = threading.Lock()
_Answer = TypeVar("_Answer")


def recent(
    store: Store,
    query: Query,
    what: Hashable,
    ask: Callable[[], _Answer],
    clock: Callable[[], float] = time.monotonic,
) -> _Answer:
    """What ``ask`` answers for the span of time and the filters of ``query``, or what it answered not long ago."""
    selection = query.selection
    # A span of time that ends now is another one at each moment, yet the same question.
    about = (query.range, replace(selection, start_us=0, end_us=0)) if query.range != "custom" else selection
    key, began = (what, about), clock()
    with _lock:
        until, answer = _answers.setdefault(store, OrderedDict()).get(key, (began, None))
    if began < until:
        return answer  # type: ignore[no-any-return]
    answer = ask()
    ended = clock()
    with _lock:
        known = _answers.setdefault(store, OrderedDict())
        known[key] = ended + TIMES * (ended - began), answer
        known.move_to_end(key)
        while len(known) > _MOST:
            known.popitem(last=False)
    return answer


def calls_of_tools(store: Store, query: Query) -> Sequence[ToolCalls]:
    """The model calls that tools made themselves, the dearest first: one answer for all pages."""
    return recent(store, query, "calls", lambda: store.tool_calls(query.selection, _MOST_TOOLS))
