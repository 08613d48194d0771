"""A graph whose branches run at the same time."""

import operator
from typing import Annotated, Any

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from spec import EXPERTS, REQUEST, system
from typing_extensions import TypedDict


class State(TypedDict):
    said: Annotated[list[str], operator.add]
    answer: str


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)

    def ask(name: str, question: str) -> str:
        return llm.invoke([("system", system(name)), ("user", question)]).content

    graph = StateGraph(State)
    for name in EXPERTS:
        graph.add_node(name, lambda state, name=name: {"said": [ask(name, REQUEST)]})
        graph.add_edge(START, name)
    graph.add_node("editor", lambda state: {"answer": ask("editor", "\n".join(state["said"]))})
    graph.add_edge(list(EXPERTS), "editor")
    graph.add_edge("editor", END)
    return graph.compile()


def run(graph: Any) -> str:
    return graph.invoke({"said": []})["answer"]
