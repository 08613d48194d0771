"""What AutoGen's objects do that is worth a frame: runs of teams, turns of agents, model calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import HandoffMessage, ToolCallExecutionEvent, UserInputRequestedEvent
from autogen_core.models import CreateResult

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations, runtime
from ai_dev_squad.content import captured, of_answer, of_prompt
from ai_dev_squad.genai.usage import cost_from, tier_from
from ai_dev_squad.refusal import CallRefused
from ai_dev_squad.schema import ErrorInfo, EventType, Link, Usage
from ai_dev_squad.steps import Steps, argument
from ai_dev_squad.tool_calls import never_ran
from ai_dev_squad_autogen import _translate
from ai_dev_squad_autogen._invocation import FRAMEWORK, RUNS, Call, Options, enclosing

__all__ = ["AgentTurn", "ModelCall", "Part", "TeamRun", "effective_options", "is_same", "options_of"]

OPTIONS = "__ai_dev_squad_options__"
RUN = "__ai_dev_squad_run__"
_DEFAULTS = Options()


def options_of(subject: Any) -> Options | None:
    """What was asked for when ``subject`` itself was observed; ``None`` if it is only part of something observed."""
    found: Options | None = getattr(subject, "__dict__", {}).get(OPTIONS)
    return found


def effective_options(subject: Any, above: Call | None) -> Options:
    """What was asked for at the subject, else at the call it belongs to."""
    return options_of(subject) or (above.options if above is not None else _DEFAULTS)


def is_same(above: Call | None, subject: Any, kind: operations.Kind) -> bool:
    """Whether an observed method calls another one of the same object: that is one call."""
    return above is not None and above.subject is subject and above.operation.kind is kind


class Part(Steps):
    """A call that is part of the one above and has no operation of its own."""

    def __init__(self, whole: Any) -> None:
        self.whole = whole


# --- teams ------------------------------------------------------------------------------------------------------------


class TeamRun(Call):
    """A team at work, from the task to the result."""

    kind = operations.WORKFLOW
    raised_below: BaseException | None = None
    """What an agent or the team's own model call raised, of which the team keeps only the text."""

    @classmethod
    def open(cls, team: Any, args: Any, kwargs: Any) -> Call | None:
        """For ``run`` and ``run_stream``."""
        above = enclosing()
        if is_same(above, team, cls.kind):
            return None
        own = options_of(team)
        if above is None:
            if own is None:
                return None  # it is only part of something observed, which isn't running
            _look_again(team)
        run = cls(team, above, effective_options(team, above))
        name = (None if own is None else own.name) or team.name
        run.start(name, attributes=_team_attributes(team), agent_id=name, task=None if own is None else own.task)
        run.place = run.context
        _resume(run, team.__dict__.get(RUN))
        identity = getattr(team, "_team_id", None)
        # A second run at the same time is about to be refused; the first goes on.
        if identity is not None and ((other := RUNS.get(identity)) is None or other.operation.status is not None):
            RUNS[identity] = team.__dict__[RUN] = run
        return run

    def take(self, item: Any) -> None:
        if not isinstance(item, TaskResult):
            return
        if item.stop_reason:
            self.operation.annotate(captured(lambda: {"autogen.stop.reason": item.stop_reason}))
        to = _translate.waits_for(item, getattr(self.subject, "_participant_names", ()))
        if to is not None and self.status == "ok":
            self.status = "interrupted"
            self.operation.event(EventType.AGENT_INTERRUPT, f"{self.operation.name} waits for {to}", {"to": to})

    def stopped(self, source: str, content: str) -> None:
        """A termination condition stopped the team. Only the first counts: the runtime's own end follows."""
        known = self.operation.attributes or {}
        if "autogen.stop.source" not in known:
            manager = getattr(self.subject, "_group_chat_manager_name", None)
            self.operation.annotate({"autogen.stop.source": _translate.stop_source(source, content, manager)})

    def end(self, error: BaseException | ErrorInfo | None = None) -> bool:
        ended = super().end(error)
        self.raised_below = None  # a run is remembered for as long as its team, and a traceback holds much
        return ended

    def reason(self, error: BaseException) -> BaseException | ErrorInfo:
        _note(self, error)
        raised = self.raised_below
        if raised is not None and _translate.is_text_of(error, raised):
            if error.__cause__ is None:
                error.__cause__ = raised  # where Python keeps what an error stems from; the team left it empty
            while type(raised) is RuntimeError and raised.__cause__ is not None:  # a team within a team
                raised = raised.__cause__
            return raised
        told = _translate.team_error(error)
        if told is None:
            return error
        return ErrorInfo(type=told.type, message=runtime.pipeline().redactor.text(told.message))


def _resume(run: TeamRun, before: Any) -> None:
    """Link a run to the one before if that stopped to wait for a person."""
    if not isinstance(before, TeamRun) or before.operation.status != "interrupted":
        return
    waited = before.operation
    run.operation.link(Link(trace_id=waited.trace_id, span_id=waited.span_id, type="resumes"))
    details = {"resumes_trace_id": waited.trace_id}
    run.operation.event(EventType.AGENT_RESUME, f"{run.operation.name} resumes", details)


def _team_attributes(team: Any) -> dict[str, Any]:
    return {
        "autogen.team.type": type(team).__name__,
        "autogen.team.id": getattr(team, "_team_id", None),
        "autogen.team.participants": list(getattr(team, "_participant_names", ())),
    }


def _look_again(subject: Any) -> None:
    """A run begins: observe also what was added to the subject since."""
    from ai_dev_squad_autogen._observe import observe_parts

    observe_parts(subject)


def _note(call: Call, error: BaseException) -> None:
    """Remember with the team what was raised below it."""
    for above in call.outwards():
        if above is not call and isinstance(above, TeamRun):
            above.raised_below = error
            return


# --- agents -----------------------------------------------------------------------------------------------------------


class AgentTurn(Call):
    """An agent that answers, alone or when it's its turn in a team."""

    kind = operations.AGENT
    ran: set[str] | None = None
    """The tool calls that were observed themselves."""
    request_id: str | None = None
    """The latest question to a person."""

    @classmethod
    def open(cls, agent: Any, args: Any, kwargs: Any) -> Steps | None:
        """For ``run``, ``run_stream``, ``on_messages`` and ``on_messages_stream``."""
        above = enclosing()
        if above is not None and is_same(above, agent, cls.kind):
            return _PartOfTurn(above)
        own = options_of(agent)
        if above is None:
            if own is None:
                return None  # as with teams
            _look_again(agent)
        turn = cls(agent, above, effective_options(agent, above))
        name = (None if own is None else own.name) or agent.name
        turn.start(
            name,
            attributes={"autogen.agent.type": type(agent).__name__},
            agent_id=name,
            task=None if own is None else own.task,
        )
        return turn

    def take(self, item: Any) -> None:
        look = _LOOK_AT.get(type(item))
        if look is not None:
            look(self, item)

    def is_own(self, event: Any) -> bool:
        """Whether the agent itself says this: those with a team inside pass on what that says."""
        return bool(event.source == self.subject.name)

    def response(self, response: Response) -> None:
        """Look at the whole answer of a turn."""
        for event in response.inner_messages or ():
            self.take(event)
        self.take(response.chat_message)

    def result(self, result: TaskResult) -> None:
        """Look at the whole result of a run."""
        for event in result.messages:
            self.take(event)

    def executed(self, event: ToolCallExecutionEvent) -> None:
        """Calls that never reached a tool, because it's unknown or the arguments are no JSON, are shown as failed."""
        if not self.is_own(event):
            return
        for result in event.content:
            if self.ran is None:
                self.ran = set()
            if result.call_id not in self.ran:
                self.ran.add(result.call_id)
                _not_executed(self, result)

    def handed_off(self, message: HandoffMessage) -> None:
        """The agent passed control on."""
        if self.is_own(message) and self.status != "handoff":
            self.status = "handoff"
            to = {"to": message.target}
            self.operation.event(EventType.AGENT_HANDOFF, f"{self.subject.name} hands off", to)

    def asked(self, event: UserInputRequestedEvent) -> None:
        """The agent waits for a person."""
        if self.is_own(event) and self.request_id != event.request_id:
            self.request_id = event.request_id
            message = f"{self.subject.name} waits for input"
            self.operation.event(EventType.AGENT_INTERRUPT, message, {"request_id": event.request_id})

    def reason(self, error: BaseException) -> BaseException | ErrorInfo:
        _note(self, error)
        return error


class _PartOfTurn(Part):
    """One of the agent's methods calls another: what that yields is seen when it happens."""

    def take(self, item: Any) -> None:
        self.whole.take(item)

    def returned(self, result: Any) -> None:
        if result is not None:
            self.whole.take(result)


_LOOK_AT: dict[type, Any] = {
    Response: AgentTurn.response,
    TaskResult: AgentTurn.result,
    ToolCallExecutionEvent: AgentTurn.executed,
    HandoffMessage: AgentTurn.handed_off,
    UserInputRequestedEvent: AgentTurn.asked,
}


def _not_executed(turn: AgentTurn, result: Any) -> None:
    told, error = str(result.content), None
    if result.is_error:
        unknown = told.startswith(f"Error: tool '{result.name}' not found")
        error = "unknown_tool" if unknown else "tool_not_executed"
    never_ran(result.name, result.call_id, told, framework=FRAMEWORK, parent=turn.operation, error=error)


# --- model calls ------------------------------------------------------------------------------------------------------


class ModelCall(Call):
    """A question to a model and its answer."""

    kind = operations.CHAT
    raw: Mapping[str, Any] | None = None
    """The provider's own answer."""
    said: list[str] | None = None
    """What was streamed so far."""

    @classmethod
    def open(cls, client: Any, args: Any, kwargs: Any) -> Call | None:
        """For ``create``."""
        return cls._open(client, args, kwargs, stream=False)

    @classmethod
    def open_stream(cls, client: Any, args: Any, kwargs: Any) -> Call | None:
        """For ``create_stream``."""
        return cls._open(client, args, kwargs, stream=True)

    @classmethod
    def _open(cls, client: Any, args: Any, kwargs: Any, *, stream: bool) -> Call | None:
        above = enclosing()
        if above is None and options_of(client) is None:
            return None  # shared with a program part that nobody observes
        if isinstance(above, ModelCall):
            return None  # a client around another one, such as a cache
        messages = argument("messages", 0, args, kwargs) or ()
        more = kwargs.get("extra_create_args") or {}
        json_output = kwargs.get("json_output")
        asking = _translate.innermost(client)
        settings = _translate.settings(asking, more)
        request = _translate.model_request(
            asking, messages, settings, tools=kwargs.get("tools"), json_output=json_output
        )
        attributes = _translate.model_attributes(asking, settings, stream=stream, json_output=json_output)
        attributes |= of_prompt(lambda: _translate.messages_content(messages))
        call = cls(client, above, effective_options(client, above))
        try:
            call.start(request.model, attributes=attributes, request=request)
        except CallRefused as refusal:
            _note(call, refusal)
            raise
        return call

    def take(self, item: Any) -> None:
        if isinstance(item, CreateResult):
            self._answered(item)
        elif isinstance(item, str):
            if self.said is None:
                self.operation.first_chunk()
                said = self.said = []
                self.operation.output = lambda: "".join(said)  # in case the stream is left early
            self.said.append(item)

    def _answered(self, result: CreateResult) -> None:
        operation, raw = self.operation, self.raw or {}
        if result.cached:
            operation.cache_hit = True
            operation.usage = Usage(input_tokens=0, output_tokens=0, source="provider")
            operation.annotate({keys.CACHE_HIT: True})
        elif operation.usage is None:  # else it was asked for and read from the stream
            request = operation.request
            asked = {} if request is None else {"provider": request.provider, "model": request.model}
            operation.usage = _translate.usage_of(result, raw, **asked)
        if raw:
            operation.service_tier, operation.reported_usd = tier_from(raw), cost_from(raw)
        operation.output = lambda: _translate.answer_text(result)
        operation.note_result(result, _translate.compared)
        content = of_answer(lambda: _translate.answer_content(result))
        operation.annotate({**_translate.response_attributes(result, raw), **content})

    def reason(self, error: BaseException) -> BaseException | ErrorInfo:
        _note(self, error)
        return error
