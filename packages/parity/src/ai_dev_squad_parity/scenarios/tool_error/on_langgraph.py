"""An agent that tells its model what went wrong in a tool."""

from collections.abc import Callable
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import wrap_tool_call
from langchain_core.messages import ToolMessage
from langchain_openai import ChatOpenAI
from spec import REQUEST, SYSTEM, look_up


@wrap_tool_call
def tell_the_model(request: Any, handler: Callable[[Any], Any]) -> Any:
    try:
        return handler(request)
    except LookupError as error:
        return ToolMessage(f"error: {error}", tool_call_id=request.tool_call["id"], status="error")


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    return create_agent(llm, [look_up], system_prompt=SYSTEM, middleware=[tell_the_model], name="clerk")


def run(agent: Any) -> str:
    result = agent.invoke({"messages": [("user", REQUEST)]})
    return result["messages"][-1].content
