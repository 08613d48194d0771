"""A workflow that asks a person between two agents, and goes on with the answer."""

from typing import Any

from agent_framework import (
    Agent,
    AgentExecutorRequest,
    AgentExecutorResponse,
    Executor,
    Message,
    WorkflowBuilder,
    WorkflowContext,
    handler,
    response_handler,
)
from agent_framework_openai import OpenAIChatCompletionClient
from spec import PUBLISHER, REQUEST, WRITER


class Approval(Executor):
    @handler
    async def ask(self, written: AgentExecutorResponse, context: WorkflowContext) -> None:
        await context.request_info(request_data=written.agent_response.text, response_type=str)

    @response_handler
    async def told(self, text: str, answer: str, context: WorkflowContext[AgentExecutorRequest]) -> None:
        if answer == "yes":
            await context.send_message(AgentExecutorRequest([Message("user", [text])]))


def build(base_url: str, model: str) -> Any:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    writer, publisher = Agent(client, WRITER, name="writer"), Agent(client, PUBLISHER, name="publisher")
    approval = Approval(id="approval")
    return WorkflowBuilder(start_executor=writer).add_edge(writer, approval).add_edge(approval, publisher).build()


async def run(workflow: Any) -> str:
    (asked,) = (await workflow.run(REQUEST)).get_request_info_events()
    return (await workflow.run(responses={asked.request_id: "yes"})).get_outputs()[-1].text
