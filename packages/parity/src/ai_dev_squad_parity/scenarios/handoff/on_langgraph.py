"""Two agents in a graph; a tool of the first one goes to the second."""

from typing import Any

from langchain.agents import create_agent
from langchain.tools import ToolRuntime, tool
from langchain_core.messages import ToolMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command
from spec import BILLING, REQUEST, TRIAGE


@tool
def transfer_to_billing(runtime: ToolRuntime) -> Any:
    """Hand the conversation over to billing."""
    asked = runtime.state["messages"][-1]
    done = ToolMessage("Handed over to billing.", tool_call_id=runtime.tool_call_id)
    return Command(goto="billing", graph=Command.PARENT, update={"messages": [asked, done]})


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    graph = StateGraph(MessagesState)
    triage = create_agent(llm, [transfer_to_billing], system_prompt=TRIAGE, name="triage")
    graph.add_node("triage", triage, destinations=("billing", END))
    graph.add_node("billing", create_agent(llm, system_prompt=BILLING, name="billing"))
    graph.add_edge(START, "triage")
    graph.add_edge("billing", END)
    return graph.compile()


def run(graph: Any) -> str:
    return graph.invoke({"messages": [("user", REQUEST)]})["messages"][-1].content
