"""OpenAI's client as a program has it, whose model calls a tool and then has the answer: by a transport, or over real HTTP.

A run over a model in the process measures a framework and its observer alone. Over the client it has what every real run has
besides: a request that is built, sent and read, and on our side the wire that it passes. With a transport that answers at once,
nothing is sent; over HTTP, a server in another process answers. What a model takes to think is still missing.
"""

from __future__ import annotations

import importlib
import json
from typing import Any

from answering_server import address_of_new_server

__all__ = ["BARE", "BARE_HTTP", "MODEL", "OURS", "OURS_HTTP", "bare_of", "client_of", "is_over_http"]

MODEL = "gpt-4o-mini"
_CLIENT, _HTTP = ", OpenAI's client", ", OpenAI's client over HTTP"
BARE, BARE_HTTP = f"bare{_CLIENT}", f"bare{_HTTP}"
OURS, OURS_HTTP = f"ours: journal, costs{_CLIENT}", f"ours: journal, costs{_HTTP}"

_USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


def is_over_http(variant: str) -> bool:
    """Whether this variant asks a server, by the API that its framework takes by default."""
    return variant.endswith(_HTTP)


def bare_of(variant: str) -> str:
    """The variant in which nobody observes the same run."""
    return next((bare for bare, ours in ((BARE, OURS), (BARE_HTTP, OURS_HTTP)) if variant in {bare, ours}), "bare")


def client_of(variant: str, tool: str, arguments: dict[str, Any]) -> Any:
    """The ``AsyncOpenAI`` that this variant asks by, whose model calls ``tool`` first; ``None``: its model is in the process."""
    if is_over_http(variant):
        import openai

        return openai.AsyncOpenAI(api_key="none", base_url=address_of_new_server(tool, arguments))
    return _by_transport(tool, arguments) if variant.endswith(_CLIENT) else None


def _by_transport(tool: str, arguments: dict[str, Any]) -> Any:
    import openai

    # What the client is built on changes with its releases.
    http = importlib.import_module(openai.DefaultAsyncHttpxClient.__base__.__module__)
    function = {"name": tool, "arguments": json.dumps(arguments)}
    called = {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]}
    asking, saying = _answer(called, "tool_calls"), _answer({"content": "fine"}, "stop")

    def respond(request: Any) -> Any:
        is_told = json.loads(request.content)["messages"][-1]["role"] == "tool"
        return http.Response(200, headers={"content-type": "application/json"}, content=saying if is_told else asking)

    sender = http.AsyncClient(transport=http.MockTransport(respond))
    return openai.AsyncOpenAI(api_key="none", base_url="http://model.test/v1", http_client=sender)


def _answer(message: dict[str, Any], reason: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]}
    return json.dumps({**answer, "usage": _USAGE}).encode()
