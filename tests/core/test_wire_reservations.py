"""What is set aside for a call that no framework announced: by all that its request gives the model to read and to say."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.costs.budgets import BudgetExceeded
from ai_dev_squad.running import running
from ai_dev_squad_testing import capture
from ai_dev_squad_testing.model_server import ModelServer, reply

LONG = "word " * 20_000
PICTURE = "iVBORw0KGgo" * 50_000
USER = [{"role": "user", "content": "q"}]
CLAUDE = {"model": "claude-sonnet-4-5", "max_tokens": 10}
GPT = {"model": "gpt-4o", "max_tokens": 10}


def set_aside(path: str, body: dict[str, Any]) -> float:
    """US dollars that would be reserved, as the refusal of a call tells that finds next to nothing left."""
    with capture(), running(operations.AGENT, "agent", framework="test"):
        tracker = ai_dev_squad.get_cost_tracker()
        tracker.declare_gateway("127.0.0.1")
        tracker.budget_manager.set_budget("all", 1e-9, "total", [], on_exceed="stop")
        with pytest.raises(BudgetExceeded) as refusal:
            httpx.post(f"http://127.0.0.1:9{path}", json=body)  # where nobody listens: nothing is sent
    assert refusal.value.estimate_usd is not None
    return refusal.value.estimate_usd


@pytest.mark.parametrize(
    "path, body, tokens_usd",
    [
        ("/v1/chat/completions", GPT | {"messages": [{"role": "system", "content": LONG}, *USER]}, 2.5e-6),
        ("/v1/responses", {"model": "gpt-4o", "max_output_tokens": 10, "instructions": LONG, "input": "q"}, 2.5e-6),
        ("/v1/messages", CLAUDE | {"system": LONG, "messages": USER}, 3e-6),
        ("/v1/messages", CLAUDE | {"system": [{"type": "text", "text": LONG}], "messages": USER}, 3e-6),
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            {
                "systemInstruction": {"parts": [{"text": LONG}]},
                "contents": [{"role": "user", "parts": [{"text": "q"}]}],
                "generationConfig": {"maxOutputTokens": 10},
            },
            0.3e-6,
        ),
        (
            "/model/amazon.nova-pro-v1:0/converse",
            {
                "system": [{"text": LONG}],
                "messages": [{"role": "user", "content": [{"text": "q"}]}],
                "inferenceConfig": {"maxTokens": 10},
            },
            0.8e-6,
        ),
        (
            "/model/amazon.nova-pro-v1:0/converse",
            {
                "toolConfig": {
                    "tools": [{"toolSpec": {"name": "f", "description": LONG, "inputSchema": {"json": {}}}}]
                },
                "messages": [{"role": "user", "content": [{"text": "q"}]}],
                "inferenceConfig": {"maxTokens": 10},
            },
            0.8e-6,
        ),
        ("/v1/embeddings", {"model": "text-embedding-3-large", "input": [[17] * 8_000, [4] * 12_000]}, 0.13e-6),
        ("/v1/embeddings", {"model": "text-embedding-3-large", "input": [17] * 20_000}, 0.13e-6),
    ],
    ids=[
        "chat",
        "responses",
        "messages",
        "blocks",
        "gemini",
        "converse",
        "tools of converse",
        "batch of numbers",
        "numbers",
    ],
)
def test_all_that_the_model_reads_is_in_the_estimate(path: str, body: dict[str, Any], tokens_usd: float) -> None:
    """Some 20,000 tokens, wherever in a request they stand: instructions beside the messages, tools, tokens by number."""
    assert set_aside(path, body) == pytest.approx(20_000 * tokens_usd, rel=0.02)


@pytest.mark.parametrize(
    "path, body, tokens_usd",
    [
        (
            "/v1/responses",
            {
                "model": "gpt-4o",
                "max_output_tokens": 10,
                "input": [
                    {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
                    {
                        "type": "function_call_output",
                        "call_id": "c",
                        "output": [{"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"}],
                    },
                ],
            },
            2.5e-6,
        ),
        (
            "/v1/messages",
            CLAUDE
            | {
                "messages": [
                    *USER,
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]},
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "tool_use_id": "t",
                                "content": [
                                    {
                                        "type": "image",
                                        "source": {"type": "base64", "media_type": "image/png", "data": PICTURE},
                                    }
                                ],
                            }
                        ],
                    },
                ]
            },
            3e-6,
        ),
        (
            "/v1/messages",
            CLAUDE
            | {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "document",
                                "source": {"type": "base64", "media_type": "application/pdf", "data": PICTURE},
                            }
                        ],
                    }
                ]
            },
            3e-6,
        ),
    ],
    ids=["result of a tool, responses", "result of a tool, messages", "document"],
)
def test_a_picture_is_no_text_wherever_it_stands(path: str, body: dict[str, Any], tokens_usd: float) -> None:
    """Base64 in a tool's result is counted as the picture that it is (hermes-agent#108320, gemini-cli#17923)."""
    assert 765 * tokens_usd < set_aside(path, body) < 900 * tokens_usd


def test_each_choice_may_be_as_long_as_the_limit() -> None:
    """Ten answers of a thousand tokens are ten thousand."""
    asked = {"model": "gpt-4o", "max_tokens": 1_000, "messages": USER}
    one = set_aside("/v1/chat/completions", asked)
    assert set_aside("/v1/chat/completions", asked | {"n": 10}) == pytest.approx(one + 9_000 * 10e-6)


def test_each_text_of_a_list_is_gone_on_with() -> None:
    """OpenAI's completions take several prompts at once; one that is told by the numbers of its tokens is one."""
    asked = {"model": "gpt-3.5-turbo-instruct", "max_tokens": 1_000}
    one = set_aside("/v1/completions", asked | {"prompt": "q"})
    assert set_aside("/v1/completions", asked | {"prompt": ["q"] * 10}) == pytest.approx(one * 10, rel=0.01)
    assert set_aside("/v1/completions", asked | {"prompt": [17] * 10}) == pytest.approx(one, rel=0.01)


def test_prompts_that_differ_in_their_instructions_are_not_the_same() -> None:
    """What stands beside the messages is part of the prompt, and the same prompt as with a provider that puts it first."""
    hashes: list[str | None] = []
    with (
        ModelServer([reply("a", times=None)]) as server,
        capture(),
        running(operations.AGENT, "agent", framework="test"),
    ):
        for system in ("Be brief.", "Be long.", "Be brief."):
            httpx.post(f"{server.url}/v1/messages", json=CLAUDE | {"system": system, "messages": USER})
        first = [{"role": "system", "content": "Be brief."}, *USER]
        httpx.post(f"{server.url}/v1/chat/completions", json=GPT | {"messages": first})
        hashes = [entry.prompt_hash for entry in ai_dev_squad.get_cost_tracker().entries]
    brief, long, again, chat = hashes
    assert brief == again == chat != long
