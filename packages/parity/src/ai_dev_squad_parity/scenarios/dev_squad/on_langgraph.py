"""A graph of three agents with an edge back."""

from typing import Any

from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import BaseModel
from spec import CODER, PLANNER, REQUEST, REVIEWER, read_file, run_tests


class Review(BaseModel):
    approved: bool
    feedback: str


class State(MessagesState):
    structured_response: Review


def next_step(state: State) -> str:
    return END if state["structured_response"].approved else "coder"


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    planner = create_agent(llm, system_prompt=PLANNER, name="planner")
    coder = create_agent(llm, [read_file, run_tests], system_prompt=CODER, name="coder")
    reviewer = create_agent(llm, system_prompt=REVIEWER, response_format=ProviderStrategy(Review), name="reviewer")

    graph = StateGraph(State)
    graph.add_sequence([("planner", planner), ("coder", coder), ("reviewer", reviewer)])
    graph.add_edge(START, "planner")
    graph.add_conditional_edges("reviewer", next_step, ["coder", END])
    return graph.compile(name="dev squad")


def run(graph: Any) -> str:
    messages = graph.invoke({"messages": [("user", REQUEST)]})["messages"]
    return next(message.content for message in reversed(messages) if message.name == "coder")
