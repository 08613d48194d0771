"""Where a run went round: the same tool with the same arguments and results, or turns that say the same again.

What a loop is says the loop guard of the core, for a run under way and for one that is looked at here. A program that keeps no
content tells of its loops itself, by ``agent.loop``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ai_dev_squad.loops import RecordedStep, find_loops
from ai_dev_squad.runs import MODEL_OPERATIONS
from ai_dev_squad.schema import ErrorInfo, Usage
from ai_dev_squad_dashboard.store.base import Store
from ai_dev_squad_dashboard.store.outline import Outline, OutlineSpan
from ai_dev_squad_dashboard.store.rows import LogRow

from .tree import TreeRow

__all__ = ["Loop", "loops_of"]

LIMIT: Final = 5
"""How often a round is gone through until it is a loop: what the guard takes without a setting."""
_COMPARED: Final = frozenset({*MODEL_OPERATIONS, "execute_tool", "retrieval"})


@dataclass(frozen=True)
class Loop:
    """A loop in a run. Money is USD."""

    agent: str
    pattern: str
    """``tools``: the same calls with the same results; ``answers``: the same answers without any new call."""
    operations: tuple[str, ...]
    """The calls or turns of one round."""
    repeats: int
    model_calls: int
    """What the rounds took, from the first on."""
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    """``None`` where a price is unknown."""
    owner: str
    """The id of the operation below which it happened."""
    steps: tuple[str, ...]
    """The ids of the operations that recur; empty where content was not captured."""
    so_far: bool
    """Whether the program told of it while it ran, so that the numbers are those of that moment."""


def loops_of(store: Store, traces: Sequence[Outline], rows: Sequence[TreeRow]) -> tuple[Loop, ...]:
    """The loops of a run with these traces, the dearest first. Marks the rows that are in one."""
    told = [loop for trace in traces for line in trace.told if (loop := _told(line)) is not None]
    seen = [loop for trace in traces for loop in _seen(store, trace)] if _may_repeat(rows) else []
    owners = {(loop.owner, loop.pattern) for loop in seen}
    loops = (*seen, *(loop for loop in told if (loop.owner, loop.pattern) not in owners))
    marked = {span_id: number for number, loop in reversed(list(enumerate(loops, 1))) for span_id in _marked(loop)}
    for row in rows:
        row.loop = marked.get(row.span_id, 0)
    return loops


def _marked(loop: Loop) -> Sequence[str]:
    return loop.steps or (loop.owner,)


def _may_repeat(rows: Sequence[TreeRow]) -> bool:
    """Whether something was called often enough to be a loop, which costs less to see than what it was called with."""
    calls = Counter((row.operation, row.name) for row in rows if row.operation in _COMPARED)
    return max(calls.values(), default=0) >= LIMIT


def _seen(store: Store, trace: Outline) -> list[Loop]:
    marks = store.fingerprints(trace.row.trace_id)
    if not marks:
        return []

    def step(span: OutlineSpan) -> RecordedStep:
        mark = marks.get(span.span_id)
        call = span.usage_source is not None
        return RecordedStep(
            id=span.span_id,
            parent=span.parent_span_id,
            operation=span.operation,
            name=span.name,
            start_us=span.start_us,
            end_us=span.start_us + max(span.duration_us, 0),
            status=span.status,
            agent=span.agent,
            arguments=mark.given if mark and not call else None,
            result=mark.came if mark else None,
            prompt=mark.given if mark and call else None,
            newest=mark.newest if mark and call else None,
            messages=mark.messages if mark else 0,
            usage=Usage(input_tokens=span.input_tokens, output_tokens=span.output_tokens, source="provider")
            if call
            else None,
            usd=span.cost_usd,
            error=None
            if span.error_type is None
            else ErrorInfo(type=span.error_type, message=span.error_message or ""),
        )

    return [Loop(**vars(found), so_far=False) for found in find_loops(map(step, trace.spans), LIMIT)]


class _Told(msgspec.Struct):
    """The metadata of ``agent.loop``, as far as it is shown."""

    agent: str
    pattern: str
    operations: tuple[str, ...]
    repeats: int
    model_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None = None


class _Details(msgspec.Struct):
    metadata: dict[str, Any] = {}


def _told(line: LogRow) -> Loop | None:
    """What a program told of a loop; ``None`` for what somebody else means by that name."""
    if line.span_id is None:
        return None
    try:
        said = msgspec.convert(msgspec.json.decode(line.details or b"{}", type=_Details).metadata, _Told)
    except msgspec.MsgspecError:
        return None
    return Loop(**msgspec.structs.asdict(said), owner=line.span_id, steps=(), so_far=True)
