"""An assistant agent beside a handler of the program on AutoGen's event log."""

import logging
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_core import EVENT_LOGGER_NAME
from autogen_core.logging import LLMCallEvent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM


class Progress(logging.Handler):
    calls = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.calls += isinstance(record.msg, LLMCallEvent)


def build(base_url: str, model: str) -> AssistantAgent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return AssistantAgent("assistant", client, system_message=SYSTEM)


async def run(agent: Any) -> str:
    progress, log = Progress(), logging.getLogger(EVENT_LOGGER_NAME)
    log.setLevel(logging.INFO)
    log.addHandler(progress)
    result = await agent.run(task=REQUEST)
    log.removeHandler(progress)
    return f"{result.messages[-1].content} (heard of {progress.calls} call)"
