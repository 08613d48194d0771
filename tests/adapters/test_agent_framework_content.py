"""What was asked and answered is kept only when the user asked for it, in the conventions' shape, and never with secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from agent_framework import Agent

from ai_dev_squad_agent_framework import observe
from ai_dev_squad_testing import capture
from ai_dev_squad_testing.model_server import ModelServer, call, reply, tokens, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]
SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"


@pytest.mark.parametrize("stream", [False, True])
async def test_content(serve: Serve, agent_framework_chat: Chat, stream: bool) -> None:
    """Messages in and out, arguments and results: the same from a stream."""
    server = serve(
        tool_calls(call("look_up", word="fig"), usage=tokens(10, 1)),
        reply("one two", usage=tokens(20, 2), chunk_size=3),
    )

    def look_up(word: str) -> str:
        return f"{word} {SECRET}"

    with capture(capture_content=True) as captured:
        clerk = observe(Agent(agent_framework_chat(server), "You help.", name="clerk", tools=[look_up]))
        if stream:
            async for _ in clerk.run("fig?", stream=True):
                pass
        else:
            await clerk.run("fig?")

    asked, answered = captured.closing("chat")
    (tool,) = captured.closing("execute_tool")
    first, second, used = asked.metadata or {}, answered.metadata or {}, tool.metadata or {}
    assert first["gen_ai.input.messages"] == [
        {"role": "system", "parts": [{"type": "text", "content": "You help."}]},
        {"role": "user", "parts": [{"type": "text", "content": "fig?"}]},
    ]
    (said,) = first["gen_ai.output.messages"]
    (part,) = said["parts"]
    assert (said["finish_reason"], part["name"], part["arguments"]) == ("tool_calls", "look_up", '{"word":"fig"}')
    assert (used["gen_ai.tool.call.arguments"], SECRET in str(used)) == ({"word": "fig"}, False)
    assert used["gen_ai.tool.call.result"].startswith("fig ")
    assert [message["role"] for message in second["gen_ai.input.messages"]] == ["system", "user", "assistant", "tool"]
    assert second["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "one two"}], "finish_reason": "stop"}
    ]
    assert SECRET not in str(captured.lines)


async def test_nothing_is_kept_unasked(serve: Serve, agent_framework_chat: Chat) -> None:
    """Neither question nor answer stands in any line."""
    with capture() as captured:
        clerk = observe(Agent(agent_framework_chat(serve(reply("the answer"))), "You help.", name="clerk"))
        await clerk.run("the question")

    written = str(captured.lines)
    assert [text for text in ("the answer", "the question", "You help") if text in written] == []
