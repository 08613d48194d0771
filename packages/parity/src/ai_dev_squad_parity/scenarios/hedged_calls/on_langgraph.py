"""A graph whose node races two calls."""

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

    async def race(state: State) -> Any:
        calls = [asyncio.create_task(llm.ainvoke([("system", SYSTEM), ("user", REQUEST)])) for _ in range(2)]
        done, late = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for call in late:
            call.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return {"answer": done.pop().result().content}

    graph = StateGraph(State)
    graph.add_node("race", race)
    graph.add_edge(START, "race")
    graph.add_edge("race", END)
    return graph.compile()


async def run(graph: Any) -> str:
    return (await graph.ainvoke({"answer": ""}))["answer"]
