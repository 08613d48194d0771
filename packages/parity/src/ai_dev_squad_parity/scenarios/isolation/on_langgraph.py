"""One agent, eight conversations at the same time."""

import asyncio
from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from spec import PEOPLE, SYSTEM

from ai_dev_squad import session


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    return create_agent(llm, system_prompt=SYSTEM, name="assistant")


async def run(agent: Any) -> str:
    async def ask(person: str) -> str:
        with session(person):
            result = await agent.ainvoke({"messages": [("user", f"I am {person}. What is the capital of France?")]})
        return result["messages"][-1].content

    return " ".join(await asyncio.gather(*map(ask, PEOPLE)))
