"""What goes on after its node or its graph has ended, and what a resumed run finds finished already."""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import Callable
from contextvars import copy_context
from importlib.metadata import version
from typing import Annotated, Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import CachePolicy, Command, interrupt
from packaging.version import Version
from typing_extensions import TypedDict

from ai_dev_squad_langgraph import observe
from ai_dev_squad_langgraph._runs import RUNS
from ai_dev_squad_testing import Captured


class State(TypedDict, total=False):
    """The state of every graph here."""

    steps: Annotated[list[str], operator.add]


def model() -> GenericFakeChatModel:
    """A model that answers at once and tells its tokens."""
    usage = {"input_tokens": 1_000, "output_tokens": 200, "total_tokens": 1_200}
    return GenericFakeChatModel(messages=iter([AIMessage("fine", usage_metadata=usage)] * 9))


def in_a_row(**nodes: Callable[..., Any]) -> Any:
    """An observed graph of one node after another."""
    builder: StateGraph[Any] = StateGraph(State)
    previous = START
    for name, node in nodes.items():
        builder.add_node(name, node)
        builder.add_edge(previous, name)
        previous = name
    return observe(builder.compile(name="squad"))


def told(captured: Captured) -> list[tuple[str, Any, Any, bool]]:
    """Each end, in order: what it was, its agent, its status, and whether it was late."""
    return [
        (line.operation, line.agent_id, line.status, (line.metadata or {}).get("ai_dev_squad.late", False))
        for line in captured.closing()
    ]


async def test_a_model_call_that_another_node_awaits(captured: Captured) -> None:
    """A task that one node starts and the next awaits is one call, with its tokens, of the node that asked
    (dd-trace-py#13795).
    """
    asked: list[asyncio.Task[Any]] = []

    async def ask(state: State) -> State:
        asked.append(asyncio.create_task(model().ainvoke("q")))
        return {"steps": ["ask"]}

    async def wait(state: State) -> State:
        return {"steps": [(await asked[0]).content]}

    assert await in_a_row(ask=ask, wait=wait).ainvoke({"steps": []}) == {"steps": ["ask", "fine"]}

    assert told(captured) == [
        ("task", "ask", "ok", False),
        ("chat", "ask", "ok", True),
        ("task", "wait", "ok", False),
        ("invoke_workflow", "squad", "ok", False),
    ]
    (call,) = captured.closing("chat")
    assert (call.usage.input_tokens, call.usage.output_tokens) == (1_000, 200)  # type: ignore[union-attr]
    assert call.parent_span_id == captured.closing("task")[0].span_id
    assert RUNS == {}


@pytest.mark.parametrize("after", ["node", "graph"])
def test_a_thread_that_goes_on_after_its_node_or_its_graph(captured: Captured, after: str) -> None:
    """With a copy of the node's context, all that it does stays in the run and with the node's agent, as late."""
    go_on, threads = threading.Event(), []

    def work() -> None:
        go_on.wait(10)
        model().invoke("q")
        look_up.invoke("x")
        model().invoke("q")

    @tool
    def look_up(word: str) -> str:
        """Look a word up."""
        return word

    def start(state: State) -> State:
        threads.append(threading.Thread(target=copy_context().run, args=(work,)))
        threads[0].start()
        return {"steps": ["start"]}

    def finish() -> None:
        go_on.set()
        threads[0].join()

    def end(state: State) -> State:
        if after == "node":
            finish()
        return {"steps": ["end"]}

    in_a_row(start=start, end=end).invoke({"steps": []}, {"configurable": {"thread_id": "T"}})
    finish()

    assert [line for line in told(captured) if line[0] in {"chat", "execute_tool"}] == [
        ("chat", "start", "ok", True),
        ("execute_tool", "start", "ok", True),
        ("chat", "start", "ok", True),
    ]
    node = captured.closing("task")[0]
    late = [line for line in captured.closing() if line.operation in {"chat", "execute_tool"}]
    assert {(line.parent_span_id, line.trace_id, line.session_id) for line in late} == {
        (node.span_id, node.trace_id, "T")
    }
    assert RUNS == {}


def side_by_side(left: Any, right: Any, **options: Any) -> Any:
    """An observed graph of two nodes at a time, with a checkpointer."""
    builder: StateGraph[Any] = StateGraph(State)
    for name, node in (("left", left), ("right", right)):
        builder.add_node(name, node, cache_policy=options.get("policy"))
        builder.add_edge(START, name)
    return observe(builder.compile(checkpointer=InMemorySaver(), cache=options.get("cache"), name="squad"))


def tasks(captured: Captured) -> list[tuple[str, Any, Any]]:
    """Each end of a node: its name, its status, whether it came from the cache."""
    return [
        (line.name, line.status, (line.metadata or {}).get("ai_dev_squad.cache_hit", False))
        for line in captured.closing("task")
    ]


CACHED = pytest.mark.skipif(
    Version(version("langgraph")) < Version("1.2.15"),
    reason="LangGraph before 1.2.15 fails, observed or not, where a node that has a cache stops twice",
)


@pytest.mark.parametrize("mode", ["invoke", "updates", "both", "subgraphs", "v2"])
@pytest.mark.parametrize("cached", [False, pytest.param(True, marks=CACHED)])
def test_a_finished_node_is_shown_once_however_often_the_graph_resumes(
    captured: Captured, mode: str, cached: bool
) -> None:
    """What a resumed run takes from its checkpoint is no node from the cache: it ran before, and was shown then."""

    def ask(state: State) -> State:
        return {"steps": [interrupt("first?") + interrupt("second?")]}

    options = {"policy": CachePolicy(), "cache": InMemoryCache()} if cached else {}
    graph = side_by_side(lambda state: {"steps": ["left"]}, ask, **options)
    config = {"configurable": {"thread_id": "1"}}
    how: dict[str, dict[str, Any]] = {
        "updates": {"stream_mode": "updates"},
        "both": {"stream_mode": ["values", "updates"]},
        "subgraphs": {"stream_mode": "updates", "subgraphs": True},
        "v2": {"stream_mode": "updates", "version": "v2"},
    }
    for given in ({"steps": []}, Command(resume="a"), Command(resume="b")):
        if mode == "invoke":
            graph.invoke(given, config)
        else:
            list(graph.stream(given, config, **how[mode]))

    assert sorted(tasks(captured)) == [
        ("left", "ok", False),
        ("right", "interrupted", False),
        ("right", "interrupted", False),
        ("right", "ok", False),
    ]


def test_a_finished_node_is_shown_once_when_another_is_tried_again(captured: Captured) -> None:
    """The same where the other node failed."""
    failing = [True]

    def may_fail(state: State) -> State:
        if failing.pop():
            raise OSError("gone")
        return {"steps": ["right"]}

    graph = side_by_side(lambda state: {"steps": ["left"]}, may_fail)
    config = {"configurable": {"thread_id": "1"}}
    with pytest.raises(OSError, match="gone"):
        list(graph.stream({"steps": []}, config, stream_mode="updates"))
    failing.append(False)
    list(graph.stream(None, config, stream_mode="updates"))

    assert sorted(tasks(captured)) == [("left", "ok", False), ("right", "error", False), ("right", "ok", False)]


def test_a_node_from_the_cache_is_shown_also_after_a_resume(captured: Captured) -> None:
    """What comes from the node cache in a later step of a resumed run didn't run, and is shown as that."""
    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("ask", lambda state: {"steps": [interrupt("?")]})
    builder.add_node("look", lambda state: {"steps": ["looked"]}, cache_policy=CachePolicy(key_func=lambda _: "one"))
    builder.add_edge(START, "ask")
    builder.add_edge("ask", "look")
    graph = observe(builder.compile(checkpointer=InMemorySaver(), cache=InMemoryCache(), name="squad"))
    for thread in ("1", "2"):
        config = {"configurable": {"thread_id": thread}}
        list(graph.stream({"steps": []}, config, stream_mode="updates"))
        list(graph.stream(Command(resume="yes"), config, stream_mode="updates"))

    assert [task for task in tasks(captured) if task[0] == "look"] == [("look", "ok", False), ("look", "ok", True)]
