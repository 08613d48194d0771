"""A graph of a node that calls LiteLLM, and of its tools."""

from typing import Any

import litellm
from langchain_core.messages import convert_to_openai_messages
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from spec import MODEL, REQUEST, SYSTEM, look_up


def build(base_url: str, model: str) -> Any:
    tools = [convert_to_openai_tool(look_up)]

    def clerk(state: MessagesState) -> Any:
        asked = [{"role": "system", "content": SYSTEM}, *convert_to_openai_messages(state["messages"])]
        said = litellm.completion(MODEL, asked, tools=tools, api_base=base_url, api_key="scripted").choices[0].message
        return {"messages": [{"role": "assistant", "content": said.content or "", "tool_calls": said_calls(said)}]}

    graph = StateGraph(MessagesState)
    graph.add_node("clerk", clerk)
    graph.add_node("tools", ToolNode([look_up]))
    graph.add_edge(START, "clerk")
    graph.add_conditional_edges("clerk", tools_condition)
    graph.add_edge("tools", "clerk")
    return graph.compile()


def said_calls(said: Any) -> list[Any]:
    return [call.model_dump() for call in said.tool_calls or ()]


def run(graph: Any) -> str:
    return graph.invoke({"messages": [("user", REQUEST)]})["messages"][-1].content
