"""Budgets stop a graph's model calls before money is spent; the model server says whether that is true."""

from __future__ import annotations

import asyncio
import operator
import textwrap
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import pytest
from langchain_core.messages import AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import RetryPolicy, Send
from packaging.version import Version
from typing_extensions import TypedDict

from ai_dev_squad import BudgetExceeded, get_cost_tracker, session
from ai_dev_squad.costs import BudgetManager, BudgetStatus
from ai_dev_squad_langgraph import observe
from ai_dev_squad_langgraph._runs import RUNS
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, disconnect, fail, reply, respond, tokens, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]

# gpt-4o: 2.50 USD per million input tokens, 10 USD per million output tokens: this answer costs 0.35 USD.
ANSWER = reply("hi", usage=tokens(100_000, 10_000), times=None)
PRICE = 0.35


class State(TypedDict, total=False):
    """Names of the nodes that are through, and messages."""

    done: Annotated[list[str], operator.add]
    messages: Annotated[list[AnyMessage], operator.add]


@pytest.fixture
def budgets(captured: Captured) -> BudgetManager:
    """The budgets that are in force."""
    return get_cost_tracker().budget_manager


def status(budgets: BudgetManager, name: str = "stop") -> BudgetStatus:
    """Where one budget stands."""
    (found,) = [entry for entry in budgets.status() if entry.name == name]
    return found


def node(model: Any, name: str, way: str = "invoke") -> Any:
    """A node that asks the model, in one of several ways, sync or async as the graph runs."""

    def ask(state: State) -> State:
        list(model.stream("hi")) if way == "stream" else model.invoke("hi")
        return {"done": [name]}

    async def ask_later(state: State) -> State:
        if way == "stream":
            async for _ in model.astream("hi"):
                pass
        else:
            await model.ainvoke("hi")
        return {"done": [name]}

    return RunnableLambda(ask, ask_later)


def row(model: Any, *names: str, way: str = "invoke", retry: RetryPolicy | None = None, **options: Any) -> Any:
    """An observed graph of nodes in a row; each asks the model once."""
    builder: StateGraph[Any] = StateGraph(State)
    previous = START
    for name in names:
        builder.add_node(name, node(model, name, way), retry_policy=retry)
        builder.add_edge(previous, name)
        previous = name
    return observe(builder.compile(name="squad", **options))


def is_tree(text: str) -> str:
    """An expected tree, as written in a test."""
    return textwrap.dedent(text).strip()


def events(captured: Captured) -> list[str]:
    """What the journal says about budgets, in order."""
    return [line.event_type for line in captured.lines if line.event_type.startswith("budget.")]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("way", ["invoke", "stream"])
async def test_the_call_that_would_break_the_limit_is_never_made(
    captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager, way: str, asynchronous: bool
) -> None:
    """The third call is refused before it leaves the process: the server saw two, and the ledger has two."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=PRICE * 2, period="total", on_exceed="stop")
    graph = row(chat(server, model="gpt-4o", max_tokens=10_000), "a", "b", "c", way=way)

    with pytest.raises(BudgetExceeded) as caught:
        await graph.ainvoke({"done": []}) if asynchronous else graph.invoke({"done": []})

    server.settle()
    assert server.truth.totals.calls == 2
    assert (caught.value.budget, caught.value.limit_usd, caught.value.spent_usd) == ("stop", 0.7, 0.7)
    assert [entry.cost_usd for entry in get_cost_tracker().entries] == [PRICE, PRICE]
    assert (status(budgets).spent_usd, status(budgets).reserved_usd) == (0.7, 0)
    assert captured.tree() == is_tree("""
        invoke_workflow squad: error
          task a: ok
            chat gpt-4o: ok
          task b: ok
            chat gpt-4o: ok
          task c: error
            chat gpt-4o: error
    """)
    assert RUNS == {}


@pytest.mark.parametrize("mode", ["updates", "messages", "values", ["updates", "messages"]])
def test_a_refused_stream(captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager, mode: Any) -> None:
    """While a graph streams, what came before the refusal arrives, then ``BudgetExceeded``."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    arrived: list[Any] = []

    with pytest.raises(BudgetExceeded):
        arrived.extend(
            iter(row(chat(server, model="gpt-4o", max_tokens=10_000), "a", "b").stream({"done": []}, stream_mode=mode))
        )

    server.settle()
    assert server.truth.totals.calls == 1
    assert "hi" in str(arrived) if "messages" in mode else "a" in str(arrived)


async def test_a_refused_asynchronous_stream(
    captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager
) -> None:
    """The same for ``astream``."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    arrived: list[Any] = []

    # Not "messages": LangChain prepares a coroutine for each handler, and warns of those that it drops at a refusal.
    with pytest.raises(BudgetExceeded):
        async for chunk in row(chat(server, model="gpt-4o", max_tokens=10_000), "a", "b").astream({"done": []}):
            arrived.append(chunk)  # noqa: PERF401 - what arrived before the refusal stays

    server.settle()
    assert arrived == [{"a": {"done": ["a"]}}]
    assert server.truth.totals.calls == 1


def test_the_refusal_is_the_callers_own_object_and_is_not_retried(
    captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager
) -> None:
    """LangGraph's default retry policy leaves ``BudgetExceeded`` alone, and it arrives unchanged."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=0.001, period="total", on_exceed="stop")
    seen: list[BaseException] = []
    model = chat(server, model="gpt-4o", max_tokens=10_000)

    def ask(state: State) -> State:
        try:
            model.invoke("hi")
        except BudgetExceeded as refusal:
            seen.append(refusal)
            raise
        return {"done": ["a"]}

    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("a", ask, retry_policy=RetryPolicy(initial_interval=0, jitter=False, max_attempts=5))
    builder.add_edge(START, "a")

    with pytest.raises(BudgetExceeded) as caught:
        observe(builder.compile()).invoke({"done": []})

    assert [refusal is caught.value for refusal in seen] == [True]
    assert server.truth.totals.calls == 0
    assert len(captured.closing("task")) == 1
    assert caught.value.estimate_usd == pytest.approx(0.1, rel=0.01)


def test_the_journal_tells_of_alerts_and_of_the_refusal(
    captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager
) -> None:
    """A threshold that is passed and a call that is refused are lines of their own; the refused call is an error."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=0.5, period="total", alert_thresholds=[0.5], on_exceed="stop")

    with pytest.raises(BudgetExceeded):
        row(chat(server, model="gpt-4o", max_tokens=20_000), "a", "b").invoke({"done": []})

    assert events(captured) == ["budget.alert", "budget.exceeded"]
    refused = captured.closing("chat")[-1]
    assert refused.error is not None
    assert refused.error.type == "BudgetExceeded"
    assert (refused.usage, refused.cost) == (None, None)


def test_the_partial_state_is_kept_and_the_run_goes_on_with_more_money(
    captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager
) -> None:
    """The checkpointer has everything up to the refusal; with a higher limit the run continues from there."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=PRICE * 1.2, period="total", on_exceed="stop")
    model = chat(server, model="gpt-4o", max_tokens=10_000)
    graph = row(model, "a", "b", "c", checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t1"}}

    with pytest.raises(BudgetExceeded):
        graph.invoke({"done": []}, config)
    assert graph.get_state(config).values == {"done": ["a"], "messages": []}
    assert graph.get_state(config).next == ("b",)

    budgets.set_budget("stop", limit_usd=PRICE * 3, period="total", on_exceed="stop")
    assert graph.invoke(None, config)["done"] == ["a", "b", "c"]
    server.settle()
    assert server.truth.totals.calls == 3
    assert status(budgets).spent_usd == pytest.approx(PRICE * 3)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_parallel_branches_never_oversell(
    captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager, asynchronous: bool
) -> None:
    """Ten branches ask at once and there is money for three: never more than three calls are made."""
    server = serve(reply("hi", usage=tokens(100_000, 10_000), latency=0.05, times=None))
    budgets.set_budget("stop", limit_usd=0.3 + 0.01, period="total", on_exceed="stop")  # max_tokens: 0.10 USD each
    model = chat(server, model="gpt-4o", max_tokens=10_000)
    builder: StateGraph[Any] = StateGraph(State)
    refused: list[BudgetExceeded] = []

    def ask(state: State) -> State:
        try:
            model.invoke("hi")
        except BudgetExceeded as refusal:
            refused.append(refusal)
        return {"done": ["x"]}

    async def ask_later(state: State) -> State:
        try:
            await model.ainvoke("hi")
        except BudgetExceeded as refusal:
            refused.append(refusal)
        return {"done": ["x"]}

    builder.add_node("ask", RunnableLambda(ask, ask_later))
    builder.add_conditional_edges(START, lambda state: [Send("ask", {}) for _ in range(10)], ["ask"])
    graph = observe(builder.compile())

    result = await graph.ainvoke({"done": []}) if asynchronous else graph.invoke({"done": []})

    server.settle()
    assert len(result["done"]) == 10
    assert server.truth.totals.calls + len(refused) == 10
    assert 1 <= server.truth.totals.calls <= 3
    assert len(get_cost_tracker().entries) == server.truth.totals.calls
    assert status(budgets).reserved_usd == 0


@pytest.mark.parametrize("step", [fail(500), disconnect()], ids=["server error", "lost connection"])
def test_money_set_aside_comes_back_when_the_call_fails(
    captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager, step: Any
) -> None:
    """A call that fails costs nothing and holds nothing: the next one has the whole limit."""
    server = serve(step, ANSWER)
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    graph = row(chat(server, model="gpt-4o", max_tokens=10_000, max_retries=0), "a")

    with pytest.raises(Exception, match=r".+") as caught:
        graph.invoke({"done": []})

    assert not isinstance(caught.value, BudgetExceeded)
    assert (status(budgets).spent_usd, status(budgets).reserved_usd) == (0, 0)
    assert graph.invoke({"done": []}) == {"done": ["a"], "messages": []}


async def test_money_set_aside_comes_back_when_the_run_is_cancelled(
    captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager
) -> None:
    """A cancelled call holds nothing either."""
    called = threading.Event()
    server = serve(respond(lambda request: called.set() or reply("hi", latency=30)))
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    graph = row(chat(server, model="gpt-4o", max_tokens=10_000), "a")

    running = asyncio.ensure_future(graph.ainvoke({"done": []}))
    await asyncio.to_thread(called.wait)
    assert status(budgets).reserved_usd > 0
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert status(budgets).reserved_usd == 0
    assert captured.closing("chat")[0].status == "cancelled"


def test_a_budget_of_one_agent(captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager) -> None:
    """A node is an agent for budgets: the one without money stops, the other goes on."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=0.01, period="total", agent_id="b", on_exceed="stop")

    with pytest.raises(BudgetExceeded, match="stop"):
        row(chat(server, model="gpt-4o", max_tokens=10_000), "a", "b").invoke({"done": []})

    server.settle()
    assert server.truth.totals.calls == 1


def test_a_budget_of_each_session_and_of_each_run(
    captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager
) -> None:
    """Conversations have limits of their own, and so has every run."""
    server = serve(ANSWER)
    budgets.set_budget("session", limit_usd=PRICE * 2.1, period="total", per="session", on_exceed="stop")
    budgets.set_budget("run", limit_usd=PRICE * 1.1, period="run", on_exceed="stop")
    model = chat(server, model="gpt-4o", max_tokens=10_000)
    once, twice = row(model, "a"), row(model, "a", "b")

    for name in ("ada", "bob"):
        with session(name):
            once.invoke({"done": []})
            once.invoke({"done": []})
            with pytest.raises(BudgetExceeded, match="session"):
                once.invoke({"done": []})
    with session("cy"), pytest.raises(BudgetExceeded, match="run"):
        twice.invoke({"done": []})

    server.settle()
    assert server.truth.totals.calls == 5


def test_a_budget_inside_an_agents_tool(captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager) -> None:
    """A refusal inside a tool ends the agent's run instead of being told to the model as a tool error."""
    from langchain.agents import create_agent

    server = serve(tool_calls(call("research", topic="x"), usage=tokens(100_000, 10_000)), ANSWER)
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    model = chat(server, model="gpt-4o", max_tokens=10_000)

    @tool
    def research(topic: str) -> str:
        """Look something up with another model call."""
        return str(model.invoke(topic).content)

    with pytest.raises(BudgetExceeded):
        observe(create_agent(model, [research], name="clerk")).invoke({"messages": [("user", "go")]})

    server.settle()
    assert server.truth.totals.calls == 1
    assert captured.tree() == is_tree("""
        invoke_agent clerk: error
          task model: ok
            chat gpt-4o: ok
          task tools: error
            execute_tool research: error
              chat gpt-4o: error
    """)


def test_a_batch_is_refused_as_a_whole(captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager) -> None:
    """``generate`` reserves for every prompt before the first call; if one finds no money, none is made."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=0.25, period="total", on_exceed="stop")  # max_tokens: 0.10 USD each
    model = chat(server, model="gpt-4o", max_tokens=10_000)

    def ask(state: State, config: RunnableConfig) -> State:
        # Without its callbacks, LangChain's own low-level `generate` tells nobody.
        prompts: Any = [[HumanMessage(text)] for text in ("a", "b", "c")]
        model.generate(prompts, callbacks=config["callbacks"])
        return {"done": ["a"]}

    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")

    with pytest.raises(BudgetExceeded):
        observe(builder.compile(name="squad")).invoke({"done": []})

    assert server.truth.totals.calls == 0
    assert (status(budgets).spent_usd, status(budgets).reserved_usd) == (0, 0)
    assert RUNS == {}


def test_a_model_without_a_price_is_let_through_and_counted(
    captured: Captured, serve: Serve, chat: Chat, budgets: BudgetManager
) -> None:
    """What can't be priced can't be limited; the budget says how many calls that were."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=0.01, period="total", on_exceed="stop")

    row(chat(server, model="house-model-7"), "a", "b").invoke({"done": []})

    assert status(budgets).unpriced_calls == 2
    assert [line.cost.usd for line in captured.closing("chat") if line.cost] == [None, None]


@pytest.mark.skipif(
    Version(version("langchain")) < Version("1.3.16"),
    reason="LangChain before 1.3.16 makes an answer of an error that it is told not to try again",
)
def test_a_refusal_passes_a_middleware_that_tries_again(budgets: BudgetManager, serve: Serve, chat: Chat) -> None:
    """The retry of LangChain's agents leaves alone what it is told to, and asks no model for a refused call."""
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelRetryMiddleware

    budgets.set_budget("stop", limit_usd=PRICE / 2, period="daily", on_exceed="stop")
    again = ModelRetryMiddleware(initial_delay=0, retry_on=lambda error: not isinstance(error, BudgetExceeded))
    server = serve(ANSWER)
    agent = observe(create_agent(chat(server, model="gpt-4o"), [], name="clerk", middleware=[again]))
    agent.invoke({"messages": [("user", "go")]})
    with pytest.raises(BudgetExceeded):
        agent.invoke({"messages": [("user", "go")]})

    assert len(server.truth.calls) == 1
