"""An agent whose tokens are read as they come."""

from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    return create_agent(llm, system_prompt=SYSTEM, name="assistant")


def run(agent: Any) -> str:
    pieces = agent.stream({"messages": [("user", REQUEST)]}, stream_mode="messages")
    return "".join(message.content for message, _ in pieces)
