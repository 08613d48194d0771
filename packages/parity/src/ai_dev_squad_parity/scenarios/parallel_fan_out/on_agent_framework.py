"""A workflow whose branches run at the same time."""

from typing import Any

from agent_framework import (
    Agent,
    AgentExecutorRequest,
    AgentExecutorResponse,
    Message,
    WorkflowBuilder,
    WorkflowContext,
    executor,
)
from agent_framework_openai import OpenAIChatCompletionClient
from spec import EXPERTS, REQUEST, system


@executor(id="ask_all")
async def ask_all(question: str, context: WorkflowContext[str]) -> None:
    await context.send_message(question)


@executor(id="collect")
async def collect(said: list[AgentExecutorResponse], context: WorkflowContext[AgentExecutorRequest]) -> None:
    texts = "\n".join(one.agent_response.text for one in said)
    await context.send_message(AgentExecutorRequest([Message("user", [texts])]))


def build(base_url: str, model: str) -> Any:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    experts = [Agent(client, system(name), name=name) for name in EXPERTS]
    editor = Agent(client, system("editor"), name="editor")
    builder = WorkflowBuilder(start_executor=ask_all).add_fan_out_edges(ask_all, experts)
    return builder.add_fan_in_edges(experts, collect).add_edge(collect, editor).build()


async def run(workflow: Any) -> str:
    return (await workflow.run(REQUEST)).get_outputs()[-1].text
