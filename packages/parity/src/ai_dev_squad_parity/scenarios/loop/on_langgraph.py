"""A graph with an edge back."""

from typing import Any

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from spec import CRITIC, REQUEST, WRITER
from typing_extensions import TypedDict


class State(TypedDict):
    draft: str
    verdict: str


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)

    def writer(state: State) -> dict[str, str]:
        wish = state.get("verdict", REQUEST)
        return {"draft": llm.invoke([("system", WRITER), ("user", wish)]).content}

    def critic(state: State) -> dict[str, str]:
        return {"verdict": llm.invoke([("system", CRITIC), ("user", state["draft"])]).content}

    graph = StateGraph(State)
    graph.add_node(writer)
    graph.add_node(critic)
    graph.add_edge(START, "writer")
    graph.add_edge("writer", "critic")
    graph.add_conditional_edges("critic", lambda state: END if "APPROVE" in state["verdict"] else "writer")
    return graph.compile()


def run(graph: Any) -> str:
    return graph.invoke({})["draft"]
