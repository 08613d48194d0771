"""The developer guide's adapter class: a thin face over the same machinery that ``observe`` uses."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from langgraph.graph import StateGraph

from ai_dev_squad import operations
from ai_dev_squad.context import attached
from ai_dev_squad.runtime import get_cost_tracker, get_logger, get_trace_manager
from ai_dev_squad_langgraph import _translate
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

        In a graph that is observed as a whole, the node shows up there already; use ``observe`` alone for those.
        """
        if inspect.iscoroutinefunction(node_func):

            @functools.wraps(node_func)
            async def observable_async(*args: Any, **kwargs: Any) -> Any:
                operation = _task(node_name)
                try:
                    with attached(operation):
                        result = await node_func(*args, **kwargs)
                except BaseException as error:
                    _end(operation, error)
                    raise
                operation.stop()
                return result

            return observable_async

        @functools.wraps(node_func)
        def observable(*args: Any, **kwargs: Any) -> Any:
            operation = _task(node_name)
            try:
                with attached(operation):
                    result = node_func(*args, **kwargs)
            except BaseException as error:
                _end(operation, error)
                raise
            operation.stop()
            return result

        return observable

    def build_observable_graph(
        self, graph_definition: Mapping[str, Callable[..., Any]], state_schema: Any = dict
    ) -> StateGraph[Any]:
        """A ``StateGraph`` with these nodes; what it compiles is observed. Add the edges and compile it."""
        graph: StateGraph[Any] = StateGraph(state_schema)
        for node_name, node_func in graph_definition.items():
            graph.add_node(node_name, node_func)
        return observe(graph)


def _task(node_name: str) -> operations.Operation:
    return operations.start(operations.TASK, node_name, framework=FRAMEWORK, agent_id=f"langgraph_{node_name}")


def _end(operation: operations.Operation, error: BaseException) -> None:
    status = _translate.outcome(error)
    operation.end_as(status, error if status == "error" else None)
