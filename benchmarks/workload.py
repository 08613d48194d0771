"""The graph that the benchmarks run: ten nodes in a row, no model, a state of 500 items."""

from __future__ import annotations

from typing import Any

__all__ = ["NODES", "build_graph", "state"]

NODES = 10
_ITEMS = 500


def build_graph() -> Any:
    """The compiled graph. Each node reads the state and returns one changed key."""
    from langgraph.graph import END, START, StateGraph
    from typing_extensions import TypedDict

    class State(TypedDict):
        items: list[dict[str, Any]]
        steps: int

    def node(state: State) -> dict[str, int]:
        return {"steps": state["steps"] + 1}

    builder = StateGraph(State)
    names = [f"node_{number}" for number in range(NODES)]
    for name in names:
        builder.add_node(name, node)
    for left, right in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(left, right)
    return builder.compile()


def state() -> dict[str, Any]:
    """A fresh state of 500 small records."""
    items = [{"id": number, "text": f"item number {number}", "score": number / _ITEMS} for number in range(_ITEMS)]
    return {"items": items, "steps": 0}
