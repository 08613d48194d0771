"""The developer guide's adapter class: a thin face over the same machinery that ``observe`` uses."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from langgraph.graph import StateGraph

from ai_dev_squad.context import current_operation
from ai_dev_squad.operations import TASK
from ai_dev_squad.running import running
from ai_dev_squad.runtime import get_cost_tracker, get_logger, get_trace_manager
from ai_dev_squad_langgraph._observe import observe
from ai_dev_squad_langgraph._runs import FRAMEWORK

__all__ = ["ObservableLangGraphAdapter"]


class ObservableLangGraphAdapter:
    """Builds graphs that are observed, and wraps single nodes for graphs that aren't."""

    def __init__(self) -> None:
        self.logger = get_logger()
        self.tracer = get_trace_manager()
        self.cost_tracker = get_cost_tracker()

    def create_observable_node(self, node_func: Callable[..., Any], node_name: str) -> Callable[..., Any]:
        """``node_func`` with its signature, results and exceptions, each call a task of agent ``langgraph_<node_name>``.

        In a graph that is observed as a whole, the node of that name shows up already and isn't counted again. Raises
        ``TypeError`` for what can't be called.
        """
        if not callable(node_func):
            raise TypeError(
                f"node_func is a {type(node_func).__name__!r}, which can't be called; pass the node's function, or "
                "observe(graph) for a graph of any kind of nodes"
            )
        if inspect.iscoroutinefunction(node_func):

            @functools.wraps(node_func)
            async def observable_async(*args: Any, **kwargs: Any) -> Any:
                with _task(node_name):
                    return await node_func(*args, **kwargs)

            return observable_async

        @functools.wraps(node_func)
        def observable(*args: Any, **kwargs: Any) -> Any:
            with _task(node_name):
                return node_func(*args, **kwargs)

        return observable

    def build_observable_graph(
        self, graph_definition: Mapping[str, Callable[..., Any]], state_schema: Any = dict
    ) -> StateGraph[Any]:
        """A ``StateGraph`` with these nodes; what it compiles is observed. Add the edges and compile it."""
        graph: StateGraph[Any] = StateGraph(state_schema)
        for node_name, node_func in graph_definition.items():
            graph.add_node(node_name, node_func)
        return observe(graph)


def _task(node_name: str) -> AbstractContextManager[Any]:
    around = current_operation()
    if around is not None and (around.kind, around.framework, around.name) == (TASK, FRAMEWORK, node_name):
        return nullcontext()  # LangGraph's own run of this node is under way and observed
    return running(TASK, node_name, framework=FRAMEWORK, parent=around, agent_id=f"langgraph_{node_name}")
