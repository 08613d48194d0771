"""Defects that users of other tools have reported, and that must not be ours. Each test names its reference.

Many have their test where the behaviour is at home; ``REPORTED`` lists them all, and a test looks for each.
"""

from __future__ import annotations

import ast
import functools
import gc
import operator
import threading
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.language_models import FakeListLLM
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from typing_extensions import TypedDict

from ai_dev_squad import get_cost_tracker
from ai_dev_squad.context import Scope
from ai_dev_squad.operations import Operation, open_operations
from ai_dev_squad_langgraph import observe
from ai_dev_squad_langgraph._handler import HANDLER
from ai_dev_squad_langgraph._runs import RUNS, Run
from ai_dev_squad_langgraph._scope import GraphRun
from ai_dev_squad_testing import Captured, capture
from ai_dev_squad_testing.model_server import ModelServer, call, reply, structured, tokens, tool_calls

REPORTED = """
braintrust-sdk-python#445 ctxpipe#124 dd-trace-js#8936 deepagents#5944 dd-trace-py#16614 dd-trace-py#18860 dd-trace-py#19711
langchain#26773 langchain#39633 langfuse#2112 langfuse#2974 langfuse#6704 langfuse#6719 langfuse#8780 langfuse#8814 langfuse#8817
langgraph#4848 langgraph#5878 langgraph#6663 langgraph#7424 langsmith-sdk#1127 openinference#1304 openinference#1769
openinference#2275 openlit#861 openllmetry#2271 openllmetry#2790 openllmetry#3203 openllmetry#3214 openllmetry#3256
openllmetry#4385 opentelemetry-python-genai#528 opentelemetry-python-genai#617 opentelemetry-python-genai#677
""".split()


@pytest.mark.parametrize("reference", REPORTED)
def test_every_reported_defect_has_a_test(reference: str) -> None:
    """The docstring of some test of the adapters names the report."""
    files = [path for path in Path(__file__).parent.glob("test_*.py") if reference in _docstrings(path)]

    assert files != []


@functools.cache
def _docstrings(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return "\n".join(ast.get_docstring(node) or "" for node in functions if node.name.startswith("test_"))


class State(TypedDict, total=False):
    """A little state."""

    steps: Annotated[list[str], operator.add]
    live: Any


def graph_of(node: Any, **options: Any) -> Any:
    """An observed graph of one node."""
    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("work", node)
    builder.add_edge(START, "work")
    return observe(builder.compile(**{"name": "squad", **options}))


def thread(name: str = "t1") -> Any:
    """The config of a conversation."""
    return {"configurable": {"thread_id": name}}


# --- interrupts are no errors -----------------------------------------------------------------------------------------


def ask(state: State) -> State:
    """A node that waits for a person."""
    return {"steps": [interrupt("really?")]}


def in_a_subgraph() -> Any:
    """A graph whose subgraph waits."""
    return graph_of(graph_of(ask, name="inner"), checkpointer=InMemorySaver())


def in_a_called_graph() -> Any:
    """A graph that waits in a graph called by a node."""
    inner = graph_of(ask, name="inner")

    def call_inner(state: State) -> Any:
        return inner.invoke(state)

    return graph_of(call_inner, checkpointer=InMemorySaver())


def in_a_tool() -> Any:
    """A graph that waits in a tool."""

    @tool
    def approve(question: str) -> str:
        """Ask a person."""
        return str(interrupt(question))

    return graph_of(lambda state: {"steps": [approve.invoke({"question": "ok?"})]}, checkpointer=InMemorySaver())


def in_two_branches() -> Any:
    """A graph in which two nodes wait at the same time."""
    builder: StateGraph[Any] = StateGraph(State)
    for name in ("left", "right"):
        builder.add_node(name, lambda state: {"steps": [interrupt("side?")]})
        builder.add_edge(START, name)
    return observe(builder.compile(name="squad", checkpointer=InMemorySaver()))


def before_a_node() -> Any:
    """A graph that waits before a node runs."""
    return graph_of(lambda state: {"steps": ["done"]}, checkpointer=InMemorySaver(), interrupt_before=["work"])


PLACES = [in_a_subgraph, in_a_called_graph, in_a_tool, in_two_branches, before_a_node]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("streaming", [False, True])
def test_an_interrupt_is_never_an_error(captured: Captured, place: Callable[[], Any], streaming: bool) -> None:
    """Wherever a graph waits for a person, nothing of the run is an error: neither a line nor a span
    (langfuse#6704, dd-trace-py#16614, langsmith-sdk#1127).
    """
    graph = place()

    list(graph.stream({"steps": []}, thread())) if streaming else graph.invoke({"steps": []}, thread())

    assert captured.closing("invoke_workflow")[-1].status == "interrupted"
    assert {line.status for line in captured.closing()} <= {"interrupted", "ok"}
    assert {line.level for line in captured.lines} == {"INFO"}
    assert [line.error for line in captured.lines if line.error] == []
    assert {span.status.status_code.name for span in captured.spans} == {"UNSET"}
    assert [event.name for span in captured.spans for event in span.events if event.name == "exception"] == []
    assert RUNS == {}


@pytest.mark.parametrize("place", PLACES)
async def test_an_asynchronous_interrupt_is_never_an_error(captured: Captured, place: Callable[[], Any]) -> None:
    """The same for ``ainvoke``, whose error events run in another task (dd-trace-py#16614)."""
    await place().ainvoke({"steps": []}, thread())

    assert captured.closing("invoke_workflow")[-1].status == "interrupted"
    assert {line.status for line in captured.closing()} <= {"interrupted", "ok"}
    assert {span.status.status_code.name for span in captured.spans} == {"UNSET"}


@pytest.mark.parametrize("place", [in_a_subgraph, in_a_called_graph, in_a_tool])
def test_a_resumed_run_is_linked_wherever_it_waited(captured: Captured, place: Callable[[], Any]) -> None:
    """The second run links to the first as a whole, and only the outermost graphs are linked (langsmith-sdk#1127)."""
    graph = place()

    graph.invoke({"steps": []}, thread())
    waiting = captured.closing("invoke_workflow")[-1]
    assert graph.invoke(Command(resume="yes"), thread())["steps"] == ["yes"]

    resumed = captured.closing("invoke_workflow")[-1]
    assert [(link.span_id, link.type) for link in resumed.links or ()] == [(waiting.span_id, "resumes")]
    assert [line.name for line in captured.closing() if line.links] == ["squad"]


def test_every_run_that_goes_on_from_one_checkpoint_is_linked(captured: Captured) -> None:
    """Somebody tries a second answer from the checkpoint where the graph waited: that run continues the same one
    (langgraph#6663).
    """
    graph = graph_of(ask, checkpointer=InMemorySaver())
    graph.invoke({"steps": []}, thread())
    waited_at = graph.get_state(thread()).config

    for _ in range(2):
        graph.invoke(Command(resume="yes"), waited_at)

    waiting, *resumed = captured.closing("invoke_workflow")
    assert [line.status for line in (waiting, *resumed)] == ["interrupted", "ok", "ok"]
    assert [[link.span_id for link in line.links or ()] for line in resumed] == [[waiting.span_id], [waiting.span_id]]


# --- memory -----------------------------------------------------------------------------------------------------------

OURS = (Operation, Run, Scope, GraphRun)


def live_objects() -> int:
    """How many of our objects are alive. (``type``, because a scope answers ``isinstance`` like its span.)"""
    gc.collect()
    return sum(type(thing) in OURS for thing in gc.get_objects())


def test_memory_is_flat_over_thousands_of_runs() -> None:
    """Runs that succeed, fail, wait for ever, and streams that are left early leave nothing behind
    (openllmetry#2790, langfuse#2974).
    """

    def work(state: State) -> State:
        if state["steps"] == ["fail"]:
            raise ValueError("no")
        return {"steps": [interrupt("?")] if state["steps"] == ["wait"] else ["done"]}

    plain, saving = graph_of(work), graph_of(work, checkpointer=InMemorySaver())

    def round_of_runs(captured: Captured) -> None:
        for _ in range(25):
            plain.invoke({"steps": []})
        with pytest.raises(ValueError, match="no"):
            plain.invoke({"steps": ["fail"]})
        saving.invoke({"steps": ["wait"]}, thread("waiting"))
        stream = plain.stream({"steps": []})
        next(stream)
        stream.close()
        for kept in (saving.checkpointer.storage, saving.checkpointer.writes, saving.checkpointer.blobs):
            kept.clear()
        captured.lines.clear()

    with capture() as captured:
        for _ in range(5):
            round_of_runs(captured)
        ours_before, before = live_objects(), len(gc.get_objects())
        for _ in range(75):
            round_of_runs(captured)
        assert live_objects() <= ours_before
        # 2,100 runs: a single object kept for each would show.
        assert len(gc.get_objects()) - before < 500
        assert RUNS == {}
        assert open_operations() == []


# --- one model call is one operation ----------------------------------------------------------------------------------


def plain(model: Any) -> Any:
    """The model itself."""
    return model


def with_prompt(model: Any) -> Any:
    """A chain of prompt and model."""
    return ChatPromptTemplate.from_messages([("user", "{question}")]) | model


def with_binding(model: Any) -> Any:
    """A model with bound arguments and retries."""
    return model.bind(temperature=0.5).with_retry(stop_after_attempt=2)


def with_structure(model: Any) -> Any:
    """A model that answers in a structure."""
    return model.with_structured_output({"title": "Answer", "type": "object", "properties": {"a": {"type": "string"}}})


@pytest.mark.parametrize("made", [plain, with_prompt, with_binding, with_structure])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_is_counted_once_however_it_is_composed(
    captured: Captured,
    serve: Callable[..., ModelServer],
    chat: Callable[..., Any],
    made: Callable[[Any], Any],
    streamed: bool,
) -> None:
    """One request to the provider is one ``chat`` operation, with its tokens and its cost once (dd-trace-js#8936)."""
    server = serve(structured({"a": "b"}, usage=tokens(1000, 10)))
    runnable = made(chat(server))
    question: Any = {"question": "hi"} if made is with_prompt else "hi"

    def work(state: State) -> State:
        runnable.invoke(question)
        return {"steps": ["done"]}

    list(graph_of(work).stream({"steps": []}, stream_mode="messages" if streamed else "values"))

    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert (line.usage.input_tokens, line.usage.output_tokens) == (1000, 10)
    assert get_cost_tracker().totals().calls == 1
    assert [span.name for span in captured.spans if span.name.startswith("chat")] == ["chat gpt-4o-mini"]


# --- what frameworks hand to handlers ---------------------------------------------------------------------------------


def test_events_without_serialized_data(captured: Captured) -> None:
    """``serialized=None``, as LangGraph sends it, is fine for every kind of run (langchain#26773)."""
    events: list[tuple[str, tuple[Any, ...], str, Any]] = [
        ("on_chain_start", ({},), "on_chain_end", {}),
        ("on_llm_start", (["hi"],), "on_llm_end", types.SimpleNamespace(generations=[], llm_output=None)),
        ("on_chat_model_start", ([[]],), "on_llm_end", types.SimpleNamespace(generations=[[]], llm_output=None)),
        ("on_tool_start", ("input",), "on_tool_end", "output"),
        ("on_retriever_start", ("query",), "on_retriever_end", []),
    ]

    for start, arguments, end, result in events:
        run_id = uuid4()
        getattr(HANDLER, start)(None, *arguments, run_id=run_id)
        getattr(HANDLER, end)(result, run_id=run_id)

    assert captured.tree().splitlines() == [
        "text_completion unknown: ok",
        "chat unknown: ok",
        "execute_tool tool: ok",
        "retrieval retriever: ok",
    ]
    assert RUNS == {}


class Starts(AsyncCallbackHandler):
    """A program's own handler, which notes what it is told."""

    def __init__(self, *, inline: bool = False) -> None:
        self.run_inline = inline
        self.told: list[str] = []

    async def on_llm_start(self, serialized: Any, prompts: list[str], *, run_id: Any, **_: Any) -> None:
        """A text model starts."""
        self.told.append(f"start {prompts}")

    async def on_llm_end(self, response: Any, *, run_id: Any, **_: Any) -> None:
        """It has answered."""
        self.told.append("end")


@pytest.mark.parametrize("inline", [(False,), (False, False), (True,), (False, True)], ids=str)
async def test_a_programs_handlers_are_told_what_they_are_told_unobserved(
    captured: Captured, inline: tuple[bool, ...]
) -> None:
    """LangChain tells of a text model's start only those that run inline, where one does: ours is none of them (langchain#39633)."""
    model = FakeListLLM(responses=["a", "b"])

    async def ask(state: MessagesState) -> MessagesState:
        await model.abatch(["p", "q"])
        return {"messages": []}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    graph = builder.compile()
    heard = []
    for asked in (graph, observe(graph)):
        handlers = [Starts(inline=one) for one in inline]
        await asked.ainvoke({"messages": []}, {"callbacks": handlers})
        heard.append([handler.told for handler in handlers])

    assert heard[0] == heard[1]
    assert [line.status for line in captured.closing("text_completion")] == ["ok", "ok"]


@pytest.mark.parametrize("content", [False, True])
def test_live_objects_lose_nothing(content: bool) -> None:
    """Locks, sockets, generators and cycles in state, metadata and a tool's config and arguments: every operation is
    there, and no object was touched (dd-trace-py#19711).
    """

    class Client:
        def __repr__(self) -> str:  # LangChain itself makes texts of everything, which is its own affair
            touched.append(traceback.extract_stack()[-2].filename)
            return "client"

    touched: list[str] = []

    cycle: list[Any] = []
    cycle.append(cycle)
    live = {"client": Client(), "lock": threading.Lock(), "generator": (n for n in [1]), "cycle": cycle}

    @tool
    def use(word: str, live: Any, config: RunnableConfig) -> str:
        """Use what is alive."""
        return f"{word} {len(config['metadata'])}"

    def work(state: State, config: RunnableConfig) -> State:
        return {"steps": [use.invoke({"word": "x", "live": state["live"]}, config)]}

    config: Any = {"metadata": {**live, "plain": "kept"}, "configurable": {"client": live["client"]}}
    with capture(spans=True, capture_content=content) as captured:
        graph_of(work).invoke({"steps": [], "live": live}, config)

        assert captured.tree() == "invoke_workflow squad: ok\n  task work: ok\n    execute_tool use: ok"
        assert len(captured.spans) == 3
        (root,) = captured.closing("invoke_workflow")
        assert (root.metadata or {})["langgraph.metadata.plain"] == "kept"
        assert all(msgspec.json.encode(line) for line in captured.lines)
        assert [name for name in touched if "ai_dev_squad" in name] == []


# --- observing never holds anything up --------------------------------------------------------------------------------


class Stuck(SpanExporter):
    """An exporter whose backend hangs until the test lets it go."""

    def __init__(self) -> None:
        self.entered, self.released = threading.Event(), threading.Event()

    def export(self, spans: Any) -> SpanExportResult:
        self.entered.set()
        self.released.wait(30)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.released.set()


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    """An exporter that hangs for as long as the test lasts."""
    exporter = Stuck()
    yield exporter
    exporter.released.set()


async def test_a_backend_that_hangs_holds_nothing_up(stuck: Stuck) -> None:
    """While the exporter hangs, a service goes on serving: runs begin and end, and no event loop waits
    (langfuse#8817).
    """
    with capture(exporter=stuck, export_timeout_s=0.1) as captured:
        graph = graph_of(lambda state: {"steps": ["done"]})
        while not stuck.entered.is_set():  # until it hangs with the first batch
            await graph.ainvoke({"steps": []})

        assert [await graph.ainvoke({"steps": []}) for _ in range(50)] == [{"steps": ["done"]}] * 50
        assert not stuck.released.is_set()
        assert len(captured.closing("invoke_workflow")) > 50
        stuck.released.set()


def test_the_run_tree_works_without_any_span(captured: Captured) -> None:
    """A runnable called outside of any graph, with our handler alone, is nobody's run (langchain#26773)."""
    RunnableLambda(lambda value: value).invoke(1, {"callbacks": [HANDLER]})

    assert captured.lines == []
    assert RUNS == {}


def test_parallel_tools_of_an_agent_each_count_once(
    captured: Captured, serve: Callable[..., ModelServer], chat: Callable[..., Any]
) -> None:
    """Two tools that the model asks for at once, in threads, are two operations below the tools' nodes
    (langfuse#6719).
    """
    from langchain.agents import create_agent

    @tool
    def shout(word: str) -> str:
        """Shout a word."""
        return word.upper()

    server = serve(tool_calls(call("shout", word="a"), call("shout", word="b")), reply("done"))
    agent = observe(create_agent(chat(server), [shout], name="clerk"))

    agent.invoke({"messages": [("user", "go")]})

    tasks = {line.span_id: line.name for line in captured.closing("task")}
    assert [tasks.get(line.parent_span_id or "") for line in captured.closing("execute_tool")] == ["tools", "tools"]
