"""Observed agents of real frameworks ask a dashboard through MCP why a run failed, and their own runs say that they did."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import mcp
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sample import fill, trace_id

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.mcp.catalogue import TOOLS
from ai_dev_squad_dashboard.security.tokens import new_token
from ai_dev_squad_dashboard.server import DashboardServer
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_testing import Captured, capture
from ai_dev_squad_testing.model_server import ModelRequest, ModelServer, call, reply, tool_calls

READ, READ_DIGEST = new_token("read")
QUESTION = "Why did the run that timed out fail?"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard that asks for a token, with a run in which ``pytest -q`` timed out."""
    settings = DashboardSettings(
        port=0, logs=(), db=tmp_path_factory.mktemp("dashboard") / "d.duckdb", read_tokens=(READ_DIGEST,)
    )
    store = open_memory_store()
    fill(store, time.time_ns() // 1000, runs=3, long_spans=0)
    app = create_app(settings, store=store, follow=False)
    server = DashboardServer(app, settings)
    server.start()
    yield f"http://127.0.0.1:{server.port}/mcp"
    server.stop()
    running(app).close()


def told(request: ModelRequest) -> dict[str, Any]:
    """What the last tool told the model."""
    text = request.tool_results[-1].text
    if '{"link"' not in text:  # AutoGen hands the protocol's list of contents on
        text = json.loads(text)[0]["text"]
    found: dict[str, Any] = json.JSONDecoder().raw_decode(text[text.index('{"link"') :])[0]["recorded"]
    return found


def offered(request: ModelRequest, tool: str) -> str:
    """What the agent calls a tool of ours."""
    return next(name for name in request.tools if name.endswith(tool))


def errors(request: ModelRequest) -> Any:
    """A model asks first which errors there are."""
    return tool_calls(call(offered(request, "find_errors"), range="30d"))


def run_of_error(request: ModelRequest) -> Any:
    """Then it looks into the newest run of the one that it was asked about."""
    group = next(each for each in told(request)["groups"] if each["error_type"] == "TimeoutExpired")
    return tool_calls(call(offered(request, "get_run"), trace_id=group["newest_runs"][0]["trace_id"]))


def answer(request: ModelRequest) -> Any:
    """And says what it read."""
    run = told(request)
    return reply(f"{run['run']['trace_id']}: {run['failures'][0]['error_message']}")


SCRIPT = [errors, run_of_error, answer]


ANSWER = f"{trace_id('failed')}: Command 'pytest -q' timed out after 30 seconds"


HEADERS = {"Authorization": f"Bearer {READ}"}


def tools_of(captured: Captured) -> list[str]:
    """How the calls of tools ended, in their order; CrewAI puts the server's name before a tool's."""
    lines = captured.closing("execute_tool")
    return [f"{next(tool for tool in TOOLS if str(line.name).endswith(tool))}: {line.status}" for line in lines]


async def ask_by_langgraph(server: ModelServer, url: str) -> str:
    if hasattr(mcp, "Client"):
        pytest.skip("LangChain's adapter needs mcp 1, and this environment has mcp 2")
    from langchain.agents import create_agent
    from langchain_mcp_adapters.client import MultiServerMCPClient
    from langchain_openai import ChatOpenAI

    from ai_dev_squad_langgraph import observe

    connection: Any = {"transport": "http", "url": url, "headers": HEADERS}
    tools = await MultiServerMCPClient({"squad": connection}).get_tools()
    async with httpx.AsyncClient() as client:
        given: Any = {"base_url": server.base_url, "api_key": "any", "http_async_client": client}
        model = ChatOpenAI(model="gpt-4o-mini", **given)
        agent: Any = observe(create_agent(model, tools, name="investigator"))
        state = await agent.ainvoke({"messages": [("user", QUESTION)]})
    return str(state["messages"][-1].content)


async def ask_by_autogen(server: ModelServer, url: str) -> str:
    pytest.importorskip("autogen_ext", reason="AutoGen does not promise Python 3.14")
    from autogen_agentchat.agents import AssistantAgent
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    if hasattr(mcp, "Client"):
        pytest.skip("AutoGen's extension needs mcp 1, and this environment has mcp 2")
    from autogen_ext.tools.mcp import StreamableHttpServerParams, mcp_server_tools

    from ai_dev_squad_autogen import observe

    tools = await mcp_server_tools(StreamableHttpServerParams(url=url, headers=HEADERS))
    model = OpenAIChatCompletionClient(model="gpt-4o-mini-2024-07-18", base_url=server.base_url, api_key="any")
    agent: Any = AssistantAgent("investigator", model, tools=list(tools), max_tool_iterations=5)
    result = await observe(agent).run(task=QUESTION)
    await model.close()
    return str(result.messages[-1].content)


def program_at(url: str) -> Path:
    """Where the program ``squad`` is, which answers over stdio: CrewAI names tools after the command, and cuts long names."""
    program = Path.cwd() / "squad"
    command = f"'{sys.executable}' -m ai_dev_squad_dashboard.cli mcp --url {url.removesuffix('/mcp')}"
    program.write_text(f"#!/bin/sh\nexec {command}\n", encoding="utf-8")
    program.chmod(0o755)
    return program.parent


async def ask_by_crewai(server: ModelServer, url: str) -> str:
    pytest.importorskip("crewai", reason="CrewAI needs mcp 1 and openai 2")
    config = pytest.importorskip("crewai.mcp.config")
    from crewai import LLM, Agent, Crew, Task

    from ai_dev_squad_crewai import observe

    model = LLM(model="gpt-4o-mini", base_url=server.base_url, api_key="any")
    # Its client for HTTP fails to leave our server, also unobserved (1.15.30, "Error during MCP client disconnect"): over stdio then.
    path = f"{program_at(url)}{os.pathsep}{os.environ['PATH']}"
    squad = config.MCPServerStdio(command="squad", env={**os.environ, "PATH": path, "AI_DEV_SQUAD_TOKEN": READ})
    agent = Agent(role="investigator", goal="to find out", backstory="", llm=model, mcps=[squad])
    task = Task(name="find out", description=QUESTION, expected_output="why", agent=agent)
    crew = observe(Crew(name="squad", agents=[agent], tasks=[task]))
    return str(await asyncio.to_thread(crew.kickoff))


async def ask_by_agent_framework(server: ModelServer, url: str) -> str:
    import agent_framework
    from agent_framework_openai import OpenAIChatCompletionClient
    from mcp.shared._httpx_utils import create_mcp_http_client

    needs_2 = "from mcp import Client" in Path(agent_framework.__file__).with_name("_mcp.py").read_text("utf-8")
    if needs_2 and not hasattr(mcp, "Client"):
        pytest.skip("this release of Agent Framework needs mcp 2, and something else in this environment mcp 1")

    from ai_dev_squad_agent_framework import observe

    model = OpenAIChatCompletionClient(model="gpt-4o-mini", base_url=server.base_url, api_key="any")
    async with create_mcp_http_client(headers=HEADERS) as client:
        given: Any = {"http_client": client}  # httpx's or, of mcp 2, httpx2's
        async with agent_framework.MCPStreamableHTTPTool(name="squad", url=url, **given) as squad:
            result = await observe(agent_framework.Agent(model, name="investigator", tools=[squad])).run(QUESTION)
    await model.client.close()
    return str(result.text)


async def ask_by_openai_agents(server: ModelServer, url: str) -> str:
    from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
    from agents.mcp import MCPServerStreamableHttp
    from openai import AsyncOpenAI

    from ai_dev_squad_openai_agents import observe

    set_tracing_disabled(True)
    reached: Any = {"url": url, "headers": HEADERS, "timeout": 60}
    async with (
        AsyncOpenAI(base_url=server.base_url, api_key="any") as client,
        MCPServerStreamableHttp(reached, client_session_timeout_seconds=60) as squad,
    ):
        model = OpenAIChatCompletionsModel("gpt-4o-mini", client)
        result = await Runner.run(observe(Agent(name="investigator", model=model, mcp_servers=[squad])), QUESTION)
    return str(result.final_output)


async def ask_by_pydantic_ai(server: ModelServer, url: str) -> str:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    pytest.importorskip("fastmcp", reason="it asks by pydantic-ai-slim[mcp], which is not installed")
    from pydantic_ai.mcp import MCPToolset

    from ai_dev_squad_pydantic_ai import observe

    model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=server.base_url, api_key="any"))
    result = await observe(Agent(model, name="investigator", toolsets=[MCPToolset(url, headers=HEADERS)])).run(QUESTION)
    return str(result.output)


ASKING = {
    "langgraph": ask_by_langgraph,
    "crewai": ask_by_crewai,
    "autogen": ask_by_autogen,
    "agent-framework": ask_by_agent_framework,
    "openai-agents": ask_by_openai_agents,
    "pydantic-ai": ask_by_pydantic_ai,
}


@pytest.mark.filterwarnings("ignore:Use `streamable_http_client` instead")  # AutoGen uses the SDK's older name
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # CrewAI uses what it deprecates
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # and closes no connection
@pytest.mark.parametrize("framework", ASKING)
def test_an_agent_of_each_framework_asks(
    url: str, framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The framework's own client of the protocol gives our tools to its agent; the calls are in its observed run, and so is the answer."""
    monkeypatch.setenv("CREWAI_TESTING", "true")
    monkeypatch.setenv("CREWAI_DISABLE_TELEMETRY", "true")  # read when it is imported
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    with ModelServer(SCRIPT) as server, capture() as captured:
        said = asyncio.run(ASKING[framework](server, url))

    assert said == ANSWER
    assert tools_of(captured) == ["find_errors: ok", "get_run: ok"]
    assert len({line.trace_id for line in captured.closing()}) == 1
    gc.collect()


def test_no_framework_is_left_out() -> None:
    """Each that has an adapter is among those that ask."""
    adapters = Path(__file__).parents[2] / "packages" / "adapters"
    assert sorted(ASKING) == sorted(path.parent.name for path in adapters.glob("*/pyproject.toml"))
