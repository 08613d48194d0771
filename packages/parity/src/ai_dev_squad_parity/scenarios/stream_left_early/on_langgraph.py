"""A graph whose node reads a part of its model's stream."""

from typing import Any

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from spec import REQUEST, SYSTEM
from typing_extensions import TypedDict


class State(TypedDict):
    answer: str


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)

    def read(state: State) -> Any:
        answer = ""
        for piece in llm.stream([("system", SYSTEM), ("user", REQUEST)]):
            answer += piece.content
            if len(answer) > 200:
                break
        return {"answer": answer}

    graph = StateGraph(State)
    graph.add_node("read", read)
    graph.add_edge(START, "read")
    graph.add_edge("read", END)
    return graph.compile()


def run(graph: Any) -> str:
    return graph.invoke({"answer": ""})["answer"]
