"""The run tree: LangChain's runs by id, and the operation that each of them is, if it is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations, runtime
from ai_dev_squad.context import Scope, enter, heal
from ai_dev_squad.operations import Operation
from ai_dev_squad.schema import Status
from ai_dev_squad_langgraph import _translate

__all__ = ["RUNS", "Run", "agent_of_task", "become_graph", "cached_task", "enclosing_operation", "end_run"]

FRAMEWORK = "langgraph"

RUNS: dict[Any, Run] = {}
"""Open runs of the whole process by LangChain run id: whichever handler comes second finds the run and leaves it be."""


class Run:
    """One LangChain run. A chain that is neither graph nor node has no operation and only links the tree."""

    __slots__ = (
        "attempts",
        "children",
        "metadata",
        "name",
        "namespace",
        "operation",
        "parent",
        "passed_on",
        "run_id",
        "scope",
        "started_at_ns",
        "status",
    )

    def __init__(self, run_id: Any, parent: Run | None, name: str, metadata: Mapping[str, Any]) -> None:
        self.run_id, self.parent, self.name, self.metadata = run_id, parent, name, metadata
        self.operation: Operation | None = None
        self.scope: Scope | None = None
        self.namespace: str | None = None if parent is None else parent.namespace
        self.children: dict[Any, Run] | None = None
        self.attempts: dict[str, int] | None = None
        self.started_at_ns = 0
        self.passed_on: BaseException | None = None
        self.status: Status = "ok"
        RUNS[run_id] = self
        if parent is not None:
            if parent.children is None:
                parent.children = {}
            parent.children[run_id] = self

    def begin(self, operation: Operation, *, attach: bool = True) -> None:
        """This run is that operation; its span becomes current."""
        self.operation = operation
        if attach:
            self.scope = enter(operation)

    def leave_scope(self) -> None:
        """The operation's span is no longer current; the operation may go on."""
        if self.scope is not None:
            heal(self.scope)


def enclosing_operation(run: Run | None) -> Operation | None:
    """The operation that a new run below ``run`` belongs to."""
    while run is not None:
        if run.operation is not None:
            return run.operation
        run = run.parent
    return None


def become_graph(run: Run, own_name: str, *, attach: bool) -> None:
    """This run turned out to be a graph: open its operation, back-dated if the run began earlier.

    ``own_name`` is what LangGraph calls it.
    """
    metadata, redactor = run.metadata, runtime.pipeline().redactor
    conversation = _translate.conversation_id(metadata)
    if conversation is not None:
        conversation = redactor.text(conversation)
    kind = operations.AGENT if _translate.is_agent(own_name, metadata) else operations.WORKFLOW
    parent = enclosing_operation(run.parent)
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
        ),
        attach=attach,
    )


def agent_of_task(graph: Operation | None, name: str) -> str | None:
    """People call the nodes of a graph its agents; inside an agent or a nested graph, nodes are parts of one."""
    is_part = graph is not None and (graph.kind is operations.AGENT or graph.parent is not None)
    return None if is_part else name


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


def end_run(run: Run, error: BaseException | None = None) -> None:
    """End a run, first those of its children that nobody ended, then its operation."""
    RUNS.pop(run.run_id, None)
    if run.parent is not None and run.parent.children:
        run.parent.children.pop(run.run_id, None)
    for child in list(run.children.values()) if run.children else ():
        # `generate` on a batch that raises never ends the siblings of the call that failed.
        child.status = run.status if run.status in {"cancelled", "closed_early"} else "abandoned"
        end_run(child)
    run.leave_scope()
    if run.operation is not None:
        run.operation.end_as(run.status, error if run.status == "error" else None)
