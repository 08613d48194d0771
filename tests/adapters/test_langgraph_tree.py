"""What the tree of operations looks like for everything LangGraph can do."""

from __future__ import annotations

import asyncio
import operator
import textwrap
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import pytest
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy, Send, interrupt
from typing_extensions import TypedDict

from ai_dev_squad.operations import open_operations
from ai_dev_squad_langgraph import observe
from ai_dev_squad_langgraph._runs import RUNS
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, reply, respond, tool_calls


class State(TypedDict, total=False):
    """The state of every graph here."""

    steps: Annotated[list[str], operator.add]
    messages: list[Any]


Node = Callable[..., Any]


def step(name: str) -> Node:
    """A node that notes that it ran."""
    return lambda state: {"steps": [name]}


def chain(*names: str, name: str = "graph", **nodes: Any) -> StateGraph[Any]:
    """A builder of one node after another."""
    builder: StateGraph[Any] = StateGraph(State)
    previous = START
    for node in names:
        builder.add_node(node, nodes.get(node, step(node)))
        builder.add_edge(previous, node)
        previous = node
    builder.add_edge(previous, END)
    return builder


def tree(captured: Captured) -> str:
    """The captured tree; every run has left the table of open runs."""
    assert RUNS == {}
    return captured.tree()


def is_tree(text: str) -> str:
    """An expected tree, as written in a test."""
    return textwrap.dedent(text).strip()


def test_nodes_are_tasks_of_the_graph(captured: Captured) -> None:
    """Each node is a task below the graph; the result is what the graph gives unobserved."""
    graph = chain("plan", "act").compile(name="squad")

    assert observe(graph).invoke({"steps": []}) == graph.invoke({"steps": []}) == {"steps": ["plan", "act"]}

    assert tree(captured) == is_tree("""
        invoke_workflow squad: ok
          task plan: ok
          task act: ok
    """)


async def test_asynchronous_nodes(captured: Captured) -> None:
    """``ainvoke`` gives the same tree as ``invoke``."""

    async def act(state: State) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"steps": ["act"]}

    await observe(chain("plan", "act", act=act).compile(name="squad")).ainvoke({"steps": []})

    assert tree(captured) == is_tree("""
        invoke_workflow squad: ok
          task plan: ok
          task act: ok
    """)


def test_a_retried_node_is_a_task_each_time(captured: Captured) -> None:
    """A failed attempt is an error of its own; the graph's status is how it ended."""
    attempts: list[int] = []

    def flaky(state: State) -> dict[str, Any]:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError("again")
        return {"steps": ["flaky"]}

    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("flaky", flaky, retry_policy=RetryPolicy(initial_interval=0, jitter=False))
    builder.add_edge(START, "flaky")

    observe(builder.compile(name="squad")).invoke({"steps": []})

    assert tree(captured) == is_tree("""
        invoke_workflow squad: ok
          task flaky: error
          task flaky: error
          task flaky: ok
    """)
    ids = {line.span_id: span for line in captured.closing("task") for span in captured.spans if _is(span, line)}
    assert [ids[line.span_id].attributes["ai_dev_squad.attempt"] for line in captured.closing("task")] == [1, 2, 3]


def _is(span: Any, line: Any) -> bool:
    return f"{span.context.span_id:016x}" == line.span_id


def test_send_starts_a_task_for_each_branch(captured: Captured) -> None:
    """Branches made by ``Send`` are siblings, also when they run at the same time."""
    builder = chain("join")
    builder.add_node("fan", step("fan"))
    builder.add_node("work", lambda state: {"steps": [state["item"]]})
    graph: StateGraph[Any] = StateGraph(State)
    graph.add_node("fan", step("fan"))
    graph.add_node("work", lambda state: {"steps": [state["item"]]})
    graph.add_edge(START, "fan")
    graph.add_conditional_edges("fan", lambda state: [Send("work", {"item": item}) for item in "abc"], ["work"])

    result = observe(graph.compile(name="squad")).invoke({"steps": []})

    assert sorted(result["steps"]) == ["a", "b", "c", "fan"]
    assert tree(captured) == is_tree("""
        invoke_workflow squad: ok
          task fan: ok
          task work: ok
          task work: ok
          task work: ok
    """)


@pytest.mark.parametrize("observed_too", [False, True], ids=["plain subgraph", "observed subgraph"])
@pytest.mark.parametrize("called", [False, True], ids=["as a node", "called in a node"])
def test_subgraphs_nest(captured: Captured, observed_too: bool, called: bool) -> None:
    """A subgraph is a workflow below its node under its own name: as a node or called in one, observed itself or not,
    never twice (opentelemetry-python-genai#617).
    """
    inner: Any = chain("search", "read").compile(name="research")
    if observed_too:
        inner = observe(inner)
    node = (lambda state: {"steps": inner.invoke({"steps": []})["steps"]}) if called else inner

    observe(chain("plan", "team", team=node).compile(name="squad")).invoke({"steps": []})

    assert tree(captured) == is_tree("""
        invoke_workflow squad: ok
          task plan: ok
          task team: ok
            invoke_workflow research: ok
              task search: ok
              task read: ok
    """)


def test_an_interrupt_is_no_error_and_the_resume_is_linked(captured: Captured) -> None:
    """A graph that waits for a person is interrupted; the run that goes on is linked to the one that waited
    (langfuse#6704).
    """

    def approve(state: State) -> dict[str, Any]:
        return {"steps": [interrupt("really?")]}

    graph = observe(chain("plan", "approve", approve=approve).compile(name="squad", checkpointer=InMemorySaver()))
    config: Any = {"configurable": {"thread_id": "t1"}}

    graph.invoke({"steps": []}, config)
    graph.invoke(Command(resume="yes"), config)

    assert tree(captured) == is_tree("""
        invoke_workflow squad: interrupted
          task plan: ok
          task approve: interrupted
        invoke_workflow squad: ok
          task approve: ok
    """)
    first, second = captured.closing("invoke_workflow")
    assert second.links is not None
    assert [(link.trace_id, link.span_id, link.type) for link in second.links] == [
        (first.trace_id, first.span_id, "resumes")
    ]
    assert [line.event_type for line in captured.lines if line.event_type in {"agent.interrupt", "agent.resume"}] == [
        "agent.interrupt",
        "agent.resume",
    ]
    assert all(line.level == "INFO" for line in captured.lines)
    assert all(span.status.status_code.name == "UNSET" for span in captured.spans)
    resumed = next(span for span in captured.spans if _is(span, second))
    assert [f"{link.context.span_id:016x}" for link in resumed.links] == [first.span_id]


def test_a_handoff_is_no_error(captured: Captured) -> None:
    """``Command(graph=PARENT)`` ends a subgraph by handing control on, at every level it passes."""

    def leave(state: State) -> Command[str]:
        return Command(graph=Command.PARENT, goto="other", update={"steps": ["left"]})

    inner = chain("leave", leave=leave).compile(name="inner")
    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("team", inner)
    builder.add_node("other", step("other"))
    builder.add_edge(START, "team")

    observe(builder.compile(name="squad")).invoke({"steps": []})

    assert tree(captured) == is_tree("""
        invoke_workflow squad: ok
          task team: handoff
            invoke_workflow inner: handoff
              task leave: handoff
          task other: ok
    """)
    (handoff,) = [line for line in captured.lines if line.event_type == "agent.handoff"]
    assert handoff.metadata == {"to": "other"}


def test_an_error_is_the_users_own(captured: Captured) -> None:
    """The exception reaches the caller as the same object; node and graph failed, and its stack is kept once."""
    failure = ValueError("no plan")

    def plan(state: State) -> dict[str, Any]:
        raise failure

    with pytest.raises(ValueError, match="no plan") as caught:
        observe(chain("plan", plan=plan).compile(name="squad")).invoke({"steps": []})

    assert caught.value is failure
    assert tree(captured) == is_tree("""
        invoke_workflow squad: error
          task plan: error
    """)
    task_line, graph_line = captured.closing()
    assert task_line.error is not None
    assert graph_line.error is not None
    assert (task_line.event_type, task_line.level) == ("task.fail", "ERROR")
    assert (task_line.error.type, task_line.error.message) == ("ValueError", "no plan")
    assert "raise failure" in (task_line.error.stacktrace or "")
    assert graph_line.error.stacktrace is None


def test_leaving_a_stream_early(captured: Captured) -> None:
    """A consumer that stops listening closes the run early, which is no error."""
    stream = observe(chain("plan", "act", "check").compile(name="squad")).stream({"steps": []})

    next(stream)
    stream.close()

    assert captured.closing("invoke_workflow")[0].status == "closed_early"
    assert tree(captured).startswith("invoke_workflow squad: closed_early\n  task plan: ok")


async def test_leaving_an_asynchronous_stream_early(captured: Captured) -> None:
    """The same for ``astream``."""
    stream = observe(chain("plan", "act", "check").compile(name="squad")).astream({"steps": []})

    await anext(stream)
    await stream.aclose()

    assert captured.closing("invoke_workflow")[0].status == "closed_early"


async def test_cancellation(captured: Captured) -> None:
    """A cancelled run, and the node that was running, are cancelled; the caller gets ``CancelledError``."""
    began = asyncio.Event()

    async def wait(state: State) -> dict[str, Any]:
        began.set()
        await asyncio.sleep(60)
        return {}

    running = asyncio.ensure_future(observe(chain("wait", wait=wait).compile(name="squad")).ainvoke({"steps": []}))
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert tree(captured) == is_tree("""
        invoke_workflow squad: cancelled
          task wait: cancelled
    """)


async def test_a_call_that_took_too_long_and_another_in_its_place(
    captured: Captured, serve: Callable[..., ModelServer], chat: Callable[..., Any]
) -> None:
    """LangChain tells no end of a call that is cancelled: what the node asks afterwards is no part of it."""
    loop, limit = asyncio.get_running_loop(), asyncio.timeout(None)

    def late(_: Any) -> Any:
        loop.call_soon_threadsafe(limit.reschedule, 0)
        return reply("late", latency=60)

    model = chat(serve(respond(late), reply("in time")))

    async def ask(state: State) -> dict[str, Any]:
        with suppress(TimeoutError):
            async with limit:
                await model.ainvoke("q")
        return {"steps": [(await model.ainvoke("q")).content]}

    await observe(chain("ask", ask=ask).compile(name="squad")).ainvoke({"steps": []})

    assert tree(captured) == is_tree("""
        invoke_workflow squad: ok
          task ask: ok
            chat gpt-4o-mini: cancelled
            chat gpt-4o-mini: ok
    """)


class NeverNow(BaseRateLimiter):
    """Nobody may make a request: whoever waits for that is told that his time is up."""

    def __init__(self, limit: asyncio.Timeout) -> None:
        self.limit = limit

    def acquire(self, *, blocking: bool = True) -> bool:
        """Not asked here."""
        return False

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """Wait for ever."""
        self.limit.reschedule(0)
        await asyncio.Event().wait()
        return False


@pytest.mark.parametrize("asked_where", ["after the failure", "amid the failure"])
async def test_a_call_that_took_too_long_before_it_was_sent(
    captured: Captured, serve: Callable[..., ModelServer], chat: Callable[..., Any], asked_where: str
) -> None:
    """Neither LangChain nor the wire tells the end of a call that is given up while it waits for its turn: it is cancelled, the
    next call is no part of it, and nothing stays open (deepagents#5944).
    """
    limit = asyncio.timeout(None)
    server = serve(reply("in time"))
    waiting, other = chat(server, rate_limiter=NeverNow(limit)), chat(server)

    async def ask(state: State) -> dict[str, Any]:
        try:
            async with limit:
                await waiting.ainvoke("q")
        except TimeoutError:
            if asked_where == "amid the failure":
                return {"steps": [(await other.ainvoke("q")).content]}
        return {"steps": [(await other.ainvoke("q")).content]}

    await observe(chain("ask", ask=ask).compile(name="squad")).ainvoke({"steps": []})

    assert tree(captured) == is_tree("""
        invoke_workflow squad: ok
          task ask: ok
            chat gpt-4o-mini: cancelled
            chat gpt-4o-mini: ok
    """)
    assert open_operations() == []


async def test_a_call_that_nobody_has_waited_for_in_vain(
    captured: Captured, serve: Callable[..., ModelServer], chat: Callable[..., Any]
) -> None:
    """A task that was given up amid its call is over when its node is: so is the call."""
    limit = asyncio.timeout(None)
    waiting = chat(serve(), rate_limiter=NeverNow(limit))

    async def ask(state: State) -> dict[str, Any]:
        with suppress(TimeoutError):
            async with limit:
                await asyncio.gather(waiting.ainvoke("q"), waiting.ainvoke("q"))
        return {"steps": ["without"]}

    await observe(chain("ask", ask=ask).compile(name="squad")).ainvoke({"steps": []})

    assert tree(captured) == is_tree("""
        invoke_workflow squad: ok
          task ask: ok
            chat gpt-4o-mini: cancelled
            chat gpt-4o-mini: cancelled
    """)
    assert open_operations() == []


@pytest.mark.parametrize("mode", ["values", "updates", "messages", "debug", "custom", ["values", "messages"]])
def test_every_streaming_mode(captured: Captured, mode: Any) -> None:
    """The tree is the same and so are the chunks, whatever is streamed."""
    graph = chain("plan", "act").compile(name="squad")

    observed = list(observe(graph).stream({"steps": []}, stream_mode=mode))

    if mode != "debug":  # debug events carry times and run ids
        assert observed == list(graph.stream({"steps": []}, stream_mode=mode))
    assert tree(captured) == is_tree("""
        invoke_workflow squad: ok
          task plan: ok
          task act: ok
    """)


async def test_streamed_events(captured: Captured) -> None:
    """``astream_events`` goes the same way."""
    graph = observe(chain("plan").compile(name="squad"))

    events = [event["event"] async for event in graph.astream_events({"steps": []}, version="v2")]

    assert events[0] == "on_chain_start"
    assert tree(captured) == "invoke_workflow squad: ok\n  task plan: ok"


def test_a_batch_is_one_run_each(captured: Captured) -> None:
    """``batch`` gives as many traces as inputs."""
    observe(chain("plan").compile(name="squad")).batch([{"steps": []}] * 3)

    assert tree(captured) == "\n".join(["invoke_workflow squad: ok\n  task plan: ok"] * 3)
    assert len({line.trace_id for line in captured.lines}) == 3


def test_the_functional_api(captured: Captured) -> None:
    """An ``@entrypoint`` is a workflow, its ``@task`` calls are tasks."""

    @task
    def double(number: int) -> int:
        return number * 2

    @entrypoint()
    def workflow(number: int) -> int:
        return double(number).result() + 1

    assert observe(workflow).invoke(4) == 9

    assert tree(captured) == is_tree("""
        invoke_workflow workflow: ok
          task workflow: ok
            task double: ok
    """)


def test_a_created_agent(captured: Captured, serve: Callable[..., ModelServer], chat: Callable[..., Any]) -> None:
    """A ``create_agent`` graph is an agent, with its model calls and tool calls below the nodes that made them."""
    from langchain.agents import create_agent

    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    server = serve(tool_calls(call("add", a=1, b=2)), reply("It is 3."))
    agent = observe(create_agent(chat(server), [add], name="calculator"))

    result = agent.invoke({"messages": [("user", "1 + 2?")]})

    assert result["messages"][-1].content == "It is 3."
    assert tree(captured) == is_tree("""
        invoke_agent calculator: ok
          task model: ok
            chat gpt-4o-mini: ok
          task tools: ok
            execute_tool add: ok
          task model: ok
            chat gpt-4o-mini: ok
    """)
    assert {line.agent_id for line in captured.closing()} == {"calculator"}


def test_the_name_can_be_chosen(captured: Captured) -> None:
    """``observe(graph, name=...)`` names the run."""
    observe(chain("plan").compile(), name="release-train").invoke({"steps": []})

    assert tree(captured) == "invoke_workflow release-train: ok\n  task plan: ok"


def test_a_renamed_agent_is_an_agent(
    captured: Captured, serve: Callable[..., ModelServer], chat: Callable[..., Any]
) -> None:
    """A name of one's own doesn't change what a ``create_agent`` graph is."""
    from langchain.agents import create_agent

    agent = create_agent(chat(serve(reply("hi"))), [], name="clerk")
    observe(agent, name="helpdesk").invoke({"messages": [("user", "hi")]})

    assert tree(captured) == "invoke_agent helpdesk: ok\n  task model: ok\n    chat gpt-4o-mini: ok"
