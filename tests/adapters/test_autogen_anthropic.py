"""Anthropic's own words, through AutoGen's client for them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent

from ai_dev_squad_autogen import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, reply, tokens

pytestmark = [
    pytest.mark.skipif(find_spec("anthropic") is None, reason="Anthropic's client is not installed here"),
    pytest.mark.once,  # what AutoGen asks and hears is the same on every Python
]

Serve = Callable[..., ModelServer]

MODEL = "claude-sonnet-4-5-20250929"
ABILITIES = {
    "vision": False,
    "function_calling": True,
    "json_output": False,
    "structured_output": False,
    "family": "claude-4-sonnet",
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_cached_tokens(captured: Captured, serve: Serve, streamed: bool) -> None:
    """Input that was read from the cache or written to it is part of the input, at its own price; model and id are the
    answer's (any-llm#622).
    """
    from autogen_ext.models.anthropic import AnthropicChatCompletionClient

    server = serve(reply("fine", usage=tokens(9_512, 40, cached=9_000, cache_write=500)))
    client = AnthropicChatCompletionClient(model=MODEL, base_url=server.url, api_key="sk-test", model_info=ABILITIES)  # type: ignore[typeddict-item]
    ann = observe(AssistantAgent("ann", client, model_client_stream=streamed))

    await (_through(ann.run_stream(task="q")) if streamed else ann.run(task="q"))

    await client.close()
    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert line.cost is not None
    counted = (
        line.usage.input_tokens,
        line.usage.output_tokens,
        line.usage.cache_read_input_tokens,
        line.usage.cache_write_input_tokens,
        line.usage.source,
    )
    assert counted == (9_512, 40, 9_000, 500, "provider")
    # 3 USD per million input tokens, 0.30 read, 3.75 written, 15 output.
    assert line.cost.usd == pytest.approx(0.005211)
    said = line.metadata or {}
    assert (said["gen_ai.response.model"], said["gen_ai.response.id"]) == (MODEL, "msg_00000000")


async def _through(stream: Any) -> None:
    async for _ in stream:
        pass
