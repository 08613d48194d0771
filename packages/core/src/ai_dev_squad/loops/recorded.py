"""Loops in what was recorded: the steps of a run are gone through again, and compared as when they happen."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from ai_dev_squad.kinds import KINDS, TASK, ModelRequest
from ai_dev_squad.loops.detected import Pattern
from ai_dev_squad.loops.watch import Watch, owner_of, watch_below
from ai_dev_squad.schema import Cost, ErrorInfo, Usage

if TYPE_CHECKING:
    from ai_dev_squad.loops.repetition import Trail
    from ai_dev_squad.operations import Operation

__all__ = ["FoundLoop", "RecordedStep", "find_loops"]


@dataclass(frozen=True)
class RecordedStep:
    """An operation that has ended. What it is compared by are hashes: equal ones stand for equal content, ``None`` for what
    is not known, which counts as progress.
    """

    id: str
    parent: str | None
    operation: str
    """A GenAI operation, such as ``execute_tool``; any other is a part of what is above it."""
    name: str
    start_us: int
    end_us: int
    status: str = "ok"
    agent: str | None = None
    arguments: int | None = None
    """Of a tool call."""
    result: int | None = None
    """Of a tool call, or the answer of a model."""
    prompt: int | None = None
    """All that the model was given."""
    newest: int | None = None
    """The newest two messages of it."""
    messages: int = 0
    """How many messages there were."""
    usage: Usage | None = None
    usd: float | None = None
    error: ErrorInfo | None = None


@dataclass(frozen=True)
class FoundLoop:
    """Steps that went round, and what that took from the first of them to the last. Money is USD."""

    owner: str
    """The id of the step below which it happened: the agent's, the graph's or the team's."""
    agent: str
    pattern: Pattern
    operations: tuple[str, ...]
    """The calls or turns of one round."""
    repeats: int
    steps: tuple[str, ...]
    """The ids of the steps that recur, the first time included, in their order."""
    model_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    """``None`` where a price is unknown."""


class _Replayed:
    """A recorded step as the watch sees an operation."""

    is_refused = False

    def __init__(self, step: RecordedStep, parent: _Replayed | None) -> None:
        self.step, self.parent = step, parent
        self.kind = KINDS.get(step.operation, TASK)
        self.name, self.status = step.name, step.status
        self.arguments_mark, self.result_mark = step.arguments, step.result
        self.usage, self.cost = step.usage, Cost(usd=step.usd)
        self.watch: Watch | None = None
        prompt = None if step.prompt is None else str(step.prompt)
        self.request = ModelRequest(step.name, "", prompt_hash=prompt, newest_mark=step.newest, messages=step.messages)


@dataclass
class _Steps:
    """The steps of one trail, and the loop that it is in."""

    compared: list[tuple[int, str]] = field(default_factory=list)
    """The round and the id of each."""
    found: FoundLoop | None = None
    first_round: int = 0

    def first_of(self, rounds: int) -> int:
        """The first of the newest so many rounds."""
        seen = 0
        last: int | None = None
        for number, _ in reversed(self.compared):
            if number != last:
                seen, last = seen + 1, number
            if seen == rounds:
                break
        return last or 0

    def since_first(self) -> tuple[str, ...]:
        return tuple(step_id for number, step_id in self.compared if number >= self.first_round)


def find_loops(steps: Iterable[RecordedStep], limit: int = 5) -> Sequence[FoundLoop]:
    """The loops that the loop guard would have told of with this ``loop_limit``, the dearest first, each to where it ended.

    Steps without a parent among ``steps`` are those of a run by themselves.
    """
    if limit < 2:
        raise ValueError(f"limit {limit!r} is no repetition; use 2 or more")
    found: list[FoundLoop] = []
    trails: dict[tuple[int, bool], _Steps] = {}
    for operation in _in_order(steps):
        parent = operation.parent
        if parent is None or parent.watch is None:
            continue
        watch = parent.watch
        trail = watch.ended(cast("Operation", operation), operation.step.error)
        if trail is None:
            continue
        steps_of = trails.setdefault((id(watch), trail is watch.tools), _Steps())
        _follow(watch, trail, steps_of, parent, operation.step.id, limit, found)
    for steps_of in trails.values():
        found += _closed(steps_of)
    return sorted(found, key=lambda loop: (-(loop.cost_usd or 0.0), -loop.input_tokens - loop.output_tokens))


def _in_order(steps: Iterable[RecordedStep]) -> Iterable[_Replayed]:
    """Begin each step at its time, and hand it out when it ends. What ends when another begins ended before."""
    made: dict[str, _Replayed] = {}
    recorded = {step.id: step for step in steps}
    under_way: list[tuple[int, int, _Replayed]] = []
    for number, step in enumerate(sorted(recorded.values(), key=lambda each: (each.start_us, -each.end_us))):
        while under_way and under_way[0][0] <= step.start_us:
            yield heapq.heappop(under_way)[2]
        above = made.get(step.parent or "")
        operation = made[step.id] = _Replayed(step, above)
        if above is not None:
            (above.watch or watch_below(cast("Operation", above))).begun(cast("Operation", operation))
        # The last to begin is the first to end where both end at once.
        heapq.heappush(under_way, (step.end_us, -number, operation))
    while under_way:
        yield heapq.heappop(under_way)[2]


def _follow(
    watch: Watch, trail: Trail, steps: _Steps, parent: _Replayed, step_id: str, limit: int, found: list[FoundLoop]
) -> None:
    """Note a step of a trail, and the loop that it begins or goes on with."""
    steps.compared.append((trail.round, step_id))
    length = trail.found(limit) if trail.is_repeating else 0
    if not length or not trail.is_told:
        # The step that got out of it is none of it.
        newest = steps.compared.pop()
        found += _closed(steps)
        steps.compared.append(newest)
        if not length or watch.tools.is_told or watch.answers.is_told:
            return
        trail.is_told = True
        steps.first_round = steps.first_of(trail.repeats(length) * length)
    owner = cast("_Replayed", owner_of(cast("Operation", parent)))
    agent = owner.step.agent or owner.name
    steps.found = FoundLoop(owner=owner.step.id, agent=agent, steps=(), **watch.loop(trail, length))


def _closed(steps: _Steps) -> list[FoundLoop]:
    """The loop that the trail is no longer in, with its steps, if it was in one."""
    loop, steps.found = steps.found, None
    return [] if loop is None else [replace(loop, steps=steps.since_first())]
