"""A graph with a graph as a node."""

from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from spec import CHECKER, EDITOR, REQUEST, RESEARCHER


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)

    def agent(name: str, system: str) -> Any:
        return name, create_agent(llm, system_prompt=system, name=name)

    research = StateGraph(MessagesState)
    research.add_sequence([agent("researcher", RESEARCHER), agent("checker", CHECKER)])
    research.add_edge(START, "researcher")
    paper = StateGraph(MessagesState)
    paper.add_sequence([("research", research.compile(name="research")), agent("editor", EDITOR)])
    paper.add_edge(START, "research")
    return paper.compile(name="paper")


def run(graph: Any) -> str:
    return graph.invoke({"messages": [("user", REQUEST)]})["messages"][-1].content
