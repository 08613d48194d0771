"""A node that wants an object of its model."""

from typing import Any

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from openai import LengthFinishReasonError
from pydantic import BaseModel
from spec import REQUEST, SYSTEM
from typing_extensions import TypedDict


class City(BaseModel):
    name: str
    country: str


class State(TypedDict):
    answer: str


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url, max_tokens=1024).with_structured_output(City)

    def clerk(state: State) -> Any:
        try:
            return {"answer": llm.invoke([("system", SYSTEM), ("user", REQUEST)]).country}
        except LengthFinishReasonError as error:
            return {"answer": type(error).__name__}

    graph = StateGraph(State)
    graph.add_node("clerk", clerk)
    graph.add_edge(START, "clerk")
    graph.add_edge("clerk", END)
    return graph.compile()


def run(graph: Any) -> str:
    return graph.invoke({"answer": ""})["answer"]
