"""What happens directly below one operation: its tool calls, its answers and the turns of those that work for it.

Nothing of what was said or done is kept, only hashes of the last few steps, and sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_dev_squad.kinds import EMBEDDINGS, RETRIEVAL, TASK, TOOL
from ai_dev_squad.loops.repetition import NOTHING, Element, Spent, Trail
from ai_dev_squad.process import ForkSafeLock
from ai_dev_squad.schema import EventType

if TYPE_CHECKING:
    from ai_dev_squad.loops.detected import LoopDetected
    from ai_dev_squad.operations import Operation
    from ai_dev_squad.schema import ErrorInfo

__all__ = ["Run", "Watch", "owner_of", "watch_below"]

_MASK = (1 << 64) - 1
# Calls of one agent may end in several threads, and their sum must be right. The rest is a guess by nature.
_adding = ForkSafeLock()
_WENT_ON = frozenset({"ok", "handoff"})


class Run:
    """What the operations of a run have in common."""

    __slots__ = ("stopped_by",)

    def __init__(self) -> None:
        self.stopped_by: LoopDetected | None = None


class Watch:
    """The steps below one operation."""

    # Most watches see nothing that can be compared: what they begin with stands here, and costs none of them anything.
    spent: Spent = NOTHING
    # What had been spent when each of the two last grew.
    _spent_before_tools: Spent = NOTHING
    _spent_before_answers: Spent = NOTHING
    _round: int = 0
    _has_models: bool = False
    _has_unknown: bool = False
    # What the operation as a whole is compared by, when it is a step of the one above.
    _tools_mark: int = 0
    _answers_mark: int = 0
    _first: tuple[int, str | None, int] | None = None
    _labels: tuple[str, ...] = ()

    def __init__(self, run: Run, *, asked_at_once: bool = False) -> None:
        self.run, self._asked_at_once = run, asked_at_once
        self.tools, self.answers = Trail(), Trail()
        self._open: dict[int, int] = {}

    def begun(self, operation: Operation) -> None:
        """A step begins. While another one is under way, it is of the same round.

        So are all tool calls after one answer, which may have asked for several, and those of one task, which may carry
        out what one answer asked for.
        """
        kind = operation.kind
        if kind.is_model_call:
            self._has_models = self._asked_at_once = True
        elif self._asked_at_once and (kind is TOOL or kind is RETRIEVAL):
            self._open[id(operation)] = self._round
            return
        if not self._open:
            self._round += 1
        self._open[id(operation)] = self._round

    def ended(self, operation: Operation, error: ErrorInfo | None) -> Trail | None:
        """A step ended. Returns the trail that it stands in, if it is one that can be compared."""
        round_ = self._open.pop(id(operation), None)
        if round_ is None or operation.is_refused:
            return None
        kind = operation.kind
        if kind.is_model_call:
            self._add_call(operation)
            return self._answered(operation, round_)
        below = operation.watch
        if below is not None:
            self._spend(below.spent)
        if kind is TOOL or kind is RETRIEVAL:
            return self._called(operation, round_, error)
        return None if below is None else self._took_turn(operation, below, round_)

    def loop(self, trail: Trail, length: int) -> dict[str, Any]:
        """What there is to tell of the cycle of that length at the end of a trail, and what its rounds took, from the
        first on.
        """
        before, now = trail.spent_before(length), self.spent
        return {
            "pattern": "tools" if trail is self.tools else "answers",
            "operations": trail.cycle(length),
            "repeats": trail.repeats(length),
            "model_calls": now.model_calls - before.model_calls,
            "input_tokens": now.input_tokens - before.input_tokens,
            "output_tokens": now.output_tokens - before.output_tokens,
            "cost_usd": None if now.unpriced > before.unpriced else now.usd - before.usd,
        }

    def _add_call(self, operation: Operation) -> None:
        usage, cost = operation.usage, operation.cost
        tokens = (0, 0) if usage is None else (usage.input_tokens or 0, usage.output_tokens or 0)
        usd = None if cost is None else cost.usd
        self._spend(Spent(1, *tokens, usd or 0.0, int(usd is None)))

    def _spend(self, more: Spent) -> None:
        if more is not NOTHING:
            with _adding.now:
                self.spent = self.spent.plus(more)

    # --- the sorts of step ----------------------------------------------------------------------------------------------

    def _answered(self, operation: Operation, round_: int) -> Trail | None:
        """A call that failed, or was left, is no answer, and trying again is no loop."""
        request = operation.request
        if operation.status != "ok" or operation.kind is EMBEDDINGS or request is None:
            return None
        answer = operation.result_mark
        if answer is None or request.prompt_hash is None:
            self._has_unknown = True
            self.answers.clear()
            return None
        asked = request.newest_mark
        if asked is None:
            asked = hash(request.prompt_hash)
        if self._first is None:
            self._first = asked, request.prompt_hash, request.messages
        label = f"{operation.kind.operation} {operation.name}"
        return self._add_answer(hash((asked, answer)), round_, label, request.prompt_hash, request.messages)

    def _called(self, operation: Operation, round_: int, error: ErrorInfo | None) -> Trail | None:
        arguments, result = operation.arguments_mark, operation.result_mark
        if operation.status == "error":
            if not self._has_models:
                return None  # tried again by the program, not by a model that was told of the failure
            if result is None and error is not None and error.message:
                result = hash((error.type, error.message))
        elif operation.status not in _WENT_ON:
            return None
        if arguments is None or result is None:
            if operation.kind is TOOL:  # what was looked up shows in the next prompt, which is compared itself
                self._forget()
            return None
        return self._add_tools(hash((operation.name, arguments, result)), round_, operation.name)

    def _took_turn(self, operation: Operation, below: Watch, round_: int) -> Trail | None:
        """An agent, or a part of one, is through: all that it did is one step. What says nothing isn't one."""
        if operation.status not in _WENT_ON:
            return None
        first = below._first
        if below._has_unknown:
            self._forget()
            return None
        is_agent = operation.kind.opening is EventType.AGENT_START
        if below._tools_mark:
            label = operation.name if is_agent else " + ".join(below._labels)
            # The same tools for another question are another turn.
            mark = hash((operation.name, None if first is None else first[0], below._tools_mark))
            return self._add_tools(mark, round_, label)
        if below._answers_mark and first is not None:
            if self._first is None:
                self._first = first
            mark = hash((operation.name, below._answers_mark))
            return self._add_answer(mark, round_, operation.name, *first[1:])
        return None

    # --- the two trails -------------------------------------------------------------------------------------------------

    def _add_tools(self, mark: int, round_: int, label: str) -> Trail:
        self._tools_mark = (self._tools_mark + mark) & _MASK
        if label not in self._labels and len(self._labels) < 3:
            self._labels = (*self._labels, label)
        before, self._spent_before_tools = self._spent_before_tools, self.spent
        self.tools.add(Element(mark, round_, label, spent=before))
        if not self.tools.is_repeating:
            self.answers.clear()  # a new call, or a new result, is progress, whatever is said of it
        return self.tools

    def _add_answer(self, mark: int, round_: int, label: str, prompt: str | None, messages: int) -> Trail:
        self._answers_mark = (self._answers_mark + mark) & _MASK
        before, self._spent_before_answers = self._spent_before_answers, self.spent
        self.answers.add(Element(mark, round_, label, prompt, messages, before))
        return self.answers

    def _forget(self) -> None:
        """What can't be compared may be progress."""
        self._has_unknown = True
        self.tools.clear()
        self.answers.clear()


def watch_below(operation: Operation) -> Watch:
    """The watch over what is directly below an operation. What a model call runs is its agent's."""
    watch = operation.watch
    if watch is None:
        above = operation.parent
        if above is None:
            watch = Watch(Run(), asked_at_once=operation.kind is TASK)
        elif operation.kind.is_model_call:
            watch = watch_below(above)
        else:
            watch = Watch(watch_below(above).run, asked_at_once=operation.kind is TASK)
        operation.watch = watch
    return watch


def owner_of(operation: Operation) -> Operation:
    """Whose loop it is, when it is directly below this operation."""
    while operation.kind.is_model_call and operation.parent is not None:
        operation = operation.parent
    return operation
