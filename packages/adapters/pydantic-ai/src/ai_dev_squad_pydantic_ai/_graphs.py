"""Graphs of ``pydantic_graph`` at work: a workflow, and a task for each of its steps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_graph.graph_builder import EndMarker, Graph
from pydantic_graph.step import Step

from ai_dev_squad import operations
from ai_dev_squad.marks import Mark
from ai_dev_squad.patching import Patches
from ai_dev_squad.steps import observed_call, observed_context
from ai_dev_squad_pydantic_ai._invocation import MARKS, Call, name_in

__all__ = ["GraphRun", "StepRun", "install"]

_patches = Patches()


def install() -> None:
    """Have graphs tell of their runs. Harmless when repeated; silent for graphs that nobody observes."""
    _patches.wrap(Graph, "iter", _observed_iter)
    _patches.wrap(Step, "call", _observed_step)


class GraphRun(Call):
    """A graph at work, from its inputs to its output."""

    kind = operations.WORKFLOW
    run: Any = None

    @classmethod
    def open(cls, args: tuple[Any, ...], _: Mapping[str, Any]) -> GraphRun:
        """For ``iter`` of a graph, through which each run goes."""
        graph = args[0]
        mark = MARKS.find(graph) or Mark()
        run = cls(graph, Call.cause())
        name = mark.name or graph.name or "graph"
        run.start(name, agent_id=name, task=mark.task)
        return run

    def take(self, item: Any) -> None:
        self.run = item

    def returned(self, result: Any) -> None:
        if self.run is not None and not isinstance(self.run.next_task, EndMarker):
            self.status = "closed_early"
        self.end()

    def owns(self, step: Any) -> bool:
        """Whether it is a step of this very graph: agents are run by graphs of their own."""
        return self.subject.nodes.get(step.id) is step


class StepRun(Call):
    """A step of a graph."""

    kind = operations.TASK

    @classmethod
    def open(cls, step: Any, above: Call) -> StepRun:
        """For a step that is about to be made."""
        run = cls(step, above)
        run.start(step.label or str(step.id))
        return run

    def take(self, item: Any) -> None:
        """What a step gives stays the program's."""


def _observed_iter(original: Callable[..., Any]) -> Callable[..., Any]:
    observed = observed_context(original, GraphRun.open, inside=True)

    def iterate(graph: Any, *args: Any, **kwargs: Any) -> Any:
        if MARKS.find(graph) is None and (Call.cause() is None or _runs_an_agent(graph)):
            return original(graph, *args, **kwargs)
        if graph.name is None and kwargs.get("infer_name", True):
            graph.name = name_in(sys._getframe(2), graph)  # as the framework does, which would look in a frame of ours
        return observed(graph, *args, **kwargs)

    return iterate


def _runs_an_agent(graph: Any) -> bool:
    """Whether it is the framework's own, by which an agent is run: that is an operation already."""
    return str(getattr(graph.state_type, "__module__", "")).startswith("pydantic_ai.")


def _observed_step(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def call(step: Any) -> Any:
        function = original(step)
        above = Call.current()
        if not isinstance(above, GraphRun) or not above.owns(step):
            return function
        return observed_call(function, lambda *_: StepRun.open(step, above), asynchronous=True)

    return call
