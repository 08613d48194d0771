"""An agent whose tool needs approval, and that goes on with it in a second run of the same conversation."""

from typing import Any

from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from spec import PUBLISHER, REQUEST, WRITER


def build(base_url: str, model: str) -> Agent:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    writer = Agent(llm, name="writer", output_type=[str, DeferredToolRequests])

    @writer.tool_plain(requires_approval=True)
    def transfer_to_user() -> str:
        """Ask the user."""
        return "yes"

    return writer


async def run(agent: Any) -> str:
    asked = await agent.run(REQUEST, instructions=WRITER)
    approved = DeferredToolResults(approvals={call.tool_call_id: True for call in asked.output.approvals})
    result = await agent.run(
        message_history=asked.all_messages(), deferred_tool_results=approved, instructions=PUBLISHER
    )
    return result.output
