"""Entry points: the methods through which crews, flows, agents and tasks are run, wrapped once, on the class.

The objects themselves stay as they are; an entry looks up whether its object is observed, or is used inside an observed
run. It opens the outermost operation, sees the real exception, and has the sink take CrewAI's events while it runs.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from crewai import Agent, Crew, Flow, Task
from crewai.events.stream_context import add_stream_sink, reset_stream_sinks
from opentelemetry import context as otel_context

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations
from ai_dev_squad.genai.errors import classify
from ai_dev_squad.operations import Kind
from ai_dev_squad.patching import Patches
from ai_dev_squad.schema import Status
from ai_dev_squad.steps import Steps, observed_call
from ai_dev_squad_crewai import _resume, _sink_calls, _sink_work, _translate
from ai_dev_squad_crewai._invocation import Call, begin, end
from ai_dev_squad_crewai._marks import given_name, given_task, is_marked, mark_like
from ai_dev_squad_crewai._sink import is_internal, sink
from ai_dev_squad_crewai._streams import follow, origin

__all__ = ["install", "uninstall"]

EVENTS = (_sink_calls, _sink_work)  # importing them is what makes the sink know its events


class _Plan(NamedTuple):
    """The operation that an entry opens."""

    kind: str
    key: Any
    operation: Kind
    name: str
    attributes: dict[str, Any]
    agent_id: str | None = None
    session_id: str | None = None


def _crew_plan(crew: Any, name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> _Plan:
    title = given_name(crew) or crew.name or "crew"
    return _Plan("crew", id(crew), operations.WORKFLOW, title, _translate.crew_attributes(crew), title)


def _batch_plan(crew: Any, name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> _Plan:
    title = f"{given_name(crew) or crew.name or 'crew'}.{name}"
    return _Plan("batch", id(crew), operations.WORKFLOW, title, {"crewai.crew.id": str(crew.id)}, title)


def _flow_plan(flow: Any, name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> _Plan:
    title = given_name(flow) or flow.name or type(flow).__name__
    inputs = options.get("inputs") or (arguments[0] if arguments else None)
    flow_id = (inputs.get("id") if isinstance(inputs, dict) else None) or flow.flow_id
    conversation = str(flow_id) if flow_id else None
    attributes = {keys.CONVERSATION_ID: conversation, "crewai.flow.id": conversation} if conversation else {}
    return _Plan("flow", id(flow), operations.WORKFLOW, title, attributes, title, conversation)


def _agent_plan(agent: Any, name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> _Plan:
    role = given_name(agent) or _translate.role_of(agent)
    return _Plan("lone agent", id(agent), operations.AGENT, role, _translate.agent_attributes(agent), role)


def _task_plan(task: Any, name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> _Plan:
    title = given_name(task) or _translate.task_name(task, None)
    return _Plan("task", id(task), operations.TASK, title, _translate.task_attributes(task))


def _agent_task_plan(agent: Any, name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> _Plan:
    task = options.get("task") or (arguments[0] if arguments else None)
    if task is None:
        return _Plan("task", None, operations.TASK, "task", {})
    return _task_plan(task, name, arguments, options)


class _Entry(Steps):
    """One call of an entry point, from its start to its end."""

    def __init__(self, owner: Any, plan: _Plan, restoring: bool) -> None:
        self._context = otel_context.get_current()
        self._is_outermost = Call.last() is None
        self._sink = add_stream_sink(sink) if self._is_outermost else None
        self.call = call = begin(
            plan.kind,
            plan.key,
            plan.operation,
            plan.name,
            attributes=plan.attributes,
            agent_id=plan.agent_id,
            session_id=plan.session_id,
            task=given_task(owner),
        )
        call.owner, call.restoring = owner, restoring
        call.tells_its_end = True

    def returned(self, result: Any) -> None:
        self._over(None)

    def raised(self, error: BaseException) -> None:
        self._over(error)

    def _over(self, error: BaseException | None) -> None:
        try:
            self._end(error)
        finally:
            otel_context.attach(self._context)
            if self._sink is not None:
                try:
                    reset_stream_sinks(self._sink)
                except ValueError:  # a coroutine that was moved to another context ends there
                    pass

    def _end(self, error: BaseException | None) -> None:
        call = self.call
        status: Status = call.status if error is None else classify(error)
        source = origin()
        if source is not None and source.left and self._is_outermost and status in {"ok", "cancelled"}:
            status = "closed_early"
        end(call, status, error, sweep=status not in {"ok", "interrupted"} or self._is_outermost)


class _Followed(Steps):
    """A call that returns a stream: what it runs belongs here."""

    def returned(self, result: Any) -> None:
        follow(result)


def _is_wanted(owner: Any) -> bool:
    last = Call.last()
    if last is None:
        return is_marked(owner)
    current = Call.current()
    if current is None:
        return True  # a thread that outlives its run
    if current.owner is owner:
        return False  # one entry point calls the other
    if current.restoring and type(current.owner) is type(owner):
        current.restoring = False
        return False
    return True


def _is_restoring(options: Mapping[str, Any], arguments: Sequence[Any]) -> bool:
    config = options.get("from_checkpoint") or (arguments[2] if len(arguments) > 2 else None)
    return getattr(config, "restore_from", None) is not None


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


_Planner = Callable[[Any, str, tuple[Any, ...], Mapping[str, Any]], _Plan]
_Condition = Callable[[Any], bool]


def _always(owner: Any) -> bool:
    return True


def _entry(plan: _Planner, condition: _Condition = _always, *, resumes: bool = False) -> Callable[..., Any]:
    """A wrapper for an entry point whose every wanted call becomes an operation."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        name = original.__name__

        def open_entry(args: tuple[Any, ...], options: Mapping[str, Any]) -> Steps | None:
            owner, *arguments = args
            if getattr(owner, "stream", False):
                return _Followed() if _is_streaming(owner) else None
            if not condition(owner) or not _is_wanted(owner):
                return None
            entry = _Entry(owner, plan(owner, name, tuple(arguments), options), _is_restoring(options, arguments))
            if resumes:
                _resume.resumed(entry.call, str(owner.flow_id))
            return entry

        return observed_call(original, open_entry)

    return wrap


def _is_streaming(owner: Any) -> bool:
    return is_marked(owner) or Call.last() is not None


def _streaming(original: Callable[..., Any]) -> Callable[..., Any]:
    """A wrapper for a method that always returns a stream."""

    def open_call(args: tuple[Any, ...], options: Mapping[str, Any]) -> Steps | None:
        return _Followed() if _is_streaming(args[0]) and not is_internal(args[0]) else None

    return observed_call(original, open_call)


def _marking_copies(original: Callable[..., Any]) -> Callable[..., Any]:
    """A wrapper for ``copy``: the copy of an observed object is observed."""

    @functools.wraps(original)
    def copy(self: Any, *args: Any, **kwargs: Any) -> Any:
        copied = original(self, *args, **kwargs)
        if is_marked(self):
            mark_like(copied, self)
        return copied

    return copy


def _outside_runs(owner: Any) -> bool:
    """Inside a run, CrewAI's own events tell of agents and tasks."""
    return Call.last() is None


def _users_flow(owner: Any) -> bool:
    return not is_internal(owner)


def _lone_agent(owner: Any) -> bool:
    return not _in_event_loop()  # there, `kickoff` returns the coroutine of `kickoff_async`


def _seams() -> list[tuple[Any, str, Callable[..., Any]]]:
    crew, batch, flow, agent = (
        _entry(_crew_plan),
        _entry(_batch_plan),
        _entry(_flow_plan, _users_flow),
        _entry(_agent_plan),
    )
    resume = _entry(_flow_plan, _users_flow, resumes=True)
    task, agent_task = _entry(_task_plan, _outside_runs), _entry(_agent_task_plan, _outside_runs)
    return [
        *((Crew, name, crew) for name in ("kickoff", "kickoff_async", "akickoff", "replay")),
        *((Crew, name, batch) for name in ("kickoff_for_each", "kickoff_for_each_async", "akickoff_for_each")),
        *((Crew, name, batch) for name in ("train", "test")),
        *((cls, "copy", _marking_copies) for cls in (Crew, Agent, Task)),
        (Agent, "kickoff", _entry(_agent_plan, _lone_agent)),
        *((Agent, name, agent) for name in ("kickoff_async", "akickoff")),
        *((Agent, name, agent_task) for name in ("execute_task", "aexecute_task")),
        *((Task, name, task) for name in ("_execute_core", "_aexecute_core")),
        *((Flow, name, flow) for name in ("kickoff", "kickoff_async", "akickoff")),
        *((Flow, name, resume) for name in ("resume", "resume_async")),
        *((Flow, name, _streaming) for name in ("stream_events", "astream")),
    ]


_patches: Patches | None = None


def install() -> None:
    """Wrap the entry points. Harmless when repeated."""
    global _patches  # noqa: PLW0603 - one set of class-level patches for the process
    if _patches is not None:
        return
    patches = Patches()
    for owner, name, wrapper in _seams():
        if hasattr(owner, name):  # releases differ in what they have
            patches.wrap(owner, name, wrapper, mark=("ai_dev_squad_crewai", name))
    for name in ("execute_task", "aexecute_task"):
        _hide_wrapping(vars(Agent)[name])
    _patches = patches


def _hide_wrapping(function: Any) -> None:
    """Keep the signature, but not what says that there is something inside: CrewAI's agents for A2A are told by that."""
    signature = inspect.signature(function)
    del function.__wrapped__
    function.__signature__ = signature


def uninstall() -> None:
    """Put CrewAI's classes back as they were."""
    global _patches  # noqa: PLW0603 - see install
    if _patches is not None:
        _patches.close()
        _patches = None
