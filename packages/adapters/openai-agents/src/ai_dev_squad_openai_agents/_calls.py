"""Runs, agents and tools of the SDK while they are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

from agents.run_internal.run_steps import NextStepHandoff, NextStepInterruption, NextStepRunAgain

from ai_dev_squad import operations
from ai_dev_squad.context import current_context, current_operation
from ai_dev_squad.invocation import Beginning, Invocation
from ai_dev_squad.marks import Mark, Marks
from ai_dev_squad.operations import Kind, Operation
from ai_dev_squad.process import ForkSafeLock
from ai_dev_squad.resumption import Resumptions
from ai_dev_squad.schema import ErrorInfo, EventType
from ai_dev_squad.steps import Steps
from ai_dev_squad.tool_calls import error_in_words, note_answer, opening_attributes
from ai_dev_squad_openai_agents import _translate

__all__ = ["FRAMEWORK", "OBSERVED", "AgentTurn", "Call", "Group", "Run", "ToolCall"]

FRAMEWORK = "openai_agents"
OBSERVED = Marks()
"""What was given to ``observe``."""
_GROUP = "__ai_dev_squad_group__"
_opening = ForkSafeLock()
_waiting = Resumptions()
"""Runs that wait for a person, by the tool calls that are to be approved of: a state that was saved knows these."""


class Call(Invocation, framework=FRAMEWORK):
    """An observed call under way. It is wrapped, so that its end is never missed."""

    kind: ClassVar[Kind]
    parent: Call | None
    operation: Operation

    @classmethod
    def cause(cls) -> Any:
        """As everywhere; but a block that was left in another context than it was entered in stays behind in that."""
        found = super().cause()
        return None if isinstance(found, Group) and found.ended else found

    def start(self, name: str, **given: Unpack[Beginning]) -> None:
        """Start the operation. Raises ``CallRefused`` when it is a model call that may not be made."""
        here = current_context()
        parent = self.parent
        # A run in a trace() finds that by the trace: it is not current in the block that the trace is opened for.
        above = None if isinstance(parent, Group) else current_operation(here)
        if above is None and parent is not None:
            above = parent.operation  # also where it has ended: a task that a tool began may outlive it
        operation = self.begin_below(above, self.kind, name, here=here, **given)
        if operation.request is not None:
            operation.reserve()

    def raised(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError) and self._is_left():
            self.status = "closed_early"
            self.end()
        else:
            self.end(_translate.refusal_in(error) or error)

    def _is_left(self) -> bool:
        """Whether the consumer of a streamed run had enough: the SDK then cancels the task that it runs in."""
        return any(isinstance(call, Run) and call.was_left for call in self.outwards())


class Group(Call):
    """A workflow in plain Python: the block of a ``trace()``, with the runs in it."""

    kind = operations.WORKFLOW
    trace: Any = None

    @classmethod
    def of(cls, trace: Any) -> Group | None:
        """The open workflow of a trace."""
        found: Group | None = getattr(trace, "__dict__", {}).get(_GROUP)
        return None if found is None or found.ended else found

    @classmethod
    def around(cls, trace: Any, mark: Mark) -> Group:
        """The workflow of the trace that a run stands in; the first run begins it."""
        with _opening:  # threads may begin runs in one trace
            return cls.of(trace) or cls.open(trace, Mark(task=mark.task))

    @classmethod
    def open(cls, trace: Any, mark: Mark) -> Group:
        """Begin the workflow of a trace. It ends with the trace."""
        group = cls(Call.current())
        group.trace = trace
        name = mark.name or _translate.trace_name(trace)
        session_id = getattr(trace, "group_id", None)
        group.start(name, agent_id=name, session_id=session_id, task=mark.task)
        trace.__dict__[_GROUP] = group
        return group

    def end(self, error: BaseException | ErrorInfo | None = None) -> bool:
        if self.trace is not None:  # the SDK keeps it until it is sent
            self.trace.__dict__.pop(_GROUP, None)
            self.trace = None
        return super().end(error)


class Run(Call):
    """A run of the SDK, from its input to its result."""

    kind = operations.WORKFLOW
    turn: AgentTurn | None = None
    """The agent whose turn it is, or was."""
    is_streamed = False
    task: asyncio.Task[Any] | None = None
    """The task that a streamed run goes on in, once it does."""

    @classmethod
    def open(cls, runner: Any, agent: Any, given: Any, settings: Mapping[str, Any]) -> Run | None:
        """Begin a run of ``agent``; ``None`` where nothing that is observed asks for it."""
        above: Call | None = Call.cause()
        mark = OBSERVED.find(agent) or OBSERVED.find(runner)
        if mark is None and above is None:
            return None
        mark = mark or Mark()
        trace = _translate.enclosing_trace()
        if above is None and trace is not None:
            above = Group.around(trace, mark)
        run = cls(above)
        config = settings.get("run_config")
        name = mark.name or _translate.workflow_name(config) or _translate.agent_name(given, agent)
        session_id = _translate.session_id(settings)
        run.start(name, agent_id=name, session_id=session_id, task=None if above is not None else mark.task)
        approvals = _translate.pending_approvals(given)
        if approvals is not None:
            _waiting.resumed(run.operation, _translate.approvals_key(approvals), {})
        return run

    @property
    def was_left(self) -> bool:
        """Whether it is streamed, and was told to stop."""
        return self.task is not None and self.task.cancelling() > 0

    def turn_of(self, agent: Any) -> AgentTurn:
        """The turn of ``agent``, which may take several model calls."""
        turn = self.turn
        if turn is None or turn.ended or turn.agent is not agent:
            self.turn = turn = AgentTurn(self, agent)
            turn.start(agent.name, agent_id=agent.name)
        return turn

    def take(self, result: Any) -> None:
        """The result of the run; the agent's turn may have been cut short, as by an error handler."""
        approvals = getattr(result, "interruptions", None)
        if not approvals:
            return
        self.status = "interrupted"
        waiting = {"tools": [str(item.tool_name) for item in approvals]}
        _waiting.interrupted(self.operation, _translate.approvals_key(approvals), waiting, "waits for approval")
        if isinstance(self.parent, ToolCall):
            self.parent.status = "interrupted"

    def end(self, error: BaseException | ErrorInfo | None = None) -> bool:
        turn, self.turn = self.turn, None  # which leads back here
        if turn is not None and not turn.ended:
            turn.status = self.status
            turn.end(error)
        return super().end(error)


class AgentTurn(Call):
    """An agent at work in a run, until it answers, hands over, or waits for a person."""

    kind = operations.AGENT

    def __init__(self, run: Run, agent: Any) -> None:
        super().__init__(run)
        self.agent = agent

    @staticmethod
    def open(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Steps | None:
        """For the functions of the run loop that take a turn; they are given both agents, the public one and another."""
        run = Call.current()
        if not isinstance(run, Run):
            return None
        bindings = kwargs.get("bindings") or args[1]
        return _PartOfTurn(run.turn_of(bindings.public_agent))

    def done(self, step: Any) -> None:
        """What is to be done next."""
        following = step.next_step
        if isinstance(following, NextStepRunAgain):
            return
        if isinstance(following, NextStepHandoff):
            self.status = "handoff"
            to = {"to": following.new_agent.name}
            self.operation.event(EventType.AGENT_HANDOFF, f"{self.operation.name} hands off", to)
        elif isinstance(following, NextStepInterruption):
            self.status = "interrupted"
        self.end()


class _PartOfTurn(Steps):
    """One model call of an agent's turn and the tools that it asks for."""

    def __init__(self, turn: AgentTurn) -> None:
        self.turn = turn

    def enter(self) -> Any:
        return self.turn.enter()

    def leave(self, token: Any) -> None:
        self.turn.leave(token)

    def returned(self, result: Any) -> None:
        self.turn.done(result)

    def raised(self, error: BaseException) -> None:
        self.turn.raised(error)


class ToolCall(Call):
    """A function tool at work; also one of a server of the Model Context Protocol, or an agent as a tool."""

    kind = operations.TOOL

    @classmethod
    def open(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ToolCall | None:
        """For the function of the SDK that invokes a function tool."""
        above = Call.current()
        if above is None:
            return None
        tool, context = kwargs["function_tool"], kwargs["context"]
        arguments = _translate.arguments(kwargs["arguments"])
        call = cls(above)
        call.start(tool.name, attributes=opening_attributes(arguments, context.tool_call_id))
        call.admit(arguments)
        return call

    @classmethod
    def failed_at_server(cls, result: Any) -> None:
        """A server of the Model Context Protocol says that the call of the tool in this context failed."""
        said = " ".join(text for part in result.content if (text := getattr(part, "text", None)))
        cls.failed(error_in_words("tool_error", said))

    @classmethod
    def failed(cls, error: BaseException | ErrorInfo) -> None:
        """The SDK is about to make a text for the model of what the tool in this context raised, or its server says."""
        call = Call.current()
        if isinstance(call, ToolCall):
            call.status, call.error = "error", error

    def take(self, result: Any) -> None:
        note_answer(self.operation, result.output)
        if result.is_sdk_generated_error and self.error is None:
            # What takes too long is no exception of the tool's: the SDK makes the text itself.
            self.status, self.error = "error", error_in_words("timeout", str(result.output))
