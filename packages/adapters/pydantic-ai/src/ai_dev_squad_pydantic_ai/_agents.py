"""Runs of agents, and the calls of their tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic_ai.exceptions import ApprovalRequired, CallDeferred

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations
from ai_dev_squad.genai.errors import classify, register_control_flow
from ai_dev_squad.marks import Mark
from ai_dev_squad.resumption import Resumptions
from ai_dev_squad.schema import ErrorInfo
from ai_dev_squad.tool_calls import never_ran, note_answer, opening_attributes
from ai_dev_squad_pydantic_ai import _translate
from ai_dev_squad_pydantic_ai._invocation import FRAMEWORK, Call

__all__ = ["AgentRun", "ToolCall"]

for _steers in (ApprovalRequired, CallDeferred):
    register_control_flow(_steers, "interrupted")

_resumptions = Resumptions()
_under_way: dict[str, AgentRun] = {}
"""The runs that are observed, by the framework's id: their hooks may be called in any context."""


class AgentRun(Call):
    """An agent at work, from the question to the result."""

    kind = operations.AGENT
    conversation: str | None = None
    ran: set[str] | None = None
    """The tool calls that were told of."""
    has_failed = False
    """Whether something failed in it, and nothing made that good."""
    id: str
    """What the framework calls it."""
    was_left: Callable[[], bool]
    """Whether the consumer of its events has left, which cancels it."""

    @classmethod
    def open(cls, ctx: Any, mark: Mark, *, resumes: bool, was_left: Callable[[], bool]) -> AgentRun:
        """For a run that is about to begin, by the context that the framework gives it."""
        run = cls(ctx.agent, Call.cause())
        run.was_left, run.conversation, run.id = was_left, ctx.conversation_id, ctx.run_id
        name = mark.name or getattr(ctx.agent, "name", None) or "agent"
        attributes = {keys.CONVERSATION_ID: ctx.conversation_id, "pydantic_ai.run.id": ctx.run_id}
        run.start(name, attributes=attributes, agent_id=name, task=mark.task)
        _under_way[run.id] = run
        if resumes:
            _resumptions.resumed(run.operation, run.conversation, {})
        return run

    @staticmethod
    def of(ctx: Any) -> AgentRun | None:
        """The run whose context the framework hands to a hook; ``None`` for one that is not observed, or over."""
        return _under_way.get(ctx.run_id)

    def take(self, item: Any) -> None:
        waits = _translate.waits_for(item.output)
        if waits is None:
            return
        self.status = "interrupted"
        _resumptions.interrupted(self.operation, self.conversation, {"tool_call_ids": waits})

    def raised(self, error: BaseException) -> None:
        if self._is_left(error):
            self.status = "closed_early"
            self.end()
        else:
            self.end(error)

    def _is_left(self, error: BaseException) -> bool:
        """Whether a consumer had enough of the run: what waits for its end is cancelled then, and nothing failed in it."""
        if not isinstance(error, asyncio.CancelledError):
            return False
        waits = asyncio.current_task()
        return self.was_left() or (not self.has_failed and waits is not None and waits.cancelling() > 0)

    def end(self, error: BaseException | ErrorInfo | None = None) -> bool:
        if _under_way.get(self.id) is self:
            del _under_way[self.id]
        if self.below and not self.ended:
            # The framework tells of a run's end before that of the request that is cancelled with it.
            self.sweep(self.status if error is None else _status_of(error))
        return super().end(error)

    # --- calls that reach no tool ---------------------------------------------------------------------------------------

    def is_new(self, call_id: str) -> bool:
        """Whether nothing was told of this tool call yet. Something is about to be."""
        if self.ran is None:
            self.ran = set()
        known = call_id in self.ran
        self.ran.add(call_id)
        return not known

    def asked(self, message: Any) -> None:
        """The model is about to be told what came of its tool calls: of some, that there is no such tool, or no such answer."""
        for call_id, name, reason in _translate.not_executed(message):
            if self.is_new(call_id):
                self.not_executed(call_id, name, reason, _translate.kind_of_refusal(reason))

    def not_executed(self, call_id: str, name: str, reason: str, kind: str) -> None:
        """A call is shown as failed that never reached its tool."""
        never_ran(name, call_id, reason, framework=FRAMEWORK, parent=self.operation, error=kind)


class ToolCall(Call):
    """A tool at work."""

    kind = operations.TOOL

    @classmethod
    def open(cls, run: AgentRun | None, call: Any, arguments: Any) -> ToolCall | None:
        """For a call that the model asked for, once its arguments are valid."""
        above = Call.current()
        if run is None or (isinstance(above, ToolCall) and above.subject is call):
            return None  # nobody observes it, or it was told of by the capability that holds this one
        run.is_new(call.tool_call_id)
        tool = cls(call, run)
        tool.start(call.tool_name, attributes=opening_attributes(arguments, call.tool_call_id))
        tool.admit(arguments)
        return tool

    def take(self, item: Any) -> None:
        note_answer(self.operation, item)

    def reason(self, error: BaseException) -> BaseException:
        return _translate.tool_error(error)


def _status_of(error: BaseException | ErrorInfo) -> Any:
    return classify(error) if isinstance(error, BaseException) else "error"
