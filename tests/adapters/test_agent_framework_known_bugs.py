"""Defects that users have reported about observing Agent Framework, and that must not be ours.

Most of their tests stand where the behaviour is at home; this looks for one of each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import agent_framework
import pytest
from agent_framework import Agent, WorkflowBuilder, observability

from ai_dev_squad_agent_framework import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, reply, tokens, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]
REPORTED = """
agent-framework#1320, agent-framework#4062, agent-framework#2038, agent-framework#5511, agent-framework#6866,
agent-framework#8397, agent-framework#5089, agent-framework#5528, agent-framework#5577, agent-framework#3623,
agent-framework#5512, agent-framework#7797, agent-framework#2936, agent-framework#8559, agent-framework PR#5073,
agent-framework#6397, agent-framework#6934, langfuse#11181, dd-trace-py#13795
"""


@pytest.mark.parametrize("reference", [reference.strip() for reference in REPORTED.split(",")])
def test_every_reported_defect_has_a_test(reference: str, tests_naming: Callable[[str, str], list[str]]) -> None:
    """The docstring of some test of this adapter names the report."""
    assert tests_naming("agent_framework", reference) != []


async def test_it_needs_no_set_up(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the framework calls its own set-up (langfuse#11181), and with its instrumentation switched off."""
    monkeypatch.setattr(observability, "OBSERVABILITY_SETTINGS", _Off(observability.OBSERVABILITY_SETTINGS))
    server = serve(tool_calls(call("look_up", word="a"), usage=tokens(9, 1)), reply("hi", usage=tokens(10, 1)))

    def look_up(word: str) -> str:
        return word

    async for _ in observe(Agent(agent_framework_chat(server), name="clerk", tools=[look_up])).run("hi", stream=True):
        pass

    assert captured.tree().splitlines() == [
        *("invoke_agent clerk: ok", "  chat gpt-4o-mini: ok", "  execute_tool look_up: ok", "  chat gpt-4o-mini: ok")
    ]


class _Off:
    """The framework's settings with its instrumentation switched off."""

    ENABLED = False

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._settings, name)


async def test_workflows_need_no_middleware(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """agent-framework#2936 asks for middleware around workflows, to count tokens: one call observes one."""
    server = serve(reply("hi", usage=tokens(10, 1)))
    clerk = Agent(agent_framework_chat(server), name="clerk")

    await observe(WorkflowBuilder(name="squad", start_executor=clerk).build()).run("go")

    (chat,) = captured.closing("chat")
    (run,) = captured.closing("invoke_workflow")
    assert (chat.trace_id, run.name) == (run.trace_id, "squad")


MCP_2_NEEDED = "from mcp import Client" in Path(agent_framework.__file__).with_name("_mcp.py").read_text("utf-8")
MCP_SERVER = """
try:
    from mcp.server.mcpserver import MCPServer
except ImportError:
    from mcp.server.fastmcp import FastMCP as MCPServer

server = MCPServer("words")


@server.tool()
def look_up(word: str) -> str:
    return word.upper()


server.run()
"""


async def test_tools_of_an_mcp_server(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, tmp_path: Path
) -> None:
    """agent-framework#3623 and agent-framework#5512 lose the parent of what an MCP tool does: here it is its agent."""
    mcp = pytest.importorskip("mcp")
    if MCP_2_NEEDED and not hasattr(mcp, "Client"):
        pytest.skip("this release of Agent Framework needs mcp 2, and something else in this environment mcp 1")
    from agent_framework import MCPStdioTool

    script = tmp_path / "words.py"
    script.write_text(MCP_SERVER, encoding="utf-8")
    server = serve(tool_calls(call("look_up", word="fig"), usage=tokens(10, 1)), reply("FIG", usage=tokens(20, 2)))
    async with MCPStdioTool(name="words", command=sys.executable, args=[str(script)]) as words:
        await observe(Agent(agent_framework_chat(server), name="clerk", tools=[words])).run("fig?")

    assert captured.tree().splitlines() == [
        *("invoke_agent clerk: ok", "  chat gpt-4o-mini: ok", "  execute_tool look_up: ok", "  chat gpt-4o-mini: ok")
    ]
