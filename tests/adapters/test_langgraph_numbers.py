"""What providers and gateways report in ways of their own, through LangChain's client: tokens and money to the cent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from ai_dev_squad_langgraph import observe
from ai_dev_squad_testing import Captured


class State(TypedDict):
    """The state of the graph."""

    answers: int


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """``serve(answer)`` is the address of a server that answers each request with ``answer``, as it is."""
    servers = []

    def start(answer: dict[str, Any]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def usage(prompt: int, completion: int, total: int | None = None, **more: Any) -> dict[str, Any]:
    """A report in OpenAI's words."""
    whole = prompt + completion if total is None else total
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": whole, **more}


WRITTEN = {"cache_creation_input_tokens": 10_000}
FOR_AN_HOUR = {**WRITTEN, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 10_000}}
THOUGHT = {"completion_tokens_details": {"reasoning_tokens": 2_809}}
SOUND = {"prompt_tokens_details": {"audio_tokens": 800}, "completion_tokens_details": {"audio_tokens": 400}}


@pytest.mark.parametrize(
    "asked, answered, report, tier, output, cost",
    [
        pytest.param("grok-4", "grok-4", usage(10_120, 1_499, 14_428, **THOUGHT), None, 4_308, 0.09498, id="xAI"),
        pytest.param(
            "gemini-2.5-flash", "gemini-2.5-flash", usage(1_000, 50, 3_050), None, 2_050, 0.005425, id="Gemini"
        ),
        pytest.param(
            "claude-sonnet-4-5", "claude-sonnet-4-5", usage(10_100, 50, **FOR_AN_HOUR), None, 50, 0.06105, id="one hour"
        ),
        pytest.param(
            "claude-sonnet-4-5",
            "claude-sonnet-4-5",
            usage(10_100, 50, **WRITTEN),
            None,
            50,
            0.03855,
            id="LiteLLM proxy",
        ),
        pytest.param("gpt-4o", "gpt-4o", usage(1_000, 200, cost=0.0063), None, 200, 0.0063, id="OpenRouter"),
        pytest.param("prod-chat", "gpt-4o-2024-08-06", usage(1_000, 100), None, 100, 0.0035, id="alias"),
        pytest.param("gpt-5-mini", "gpt-5-mini", usage(10_000, 1_000), "flex", 1_000, 0.00225, id="flex"),
        pytest.param("gpt-5-mini", "gpt-5-mini", usage(10_000, 1_000), "priority", 1_000, 0.0081, id="priority"),
        pytest.param(
            "gpt-4o-audio-preview", "gpt-4o-audio-preview", usage(1_000, 500, **SOUND), None, 500, None, id="audio"
        ),
        pytest.param("deepseek-r1:8b", "deepseek-r1:8b", usage(1_000, 100), None, 100, None, id="runs at home"),
        pytest.param("gpt-oss-20b", "gpt-oss-20b", usage(1_000, 100), None, 100, None, id="open weights at home"),
        pytest.param("gpt-4o", "gpt-4o", usage(1_000, 100), None, 100, 0.0035, id="gateway at home"),
    ],
)
def test_a_report(
    captured: Captured,
    serve: Callable[..., str],
    asked: str,
    answered: str,
    report: dict[str, Any],
    tier: str | None,
    output: int,
    cost: float | None,
) -> None:
    """Output tokens and cost are those that the provider bills, or the cost is unknown."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": answered, "choices": [choice]}
    base = serve({**answer, "usage": report, **({"service_tier": tier} if tier else {})})

    def ask(state: State) -> State:
        ChatOpenAI(model=asked, base_url=base, api_key="sk-test", service_tier=tier).invoke("q")  # type: ignore[arg-type]
        return {"answers": 1}

    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    observe(builder.compile(name="squad")).invoke({"answers": 0})

    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert line.cost is not None
    told = (line.usage.input_tokens, line.usage.output_tokens, line.usage.source)
    assert told == (report["prompt_tokens"], output, "provider")
    assert line.cost.usd == (None if cost is None else pytest.approx(cost, abs=1e-9))
    assert (line.cost.usd is None) == bool(line.cost.reason)
