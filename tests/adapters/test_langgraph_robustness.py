"""Observing survives whatever happens, and the program never notices that it's observed."""

from __future__ import annotations

import asyncio
import operator
import os
import subprocess
import sys
import textwrap
import threading
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import ToolException, tool
from langgraph.cache.memory import InMemoryCache
from langgraph.errors import NodeTimeoutError
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import CachePolicy
from opentelemetry.sdk.trace import SpanProcessor
from typing_extensions import TypedDict

import ai_dev_squad
from ai_dev_squad import guard, operations, read_journal
from ai_dev_squad.operations import open_operations
from ai_dev_squad_langgraph import _translate, observe
from ai_dev_squad_langgraph._runs import RUNS
from ai_dev_squad_testing import Captured, capture
from ai_dev_squad_testing.model_server import ModelServer, call, fail, last_message_contains, reply, tokens, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]


class State(TypedDict, total=False):
    """What was done."""

    steps: Annotated[list[str], operator.add]


def graph_of(*nodes: tuple[str, Any], **options: Any) -> Any:
    """An observed graph of nodes in a row."""
    builder: StateGraph[Any] = StateGraph(State)
    previous = START
    for name, run in nodes:
        builder.add_node(name, run)
        builder.add_edge(previous, name)
        previous = name
    return observe(builder.compile(**{"name": "squad", **options}))


def tools_graph(node: ToolNode) -> Any:
    """An observed graph of one ``ToolNode``."""
    builder = StateGraph(MessagesState)
    builder.add_node("tools", node)
    builder.add_edge(START, "tools")
    return observe(builder.compile(name="squad"))


def graph_of_messages(node: Any) -> Any:
    """An observed graph of one node that answers with a whole conversation."""
    builder = StateGraph(MessagesState)
    builder.add_node("pass_on", node)
    builder.add_edge(START, "pass_on")
    return observe(builder.compile(name="outer"))


def asks_for(*calls: dict[str, Any]) -> dict[str, Any]:
    """A state in which the model has asked for tools."""
    return {"messages": [AIMessage("", tool_calls=[{**one, "id": f"c{n}"} for n, one in enumerate(calls)])]}


def is_tree(text: str) -> str:
    """An expected tree, as written in a test."""
    return textwrap.dedent(text).strip()


def test_metadata_of_any_kind(captured: Captured) -> None:
    """Keys that are no text, and live objects, in what a program notes on a run don't cost the run (langfuse-python#1571)."""
    noted: Any = {"team": "red", 7: True, ("a", "b"): "pair", "client": object(), "langgraph_secret": "x"}

    graph_of(("work", lambda state: {"steps": ["done"]})).invoke({"steps": []}, {"metadata": noted})

    (run,) = captured.closing("invoke_workflow")
    own = {key: value for key, value in (run.metadata or {}).items() if key.startswith("langgraph.metadata.")}
    assert own == {"langgraph.metadata.team": "red", "langgraph.metadata.7": True}
    assert len(captured.closing("task")) == 1


# --- failures of ours stay ours ---------------------------------------------------------------------------------------


class Broken(SpanProcessor):
    """A span processor that fails at everything."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError("broken processor")

    def on_end(self, span: Any) -> None:
        raise RuntimeError("broken processor")


def broken(*_: Any, **__: Any) -> Any:
    """Something of ours that fails."""
    raise RuntimeError("broken")


def with_a_broken_sink(patch: pytest.MonkeyPatch) -> None:
    """The journal refuses every line."""
    patch.setattr(ai_dev_squad.get_logger(), "emit", broken)


def with_a_broken_processor(patch: pytest.MonkeyPatch) -> None:
    """The application's span processor raises."""
    ai_dev_squad.get_trace_manager().add_span_processor(Broken())


def with_a_broken_filter(patch: pytest.MonkeyPatch) -> None:
    """The user's event filter raises."""
    events = ai_dev_squad.EventFilter()
    events.add_custom_filter(broken)
    ai_dev_squad.get_logger().filter = events


def with_a_broken_redactor(patch: pytest.MonkeyPatch) -> None:
    """Redaction fails."""
    redactor = ai_dev_squad.runtime.pipeline().redactor
    for method in ("text", "value", "exception"):
        patch.setattr(redactor, method, broken)


def with_broken_costs(patch: pytest.MonkeyPatch) -> None:
    """The ledger fails."""
    patch.setattr(type(ai_dev_squad.get_cost_tracker()), "record", broken)


def with_broken_operations(patch: pytest.MonkeyPatch) -> None:
    """Nothing can be started."""
    patch.setattr(operations, "start", broken)


def with_a_broken_translation(patch: pytest.MonkeyPatch) -> None:
    """Nothing that LangChain sends is understood."""
    for name in ("task_namespace", "model_request", "usage_of", "conversation_id"):
        patch.setattr(_translate, name, broken)


BREAKAGES = [
    with_a_broken_sink,
    with_a_broken_processor,
    with_a_broken_filter,
    with_a_broken_redactor,
    with_broken_costs,
    with_broken_operations,
    with_a_broken_translation,
]


@pytest.mark.parametrize("breakage", BREAKAGES)
async def test_nothing_of_ours_that_breaks_reaches_the_program(
    breakage: Callable[[pytest.MonkeyPatch], None], serve: Serve, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one part of ours broken, results and exceptions of every way of running are the program's own, and nothing
    stays open.
    """
    server = serve(reply("hi", usage=tokens(10, 2), times=None))
    failure = ValueError("mine")

    @tool
    def shout(word: str) -> str:
        """Shout."""
        return word.upper()

    def work(state: State) -> State:
        answer = chat(server).invoke("hi").content
        return {"steps": [answer, shout.invoke({"word": "x"})]}

    def refuse(state: State) -> State:
        raise failure

    with capture(capture_content=True), monkeypatch.context() as patch:
        guard.set_strict(False)
        good, bad = graph_of(("work", work)), graph_of(("refuse", refuse))
        breakage(patch)

        assert good.invoke({"steps": []}) == {"steps": ["hi", "X"]}
        assert await good.ainvoke({"steps": []}) == {"steps": ["hi", "X"]}
        assert list(good.stream({"steps": []})) == [{"work": {"steps": ["hi", "X"]}}]
        async for _ in good.astream({"steps": []}, stream_mode="messages"):
            pass
        stream = good.stream({"steps": []})
        next(stream)
        stream.close()
        with pytest.raises(ValueError, match="mine") as caught:
            bad.invoke({"steps": []})
        assert caught.value is failure
        assert RUNS == {}
        assert open_operations() == []


# --- exceptions -------------------------------------------------------------------------------------------------------


def test_exceptions_carry_no_more_frames_of_ours_than_the_run_itself(captured: Captured) -> None:
    """Between the user's code and the caller stand LangGraph's frames, and of ours only the one that runs the graph."""

    def work(state: State) -> State:
        raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        graph_of(("work", work)).invoke({"steps": []})

    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[-1].name == "work"
    assert [frame.name for frame in frames if "ai_dev_squad" in frame.filename] == ["stream"]
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_of_the_program(captured: Captured, interruption: type[BaseException]) -> None:
    """Ctrl-C and ``sys.exit`` in a node leave the graph as they are, and everything is ended."""

    def work(state: State) -> State:
        raise interruption(1)

    with pytest.raises(interruption):
        graph_of(("work", work)).invoke({"steps": []})

    assert open_operations() == []
    assert RUNS == {}
    status = "cancelled" if interruption is KeyboardInterrupt else "error"
    assert captured.tree() == f"invoke_workflow squad: {status}\n  task work: {status}"


async def test_cancelling_the_consumer_of_a_stream(captured: Captured) -> None:
    """When the task that consumes ``astream`` is cancelled, everything below is, too."""
    began = asyncio.Event()

    async def wait(state: State) -> State:
        began.set()
        await asyncio.sleep(60)
        return {}

    async def consume() -> None:
        async for _ in graph_of(("wait", wait)).astream({"steps": []}):
            pass

    consumer = asyncio.ensure_future(consume())
    await began.wait()
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer

    assert captured.tree() == "invoke_workflow squad: cancelled\n  task wait: cancelled"
    assert {span.status.status_code.name for span in captured.spans} == {"UNSET"}


async def test_a_node_that_takes_too_long(captured: Captured) -> None:
    """LangGraph cancels it, and its run fails with the limit, whichever of the two is told first (langgraph#7599)."""

    async def wait(state: State) -> State:
        await asyncio.Event().wait()
        return {}

    builder = StateGraph(State)
    builder.add_node("wait", wait, timeout=0.05)
    builder.add_edge(START, "wait")

    with pytest.raises(NodeTimeoutError):
        await observe(builder.compile(name="squad")).ainvoke({"steps": []})

    told = [(line.name, line.status, line.error and line.error.type) for line in captured.closing()]
    assert told == [("wait", "cancelled", None), ("squad", "error", "NodeTimeoutError")]
    assert RUNS == {}


def test_what_handles_the_error_of_a_node(captured: Captured) -> None:
    """LangGraph runs it as a node of its own, and what it costs is that node's whose error it is."""

    def work(state: State) -> State:
        raise ValueError("no")

    builder = StateGraph(State)
    builder.add_node("work", work, error_handler=lambda state: {"steps": ["mended"]})
    builder.add_edge(START, "work")

    assert observe(builder.compile(name="squad")).invoke({"steps": []}) == {"steps": ["mended"]}
    told = [(line.operation, line.agent_id, line.status) for line in captured.closing()]
    assert told == [("task", "work", "error"), ("task", "work", "ok"), ("invoke_workflow", "squad", "ok")]


async def test_a_failing_branch_cancels_its_siblings(captured: Captured) -> None:
    """The branch that failed is the error; the ones LangGraph cancels for it are cancelled."""
    waiting = asyncio.Event()

    async def wait(state: State) -> State:
        waiting.set()
        await asyncio.sleep(60)
        return {}

    async def refuse(state: State) -> State:
        await waiting.wait()
        raise ValueError("mine")

    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("wait", wait)
    builder.add_node("refuse", refuse)
    builder.add_edge(START, "wait")
    builder.add_edge(START, "refuse")

    with pytest.raises(ValueError, match="mine"):
        await observe(builder.compile(name="squad")).ainvoke({"steps": []})

    assert sorted((line.name, line.status) for line in captured.closing()) == [
        ("refuse", "error"),
        ("squad", "error"),
        ("wait", "cancelled"),
    ]


# --- LangGraph's less common features ---------------------------------------------------------------------------------


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_node_from_the_cache_is_a_task_that_cost_nothing(captured: Captured, asynchronous: bool) -> None:
    """LangGraph's node cache calls no handler; what it tells in the stream is a task marked as a cache hit."""
    ran: list[int] = []

    def work(state: State) -> State:
        ran.append(1)
        return {"steps": ["done"]}

    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("work", work, cache_policy=CachePolicy())
    builder.add_edge(START, "work")
    graph = observe(builder.compile(name="squad", cache=InMemoryCache()))

    for _ in range(2):
        result = await graph.ainvoke({"steps": []}) if asynchronous else graph.invoke({"steps": []})
        assert result == {"steps": ["done"]}

    assert len(ran) == 1
    assert captured.tree() == "\n".join(["invoke_workflow squad: ok\n  task work: ok"] * 2)
    assert [(line.metadata or {}).get("ai_dev_squad.cache_hit") for line in captured.closing("task")] == [None, True]


@pytest.mark.parametrize("options", [{"stream_mode": "updates"}, {"subgraphs": True}, {"version": "v2"}])
def test_a_node_from_the_cache_in_every_form_of_stream(captured: Captured, options: dict[str, Any]) -> None:
    """Also with subgraphs and in the newer form of chunks, and the chunks are LangGraph's own."""
    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("work", lambda state: {"steps": ["done"]}, cache_policy=CachePolicy())
    builder.add_edge(START, "work")
    plain = builder.compile(name="squad", cache=InMemoryCache())
    plain.invoke({"steps": []})

    assert list(observe(plain).stream({"steps": []}, **options)) == list(plain.stream({"steps": []}, **options))

    assert captured.tree() == "invoke_workflow squad: ok\n  task work: ok"


def test_deferred_nodes(captured: Captured) -> None:
    """A node that waits for all others is an ordinary task, once."""
    builder: StateGraph[Any] = StateGraph(State)
    for name in ("left", "right", "more"):
        builder.add_node(name, lambda state, name=name: {"steps": [name]})
    builder.add_node("last", lambda state: {"steps": ["last"]}, defer=True)
    builder.add_edge(START, "left")
    builder.add_edge(START, "right")
    builder.add_edge("right", "more")
    for name in ("left", "more"):
        builder.add_edge(name, "last")

    observe(builder.compile(name="squad")).invoke({"steps": []})

    assert [line.name for line in captured.closing("task")][-1] == "last"
    assert sorted(line.name or "" for line in captured.closing("task")) == ["last", "left", "more", "right"]


@pytest.mark.filterwarnings("ignore:create_react_agent has been moved")
def test_the_older_react_agent(captured: Captured, serve: Serve, chat: Chat) -> None:
    """``create_react_agent`` is deprecated and works: a workflow with its nodes, model calls and tools."""
    from langgraph.prebuilt import create_react_agent

    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    server = serve(tool_calls(call("add", a=1, b=2)), reply("It is 3."))
    agent = observe(create_react_agent(chat(server), [add], name="calculator"))

    assert agent.invoke({"messages": [("user", "1 + 2?")]})["messages"][-1].content == "It is 3."
    assert captured.tree() == is_tree("""
        invoke_workflow calculator: ok
          task agent: ok
            chat gpt-4o-mini: ok
          task tools: ok
            execute_tool add: ok
          task agent: ok
            chat gpt-4o-mini: ok
    """)


def test_middleware_of_a_created_agent(captured: Captured, serve: Serve, chat: Chat) -> None:
    """Middleware hooks run as nodes, and wrapped model calls stay below the model's node."""
    from langchain.agents import create_agent
    from langchain.agents.middleware import AgentMiddleware

    class Polite(AgentMiddleware):
        def before_model(self, state: Any, runtime: Any) -> None:
            return None

        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            return handler(request)

    server = serve(reply("hi"))
    observe(create_agent(chat(server), [], middleware=[Polite()], name="clerk")).invoke({"messages": [("user", "hi")]})

    assert captured.tree() == is_tree("""
        invoke_agent clerk: ok
          task Polite.before_model: ok
          task model: ok
            chat gpt-4o-mini: ok
    """)


# --- tools and retrievers ---------------------------------------------------------------------------------------------


def test_several_tools_run_in_threads(captured: Captured) -> None:
    """A ``ToolNode`` runs its tools at the same time; each is an operation of its own below the node."""
    together = threading.Barrier(3, timeout=10)

    @tool
    def meet(name: str) -> str:
        """Wait for the others."""
        together.wait()
        return name

    wanted = [{"name": "meet", "args": {"name": name}} for name in "abc"]
    result = tools_graph(ToolNode([meet])).invoke(asks_for(*wanted))

    assert [message.content for message in result["messages"][1:]] == ["a", "b", "c"]
    assert captured.tree() == "invoke_workflow squad: ok\n  task tools: ok\n" + "\n".join(
        ["    execute_tool meet: ok"] * 3
    )
    assert sorted((line.metadata or {})["gen_ai.tool.call.id"] for line in captured.closing("execute_tool")) == [
        "c0",
        "c1",
        "c2",
    ]


def test_an_unknown_tool(captured: Captured) -> None:
    """A tool that doesn't exist is LangGraph's message to the model, and a tool call that failed; the node goes on. Who passes
    the conversation on has not called it again.
    """
    inner = tools_graph(ToolNode([]))

    def pass_on(state: MessagesState) -> Any:
        return inner.invoke(state)

    result = graph_of_messages(pass_on).invoke(asks_for({"name": "nobody", "args": {}}))

    assert result["messages"][-1].status == "error"
    assert captured.tree() == is_tree("""
        invoke_workflow outer: ok
          task pass_on: ok
            invoke_workflow squad: ok
              task tools: ok
                execute_tool nobody: error
    """)
    assert [line.error and line.error.type for line in captured.closing("execute_tool")] == ["unknown_tool"]


@pytest.mark.parametrize("handled", [False, True])
def test_a_tool_that_fails_in_a_tool_node(captured: Captured, handled: bool) -> None:
    """The tool failed either way; the node and the graph only if the error isn't handled."""

    @tool
    def break_down(word: str) -> str:
        """Break."""
        raise ConnectionError("no line")

    graph = tools_graph(ToolNode([break_down], handle_tool_errors=handled))
    wanted = asks_for({"name": "break_down", "args": {"word": "x"}})

    if handled:
        assert graph.invoke(wanted)["messages"][-1].status == "error"
    else:
        with pytest.raises(ConnectionError, match="no line"):
            graph.invoke(wanted)

    outer = "ok" if handled else "error"
    assert captured.tree() == (
        f"invoke_workflow squad: {outer}\n  task tools: {outer}\n    execute_tool break_down: error"
    )


def test_a_tool_that_turns_its_error_into_an_answer(captured: Captured) -> None:
    """``handle_tool_error`` makes a message of an exception: the call still counts as failed, its text as content."""

    @tool
    def break_down(word: str) -> str:
        """Break."""
        raise ToolException("no line today")

    break_down.handle_tool_error = True

    tools_graph(ToolNode([break_down])).invoke(asks_for({"name": "break_down", "args": {"word": "x"}}))

    (line,) = captured.closing("execute_tool")
    assert line.status == "error"
    assert line.error is not None
    assert (line.error.type, line.error.message) == ("tool_error", "")


def test_tool_arguments_that_do_not_fit(captured: Captured) -> None:
    """Arguments that the tool's schema refuses are an error of that tool call."""

    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    tools_graph(ToolNode([add], handle_tool_errors=True)).invoke(asks_for({"name": "add", "args": {"a": "x"}}))

    assert captured.tree() == "invoke_workflow squad: ok\n  task tools: ok\n    execute_tool add: error"


class Shelf(BaseRetriever):
    """A retriever that finds two documents, or fails."""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        if query == "fail":
            raise LookupError("no shelf")
        return [Document("a"), Document("b")]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_retriever_is_a_retrieval(captured: Captured, asynchronous: bool) -> None:
    """A look-up is an operation of its own with the number of documents, or an error."""

    async def look_later(state: State) -> State:
        return {"steps": [document.page_content for document in await Shelf().ainvoke("where?")]}

    def look(state: State) -> State:
        return {"steps": [document.page_content for document in Shelf().invoke("where?")]}

    def fail_to(state: State) -> State:
        Shelf().invoke("fail")
        return {}

    if asynchronous:
        await graph_of(("look", look_later)).ainvoke({"steps": []})
    else:
        graph_of(("look", look)).invoke({"steps": []})
    with pytest.raises(LookupError, match="no shelf"):
        graph_of(("look", fail_to)).invoke({"steps": []})

    assert captured.tree() == is_tree("""
        invoke_workflow squad: ok
          task look: ok
            retrieval Shelf: ok
        invoke_workflow squad: error
          task look: error
            retrieval Shelf: error
    """)
    assert (captured.closing("retrieval")[0].metadata or {})["langchain.documents"] == 2


# --- several model calls at once --------------------------------------------------------------------------------------


# langchain-openai can't add up usage details that are absent from an answer, and says so.
sums_usage = pytest.mark.filterwarnings("ignore:Unexpected type for token usage:UserWarning")


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_batch_of_model_calls(captured: Captured, serve: Serve, chat: Chat, asynchronous: bool) -> None:
    """``model.batch`` is one operation for each input."""
    server = serve(reply("hi", usage=tokens(10, 2), times=None))
    model = chat(server)

    def ask(state: State) -> State:
        return {"steps": [answer.content for answer in model.batch(["a", "b", "c"])]}

    async def ask_later(state: State) -> State:
        return {"steps": [answer.content for answer in await model.abatch(["a", "b", "c"])]}

    if asynchronous:
        await graph_of(("ask", ask_later)).ainvoke({"steps": []})
    else:
        graph_of(("ask", ask)).invoke({"steps": []})

    server.settle()
    assert server.truth.totals.calls == 3
    assert captured.tree() == "invoke_workflow squad: ok\n  task ask: ok\n" + "\n".join(
        ["    chat gpt-4o-mini: ok"] * 3
    )
    assert [line.usage.input_tokens for line in captured.closing("chat") if line.usage] == [10, 10, 10]


@sums_usage
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_several_prompts_in_one_generate(
    captured: Captured, serve: Serve, chat: Chat, asynchronous: bool
) -> None:
    """``generate`` with several prompts is one operation for each of them, with its own tokens."""
    server = serve(
        reply("1", usage=tokens(1, 1), when=last_message_contains("one")),
        reply("2", usage=tokens(2, 2), when=last_message_contains("two")),
    )
    model, prompts = chat(server), [[HumanMessage("one")], [HumanMessage("two")]]

    def ask(state: State, config: RunnableConfig) -> State:
        model.generate(prompts, callbacks=config["callbacks"])
        return {}

    async def ask_later(state: State, config: RunnableConfig) -> State:
        await model.agenerate(prompts, callbacks=config["callbacks"])
        return {}

    if asynchronous:
        await graph_of(("ask", ask_later)).ainvoke({"steps": []})
    else:
        graph_of(("ask", ask)).invoke({"steps": []})

    assert sorted(line.usage.input_tokens or 0 for line in captured.closing("chat") if line.usage) == [1, 2]
    assert [line.status for line in captured.closing("chat")] == ["ok", "ok"]


def test_siblings_that_a_failing_batch_leaves_behind(captured: Captured, serve: Serve, chat: Chat) -> None:
    """When one prompt of ``generate`` fails, LangChain ends only that call; the others are abandoned, with no tokens
    and no error of their own, and nothing stays open.
    """
    import openai

    server = serve(fail(400, times=None))
    model = chat(server, max_retries=0)

    def ask(state: State, config: RunnableConfig) -> State:
        model.generate([[HumanMessage("one")], [HumanMessage("two")]], callbacks=config["callbacks"])
        return {}

    with pytest.raises(openai.BadRequestError):
        graph_of(("ask", ask)).invoke({"steps": []})

    assert sorted((line.status, line.error is not None) for line in captured.closing("chat")) == [
        ("abandoned", False),
        ("error", True),
    ]
    assert RUNS == {}


# --- threads and processes --------------------------------------------------------------------------------------------


def test_runs_in_many_threads(captured: Captured) -> None:
    """Graphs that run in threads of the user's own have traces of their own, and none mixes."""
    graph = graph_of(("a", lambda state: {"steps": ["a"]}), ("b", lambda state: {"steps": ["b"]}))
    threads = [threading.Thread(target=graph.invoke, args=({"steps": []},)) for _ in range(20)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert captured.tree() == "\n".join(["invoke_workflow squad: ok\n  task a: ok\n  task b: ok"] * 20)
    assert len({line.trace_id for line in captured.lines}) == 20


@pytest.mark.parametrize("way", ["threads", "tasks"])
def test_two_runs_with_one_id_at_once(captured: Captured, serve: Serve, chat: Chat, way: str) -> None:
    """A program that gives the same ``run_id`` twice: each run has its own tree, tokens and cost, however they interleave."""
    server = serve(
        reply("one", usage=tokens(100, 10), when=last_message_contains("first")),
        reply("two", usage=tokens(7000, 3), when=last_message_contains("second")),
    )
    model, both = chat(server), threading.Barrier(2, timeout=30)

    def ask(state: Any) -> Any:
        both.wait()  # both have begun
        answer = model.invoke(state["messages"])
        both.wait()  # and neither has ended
        return {"messages": [answer]}

    graph = graph_of_messages(ask)
    config = {"run_id": uuid.uuid4()}

    def run(said: str) -> Any:
        return graph.invoke({"messages": [HumanMessage(said)]}, config)

    async def run_both() -> None:
        await asyncio.gather(*(asyncio.to_thread(run, said) for said in ("first", "second")))

    if way == "tasks":
        asyncio.run(run_both())
    else:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(run, ("first", "second")))

    assert captured.tree() == "\n".join(["invoke_workflow outer: ok\n  task pass_on: ok\n    chat gpt-4o-mini: ok"] * 2)
    assert sorted((run.input_tokens, run.output_tokens, run.cost_usd) for run in captured.runs) == [
        (100, 10, pytest.approx((100 * 0.15 + 10 * 0.6) / 1e6)),
        (7000, 3, pytest.approx((7000 * 0.15 + 3 * 0.6) / 1e6)),
    ]
    assert (RUNS, open_operations()) == ({}, [])


@pytest.mark.parametrize("way", ["whole", "streamed", "in a chain", "by a tool"])
def test_a_graph_and_what_its_node_calls_with_one_id(captured: Captured, serve: Serve, chat: Chat, way: str) -> None:
    """A program that hands on its ``run_id`` (langsmith-sdk#158, langgraph#4166): each is what it is, and the graph ends last."""
    model = chat(serve(reply("one", usage=tokens(100, 10))))
    config: Any = {"run_id": uuid.uuid4()}

    @tool
    def look(place: str) -> str:
        """Looks."""
        return str(model.invoke(place).content)

    def ask(state: Any) -> Any:
        if way == "streamed":
            list(model.stream(state["messages"], config))
        elif way == "by a tool":
            look.invoke("here", config)
        else:
            (RunnableLambda(lambda said: said) | model if way == "in a chain" else model).invoke(
                state["messages"], config
            )
        return {"messages": []}

    graph_of_messages(ask).invoke({"messages": [HumanMessage("hello")]}, config)

    below = {"by a tool": "    execute_tool look: ok\n      chat gpt-4o-mini: ok"}.get(way, "    chat gpt-4o-mini: ok")
    assert captured.tree() == f"invoke_workflow outer: ok\n  task pass_on: ok\n{below}"
    assert [line.name for line in captured.closing()][-2:] == ["pass_on", "outer"]
    assert (captured.tokens, RUNS, open_operations()) == (110, {}, [])


PROGRAM = """
    import operator, os, sys, threading
    from typing import Annotated
    from typing_extensions import TypedDict
    from langgraph.graph import START, StateGraph
    import ai_dev_squad
    from ai_dev_squad_langgraph import observe

    class State(TypedDict, total=False):
        steps: Annotated[list, operator.add]

    def graph_of(node, name):
        builder = StateGraph(State)
        builder.add_node("work", node)
        builder.add_edge(START, "work")
        return observe(builder.compile(name=name))

"""


def run_program(text: str, directory: Path) -> list[tuple[str | None, str | None, str | None]]:
    """Run a program in a process of its own; the journal's closing lines as (name, operation, status)."""
    source = textwrap.dedent(PROGRAM) + textwrap.dedent(text)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [
        (line.name, line.operation, line.status) for line in read_journal(directory / "logs") if line.status is not None
    ]


def test_what_is_open_at_exit_is_abandoned(tmp_path: Path) -> None:
    """A program that ends in the middle of a run leaves a journal in which everything has an end."""
    closed = run_program(
        """
        began = threading.Event()

        def wait(state):
            began.set()
            threading.Event().wait()

        threading.Thread(target=graph_of(wait, "stuck").invoke, args=({"steps": []},), daemon=True).start()
        began.wait()
        stream = graph_of(lambda state: {"steps": ["x"]}, "left").stream({"steps": []})
        next(stream)
        """,
        tmp_path,
    )

    assert sorted(closed) == [
        ("left", "invoke_workflow", "abandoned"),
        ("stuck", "invoke_workflow", "abandoned"),
        ("work", "task", "abandoned"),
        ("work", "task", "ok"),
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_a_node_that_forks(tmp_path: Path) -> None:
    """A child process that a node forks has a journal of whole lines and ends only what it began itself."""
    closed = run_program(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of fork() next to threads

        inner = graph_of(lambda state: {"steps": ["child"]}, "inner")

        def split(state):
            child = os.fork()
            if child == 0:
                inner.invoke({"steps": []})
                ai_dev_squad.flush(10)
                os._exit(0)
            os.waitpid(child, 0)
            return {"steps": ["parent"]}

        graph_of(split, "outer").invoke({"steps": []})
        """,
        tmp_path,
    )

    assert sorted(closed) == [
        ("inner", "invoke_workflow", "ok"),
        ("outer", "invoke_workflow", "ok"),
        ("work", "task", "ok"),
        ("work", "task", "ok"),
    ]
