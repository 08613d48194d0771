"""OpenAI's client as a program has it, but for its transport, which answers at once: two model calls and a tool, no network.

A run over a model in the process measures a framework and its observer alone. This one has what every real run has besides: a
request that is built, sent and read, and on our side the wire that it passes. What a network and a model take is still missing.
"""

from __future__ import annotations

import importlib
import json
from typing import Any

__all__ = ["BARE", "MODEL", "OURS", "answering_client", "asks_by_client", "bare_of"]

MODEL = "gpt-4o-mini"
_CLIENT = ", OpenAI's client"
BARE = f"bare{_CLIENT}"
OURS = f"ours: journal, costs{_CLIENT}"

_USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


def asks_by_client(variant: str) -> bool:
    """Whether this variant asks its model by the client."""
    return variant.endswith(_CLIENT)


def bare_of(variant: str) -> str:
    """The variant in which nobody observes the same run."""
    return BARE if asks_by_client(variant) else "bare"


def answering_client(tool: str, arguments: dict[str, Any]) -> Any:
    """An ``AsyncOpenAI`` whose model calls ``tool`` first, and has the answer once it was told the result."""
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
