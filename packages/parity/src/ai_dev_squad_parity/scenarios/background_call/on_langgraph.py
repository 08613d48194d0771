"""A graph whose first node starts a call, and whose second waits for it."""

import asyncio
from typing import Any

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from spec import REQUEST, SYSTEM
from typing_extensions import TypedDict


class State(TypedDict):
    answer: str


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    tasks: list[asyncio.Task[Any]] = []

    async def begin(state: State) -> Any:
        tasks.append(asyncio.create_task(llm.ainvoke([("system", SYSTEM), ("user", REQUEST)])))
        await asyncio.sleep(0)
        return {"answer": ""}

    async def collect(state: State) -> Any:
        return {"answer": (await tasks.pop()).content}

    graph = StateGraph(State)
    graph.add_sequence([("begin", begin), ("collect", collect)])
    graph.add_edge(START, "begin")
    graph.add_edge("collect", END)
    return graph.compile()


async def run(graph: Any) -> str:
    return (await graph.ainvoke({"answer": ""}))["answer"]
