"""A program that calls models in ten ways: the self-check of the wire names each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import requests
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

import ai_dev_squad
from ai_dev_squad import Coverage
from ai_dev_squad.wire.coverage import SELF_CHECK, Unannounced
from ai_dev_squad_langgraph import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, reply, tokens

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "q"}]}


class State(TypedDict):
    """Nothing to remember."""

    done: bool


def joined(target: Callable[[], Any]) -> None:
    """Run in a thread of its own, without a context."""
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()


async def test_ten_ways_in_one_run(captured: Captured, serve: Callable[..., ModelServer]) -> None:
    """Every call that left the process was captured, but the one that belongs to no run; each way has its name."""
    server = serve(reply("fine", usage=tokens(10, 1), times=None))
    chat = ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key="sk-test")
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small", base_url=server.base_url, api_key="sk-test", check_embedding_ctx_length=False
    )
    client = openai.OpenAI(base_url=server.base_url, api_key="sk-test")
    url = f"{server.base_url}/chat/completions"

    @tool
    def ask() -> str:
        """Ask another model."""
        client.chat.completions.create(**BODY)
        return "asked"

    def announced(state: State) -> None:
        chat.invoke("q")
        list(chat.stream("q"))

    def callbacks(state: State) -> None:
        chat.invoke("q", config={"callbacks": [BaseCallbackHandler()]})

    def pool(state: State) -> None:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(chat.invoke, "q").result()

    def thread(state: State) -> None:
        joined(lambda: chat.invoke("q"))

    async def background(state: State) -> None:
        await asyncio.gather(asyncio.create_task(chat.ainvoke("q")))

    def clients(state: State) -> None:
        client.chat.completions.create(**BODY)
        httpx.post(url, json=BODY)
        requests.post(url, json=BODY, timeout=10)

    def retriever(state: State) -> None:
        embeddings.embed_query("q")

    def tools(state: State) -> None:
        ask.invoke({})

    builder = StateGraph(State)
    nodes = announced, callbacks, pool, thread, background, clients, retriever, tools
    builder.add_sequence(nodes)
    builder.add_edge(START, "announced")
    SELF_CHECK.forget()

    await observe(builder.compile(), name="ways").ainvoke({"done": False})
    chat.invoke("q")  # of no run

    found = ai_dev_squad.coverage()
    assert (found.seen, found.captured, found.unobserved, found.unseen) == (12, 11, 1, 0)
    assert set(found.unannounced) == {
        Unannounced(1, "langgraph", "own client", "task callbacks"),
        Unannounced(3, "langgraph", "own client", "task clients"),
        Unannounced(1, "langgraph", "own client", "task retriever"),
        Unannounced(1, "langgraph", "own client", "execute_tool ask"),
        Unannounced(1, "langgraph", "thread pool", "invoke_workflow ways"),
        Unannounced(1, "langgraph", "thread", "invoke_workflow ways"),
    }
    assert len(captured.closing("chat")) + len(captured.closing("embeddings")) == 11
    assert Coverage.summed([found.as_metadata()]) == found
    assert len(server.truth.calls) == 12
