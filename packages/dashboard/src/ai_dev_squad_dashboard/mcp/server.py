"""The official SDK's server around what may be asked for. It has two lines of releases, whose classes differ and whose wire does not."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .catalogue import INSTRUCTIONS, Answering, answers
from .sources import RefusedError, Source

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

__all__ = ["NAME", "make_server", "serve_stdio"]

NAME: Final = "ai-dev-squad"


class _Method(NamedTuple):
    request: str
    """The class of the request in releases 1."""
    result: str
    """The class of the result."""
    argument: str
    """What releases 2 call the handler."""


_METHODS: Final[Mapping[str, _Method]] = {
    "tools/list": _Method("ListToolsRequest", "ListToolsResult", "on_list_tools"),
    "tools/call": _Method("CallToolRequest", "CallToolResult", "on_call_tool"),
    "resources/list": _Method("ListResourcesRequest", "ListResourcesResult", "on_list_resources"),
    "resources/templates/list": _Method(
        "ListResourceTemplatesRequest", "ListResourceTemplatesResult", "on_list_resource_templates"
    ),
    "resources/read": _Method("ReadResourceRequest", "ReadResourceResult", "on_read_resource"),
    "prompts/list": _Method("ListPromptsRequest", "ListPromptsResult", "on_list_prompts"),
    "prompts/get": _Method("GetPromptRequest", "GetPromptResult", "on_get_prompt"),
}


def make_server(source: Source) -> Server[Any]:
    """A server that answers from ``source``. It keeps nothing between two requests. Raises ``ImportError`` without the SDK."""
    from mcp import types
    from mcp.server.lowlevel import Server

    about: dict[str, Any] = {"version": version("ai-dev-squad-dashboard"), "instructions": INSTRUCTIONS}
    handlers = {
        method: _handler(answering, getattr(types, _METHODS[method].result))
        for method, answering in answers(source).items()
    }
    if not hasattr(Server, "add_request_handler"):
        server: Server[Any] = Server(NAME, **about)
        for method, handler in handlers.items():
            server.request_handlers[getattr(types, _METHODS[method].request)] = _of_release_1(handler, types)
        return server
    return Server(
        NAME, **about, **{_METHODS[method].argument: _of_release_2(handler) for method, handler in handlers.items()}
    )


async def serve_stdio(source: Source) -> None:
    """Answer a client on standard input and output, until it closes them."""
    from mcp.server.stdio import stdio_server

    server = make_server(source)
    async with stdio_server() as (received, sent):
        await server.run(received, sent, server.create_initialization_options())


def _handler(answering: Answering, result: Any) -> Any:
    from anyio.to_thread import run_sync

    async def handle(params: Any) -> Any:
        given = {} if params is None else params.model_dump(mode="json", by_alias=True, exclude_none=True)
        try:
            # The store blocks; meanwhile a client may ask whether we are there.
            answer = await run_sync(answering, given)
        except RefusedError as error:
            raise _refusal(str(error)) from None
        return result.model_validate(answer)

    return handle


def _of_release_1(handler: Any, types: Any) -> Any:
    async def handle(request: Any) -> Any:
        return types.ServerResult(await handler(request.params))

    return handle


def _of_release_2(handler: Any) -> Any:
    async def handle(_: Any, params: Any) -> Any:
        return await handler(params)

    return handle


def _refusal(message: str) -> Exception:
    from mcp.shared import exceptions
    from mcp.types import INVALID_PARAMS, ErrorData

    of_release_2: Any = getattr(exceptions, "MCPError", None)
    error: Exception = (
        exceptions.McpError(ErrorData(code=INVALID_PARAMS, message=message))
        if of_release_2 is None
        else of_release_2(INVALID_PARAMS, message)
    )
    return error
