"""Observed agents of real frameworks ask a dashboard through MCP why a run failed, and their own runs say that they did."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sample import fill, trace_id

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.security.tokens import new_token
from ai_dev_squad_dashboard.server import DashboardServer
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_testing import capture
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


def test_an_agent_of_langgraph_asks(url: str) -> None:
    """LangChain's own adapter gives the tools to a LangGraph agent; the calls are in its observed run, below its agent."""
    from langchain.agents import create_agent
    from langchain_mcp_adapters.client import MultiServerMCPClient
    from langchain_openai import ChatOpenAI

    from ai_dev_squad_langgraph import observe

    async def ask(server: ModelServer) -> str:
        connection: Any = {"transport": "http", "url": url, "headers": {"Authorization": f"Bearer {READ}"}}
        tools = await MultiServerMCPClient({"squad": connection}).get_tools()
        async with httpx.AsyncClient() as client:
            given: Any = {"base_url": server.base_url, "api_key": "any", "http_async_client": client}
            model = ChatOpenAI(model="gpt-4o-mini", **given)
            agent: Any = observe(create_agent(model, tools, name="investigator"))
            state = await agent.ainvoke({"messages": [("user", QUESTION)]})
        return str(state["messages"][-1].content)

    with ModelServer(SCRIPT) as server, capture() as captured:
        said = asyncio.run(ask(server))

    assert said == ANSWER
    tools = [line for line in captured.tree().splitlines() if "execute_tool" in line]
    assert [line.strip() for line in tools] == ["execute_tool find_errors: ok", "execute_tool get_run: ok"]


@pytest.mark.filterwarnings("ignore:Use `streamable_http_client` instead")  # AutoGen uses the SDK's older name
def test_an_agent_of_autogen_asks(url: str) -> None:
    """AutoGen's own extension gives the tools to an agent; the calls are in its observed run."""
    pytest.importorskip("autogen_ext", reason="AutoGen does not promise Python 3.14")
    from autogen_agentchat.agents import AssistantAgent
    from autogen_ext.models.openai import OpenAIChatCompletionClient
    from autogen_ext.tools.mcp import StreamableHttpServerParams, mcp_server_tools

    from ai_dev_squad_autogen import observe

    async def ask(server: ModelServer) -> str:
        tools = await mcp_server_tools(StreamableHttpServerParams(url=url, headers={"Authorization": f"Bearer {READ}"}))
        model = OpenAIChatCompletionClient(model="gpt-4o-mini-2024-07-18", base_url=server.base_url, api_key="any")
        agent: Any = AssistantAgent("investigator", model, tools=list(tools), max_tool_iterations=5)
        result = await observe(agent).run(task=QUESTION)
        await model.close()
        return str(result.messages[-1].content)

    with ModelServer(SCRIPT) as server, capture() as captured:
        said = asyncio.run(ask(server))

    assert said == ANSWER
    tools = [line.strip() for line in captured.tree().splitlines() if "execute_tool" in line]
    assert tools == ["execute_tool find_errors: ok", "execute_tool get_run: ok"]
