"""Runs of agents, and the calls of their tools."""

from __future__ import annotations

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


class AgentRun(Call):
    """An agent at work, from the question to the result."""

    kind = operations.AGENT
    conversation: str | None = None
    ran: set[str] | None = None
    """The tool calls that were told of."""
    is_left: Callable[[BaseException], bool]
    """Whether it is a consumer who had enough that ends the run by this."""

    @classmethod
    def open(cls, ctx: Any, mark: Mark, *, resumes: bool, is_left: Callable[[BaseException], bool]) -> AgentRun:
        """For a run that is about to begin, by the context that the framework gives it."""
        run = cls(ctx.agent, Call.cause())
        run.is_left, run.conversation = is_left, ctx.conversation_id
        name = mark.name or getattr(ctx.agent, "name", None) or "agent"
        attributes = {keys.CONVERSATION_ID: ctx.conversation_id, "pydantic_ai.run.id": ctx.run_id}
        run.start(name, attributes=attributes, agent_id=name, task=mark.task)
        if resumes:
            _resumptions.resumed(run.operation, run.conversation, {})
        return run

    def take(self, item: Any) -> None:
        waits = _translate.waits_for(item.output)
        if waits is None:
            return
        self.status = "interrupted"
        _resumptions.interrupted(self.operation, self.conversation, {"tool_call_ids": waits})

    def raised(self, error: BaseException) -> None:
        if self.is_left(error):
            self.status = "closed_early"
            self.end()
        else:
            self.end(error)

    def end(self, error: BaseException | ErrorInfo | None = None) -> bool:
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
    def open(cls, run: AgentRun, call: Any, arguments: Any) -> ToolCall:
        """For a call that the model asked for, once its arguments are valid."""
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
