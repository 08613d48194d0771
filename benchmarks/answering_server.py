"""A model behind real HTTP, in a process of its own on this machine: OpenAI's Responses API, as the frameworks ask by default.

It answers at once: by a call of the tool it was started with, and once it was told the result, by a text. Connections are kept,
and an answer has all that the provider's has. What it takes is waited for and is none of the asking process's processor time.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

__all__ = ["address_of_new_server"]

_HEADERS = {
    "content-type": "application/json",
    "date": "Mon, 30 Nov 2026 12:00:00 GMT",
    "openai-organization": "none",
    "openai-processing-ms": "1",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1999000",
    "x-request-id": "req_0123456789abcdef0123456789abcdef",
}
_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 10,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 110,
}


def address_of_new_server(tool: str, arguments: dict[str, Any]) -> str:
    """Start one; it ends with this process. Returns its base URL."""
    command = [sys.executable, __file__, tool, json.dumps(arguments)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return f"http://127.0.0.1:{int(server.stdout.readline())}/v1"


def _answer(output: dict[str, Any]) -> bytes:
    """The whole answer, with its status line and headers."""
    told = {
        "id": "resp_0123456789abcdef0123456789abcdef",
        "object": "response",
        "created_at": 1796040000,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "gpt-4o-mini-2024-07-18",
        "output": [{"id": "item_0123456789abcdef", "status": "completed", **output}],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _USAGE,
        "user": None,
        "metadata": {},
    }
    body = json.dumps(told).encode()
    headers = "".join(f"{name}: {value}\r\n" for name, value in {**_HEADERS, "content-length": len(body)}.items())
    return b"HTTP/1.1 200 OK\r\n" + headers.encode() + b"\r\n" + body


class _Model(asyncio.Protocol):
    """A connection: requests one after another, each with a ``Content-Length``, as OpenAI's client sends them."""

    def __init__(self, asking: bytes, saying: bytes) -> None:
        self._asking, self._saying = asking, saying
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ends, rest = self._received.partition(b"\r\n\r\n")
        if not ends:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self._received = rest[length:]
        said = json.loads(rest[:length])["input"]
        is_told = isinstance(said, list) and said[-1].get("type") == "function_call_output"
        self._transport.write(self._saying if is_told else self._asking)


async def _serve(tool: str, arguments: str) -> None:
    called = {"type": "function_call", "call_id": "call_0123456789abcdef", "name": tool, "arguments": arguments}
    text = {"type": "output_text", "text": "fine", "annotations": [], "logprobs": []}
    asking, saying = _answer(called), _answer({"type": "message", "role": "assistant", "content": [text]})
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Model(asking, saying), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until who started it is gone


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
