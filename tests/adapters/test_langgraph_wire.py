"""Model calls that no callback of LangGraph announces: counted, priced and refused on the wire."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAIEmbeddings
from langgraph.graph import START, StateGraph
from pydantic import SecretStr
from typing_extensions import TypedDict

from ai_dev_squad import BudgetExceeded, get_cost_tracker
from ai_dev_squad.schema import Usage
from ai_dev_squad_langgraph import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.fixtures import wait_until
from ai_dev_squad_testing.model_server import ModelServer, reply, tokens

Serve = Callable[..., ModelServer]
Node = Callable[[Any], Any]

# gpt-4o: 2.50 USD per million input tokens, 10 USD per million output tokens.
ANSWER = reply("fine", usage=tokens(100, 4_475), times=None)
PRICE = 0.045
LIMIT = 0.10
QUESTION = "abc " * 823
"""823 tokens, as the model server counts them."""


class State(TypedDict):
    """The state of every graph here."""

    answers: int


class Progress(BaseCallbackHandler):
    """A program's own callbacks, which take the place of those it inherits."""


def model(server: ModelServer) -> ChatOpenAI:
    """A chat model whose calls cost up to ``PRICE``."""
    return ChatOpenAI(
        model="gpt-4o", base_url=server.base_url, api_key="sk-test", max_completion_tokens=4_475, max_retries=2
    )


def own_callbacks(server: ModelServer) -> Node:
    """A call with a list of callbacks, which LangChain takes instead of the node's."""

    def node(state: State) -> State:
        model(server).invoke("q", config={"callbacks": [Progress()]})
        return {"answers": 1}

    return node


def bound_callbacks(server: ModelServer) -> Node:
    """A model with a list of callbacks."""

    def node(state: State) -> State:
        model(server).with_config(callbacks=[Progress()]).invoke("q")
        return {"answers": 1}

    return node


def thread_pool(server: ModelServer) -> Node:
    """A call in a thread that knows nothing of the node's context."""

    def node(state: State) -> State:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(model(server).invoke, "q").result()
        return {"answers": 1}

    return node


def own_client(server: ModelServer) -> Node:
    """A call without LangChain."""

    def node(state: State) -> State:
        client = openai.OpenAI(base_url=server.base_url, api_key="sk-test")
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "q"}], max_completion_tokens=4_475
        )
        return {"answers": 1}

    return node


# With the agent that the call belongs to: a bare thread tells the run, and not the node.
WAYS = [(own_callbacks, "ask"), (bound_callbacks, "ask"), (thread_pool, "squad"), (own_client, "ask")]


def graph(**nodes: Node) -> Any:
    """An observed graph of one node after another."""
    builder: StateGraph[Any] = StateGraph(State)
    previous = START
    for name, node in nodes.items():
        builder.add_node(name, node)
        builder.add_edge(previous, name)
        previous = name
    return observe(builder.compile(name="squad"))


def counted(captured: Captured) -> list[tuple[str, Any, Any, Any, Any]]:
    """Each model call: what it was, its agent, its tokens, and who told of it."""
    return [
        (
            line.operation,
            line.agent_id,
            line.usage and (line.usage.input_tokens, line.usage.output_tokens, line.usage.source),
            line.cost and line.cost.usd,
            (line.metadata or {}).get("ai_dev_squad.origin"),
        )
        for line in captured.closing()
        if line.operation in {"chat", "embeddings"}
    ]


@pytest.mark.parametrize("way, agent", WAYS)
def test_a_call_is_counted(captured: Captured, serve: Serve, way: Callable[[ModelServer], Node], agent: str) -> None:
    """A call past the callbacks (opik#2839, langchain#36393), in a pool (langsmith-sdk#771) or by a client of the
    program's own is one call of its run, with what was billed.
    """
    graph(ask=way(serve(ANSWER))).invoke({"answers": 0})

    assert counted(captured) == [("chat", agent, (100, 4_475, "provider"), PRICE, "wire")]
    assert {line.trace_id for line in captured.closing()} == {captured.closing("invoke_workflow")[0].trace_id}


@pytest.mark.parametrize("way, agent", WAYS)
def test_a_budget_holds(captured: Captured, serve: Serve, way: Callable[[ModelServer], Node], agent: str) -> None:
    """Of eight calls a budget of $0.10 lets two pass; no other is sent, and the program gets the refusal itself."""
    server = serve(ANSWER)
    get_cost_tracker().budget_manager.set_budget("daily", limit_usd=LIMIT, period="daily", on_exceed="stop")
    ask = graph(ask=way(server))

    ask.invoke({"answers": 0})
    ask.invoke({"answers": 0})
    for _ in range(6):
        with pytest.raises(BudgetExceeded) as refused:
            ask.invoke({"answers": 0})
        assert (type(refused.value), refused.value.spent_usd) == (BudgetExceeded, 2 * PRICE)

    server.settle()
    assert server.truth.totals.calls == 2
    assert [entry.cost_usd for entry in get_cost_tracker().entries] == [PRICE, PRICE]


def test_calls_at_once_in_threads(captured: Captured, serve: Serve) -> None:
    """Four calls in four bare threads are four calls; with a budget for two, two of them are made and two refused."""
    server = serve(ANSWER)
    outcomes: list[type | None] = []

    def fan_out(state: State) -> State:
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(model(server).invoke, "q") for _ in range(4)]
            outcomes.extend(type(future.exception()) for future in asked)
        return {"answers": 4}

    ask = graph(fan_out=fan_out)
    ask.invoke({"answers": 0})
    assert counted(captured) == [("chat", "squad", (100, 4_475, "provider"), PRICE, "wire")] * 4

    outcomes.clear()
    get_cost_tracker().budget_manager.set_budget("total", limit_usd=LIMIT, period="total", on_exceed="stop")
    ask.invoke({"answers": 0})
    server.settle()
    assert Counter(outcomes) == {type(None): 2, BudgetExceeded: 2}
    assert server.truth.totals.calls == 6


async def test_a_budget_holds_for_calls_that_outlive_their_node(captured: Captured, serve: Serve) -> None:
    """A task that one node starts and the next awaits is one call, and refused like any (dd-trace-py#13795)."""
    server = serve(ANSWER)
    get_cost_tracker().budget_manager.set_budget("daily", limit_usd=LIMIT, period="daily", on_exceed="stop")
    started: list[asyncio.Task[Any]] = []

    async def ask(state: State) -> State:
        started.append(asyncio.create_task(model(server).ainvoke("q")))
        return {"answers": 0}

    async def wait(state: State) -> State:
        await started.pop()
        return {"answers": 1}

    squad = graph(ask=ask, wait=wait)
    await squad.ainvoke({"answers": 0})
    await squad.ainvoke({"answers": 0})
    for _ in range(6):
        with pytest.raises(BudgetExceeded):
            await squad.ainvoke({"answers": 0})

    server.settle()
    assert server.truth.totals.calls == 2
    assert counted(captured)[:2] == [("chat", "ask", (100, 4_475, "provider"), PRICE, None)] * 2


def embedder(server: ModelServer) -> OpenAIEmbeddings:
    """OpenAI's embeddings, which take text."""
    return OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=server.base_url,
        api_key="sk-test",
        check_embedding_ctx_length=False,
    )


@pytest.mark.parametrize("awaited", [True, False])
async def test_of_two_hedged_calls_the_slower_is_cancelled(captured: Captured, serve: Serve, awaited: bool) -> None:
    """LangChain tells nobody of a call that is cancelled; the wire has seen it, before its node ended or after."""
    server = serve(reply("late", latency=60), reply("soon", usage=tokens(100, 4_475), latency=0.1))

    async def race(state: State) -> State:
        calls = [asyncio.create_task(model(server).ainvoke("q")) for _ in range(2)]
        _, late = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for call in late:
            call.cancel()
        if awaited:
            await asyncio.gather(*late, return_exceptions=True)
        return {"answers": 1}

    await graph(race=race).ainvoke({"answers": 0})
    for _ in range(5):
        await asyncio.sleep(0)

    ended = [(line.status, line.usage and line.usage.source) for line in captured.closing("chat")]
    assert sorted(ended, key=str) == [("cancelled", "missing"), ("ok", "provider")]


def test_embeddings_in_a_retriever(captured: Captured, serve: Serve) -> None:
    """What a retriever asks an embedding model is an operation below the retrieval, priced (langfuse#5083)."""
    server = serve(reply(times=None))
    store = InMemoryVectorStore(embedder(server))
    store.add_documents([Document("a b c")])  # before any run, and so nobody's

    def look_up(state: State) -> State:
        return {"answers": len(store.as_retriever().invoke(QUESTION))}

    graph(look_up=look_up).invoke({"answers": 0})

    # 0.02 USD per million tokens.
    assert counted(captured) == [("embeddings", "look_up", (823, None, "provider"), 0.00001646, "wire")]
    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task look_up: ok
    retrieval VectorStoreRetriever: ok
      embeddings text-embedding-3-small: ok"""
    )


PICTURE = {"total_tokens": 4_210, "input_tokens": 50, "output_tokens": 4_160}
HEARD = {"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 10, "audio_tokens": 4}}
MADE: dict[str, dict[str, Any]] = {
    "/v1/images/generations": {"created": 1, "data": [{"b64_json": "aa"}], "usage": PICTURE},
    "/v1/audio/transcriptions": {"text": "hi", "usage": {**HEARD, "output_tokens": 101, "total_tokens": 115}},
}


def pictures_and_speech() -> openai.OpenAI:
    """A client of a provider that draws and listens."""
    answers = httpx.MockTransport(lambda request: httpx.Response(200, json=MADE[request.url.path]))
    return openai.OpenAI(api_key="sk-test", http_client=httpx.Client(transport=answers))


def test_pictures_and_speech_are_calls_too(captured: Captured) -> None:
    """A tool that draws or listens pays like any: OpenAI says "output" of tokens of a picture, and a form hides which model
    is asked to listen (langfuse-python#1510, sentry-python#5803, litellm#31142).
    """
    client = pictures_and_speech()

    def draw(state: State) -> State:
        client.images.generate(model="gpt-image-1", prompt="a cat")
        client.images.generate(model="gpt-image-1.5", prompt="a cat")
        client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"sound"))
        return {"answers": 1}

    graph(draw=draw).invoke({"answers": 0})

    calls = captured.closing("generate_content")
    # Both: 5 USD per million tokens of text; of a picture 40 USD, and 32.
    assert [(line.name, line.agent_id, line.cost and line.cost.usd) for line in calls] == [
        ("gpt-image-1", "draw", 0.16665),
        ("gpt-image-1.5", "draw", 0.13337),
        ("unknown", "draw", None),
    ]
    assert [line.usage for line in calls] == [
        Usage(input_tokens=50, output_tokens=4_160, image_output_tokens=4_160, source="provider"),
        Usage(input_tokens=50, output_tokens=4_160, image_output_tokens=4_160, source="provider"),
        Usage(input_tokens=14, output_tokens=101, audio_input_tokens=4, source="provider"),
    ]


def test_a_budget_holds_for_pictures(captured: Captured) -> None:
    """The picture for which there is no money any more is not asked for."""
    get_cost_tracker().budget_manager.set_budget("total", limit_usd=0.3, period="total", on_exceed="stop")
    client = pictures_and_speech()

    def draw(state: State) -> State:
        client.images.generate(model="gpt-image-1", prompt="a cat")
        return {"answers": 1}

    drawing = graph(draw=draw)
    drawing.invoke({"answers": 0})
    with pytest.raises(BudgetExceeded):
        drawing.invoke({"answers": 0})

    assert [line.status for line in captured.closing("generate_content")] == ["ok", "error"]


def test_a_budget_holds_for_embeddings(captured: Captured, serve: Serve) -> None:
    """Embeddings for which there is no money are not asked for."""
    server = serve(reply(times=None))
    get_cost_tracker().budget_manager.set_budget("daily", limit_usd=0.00002, period="daily", on_exceed="stop")

    def embed(state: State) -> State:
        embedder(server).embed_query(QUESTION)
        return {"answers": 1}

    squad = graph(embed=embed)
    squad.invoke({"answers": 0})
    with pytest.raises(BudgetExceeded):
        squad.invoke({"answers": 0})
    server.settle()
    assert server.truth.totals.calls == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("deployment", ["gpt-4", "prod-chat"])
def test_an_azure_deployment_costs_what_the_model_behind_it_costs(
    captured: Captured, serve: Serve, deployment: str, streamed: bool
) -> None:
    """A deployment is called as its owner likes, after another model too: the model that answered has the price
    (langfuse#1160).
    """
    server = serve(reply("fine", model="gpt-4o-2024-08-06", usage=tokens(1_000, 100)))
    azure = AzureChatOpenAI(
        azure_deployment=deployment, azure_endpoint=server.url, api_version="2024-10-21", api_key=SecretStr("sk-test")
    )

    def node(state: State) -> State:
        if streamed:
            for _ in azure.stream("q"):
                pass
        else:
            azure.invoke("q")
        return {"answers": 1}

    observe(StateGraph(State).add_node("node", node).add_edge(START, "node").compile()).invoke({"answers": 0})

    server.settle()
    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert line.cost is not None
    counted = (line.usage.input_tokens, line.usage.output_tokens, line.usage.source, line.cost.usd, line.cost.price)
    assert counted == (1_000, 100, "provider", 0.0035, "openai/gpt-4o")
    said = line.metadata or {}
    assert said["gen_ai.provider.name"] == "azure.ai.openai"
    assert [call.model for call in server.truth.calls] == [deployment]


@pytest.mark.parametrize("way", ["left", "cancelled"])
async def test_a_stream_of_a_graph_that_is_given_up_costs_what_had_come(
    captured: Captured, serve: Serve, way: str
) -> None:
    """Whether its reader leaves ``astream`` or is cancelled in it: what had come is counted, labelled as an estimate, and
    priced (posthog-js#4664).
    """
    server = serve(reply("one " * 4_000, usage=tokens(823, 4_000), chunk_size=4, per_chunk=0.05))
    came: list[str] = []
    enough = asyncio.Event()

    async def node(state: State) -> State:
        await model(server).ainvoke(QUESTION)
        return {"answers": 1}

    graph = observe(StateGraph(State).add_node("node", node).add_edge(START, "node").compile())

    async def read() -> None:
        stream = graph.astream({"answers": 0}, stream_mode="messages")
        async for piece, _ in stream:
            came.append(piece.text)
            if len(came) >= 20:
                enough.set()
                if way == "left":
                    await stream.aclose()
                    return

    reader = asyncio.ensure_future(read())
    await enough.wait()
    if way == "cancelled":
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
    await reader if way == "left" else None

    assert wait_until(lambda: captured.closing("chat"))
    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert line.cost is not None
    assert line.usage.input_tokens is not None
    assert line.usage.source == "estimated"
    assert line.usage.input_tokens in range(823, 840)  # and what stands around a message
    # The wire has what the reader had, and perhaps what came while it left.
    assert line.usage.output_tokens in range(len(came) - 1, 4_000)
    assert line.cost.usd == pytest.approx(line.usage.input_tokens * 2.5e-6 + line.usage.output_tokens * 10e-6)
    server.settle()
    assert [call.outcome for call in server.truth.calls] == ["client_closed"]


SEARCHED = {
    "/v1/responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-4o",
        "output": [
            {
                "type": "web_search_call",
                "id": "ws_1",
                "status": "completed",
                "action": {"type": "search", "query": "tea"},
            },
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Tea.", "annotations": []}],
            },
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {"input_tokens": 1_000, "output_tokens": 100, "total_tokens": 1_100},
    }
}


@pytest.mark.parametrize("streaming", [False, True])
def test_searches_of_the_providers_own_are_billed(captured: Captured, streaming: bool) -> None:
    """What the framework's report of usage has no field for is read on the wire, plain and streamed (litellm#15227)."""
    whole = SEARCHED["/v1/responses"]
    events = [{"type": "response.created", "response": {**whole, "output": [], "usage": None}}]
    events.append({"type": "response.completed", "response": whole})
    stream = "".join(
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n"
        for number, event in enumerate(events)
    )
    answers = httpx.MockTransport(
        lambda request: (
            httpx.Response(200, text=stream, headers={"content-type": "text/event-stream"})
            if streaming
            else httpx.Response(200, json=whole)
        )
    )
    asked = ChatOpenAI(
        model="gpt-4o",
        api_key=SecretStr("sk-test"),
        use_responses_api=True,
        streaming=streaming,
        http_client=httpx.Client(transport=answers),
    )

    def look_up(state: State) -> State:
        asked.invoke("What is tea?")
        return {"answers": 1}

    graph(look_up=look_up).invoke({"answers": 0})

    (line,) = captured.closing("chat")
    assert line.usage == Usage(
        input_tokens=1_000, output_tokens=100, web_searches=1, file_searches=0, source="provider"
    )
    # 1,000 x 2.50 + 100 x 10 for a million, and 10 for a thousand searches
    assert line.cost is not None
    assert line.cost.usd == 0.0135
