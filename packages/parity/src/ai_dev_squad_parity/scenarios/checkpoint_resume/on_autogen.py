"""A team whose state is kept in a file."""

import json
from pathlib import Path
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import CODER, PLANNER, REQUEST, kept


def build(base_url: str, model: str) -> RoundRobinGroupChat:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    planner = AssistantAgent("planner", client, system_message=PLANNER)
    coder = AssistantAgent("coder", client, system_message=CODER)
    return RoundRobinGroupChat([planner, coder], max_turns=1)


async def run(team: Any) -> str:
    result = await team.run(task=REQUEST)
    Path(kept("team.json")).write_text(json.dumps(await team.save_state()))
    return result.messages[-1].content


async def resume(team: Any) -> str:
    await team.load_state(json.loads(Path(kept("team.json")).read_text()))
    result = await team.run()
    return result.messages[-1].content
