"""Two agents, the first of which may hand over to the second."""

from typing import Any

from agent_framework import Agent
from agent_framework_openai import OpenAIChatCompletionClient
from agent_framework_orchestrations import HandoffBuilder
from spec import BILLING, REQUEST, TRIAGE


def answered(conversation: Any) -> bool:
    return conversation[-1].author_name == "billing"


def build(base_url: str, model: str) -> Any:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)

    def agent(name: str, system: str) -> Agent:
        return Agent(client, system, name=name, require_per_service_call_history_persistence=True)

    triage, billing = agent("triage", TRIAGE), agent("billing", BILLING)
    builder = HandoffBuilder(participants=[triage, billing], termination_condition=answered)
    return builder.with_start_agent(triage).add_handoff(triage, [billing]).build()


async def run(workflow: Any) -> str:
    return str(next(output.text for output in reversed((await workflow.run(REQUEST)).get_outputs()) if output.text))
