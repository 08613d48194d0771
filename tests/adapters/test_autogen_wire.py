"""Model calls of which AutoGen tells nothing, or not all: counted, priced and refused on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import AzureOpenAIChatCompletionClient
from pydantic import BaseModel

from ai_dev_squad import BudgetExceeded, get_cost_tracker
from ai_dev_squad_autogen import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, reply, tokens

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]


class Answer(BaseModel):
    """What an agent is to answer with."""

    text: str


async def test_an_answer_that_is_cut_short_is_billed(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A structured answer that ``max_tokens`` cuts raises in the client, and costs what its error says
    (openai-python#1701); of calls for $0.02274 each a budget of $0.05 lets two pass.
    """
    cut = reply('{"text": "and so on', finish_reason="length", usage=tokens(5_000, 1_024), times=None)
    server = serve(cut)
    get_cost_tracker().budget_manager.set_budget("daily", limit_usd=0.05, period="daily", on_exceed="stop")
    ann = observe(
        AssistantAgent(
            "ann",
            autogen_chat(server, model="gpt-4o-2024-08-06", max_tokens=1_024),
            output_content_type=Answer,
        )
    )

    for _ in range(2):
        with pytest.raises(openai.LengthFinishReasonError):
            await ann.run(task="q")
    with pytest.raises(BudgetExceeded):
        await ann.run(task="q")

    server.settle()
    billed = [
        (line.usage.input_tokens, line.usage.output_tokens, line.usage.source, line.cost and line.cost.usd)
        for line in captured.closing("chat")[:2]
        if line.usage
    ]
    assert billed == [(5_000, 1_024, "provider", 0.02274)] * 2
    assert server.truth.totals.calls == 2


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("deployment", ["gpt-4", "prod-chat"])
async def test_an_azure_deployment_costs_what_the_model_behind_it_costs(
    captured: Captured, serve: Serve, deployment: str, streamed: bool
) -> None:
    """A deployment is called as its owner likes, after another model too: the model that answered has the price
    (langfuse#1160).
    """
    server = serve(reply("fine", model="gpt-4o-2024-08-06", usage=tokens(1_000, 100)))
    client = AzureOpenAIChatCompletionClient(
        model="gpt-4o",
        azure_deployment=deployment,
        azure_endpoint=server.url,
        api_version="2024-10-21",
        api_key="sk-test",
    )
    ann = observe(AssistantAgent("ann", client, model_client_stream=streamed))

    async for _ in ann.run_stream(task="q"):
        pass

    await client.close()
    server.settle()
    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert line.cost is not None
    counted = (line.usage.input_tokens, line.usage.output_tokens, line.usage.source, line.cost.usd, line.cost.price)
    assert counted == (1_000, 100, "provider", 0.0035, "openai/gpt-4o")
    said = line.metadata or {}
    assert said["gen_ai.provider.name"] == "azure.ai.openai"
