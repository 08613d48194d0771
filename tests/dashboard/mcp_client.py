"""A client of the Model Context Protocol for tests: the official SDK's, whichever line of releases is installed.

What comes back is what was on the wire, so that a test says the same for both.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

__all__ = ["Talk", "over_http", "over_stdio", "wire"]


class Talk:
    """A conversation that is under way."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """What a tool answers."""
        return wire(await self.session.call_tool(name, arguments))

    async def told(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The answer of a tool that does not refuse."""
        answer = await self.call(name, **arguments)
        assert not answer["isError"], answer["content"][0]["text"]
        structured: dict[str, Any] = answer["structuredContent"]
        return structured

    async def read(self, uri: str) -> str:
        """The text at an address."""
        from pydantic import AnyUrl

        given: Any = AnyUrl(uri) if not hasattr(self.session, "discover") else uri
        text: str = wire(await self.session.read_resource(given))["contents"][0]["text"]
        return text


Conversation = Callable[[Talk], Awaitable[Any]]


def wire(result: Any) -> Any:
    """A result as it was on the wire."""
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


def over_http(url: str, conversation: Conversation, *, token: str | None = None) -> Any:
    """Talk to the server at ``url``; the answer is the conversation's."""

    async def run() -> Any:
        async with AsyncExitStack() as opened:
            client = await opened.enter_async_context(
                create_mcp_http_client(headers={"Authorization": f"Bearer {token}"} if token else None)
            )
            streams = await opened.enter_async_context(streamable_http_client(url, http_client=client))
            return await _conversed(opened, streams, conversation)

    return anyio.run(run)


def over_stdio(*arguments: str, conversation: Conversation, cwd: Path, **environment: str) -> Any:
    """Talk to ``ai-dev-squad ARGUMENTS`` in a process of its own, started in ``cwd``."""
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "ai_dev_squad_dashboard.cli", *arguments],
        env={**os.environ, **environment},
        cwd=str(cwd),
    )

    async def run() -> Any:
        async with AsyncExitStack() as opened:
            streams = await opened.enter_async_context(stdio_client(command))
            return await _conversed(opened, streams, conversation)

    return anyio.run(run)


async def _conversed(opened: AsyncExitStack, streams: Any, conversation: Conversation) -> Any:
    session = await opened.enter_async_context(ClientSession(streams[0], streams[1]))
    await session.initialize()
    return await conversation(Talk(session))
