"""Captured model calls and tokens equal what the model server billed, in every way of running a graph."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import openai
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import SimpleChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from opentelemetry import propagate

from ai_dev_squad import get_cost_tracker
from ai_dev_squad.schema import Usage
from ai_dev_squad_langgraph import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.contract.truth import equals_the_bill
from ai_dev_squad_testing.model_server import ModelServer, call, fail, hang, reply, tokens, tool_calls

USAGE = tokens(200, 30, cached=64, reasoning=8)
Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]


def asking(model: Any, *, name: str = "squad") -> Any:
    """A graph of one node that asks the model."""

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    async def ask_later(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", RunnableLambda(ask, ask_later))
    builder.add_edge(START, "ask")
    return observe(builder.compile(name=name))


QUESTION: Any = {"messages": [("user", "hello")]}


def test_invoke(captured: Captured, serve: Serve, chat: Chat) -> None:
    """A plain call, with its cost by the published price: cached tokens are part of the input, not added to it
    (braintrust-sdk-python#445).
    """
    server = serve(reply("hi", usage=USAGE))

    asking(chat(server)).invoke(QUESTION)

    equals_the_bill(captured, server)
    (line,) = captured.closing("chat")
    assert line.cost is not None
    # gpt-4o-mini: 0.15 USD per million input, 0.075 cached, 0.60 output tokens.
    assert line.cost.usd == pytest.approx((136 * 0.15 + 64 * 0.075 + 30 * 0.60) / 1e6)
    assert line.cost.price == "openai/gpt-4o-mini"


async def test_ainvoke(captured: Captured, serve: Serve, chat: Chat) -> None:
    """The same, asynchronously."""
    server = serve(reply("hi", usage=USAGE))

    await asking(chat(server)).ainvoke(QUESTION)

    equals_the_bill(captured, server)


def texts(stream: Any) -> list[Any]:
    """What a consumer of ``stream_mode="messages"`` sees: content, usage and metadata of each chunk."""
    return [
        (message.content, message.usage_metadata, message.response_metadata)
        for message, _ in stream
        if isinstance(message, AIMessageChunk)
    ]


def without_ids(chunks: list[Any]) -> list[Any]:
    """Chunks without what differs between two answers."""
    return [(content, usage, sorted(metadata)) for content, usage, metadata in chunks]


def test_streaming_counts_without_the_program_noticing(captured: Captured, serve: Serve, chat: Chat) -> None:
    """A custom endpoint reports no usage in streams unless asked; we ask, and the program sees the same chunks
    (langgraph#5878, langgraph#4848, langfuse#8814).
    """
    server, another = serve(reply("one two three", usage=USAGE)), serve(reply("one two three", usage=USAGE))
    from ai_dev_squad_langgraph import unobserve

    observed = texts(asking(chat(server)).stream(QUESTION, stream_mode="messages"))
    plain = texts(unobserve(asking(chat(another))).stream(QUESTION, stream_mode="messages"))

    equals_the_bill(captured, server)
    assert without_ids(observed) == without_ids(plain)
    assert {usage for _, usage, _ in observed} == {None}
    (line,) = captured.closing("chat")
    assert line.metadata is not None
    assert line.metadata["gen_ai.response.time_to_first_chunk"] > 0


async def test_asynchronous_streaming(captured: Captured, serve: Serve, chat: Chat) -> None:
    """The same for ``astream``."""
    server = serve(reply("one two three", usage=USAGE))

    async for _ in asking(chat(server)).astream(QUESTION, stream_mode="messages"):
        pass

    equals_the_bill(captured, server)


def test_a_program_that_asks_for_usage_itself(captured: Captured, serve: Serve, chat: Chat) -> None:
    """With ``stream_usage=True`` the program gets its usage chunk, and it counts once."""
    server = serve(reply("one two", usage=USAGE))

    chunks = texts(asking(chat(server, stream_usage=True)).stream(QUESTION, stream_mode="messages"))

    equals_the_bill(captured, server)
    assert [usage["input_tokens"] for _, usage, _ in chunks if usage] == [200]


def test_a_server_that_refuses_to_report_usage(captured: Captured, serve: Serve, chat: Chat) -> None:
    """A server that rejects the option is asked again without it, once; the answer is the program's, the count estimated."""
    refuses = fail(400, message="unknown option", when=lambda request: "stream_options" in request.body)
    server = serve(refuses, reply("one two three", times=2))
    graph = asking(chat(server))

    first = texts(graph.stream(QUESTION, stream_mode="messages"))
    graph.invoke(QUESTION, stream_mode="messages")

    assert "".join(content for content, _, _ in first) == "one two three"
    assert [call.status for call in server.truth.calls] == [400, 200, 200]
    assert [line.usage.source for line in captured.closing("chat") if line.usage] == ["estimated", "estimated"]


def test_an_answer_without_usage_is_estimated_and_says_so(captured: Captured, serve: Serve, chat: Chat) -> None:
    """Missing usage is a labelled estimate, never 0."""
    server = serve(reply("Paris is the capital of France.", report_usage=False))

    asking(chat(server)).invoke({"messages": [("user", "What is the capital of France?")]})

    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert line.usage.source == "estimated"
    assert line.usage.input_tokens is not None
    assert line.usage.output_tokens is not None
    assert 4 < line.usage.input_tokens < 20
    assert 4 < line.usage.output_tokens < 12


def test_a_tool_loop(captured: Captured, serve: Serve, chat: Chat) -> None:
    """Several calls, parallel tools: each call once."""
    from langchain.agents import create_agent

    @tool
    def look_up(word: str) -> str:
        """Look a word up."""
        return word.upper()

    server = serve(
        tool_calls(call("look_up", word="a"), call("look_up", word="b"), usage=USAGE),
        reply("done", usage=tokens(300, 5)),
    )
    agent = observe(create_agent(chat(server), [look_up], name="clerk"))

    agent.invoke({"messages": [("user", "a and b")]})

    equals_the_bill(captured, server)
    asked = [(c.name, c.id) for c in server.truth.calls[0].tool_calls]
    ran = [(line.name, (line.metadata or {})["gen_ai.tool.call.id"]) for line in captured.closing("execute_tool")]
    assert sorted(ran) == sorted(asked)


def test_retries_of_the_client(captured: Captured, serve: Serve, chat: Chat) -> None:
    """A 429 that the client retries is one model call, ended well."""
    server = serve(fail(429, retry_after=0.01), reply("hi", usage=USAGE))

    asking(chat(server)).invoke(QUESTION)

    assert server.truth.totals.calls == 2
    equals_the_bill(captured, server)
    assert [line.status for line in captured.closing("chat")] == ["ok"]


def test_a_failing_call(captured: Captured, serve: Serve, chat: Chat) -> None:
    """A call that fails for good is an error without tokens or cost, and the client's own exception."""
    import openai

    server = serve(fail(500, times=None))

    with pytest.raises(openai.InternalServerError):
        asking(chat(server, max_retries=0)).invoke(QUESTION)

    (line,) = captured.closing("chat")
    assert line.status == "error"
    assert line.error is not None
    # Newer releases of langchain-openai derive their own from the client's.
    assert line.error.type.endswith(("APIError", "InternalServerError"))
    assert line.usage is not None
    assert (line.usage.source, line.usage.input_tokens) == ("missing", None)
    assert line.cost is None or line.cost.usd is None


def test_a_call_that_times_out(captured: Captured, serve: Serve, chat: Chat) -> None:
    """A time-out is an error of the call."""
    import openai

    server = serve(hang(times=None))

    with pytest.raises(openai.APITimeoutError):
        asking(chat(server, max_retries=0, timeout=0.2)).invoke(QUESTION)

    assert [line.status for line in captured.closing("chat")] == ["error"]


class Router(SimpleChatModel):
    """A model around others: each is asked in turn until one answers. It hands on what the last one says of itself."""

    choices: list[Any]
    own: AIMessage | None = None

    @property
    def _llm_type(self) -> str:
        return "router"

    def _call(self, *_: Any, **__: Any) -> str:
        raise NotImplementedError

    def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        for model in self.choices:
            with suppress(openai.InternalServerError):
                return ChatResult(generations=[ChatGeneration(message=model.invoke(messages))])
        return ChatResult(generations=[ChatGeneration(message=self.own or AIMessage(""))])

    def _stream(self, messages: Any, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for chunk in self.choices[-1].stream(messages):
            yield ChatGenerationChunk(message=chunk)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_model_around_another_one_is_no_second_bill(
    captured: Captured, serve: Serve, chat: Chat, streaming: bool
) -> None:
    """A router repeats the usage of the model that it asks; that is counted below it, once (langfuse#3956,
    dd-trace-py#18868).
    """
    server = serve(reply("hi", usage=USAGE))
    router = Router(choices=[chat(server, stream_usage=True)], disable_streaming=not streaming)

    list(asking(router).stream(QUESTION, stream_mode="messages"))

    equals_the_bill(captured, server)
    assert captured.tree() == (
        "invoke_workflow squad: ok\n  task ask: ok\n    chat unknown: ok\n      chat gpt-4o-mini: ok"
    )


def test_a_router_that_answers_itself_is_counted(captured: Captured, serve: Serve, chat: Chat) -> None:
    """Where what it asked failed, the usage that it states is its own."""
    spent: Any = {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}
    router = Router(choices=[chat(serve(fail(500)), max_retries=0)], own=AIMessage("local", usage_metadata=spent))

    asking(router).invoke(QUESTION)

    inner, outer = captured.closing("chat")
    assert (inner.status, inner.usage) == ("error", Usage(source="missing"))
    assert outer.usage == Usage(input_tokens=7, output_tokens=2, source="provider")


def test_a_router_and_its_model_are_not_set_aside_twice(captured: Captured, serve: Serve, chat: Chat) -> None:
    """A budget with room for one call lets the call through that a router of the same price makes."""

    class Priced(Router):
        model_name: str = "gpt-4o-mini"

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"model": self.model_name, "max_tokens": 100_000}

    server = serve(reply("hi", usage=tokens(100, 100)))
    # 100,000 output tokens are $0.06.
    get_cost_tracker().budget_manager.set_budget("one", limit_usd=0.07, period="total", on_exceed="stop")

    asking(Priced(choices=[chat(server, max_tokens=100_000)])).invoke(QUESTION)

    equals_the_bill(captured, server)


def test_several_choices_count_once(captured: Captured, serve: Serve, chat: Chat) -> None:
    """With ``n=2`` every choice repeats the total; it's counted once."""
    server = serve(reply(["a", "b"], usage=USAGE))

    asking(chat(server, n=2)).invoke(QUESTION)

    equals_the_bill(captured, server)


def test_the_responses_api(captured: Captured, serve: Serve, chat: Chat) -> None:
    """Both APIs of the provider are counted alike."""
    server = serve(reply("hi", usage=USAGE, times=2))
    graph = asking(chat(server, use_responses_api=True))

    graph.invoke(QUESTION)
    list(graph.stream(QUESTION, stream_mode="messages"))

    equals_the_bill(captured, server)


def test_an_answer_from_langchains_cache_costs_nothing(captured: Captured, serve: Serve, chat: Chat) -> None:
    """A hit of the LLM cache repeats the tokens; nothing was billed and nothing is counted (langfuse#2112)."""
    server = serve(reply("hi", usage=USAGE))
    graph = asking(chat(server, cache=InMemoryCache()))

    graph.invoke(QUESTION)
    graph.invoke(QUESTION)

    first, second = captured.closing("chat")
    assert server.truth.totals.calls == 1
    assert first.usage is not None
    assert second.usage is not None
    assert second.cost is not None
    assert (first.usage.input_tokens, second.usage.input_tokens) == (200, 0)
    assert (second.cost.usd, second.cost.price_source) == (0, "cache_hit")


@pytest.mark.parametrize("runs", [1, 20])
async def test_concurrent_runs(captured: Captured, serve: Serve, chat: Chat, runs: int) -> None:
    """Parallel runs never mix: each has a trace and a session of its own, with the right number of calls in it."""
    server = serve(reply("hi", usage=USAGE, times=None))
    graph = asking(chat(server))

    await asyncio.gather(
        *(graph.ainvoke(QUESTION, {"configurable": {"thread_id": f"thread-{index}"}}) for index in range(runs))
    )

    equals_the_bill(captured, server)
    sessions: dict[str | None, set[str | None]] = {}
    for line in captured.lines:
        sessions.setdefault(line.trace_id, set()).add(line.session_id)
    assert sorted(map(sorted, sessions.values())) == sorted([f"thread-{index}"] for index in range(runs))  # type: ignore[type-var, arg-type]
    assert {line.trace_id for line in captured.closing("chat")} == set(sessions)


def carrying_client(asynchronous: bool) -> Any:
    """An HTTP client that sends the current span's context along, as an HTTP instrumentation does."""
    import httpx

    def inject(request: Any) -> None:
        propagate.inject(request.headers)

    async def inject_later(request: Any) -> None:
        inject(request)

    hooks: Any = {"request": [inject_later if asynchronous else inject]}
    return httpx.AsyncClient(event_hooks=hooks) if asynchronous else httpx.Client(event_hooks=hooks)


@pytest.mark.parametrize("streaming", [False, True])
def test_http_nests_below_the_model_call(captured: Captured, serve: Serve, chat: Chat, streaming: bool) -> None:
    """What is sent to the provider carries the chat span's id (openllmetry#3214, openinference#2275)."""
    server = serve(reply("hi"))
    with carrying_client(asynchronous=False) as client:
        asking(chat(server, http_client=client, streaming=streaming)).invoke(QUESTION)

    (line,) = captured.closing("chat")
    assert (server.truth.calls[0].traceparent or "").startswith(f"00-{line.trace_id}-{line.span_id}-")


@pytest.mark.parametrize("streaming", [False, True])
async def test_asynchronous_http_nests_below_the_model_call(
    captured: Captured, serve: Serve, chat: Chat, streaming: bool
) -> None:
    """The same under asyncio."""
    server = serve(reply("hi"))
    async with carrying_client(asynchronous=True) as client:
        await asking(chat(server, http_async_client=client, streaming=streaming)).ainvoke(QUESTION)

    (line,) = captured.closing("chat")
    assert (server.truth.calls[0].traceparent or "").startswith(f"00-{line.trace_id}-{line.span_id}-")
