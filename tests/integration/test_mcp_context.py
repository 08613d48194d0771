"""Tools behind MCP servers join the run that calls them: the context crosses in `_meta`, over stdio and HTTP, with a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp
import pytest
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.running import running

SERVER = """
import sys

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.running import running

try:
    from mcp.server.mcpserver import MCPServer as Server
except ImportError:
    from mcp.server.fastmcp import FastMCP as Server

ai_dev_squad.configure(log_dir=sys.argv[1])
server = Server("weather")


@server.tool()
def weather(place: str) -> str:
    with running(operations.TOOL, "station", framework="weather-server"):
        return f"rain in {place}"


@server.tool()
async def forecast(place: str) -> str:
    with running(operations.TOOL, "model", framework="weather-server"):
        return f"more rain in {place}"


if sys.argv[2] == "stdio":
    server.run(transport="stdio")
else:
    import uvicorn

    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    """The command of an observed MCP server, but for where it listens."""
    path = tmp_path / "server.py"
    path.write_text(SERVER)
    return [sys.executable, str(path), str(tmp_path / "server-logs")]


def lines(directory: Path) -> list[dict[str, Any]]:
    """The closing lines of a journal."""
    text = (directory / "ai_dev_squad.jsonl").read_text()
    return [line for line in map(json.loads, text.splitlines()) if line.get("status")]


async def calls(opened: AsyncExitStack, streams: Any, **options: Any) -> list[str]:
    """What an observed program does: two calls in one agent, each in an operation of its own, and one outside of any."""
    session = await opened.enter_async_context(mcp.ClientSession(streams[0], streams[1]))
    await session.initialize()
    answers = []
    with running(operations.AGENT, "planner", framework="my-squad", agent_id="planner"):
        for tool in ("weather", "forecast"):
            with running(operations.TOOL, tool, framework="my-squad"):
                answers.append(await session.call_tool(tool, {"place": "Ulm"}))
    answers.append(await session.call_tool("weather", {"place": "Bern"}))
    return [answer.content[0].text for answer in answers]


def over_stdio(program: list[str]) -> list[str]:
    async def run() -> list[str]:
        command = mcp.StdioServerParameters(command=program[0], args=[*program[1:], "stdio"], env=dict(os.environ))
        async with AsyncExitStack() as opened:
            return await calls(opened, await opened.enter_async_context(stdio_client(command)))

    answers: list[str] = anyio.run(run)
    return answers


@contextmanager
def listening(program: list[str]) -> Iterator[str]:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([*program, str(port)])
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(30)


def over_http(program: list[str]) -> list[str]:
    async def run(url: str) -> list[str]:
        async with AsyncExitStack() as opened:
            return await calls(opened, await opened.enter_async_context(streamable_http_client(url)))

    with listening(program) as url:
        answers: list[str] = anyio.run(run, url)
        return answers


@pytest.mark.parametrize("transport", [over_stdio, over_http], ids=["stdio", "http"])
def test_a_tool_behind_a_server_joins_the_run(program: list[str], tmp_path: Path, transport: Any) -> None:
    """What an observed server does is in the trace of the program that asked, below the operation that asked; else in its own."""
    ai_dev_squad.configure(log_dir=str(tmp_path / "logs"))

    answers = transport(program)
    ai_dev_squad.shutdown()

    assert answers == ["rain in Ulm", "more rain in Ulm", "rain in Bern"]
    ours = {line["name"]: line for line in lines(tmp_path / "logs")}
    theirs = lines(tmp_path / "server-logs")
    assert [
        (line["name"], line["trace_id"] == ours["planner"]["trace_id"], line.get("parent_span_id")) for line in theirs
    ] == [
        ("station", True, ours["weather"]["span_id"]),
        ("model", True, ours["forecast"]["span_id"]),
        ("station", False, None),
    ]


def test_a_request_of_the_program_stays_its_own(tmp_path: Path) -> None:
    """What a program wrote into `_meta` stays, its request is not changed, and without observation nothing is written."""
    session = pytest.importorskip("mcp.shared.session")
    if not hasattr(session, "BaseSession"):
        pytest.skip("releases 2 of the SDK write the context themselves")
    import mcp.types as types

    sent: list[Any] = []

    class Session:
        async def send_request(self, request: Any) -> None:
            sent.append(request.model_dump(by_alias=True, exclude_none=True)["params"].get("_meta"))

    from ai_dev_squad.wire.mcp_context import _sending

    send = _sending(Session.send_request)

    def request(meta: dict[str, str] | None) -> Any:
        params = {"name": "x", **({"_meta": meta} if meta else {})}
        return types.ClientRequest.model_validate({"method": "tools/call", "params": params})

    async def run() -> None:
        await send(Session(), request({"mine": "1"}))
        with running(operations.TOOL, "x", framework="my-squad"):
            own = request({"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"})
            await send(Session(), own)
            other = request({"mine": "1"})
            before = other.model_dump()
            await send(Session(), other)
            assert other.model_dump() == before

    ai_dev_squad.configure(log_dir=str(tmp_path))
    anyio.run(run)
    assert sent[0] == {"mine": "1"}
    assert sent[1] == {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}
    assert sent[2].keys() == {"mine", "traceparent"}
