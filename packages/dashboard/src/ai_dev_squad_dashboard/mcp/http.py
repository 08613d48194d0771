"""``POST /mcp``: streamable HTTP, each request answered by itself with JSON, behind the same guard as every page.

The SDK speaks ASGI. Each request gets a transport and an event loop of its own in the thread that answers it, so nothing runs, and
nothing is remembered, between two requests: any dashboard behind a balancer may answer any of them.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from flask import Blueprint, Response, request

from ai_dev_squad_dashboard.page import Site

from .sources import SiteSource

__all__ = ["create_blueprint"]

_MISSING: Final = (
    "The MCP server needs its extra: pip install 'ai-dev-squad-dashboard[mcp]', and start the dashboard again."
)


def create_blueprint(site: Site) -> Blueprint:
    """The route. Streams of the server's own are not offered: ``GET`` is answered with 405, as the protocol allows."""
    blueprint = Blueprint("mcp", __name__)

    @blueprint.post("/mcp")
    def answer() -> Response:
        try:
            import anyio

            from .server import make_server

            server = make_server(SiteSource(site, request.host_url))
        except ImportError:
            from ai_dev_squad_dashboard.api import json_response

            return json_response({"error": {"status": 501, "title": "Not installed", "message": _MISSING}}, 501)
        return anyio.run(_answered, server, request.get_data(), list(request.headers.items()))

    return blueprint


async def _answered(server: Any, body: bytes, headers: list[tuple[str, str]]) -> Response:
    """What the SDK answers to one request."""
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    # Hosts and origins were looked at before: by the guard, which knows this dashboard's names.
    manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/mcp",
        "raw_path": b"/mcp",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": None,
        "server": None,
    }
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async with manager.run():
        await manager.handle_request(scope, receive, send)
    begun = next(message for message in sent if message["type"] == "http.response.start")
    answer = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
    given = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in begun["headers"]]
    return Response(answer, begun["status"], [pair for pair in given if pair[0].lower() != "content-length"])
