"""Agents in four threads, with one tool for all of them, in one trace."""

import asyncio
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, trace
from openai import AsyncOpenAI
from spec import SYSTEM, WORDS, look_up


def build(base_url: str, model: str) -> list[Agent]:
    tool = function_tool(look_up)

    def clerk() -> Agent:
        chat = OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=base_url))
        return Agent(name="clerk", instructions=SYSTEM, model=chat, tools=[tool])

    return [clerk() for _ in WORDS]


async def run(clerks: Any) -> str:
    def ask(clerk: Any, word: str) -> str:
        return asyncio.run(Runner.run(clerk, f"What is a {word}?")).final_output

    with trace("desk"):
        asked = zip(clerks, WORDS, strict=True)
        return ", ".join(await asyncio.gather(*(asyncio.to_thread(ask, clerk, word) for clerk, word in asked)))
