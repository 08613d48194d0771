"""A graph that stops before its second node, with a checkpointer that writes to disk."""

import sqlite3
from typing import Any

from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from spec import CODER, PLANNER, REQUEST, kept

THREAD: Any = {"configurable": {"thread_id": "figs"}}


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)

    def planner(state: MessagesState) -> Any:
        return {"messages": [llm.invoke([("system", PLANNER), *state["messages"]])]}

    def coder(state: MessagesState) -> Any:
        return {"messages": [llm.invoke([("system", CODER), *state["messages"]])]}

    graph = StateGraph(MessagesState)
    graph.add_sequence([planner, coder])
    graph.add_edge(START, "planner")
    saver = SqliteSaver(sqlite3.connect(kept("graph.db"), check_same_thread=False))
    return graph.compile(checkpointer=saver)


def run(graph: Any) -> str:
    planned = graph.invoke({"messages": [("user", REQUEST)]}, THREAD, interrupt_before=["coder"])
    return planned["messages"][-1].content


def resume(graph: Any) -> str:
    return graph.invoke(None, THREAD)["messages"][-1].content
