"""A graph that interrupts itself before the last node."""

from typing import Any

from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from spec import PUBLISHER, REQUEST, WRITER


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)

    def writer(state: MessagesState) -> Any:
        return {"messages": [llm.invoke([("system", WRITER), *state["messages"]])]}

    def approval(state: MessagesState) -> Any:
        return {"messages": [("user", interrupt(state["messages"][-1].content))]}

    def publisher(state: MessagesState) -> Any:
        return {"messages": [llm.invoke([("system", PUBLISHER), *state["messages"]])]}

    graph = StateGraph(MessagesState)
    graph.add_sequence([writer, approval, publisher])
    graph.add_edge(START, "writer")
    return graph.compile(checkpointer=InMemorySaver())


def run(graph: Any) -> str:
    thread = {"configurable": {"thread_id": "figs"}}
    waiting = graph.invoke({"messages": [("user", REQUEST)]}, thread)
    assert "__interrupt__" in waiting
    return graph.invoke(Command(resume="yes"), thread)["messages"][-1].content
