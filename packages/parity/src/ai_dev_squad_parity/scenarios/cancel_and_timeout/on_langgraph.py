"""An agent that is given five seconds."""

import asyncio
from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from spec import PATIENCE_S, REQUEST, SYSTEM


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    return create_agent(llm, system_prompt=SYSTEM, name="assistant")


async def run(agent: Any) -> str:
    asking = agent.ainvoke({"messages": [("user", REQUEST)]})
    result = await asyncio.wait_for(asking, PATIENCE_S)
    return result["messages"][-1].content
