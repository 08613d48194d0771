"""An agent that hands over by a function that makes its output."""

from typing import Any

from pydantic_ai import Agent, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from spec import BILLING, REQUEST, TRIAGE


def build(base_url: str, model: str) -> Agent:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    billing = Agent(llm, name="billing", instructions=BILLING)

    async def transfer_to_billing() -> str:
        """Hand over to billing."""
        return (await billing.run(REQUEST)).output

    hand_over = ToolOutput(transfer_to_billing, name="transfer_to_billing")
    return Agent(llm, name="triage", instructions=TRIAGE, output_type=[hand_over, str])


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).output
