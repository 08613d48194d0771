"""What Agent Framework's objects do that is worth an operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_framework import MiddlewareTermination, ResponseStream

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations, runtime
from ai_dev_squad.content import of_answer, of_prompt
from ai_dev_squad.context import current_operation
from ai_dev_squad.marks import Mark
from ai_dev_squad.schema import EventType
from ai_dev_squad.steps import Steps, argument
from ai_dev_squad.tool_calls import never_ran, note_answer, opening_attributes
from ai_dev_squad_agent_framework import _translate
from ai_dev_squad_agent_framework._invocation import FRAMEWORK, MARKS, RESUMPTIONS, Call
from ai_dev_squad_agent_framework._streams import follow

__all__ = ["AgentRun", "ExecutorRun", "ModelCall", "StepRun", "ToolCall", "WorkflowRun"]

_UNNAMED = Mark()


# --- agents -----------------------------------------------------------------------------------------------------------


class AgentRun(Call):
    """One run of an agent."""

    kind = operations.AGENT
    ran: set[str]
    """The tool calls that were observed themselves."""

    function: Any
    """What was called: the ``run`` of its class."""

    @staticmethod
    def is_to_open(agent: Any, function: Any, above: Call | None) -> bool:
        """Whether a call of ``function``, a ``run`` of its class, is a run of this agent that is observed. It belongs to
        what is ``above``.
        """
        if above is None:
            return MARKS.find(agent) is not None
        # Its class may call the one that it derives from; but what a run calls may run its agent again.
        inherits = isinstance(above, AgentRun) and above.subject is agent and above.function is not function
        return above.ended or not inherits

    @classmethod
    def open(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, function: Any) -> Call | None:
        """For ``run``."""
        agent, above = args[0], Call.cause()
        if not cls.is_to_open(agent, function, above):
            return None
        mark = MARKS.find(agent) or _UNNAMED
        name = mark.name or getattr(agent, "name", None) or type(agent).__name__
        session = getattr(kwargs.get("session"), "session_id", None)
        run = cls(agent, above)
        run.ran, run.function = set(), function
        attributes = {"agent_framework.agent.type": type(agent).__name__}
        if session:
            attributes[keys.CONVERSATION_ID] = session
        # Inside of a run the framework makes sessions of its own for its agents: the run is of one.
        outermost = session if above is None and current_operation() is None else None
        run.start(name, attributes=attributes, agent_id=name, session_id=outermost, task=mark.task)
        if answers := _translate.approved(argument("messages", 1, args, kwargs)):
            _resume(run, answers)
        return run

    def take(self, item: Any) -> None:
        for content in _translate.Answer((item,)).contents():
            if (question := _translate.asked_person(content)) is not None:
                _interrupt(self, question)
            elif (target := _translate.handed_to(content)) is not None:
                self.status = "handoff"
                message = f"{self.operation.name} hands off"
                self.operation.event(EventType.AGENT_HANDOFF, message, {"to": runtime.pipeline().redactor.text(target)})

    def returned(self, result: Any) -> None:
        if isinstance(result, ResponseStream):
            follow(result, self)
        else:
            super().returned(result)

    def look_back(self, messages: Any) -> None:
        """The next question to the model tells of calls that never reached a tool, as there is none of that name."""
        for call_id, name, told in _translate.tools_not_run(messages, self.ran):
            self.ran.add(call_id)
            never_ran(name, call_id, told, framework=FRAMEWORK, parent=self.operation)


def _interrupt(run: Call, question: str) -> None:
    """It ends with a question to a person, for which others may wait, too."""
    run.status = "interrupted"
    RESUMPTIONS.interrupted(run.operation, question if run.is_outermost else None, {"request_id": question})


def _resume(run: Call, answers: list[str]) -> None:
    """It begins with the answer to what an earlier run asked a person."""
    RESUMPTIONS.resumed(run.operation, answers[0] if run.is_outermost else None, {"request_id": answers[0]})


# --- workflows --------------------------------------------------------------------------------------------------------


class WorkflowRun(Call):
    """A workflow at work, of either kind, from its message to its last event."""

    kind = operations.WORKFLOW

    @classmethod
    def open(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
        """For the generator of events through which every way of running it goes."""
        workflow, above = args[0], Call.cause()
        mark = MARKS.find(workflow)
        if mark is None and above is None:
            return None
        mark = mark or _UNNAMED
        name = mark.name or _translate.workflow_name(workflow.name)
        run = cls(workflow, above)
        attributes = {"agent_framework.workflow.type": type(workflow).__name__}
        run.start(name, attributes=attributes, agent_id=name, task=mark.task)
        if responses := kwargs.get("responses"):
            _resume(run, [str(identity) for identity in responses])
        return run

    def take(self, item: Any) -> None:
        if item.type == "request_info":
            _interrupt(self, str(item.request_id))


class ExecutorRun(Call):
    """An executor that handles a message."""

    kind = operations.TASK

    @classmethod
    def open(cls, args: tuple[Any, ...], _: Mapping[str, Any]) -> Call | None:
        """For ``execute``."""
        executor, above = args[0], Call.cause()
        if above is None:
            return None
        run = cls(executor, above)
        run.start(str(executor.id), attributes={"agent_framework.executor.type": type(executor).__name__})
        return run


class StepRun(Call):
    """A step of a functional workflow."""

    kind = operations.TASK

    @classmethod
    def open(cls, args: tuple[Any, ...], _: Mapping[str, Any]) -> Call | None:
        """For its call."""
        step, above = args[0], Call.cause()
        if above is None:
            return None
        run = cls(step, above)
        run.start(str(step.name), attributes={"agent_framework.executor.type": type(step).__name__})
        return run


# --- tools ------------------------------------------------------------------------------------------------------------


class ToolCall(Call):
    """A tool at work, with the middleware around it, which may answer in its place."""

    kind = operations.TOOL
    awaits_tool: bool = False
    """Whether only middleware has been called so far."""

    @classmethod
    def open(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Steps | None:
        """For ``invoke`` of a tool. Raises ``CallRefused`` when it may not be called."""
        tool, cause = args[0], Call.cause()
        if cause is None and MARKS.find(tool) is None:
            return None
        above = Call.around(cause)
        if isinstance(above, ToolCall) and above.awaits_tool and above.subject is tool:
            return _LetPass(above)
        arguments = kwargs.get("arguments")
        if arguments is None:
            arguments = getattr(kwargs.get("context"), "arguments", None)
        return cls._begin(tool, cause, arguments, kwargs.get("tool_call_id"))

    @classmethod
    def open_middleware(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
        """For all function middleware around a tool, which calls the tool in the end, or does not."""
        cause = Call.cause()
        if cause is None:
            return None
        context = argument("context", 1, args, kwargs)
        call = cls._begin(context.function, cause, context.arguments, context.metadata.get("call_id"))
        call.awaits_tool = True
        return call

    @classmethod
    def _begin(cls, tool: Any, cause: Call | None, arguments: Any, call_id: str | None) -> ToolCall:
        above = Call.around(cause)
        if call_id and isinstance(above, AgentRun):
            above.ran.add(call_id)
        call = cls(tool, cause)
        call.start(tool.name, attributes=opening_attributes(arguments, call_id))
        call.admit(arguments)
        return call

    def raised(self, error: BaseException) -> None:
        if isinstance(error, MiddlewareTermination):  # with an answer in the tool's place, as a hand-off's
            self.take(error.result)
        super().raised(error)

    def take(self, item: Any) -> None:
        note_answer(self.operation, _translate.text_of(item))


class _LetPass(Steps):
    """A tool at work that its middleware has let pass, which is one call also where the middleware tries again."""

    def __init__(self, call: ToolCall) -> None:
        self.call = call
        call.awaits_tool = False

    def returned(self, result: Any) -> None:
        self.call.awaits_tool = True

    def raised(self, error: BaseException) -> None:
        self.call.awaits_tool = True


# --- model calls ------------------------------------------------------------------------------------------------------


class ModelCall(Call):
    """One request to a model and its answer."""

    kind = operations.CHAT
    updates: list[Any] | None = None
    """What was streamed so far."""

    @classmethod
    def open(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
        """For ``get_response``. Raises ``CallRefused`` when it may not be asked."""
        client, cause = args[0], Call.cause()
        if cause is None and MARKS.find(client) is None:
            return None  # shared with a part of the program that nobody observes
        above = Call.around(cause)
        if isinstance(above, ModelCall) and above.subject is client:
            return None  # a class's own method calls that of the one it derives from
        messages = argument("messages", 1, args, kwargs) or ()
        options = kwargs.get("options") or {}
        if options.get("continuation_token") is not None:
            return None  # it asks how a response is going, whose call was made before
        if isinstance(above, AgentRun):
            above.look_back(messages)
        request = _translate.model_request(client, messages, options)
        attributes = _translate.model_attributes(client, options, stream=bool(kwargs.get("stream")))
        attributes |= of_prompt(lambda: _translate.messages_content(messages, options))
        call = cls(client, cause)
        call.start(request.model, attributes=attributes, request=request)
        call.reserve()
        return call

    def take(self, item: Any) -> None:
        """An update of a stream, or the whole answer."""
        if self.updates is None:
            self.operation.first_chunk()
            self.updates = []
            self.operation.output = lambda: _translate.Answer(self.updates or ()).text()  # in case it is left early
        self.updates.append(item)

    def returned(self, result: Any) -> None:
        if isinstance(result, ResponseStream):
            follow(result, self)
            return
        try:
            self._answered(_translate.Answer(self.updates or () if result is None else (result,)))
        finally:
            self.end()

    def _answered(self, answer: _translate.Answer) -> None:
        operation = self.operation
        operation.usage = answer.usage()
        operation.output = answer.text
        operation.note_result(answer, _translate.compared)
        operation.annotate({**answer.attributes(), **of_answer(lambda: [answer.message()])})
