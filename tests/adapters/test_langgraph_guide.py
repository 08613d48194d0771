"""The developer guide's adapter class: nodes that observe themselves, and graphs built from a definition."""

from __future__ import annotations

import asyncio
import inspect
import operator
from typing import Annotated, Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from opentelemetry import trace
from typing_extensions import TypedDict

from ai_dev_squad import get_cost_tracker, get_logger, get_trace_manager, guard
from ai_dev_squad_langgraph import ObservableLangGraphAdapter, observe
from ai_dev_squad_langgraph._runs import RUNS
from ai_dev_squad_testing import Captured


class State(TypedDict, total=False):
    """What was done."""

    steps: Annotated[list[str], operator.add]


def plan(state: State) -> State:
    """Make a plan."""
    return {"steps": ["plan"]}


async def act(state: State) -> State:
    """Act on it."""
    await asyncio.sleep(0)
    return {"steps": ["act"]}


@pytest.fixture
def adapter(captured: Captured) -> ObservableLangGraphAdapter:
    """The adapter, made when the tests' runtime is in force."""
    return ObservableLangGraphAdapter()


def graph_of(**nodes: Any) -> StateGraph[Any]:
    """A plain builder of nodes in a row."""
    builder: StateGraph[Any] = StateGraph(State)
    previous = START
    for name, node in nodes.items():
        builder.add_node(name, node)
        builder.add_edge(previous, name)
        previous = name
    return builder


def test_the_adapter_holds_what_is_in_force(adapter: ObservableLangGraphAdapter) -> None:
    """As in the guide: the logger, the tracer and the cost tracker."""
    assert (adapter.logger, adapter.tracer, adapter.cost_tracker) == (
        get_logger(),
        get_trace_manager(),
        get_cost_tracker(),
    )


def test_an_observable_node_is_a_task_of_its_agent(captured: Captured, adapter: ObservableLangGraphAdapter) -> None:
    """Called on its own, a node is a task of agent ``langgraph_<name>``, with the result of the function."""
    node = adapter.create_observable_node(plan, "planner")

    assert node({"steps": []}) == {"steps": ["plan"]}

    opening, closing = captured.lines
    assert (opening.event_type, opening.agent_id, opening.name, opening.framework) == (
        "task.start",
        "langgraph_planner",
        "planner",
        "langgraph",
    )
    assert (closing.event_type, closing.status) == ("task.complete", "ok")
    assert [span.name for span in captured.spans] == ["task planner"]


async def test_an_asynchronous_observable_node(captured: Captured, adapter: ObservableLangGraphAdapter) -> None:
    """A coroutine function stays one."""
    node = adapter.create_observable_node(act, "actor")

    assert inspect.iscoroutinefunction(node)
    assert await node({"steps": []}) == {"steps": ["act"]}
    assert captured.tree() == "task actor: ok"


@pytest.mark.parametrize("function", [plan, act])
def test_the_signature_stays(adapter: ObservableLangGraphAdapter, function: Any) -> None:
    """Name, docstring, signature and annotations, which LangGraph reads, are the function's own."""
    node = adapter.create_observable_node(function, "node")

    assert (node.__name__, node.__doc__) == (function.__name__, function.__doc__)
    assert inspect.signature(node) == inspect.signature(function)
    assert node.__annotations__ == function.__annotations__


def test_an_error_of_a_node_is_the_users_own(captured: Captured, adapter: ObservableLangGraphAdapter) -> None:
    """The same exception object, and a failed task."""
    failure = StopIteration("mine")

    def work(state: State) -> State:
        raise failure

    with pytest.raises(StopIteration) as caught:
        adapter.create_observable_node(work, "worker")({})

    assert caught.value is failure
    (line,) = captured.closing()
    assert (line.event_type, line.status, line.error and line.error.message) == ("task.fail", "error", "mine")


async def test_a_cancelled_node(captured: Captured, adapter: ObservableLangGraphAdapter) -> None:
    """Cancelling the task that runs a node cancels the node's task."""
    began = asyncio.Event()

    async def wait(state: State) -> State:
        began.set()
        await asyncio.sleep(60)
        return {}

    running = asyncio.ensure_future(adapter.create_observable_node(wait, "waiter")({}))
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert captured.tree() == "task waiter: cancelled"


def test_an_interrupt_in_an_observable_node(captured: Captured, adapter: ObservableLangGraphAdapter) -> None:
    """In a graph that isn't observed, a node that waits for a person is interrupted, then resumed."""

    def approve(state: State) -> State:
        return {"steps": [interrupt("ok?")]}

    builder = graph_of(approve=adapter.create_observable_node(approve, "approve"))
    graph = builder.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t1"}}

    graph.invoke({"steps": []}, config)
    assert graph.invoke(Command(resume="yes"), config) == {"steps": ["yes"]}

    assert captured.tree() == "task approve: interrupted\ntask approve: ok"


async def test_nodes_of_a_graph_that_is_not_observed(captured: Captured, adapter: ObservableLangGraphAdapter) -> None:
    """LangGraph runs wrapped nodes like any other, with the config they ask for."""
    seen: list[Any] = []

    def configured(state: State, config: RunnableConfig) -> State:
        seen.append(config["configurable"]["who"])
        return {"steps": [trace.get_current_span().name]}  # type: ignore[attr-defined]

    graph = graph_of(
        first=adapter.create_observable_node(configured, "first"), second=adapter.create_observable_node(act, "second")
    ).compile()

    assert await graph.ainvoke({"steps": []}, {"configurable": {"who": "me"}}) == {"steps": ["task first", "act"]}
    assert seen == ["me"]
    assert captured.tree() == "task first: ok\ntask second: ok"


async def test_in_an_observed_graph_a_node_counts_once(captured: Captured, adapter: ObservableLangGraphAdapter) -> None:
    """A wrapped node in an observed graph is one task, and so is a wrapped function of another name in it."""
    helper = adapter.create_observable_node(plan, "helper")

    def work(state: State) -> State:
        return helper(state)

    graph = graph_of(
        planner=adapter.create_observable_node(plan, "planner"),
        actor=adapter.create_observable_node(act, "actor"),
        worker=adapter.create_observable_node(work, "worker"),
    )

    await observe(graph).compile(name="squad").ainvoke({"steps": []})

    assert captured.tree() == (
        "invoke_workflow squad: ok\n  task planner: ok\n  task actor: ok\n  task worker: ok\n    task helper: ok"
    )
    assert RUNS == {}


def test_a_graph_built_from_a_definition(captured: Captured, adapter: ObservableLangGraphAdapter) -> None:
    """The builder has the nodes; with edges it compiles to an observed graph."""
    builder = adapter.build_observable_graph({"planner": plan, "checker": plan}, State)
    builder.add_edge(START, "planner")
    builder.add_edge("planner", "checker")

    assert builder.compile(name="squad").invoke({"steps": []}) == {"steps": ["plan", "plan"]}
    assert captured.tree() == "invoke_workflow squad: ok\n  task planner: ok\n  task checker: ok"


def test_the_guides_own_call(captured: Captured, adapter: ObservableLangGraphAdapter) -> None:
    """Without a schema the state is a plain dictionary, as in the guide."""
    builder = adapter.build_observable_graph({"planner": lambda state: {**state, "plan": "done"}})
    builder.add_edge(START, "planner")

    assert builder.compile().invoke({"task": "x"}) == {"task": "x", "plan": "done"}
    assert captured.tree() == "invoke_workflow LangGraph: ok\n  task planner: ok"


@pytest.mark.parametrize("thing", [None, "plan", {"a": 1}])
def test_what_cannot_be_called_is_refused(adapter: ObservableLangGraphAdapter, thing: Any) -> None:
    """The error names what was given and the cure."""
    with pytest.raises(TypeError) as caught:
        adapter.create_observable_node(thing, "node")

    assert str(caught.value) == (
        f"node_func is a {type(thing).__name__!r}, which can't be called; pass the node's function, or "
        "observe(graph) for a graph of any kind of nodes"
    )


def test_a_broken_sink_does_not_reach_the_node(
    captured: Captured, adapter: ObservableLangGraphAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the journal fails, the node runs all the same."""

    def broken(line: Any) -> None:
        raise OSError("disk full")

    guard.set_strict(False)
    monkeypatch.setattr(get_logger(), "emit", broken)

    assert adapter.create_observable_node(plan, "planner")({}) == {"steps": ["plan"]}
