"""Content is off unless asked for, and redacted everywhere when it is on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from agents import Agent, Runner, function_tool

from ai_dev_squad_openai_agents import observe
from ai_dev_squad_testing import Captured, capture
from ai_dev_squad_testing.model_server import ModelServer, call, reply, tool_calls

Serve = Callable[..., ModelServer]
Model = Callable[..., Any]

SECRET = "sk-proj-" + "Ab3" * 16
WORD = "pineapple"


@pytest.fixture
def with_content() -> Iterator[Captured]:
    """Everything that is observed, contents included."""
    with capture(spans=True, capture_content=True) as everything:
        yield everything


def everything(captured: Captured) -> str:
    """All lines, and all attributes and events of all spans, as one text."""
    spans = [
        (span.name, dict(span.attributes or {}), [dict(event.attributes or {}) for event in span.events])
        for span in captured.spans
    ]
    return f"{captured.lines}{spans}{[span.status.description for span in captured.spans]}"


@function_tool
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: {WORD} {SECRET}"


async def run(server: ModelServer, openai_agents_model: Model, streamed: bool) -> None:
    """A run with a tool."""
    instructions = f"You are the clerk. {WORD} {SECRET}"
    clerk = observe(Agent(name="clerk", instructions=instructions, model=openai_agents_model(server), tools=[look_up]))
    if streamed:
        async for _ in Runner.run_streamed(clerk, f"{WORD} {SECRET}").stream_events():
            pass
    else:
        await Runner.run(clerk, f"{WORD} {SECRET}")


def script() -> list[Any]:
    """What the model says."""
    return [tool_calls(call("look_up", word=f"{WORD} {SECRET}")), reply(f"{WORD} {SECRET}")]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_no_content_by_default(
    captured: Captured, serve: Serve, openai_agents_model: Model, streamed: bool
) -> None:
    """Nothing that was said is in lines or spans."""
    await run(serve(*script()), openai_agents_model, streamed)

    assert WORD not in everything(captured)
    assert SECRET not in everything(captured)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_content_when_asked_for(
    with_content: Captured, serve: Serve, openai_agents_model: Model, streamed: bool
) -> None:
    """Messages, arguments and results, without secrets, in the conventions' shape."""
    await run(serve(*script()), openai_agents_model, streamed)

    assert SECRET not in everything(with_content)
    first, second = (json.loads(json.dumps(line.metadata)) for line in with_content.closing("chat"))
    said = f"{WORD} [redacted:openai-key]"
    text = {"type": "text", "content": said}
    assert [item["role"] for item in second["gen_ai.input.messages"]] == ["system", "user", "assistant", "tool"]
    assert first["gen_ai.input.messages"][1] == {"role": "user", "parts": [text]}
    (asked,) = first["gen_ai.output.messages"]
    assert (asked["role"], asked["finish_reason"], asked["parts"][0]["type"]) == (
        "assistant",
        "tool_calls",
        "tool_call",
    )
    assert second["gen_ai.output.messages"] == [{"role": "assistant", "parts": [text], "finish_reason": "stop"}]
    (tool,) = with_content.closing("execute_tool")
    assert (tool.metadata or {})["gen_ai.tool.call.arguments"] == {"word": said}
    assert (tool.metadata or {})["gen_ai.tool.call.result"] == f"{said}: {said}"
