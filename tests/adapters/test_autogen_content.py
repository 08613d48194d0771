"""Content is off unless asked for, and redacted everywhere when it is on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent
from autogen_agentchat.conditions import FunctionalTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.memory import ListMemory, MemoryContent, MemoryMimeType
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.models.replay import ReplayChatCompletionClient

from ai_dev_squad_autogen import observe
from ai_dev_squad_testing import Captured, capture
from ai_dev_squad_testing.model_server import ModelServer, call, reply, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]

SECRET = "sk-proj-" + "Ab3" * 16
WORD = "pineapple"

pytestmark = pytest.mark.filterwarnings(
    "ignore:Using LocalCommandLineCodeExecutor",
    "ignore:Using the current directory as work_dir",
    "ignore:No approval function set",
)


@pytest.fixture
def with_content() -> Iterator[Captured]:
    """Everything that is observed, contents included."""
    with capture(spans=True, capture_content=True) as everything:
        yield everything


def everything(captured: Captured) -> str:
    """All lines, and all attributes and events of all spans, as one text."""
    spans = [
        (span.name, dict(span.attributes), [dict(event.attributes) for event in span.events]) for span in captured.spans
    ]
    return f"{captured.lines}{spans}{[span.status.description for span in captured.spans]}"


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: {WORD} {SECRET}"


def broken(word: str) -> str:
    """Fails."""
    raise ValueError(f"{WORD} {SECRET}")


async def a_run_with_everything(server: ModelServer, client: Any, tmp_path: Path) -> None:
    """Secrets in the task, the system message, tools, memory, code and answers."""
    memory = ListMemory("facts", [MemoryContent(content=f"{WORD} {SECRET}", mime_type=MemoryMimeType.TEXT)])
    ann = AssistantAgent(
        "ann", client, system_message=f"{WORD} {SECRET}", tools=[look_up, broken], memory=[memory],
        reflect_on_tool_use=True,
    )  # fmt: skip
    executor = LocalCommandLineCodeExecutor(work_dir=tmp_path)
    coder = CodeExecutorAgent("coder", executor)
    stop = FunctionalTermination(lambda messages: False)
    team = observe(RoundRobinGroupChat([ann, coder], max_turns=2, termination_condition=stop))
    await team.run(task=f"{WORD} {SECRET}")


def script() -> list[Any]:
    """The model's lines: tool calls, an unknown tool, and code."""
    return [
        tool_calls(
            call("look_up", word=f"{WORD} {SECRET}"), call("broken", word="x"), call("unknown", word=f"{WORD} {SECRET}")
        ),
        reply(f"```sh\necho {WORD} {SECRET}\nexit 1\n```"),
    ]


async def test_no_content_by_default(captured: Captured, serve: Serve, autogen_chat: Chat, tmp_path: Path) -> None:
    """Nothing that people or models said is in the journal or in spans; error messages are, redacted."""
    server = serve(*script())

    await a_run_with_everything(server, autogen_chat(server), tmp_path)

    assert len(captured.closing()) == 11 - 1
    assert SECRET not in everything(captured)
    for line in captured.lines:
        line.error = None  # an exception's own message is no content
    assert WORD not in str(captured.lines)


async def test_content_is_redacted(with_content: Captured, serve: Serve, autogen_chat: Chat, tmp_path: Path) -> None:
    """Asked for, content is there, in the conventions' shape, and every secret in it is gone."""
    server = serve(*script())

    await a_run_with_everything(server, autogen_chat(server), tmp_path)

    assert SECRET not in everything(with_content)
    first, second = with_content.closing("chat")
    assert first.metadata is not None
    said = first.metadata["gen_ai.input.messages"]
    assert [message["role"] for message in said] == ["system", "user", "system"]
    assert all(WORD in message["parts"][0]["content"] for message in said)
    asked = first.metadata["gen_ai.output.messages"][0]
    assert [part["name"] for part in asked["parts"]] == ["look_up", "broken", "unknown"]
    assert asked["finish_reason"] == "tool_calls"
    assert second.metadata is not None
    told = second.metadata["gen_ai.input.messages"][-1]
    assert [part["type"] for part in told["parts"]] == ["tool_call_response"] * 3
    tools = {line.name: line for line in with_content.closing("execute_tool")}
    assert WORD in str((tools["look_up"].metadata or {})["gen_ai.tool.call.arguments"])
    assert WORD in str((tools["look_up"].metadata or {})["gen_ai.tool.call.result"])
    assert WORD in str((tools["execute_code"].metadata or {})["gen_ai.tool.call.result"])
    (memory,) = with_content.closing("retrieval")
    assert WORD in str((memory.metadata or {})["gen_ai.retrieval.documents"])
    (run,) = with_content.closing("invoke_workflow")
    assert (run.metadata or {})["autogen.stop.reason"] == "Maximum number of turns 2 reached."
    json.dumps([line.metadata for line in with_content.lines])  # plain values throughout


async def test_images_are_named_not_kept(with_content: Captured) -> None:
    """Of an image only that it is one is kept."""
    from autogen_agentchat.messages import MultiModalMessage
    from autogen_core import Image
    from PIL import Image as Pillow

    info: Any = {"family": "unknown", "function_calling": False, "vision": True, "json_output": False}
    client = ReplayChatCompletionClient(["x"], model_info={**info, "structured_output": False})
    message = MultiModalMessage(content=["see", Image(Pillow.new("RGB", (1, 1)))], source="user")

    await observe(AssistantAgent("ann", client)).run(task=message)

    (line,) = with_content.closing("chat")
    assert (line.metadata or {})["gen_ai.input.messages"][-1]["parts"] == [
        {"type": "text", "content": "see"},
        {"type": "image"},
    ]
