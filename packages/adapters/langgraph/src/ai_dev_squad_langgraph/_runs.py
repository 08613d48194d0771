"""The run tree: LangChain's runs by id, and the operation that each of them is, if it is one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any
from weakref import ref

from langchain_core.language_models import BaseChatModel
from langgraph.errors import ParentCommand

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations, runtime
from ai_dev_squad.invocation import Invocation
from ai_dev_squad.operations import Operation
from ai_dev_squad.process import ForkSafeLock
from ai_dev_squad.schema import ErrorInfo, EventType, Status
from ai_dev_squad.tool_calls import never_ran
from ai_dev_squad_langgraph import _translate

__all__ = [
    "FRAMEWORK",
    "NAMESAKES",
    "RUNS",
    "Run",
    "agent_of_task",
    "around_call",
    "become_graph",
    "cached_task",
    "is_told",
    "note_handoff",
    "note_unknown_tool",
    "parent_of",
    "run_of",
    "waiting_task",
]

FRAMEWORK = "langgraph"

RUNS: dict[Any, Run] = {}
"""Open runs of the whole process by LangChain run id: whichever handler comes second finds the run and leaves it be.

By ``Run.number``.
"""
NAMESAKES: dict[Any, list[Run]] = {}
"""Runs under way at the same time with the same id, which a program may give to two graphs, or to a graph and to what
its nodes call: what they belong to says which of them is meant, or else the context.
"""
_naming = ForkSafeLock()
_LANGGRAPHS_OWN = frozenset({operations.WORKFLOW, operations.AGENT, operations.TASK})


class Run(Invocation, framework=FRAMEWORK):
    """One LangChain run. A chain that is neither graph nor node has no operation and only links the tree."""

    parent: Run | None
    name: str
    metadata: Mapping[str, Any]
    attempts: dict[str, int] | None = None
    started_at_ns: int = 0
    passed_on: BaseException | None = None
    run_id: Any = None
    number: Any = None
    """The run id as a number: a UUID is hashed, and compared, by Python code."""
    parent_run_id: Any = None
    namespace: str | None = None
    in_batch: bool = False
    waits: ref[asyncio.Task[Any]] | None = None
    """The task that waits for this model call, and runs nothing else before its end. See ``waiting_task``."""

    def __init__(
        self, run_id: Any, parent: Run | None, name: str, metadata: Mapping[str, Any], *, parent_run_id: Any
    ) -> None:
        """From now on LangChain's events find it. ``parent_run_id`` is what they say that it belongs to."""
        self.name = name
        self.run_id, self.parent, self.metadata, self.parent_run_id = run_id, parent, metadata, parent_run_id
        self.number = getattr(run_id, "int", run_id)
        other = RUNS.setdefault(self.number, self)
        if other is not self:
            with _naming:
                NAMESAKES.setdefault(self.number, [other]).append(self)
        self.ended, self.namespace = False, None if parent is None else parent.namespace
        if parent is not None and not parent.ended:
            parent.hold(self)

    def end(self, error: BaseException | ErrorInfo | None = None) -> bool:
        if NAMESAKES and self.number in NAMESAKES:
            self._leave_namesakes()
        else:
            RUNS.pop(self.number, None)
        return Invocation.end(self, error)  # every node ends here, and `super` costs as much as the rest of this

    def _leave_namesakes(self) -> None:
        with _naming:
            others = [run for run in NAMESAKES.get(self.number, ()) if run is not self and not run.ended]
            if others:
                RUNS[self.number] = others[0]
            else:
                RUNS.pop(self.number, None)
                NAMESAKES.pop(self.number, None)

    @property
    def tells_its_end(self) -> bool:  # type: ignore[override]
        """Of a graph and a node LangGraph tells every end; of tools and retrievers LangChain doesn't."""
        return self.operation is not None and self.operation.kind in _LANGGRAPHS_OWN

    @property
    def is_given_up(self) -> bool:
        """The wire sees it; or the task that waited is elsewhere or over, and no request was made."""
        operation = self.operation
        if self.waits is None or operation is None or operation.attempts is not None:
            return super().is_given_up
        task = self.waits()
        return task is None or task.done() or task is _current_task()

    def left_below(self) -> None:
        """LangChain doesn't tell every end: what is open below a run ends with it."""
        self.sweep(self.status)

    def overtaken(self, status: Status) -> None:
        """A batch that raises never ends the siblings of what failed, and those are over."""
        if self.in_batch and status == "ok":
            self.abandon()
        else:
            super().overtaken("cancelled" if self.is_given_up else status)


_AGENERATE = BaseChatModel.agenerate.__code__


def waiting_task() -> ref[asyncio.Task[Any]] | None:
    """The task that LangChain has wait while others make the model calls that begin here; ``None`` where it makes them itself.

    LangChain tells no end of a call that is cancelled. What this task does next tells it.
    """
    task = _current_task()
    frame = None if task is None else sys._getframe()
    while frame is not None and frame.f_code is not _AGENERATE:
        frame = frame.f_back
    return None if task is None or frame is None else ref(task)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return None


def is_told(run_id: Any, parent_run_id: Any) -> bool:
    """Whether another handler has told already that this run begins."""
    number = getattr(run_id, "int", run_id)
    known = RUNS.get(number)
    if known is None:
        return False
    return any(run.parent_run_id == parent_run_id for run in NAMESAKES.get(number, (known,)) if not run.ended)


def run_of(run_id: Any, parent_run_id: Any = None) -> Run | None:
    """The open run of this id; of several, the one that belongs to ``parent_run_id``, or in whose context this is asked."""
    number = getattr(run_id, "int", run_id)
    if not NAMESAKES or number not in NAMESAKES:
        return RUNS.get(number)
    told = [run for run in NAMESAKES.get(number, ()) if run.parent_run_id == parent_run_id and not run.ended]
    return told[0] if len(told) == 1 else _named_here(number)


def _named_here(number: Any) -> Run | None:
    """Of several open runs with one id the one that belongs to what is current, as a chain that has no operation; or is
    itself current.
    """
    here = Run.cause()
    if here is None:
        return RUNS.get(number)
    below = next((run for run in NAMESAKES.get(number, ()) if run.parent is here and not run.ended), None)
    return below or next((run for run in here.outwards() if run.number == number), None) or RUNS.get(number)


def parent_of(parent_run_id: Any) -> Run | None:
    """The run that LangChain says is the parent, also if that has ended and a thread of it goes on."""
    number = getattr(parent_run_id, "int", parent_run_id)
    parent = _named_here(number) if NAMESAKES else RUNS.get(number)
    if parent is None and parent_run_id is not None:
        cause = Run.cause()
        if cause is not None and cause.run_id is None:  # a graph that is about to start
            cause = cause.parent
        if cause is not None:
            parent = next((run for run in cause.outwards() if run.run_id == parent_run_id), cause)
    return parent


def around_call(parent: Run | None) -> Run | None:
    """What a model call belongs to that LangChain says belongs to ``parent``: the model that makes it, if one does.

    A model around another one calls that by itself, and LangChain hands on the config of the node.
    """
    Run.end_given_up()
    here = Run.current()
    if here is None or here is parent or here.operation is None or not here.operation.kind.is_model_call:
        return parent
    return here


def become_graph(run: Run, own_name: str, task: str | None = None) -> None:
    """This run turned out to be a graph: open its operation, back-dated if the run began earlier.

    ``own_name`` is what LangGraph calls it, ``task`` what the user says it is asked to do.
    """
    metadata, redactor = run.metadata, runtime.pipeline().redactor
    conversation = _translate.conversation_id(metadata)
    if conversation is not None:
        conversation = redactor.text(conversation)
    kind = operations.AGENT if _translate.is_agent(own_name, metadata) else operations.WORKFLOW
    parent = None if run.parent is None else run.parent.enclosing_operation()
    name = run.name = redactor.text(run.name)  # a `run_name` may hold anything
    attributes = _translate.graph_attributes(run.run_id, conversation)
    for key, value in redactor.value(_translate.own_metadata(metadata)).items():
        attributes[f"langgraph.metadata.{key}"] = value
    run.begin(
        operations.start(
            kind,
            name,
            framework=FRAMEWORK,
            parent=parent,
            attributes=attributes,
            agent_id=name if parent is None or kind is operations.AGENT else None,
            session_id=conversation,
            started_at_ns=run.started_at_ns or None,
            task=task,
        )
    )


def agent_of_task(graph: Operation | None, name: str) -> str | None:
    """People call the nodes of a graph its agents; inside an agent or a nested graph, nodes are parts of one.

    What LangGraph has handle a node's error is that node's.
    """
    is_part = graph is not None and (graph.kind is operations.AGENT or graph.parent is not None)
    return None if is_part else name.removeprefix("__error_handler__")


def cached_task(graph: Operation, name: str) -> None:
    """A node whose result came from LangGraph's node cache: it never ran, so no callback tells of it."""
    operations.start(
        operations.TASK,
        name,
        framework=FRAMEWORK,
        parent=graph,
        attributes={keys.CACHE_HIT: True},
        agent_id=agent_of_task(graph, name),
    ).stop()


def note_handoff(run: Run, error: ParentCommand) -> None:
    """Write one hand-off, where it arose: the command passes every level up to the graph that carries it out."""
    if run.operation is None:
        return
    if run.passed_on is not error:
        run.operation.event(EventType.AGENT_HANDOFF, f"{run.name} hands off", _translate.handoff_target(error))
    above = run.parent
    while above is not None:
        above.passed_on = error
        above = above.parent


def note_unknown_tool(run: Run, message: Any) -> None:
    """The model called a tool that isn't there."""
    call_id = runtime.pipeline().redactor.text(message.tool_call_id)
    parent = run.enclosing_operation()
    never_ran(str(message.name), call_id, message.content, framework=FRAMEWORK, parent=parent)
