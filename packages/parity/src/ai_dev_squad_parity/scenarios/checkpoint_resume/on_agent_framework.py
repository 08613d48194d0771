"""A workflow with checkpoints in files, which asks whether to go on between two agents."""

from typing import Any

from agent_framework import (
    Agent,
    AgentExecutorRequest,
    AgentExecutorResponse,
    Executor,
    FileCheckpointStorage,
    Message,
    WorkflowBuilder,
    WorkflowContext,
    handler,
    response_handler,
)
from agent_framework_openai import OpenAIChatCompletionClient
from spec import CODER, PLANNER, REQUEST, kept


class Gate(Executor):
    @handler
    async def stop(self, planned: AgentExecutorResponse, context: WorkflowContext) -> None:
        await context.request_info(request_data=planned.agent_response.text, response_type=str)

    @response_handler
    async def go_on(self, plan: str, answer: str, context: WorkflowContext[AgentExecutorRequest]) -> None:
        await context.send_message(AgentExecutorRequest([Message("user", [plan])]))


def storage() -> FileCheckpointStorage:
    return FileCheckpointStorage(kept("checkpoints"))


def build(base_url: str, model: str) -> Any:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    planner, coder = Agent(client, PLANNER, name="planner"), Agent(client, CODER, name="coder")
    gate = Gate(id="gate")
    builder = WorkflowBuilder(name="squad", start_executor=planner, checkpoint_storage=storage())
    return builder.add_edge(planner, gate).add_edge(gate, coder).build()


async def run(workflow: Any) -> str:
    return (await workflow.run(REQUEST)).get_request_info_events()[0].data


async def resume(workflow: Any) -> str:
    latest = await storage().get_latest(workflow_name="squad")
    answers = dict.fromkeys(latest.pending_request_info_events, "go on")
    result = await workflow.run(checkpoint_id=latest.checkpoint_id, responses=answers)
    return result.get_outputs()[-1].text
