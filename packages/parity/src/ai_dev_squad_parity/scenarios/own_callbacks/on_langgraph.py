"""A node that calls its model with callbacks of its own."""

from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from spec import REQUEST, SYSTEM


class Progress(BaseCallbackHandler):
    calls = 0

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.calls += 1


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)

    def assistant(state: MessagesState) -> Any:
        progress = Progress()
        answer = llm.invoke([("system", SYSTEM), *state["messages"]], config={"callbacks": [progress]})
        return {"messages": [("ai", f"{answer.content} (heard of {progress.calls} call)")]}

    graph = StateGraph(MessagesState)
    graph.add_node("assistant", assistant)
    graph.add_edge(START, "assistant")
    graph.add_edge("assistant", END)
    return graph.compile()


def run(graph: Any) -> str:
    return graph.invoke({"messages": [("user", REQUEST)]})["messages"][-1].content
