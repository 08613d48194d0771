"""Runs at the same time, in one trace."""

import asyncio
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, trace
from openai import AsyncOpenAI
from spec import EXPERTS, REQUEST, system


def build(base_url: str, model: str) -> dict[str, Agent]:
    chat = OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=base_url))
    return {name: Agent(name=name, instructions=system(name), model=chat) for name in (*EXPERTS, "editor")}


async def run(squad: Any) -> str:
    with trace("fan-out"):
        said = await asyncio.gather(*(Runner.run(squad[name], REQUEST) for name in EXPERTS))
        result = await Runner.run(squad["editor"], "\n".join(found.final_output for found in said))
    return result.final_output
