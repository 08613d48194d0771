"""Responses, embeddings and models through the real OpenAI client; Anthropic's messages over plain HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from ai_dev_squad_testing.model_server import (
    ModelServer,
    Script,
    call,
    endpoint_is,
    fail,
    reply,
    respond,
    structured,
    system_contains,
    tokens,
    tool_calls,
)

RICH = tokens(100, 40, cached=64, cache_write=16, reasoning=20)


def client_of(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="sk-secret")


def test_a_response_arrives_with_its_usage():
    """Text, reasoning summary and every kind of token."""
    step = reply("Hello!", usage=RICH, reasoning="thinking", when=system_contains("friendly"))
    with ModelServer([step]) as server, client_of(server) as client:
        response = client.responses.create(model="gpt-4o", instructions="Be friendly", input="hi")

    assert (response.output_text, response.status) == ("Hello!", "completed")
    assert [item.type for item in response.output] == ["reasoning", "message"]
    usage: Any = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (100, 40, 140)
    assert (usage.input_tokens_details.cached_tokens, usage.input_tokens_details.cache_write_tokens) == (64, 16)
    assert usage.output_tokens_details.reasoning_tokens == 20
    (recorded,) = server.truth.calls
    assert (recorded.endpoint, recorded.response_id) == ("responses", response.id)
    assert (recorded.billed, recorded.reported) == (RICH, RICH)


def test_a_streamed_response_is_rebuilt_by_the_client():
    """Events come in the service's order with rising numbers, and the final response equals the plain one."""
    step = tool_calls(call("search", q="something long"), text="Let me look.", usage=RICH, reasoning="hm")
    with ModelServer(Script([step, step])) as server, client_of(server) as client:
        with client.responses.stream(model="gpt-4o", input="hi") as stream:
            events: list[Any] = list(stream)
            final = stream.get_final_response()
        plain = client.responses.create(model="gpt-4o", input="hi")

    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert kinds[-1] == "response.completed"
    assert {k for k in kinds if k.endswith(".delta")} == {
        "response.reasoning_summary_text.delta",
        "response.output_text.delta",
        "response.function_call_arguments.delta",
    }
    assert final.output_text == plain.output_text == "Let me look."
    assert final.usage == plain.usage
    asked: Any = [item for item in final.output if item.type == "function_call"]
    assert [(item.name, json.loads(item.arguments), item.call_id) for item in asked] == [
        ("search", {"q": "something long"}, "call_0_0_0")
    ]
    assert [c.reported for c in server.truth.calls] == [RICH, RICH]


def test_tool_results_come_back_to_the_script():
    """A function call output is the last message of the next request, so a step can echo it."""
    script = [tool_calls(call("add", a=1)), respond(lambda request: reply(f"It is {request.tool_results[0].text}"))]
    with ModelServer(script) as server, client_of(server) as client:
        first: Any = client.responses.create(model="gpt-4o", input="1 + 1?").output[0]
        history: Any = [
            {"role": "user", "content": "1 + 1?"},
            first.model_dump(),
            {"type": "function_call_output", "call_id": first.call_id, "output": "2"},
        ]
        second = client.responses.create(model="gpt-4o", input=history)

    assert second.output_text == "It is 2"


class Plan(BaseModel):
    steps: list[str]


def test_structured_response():
    """text.format json_schema gives the scripted value."""
    with ModelServer([structured({"steps": ["a"]})]) as server, client_of(server) as client:
        parsed = client.responses.parse(model="gpt-4o", input="plan", text_format=Plan)

    assert parsed.output_parsed == Plan(steps=["a"])


def test_incomplete_and_refused_responses():
    """A length ending is an incomplete response, plain and streamed; a refusal is a part of its own."""
    script = [reply("half a", finish_reason="length")] * 2 + [reply(refusal="No.")]
    with ModelServer(script) as server, client_of(server) as client:
        cut = client.responses.create(model="gpt-4o", input="x")
        streamed = list(client.responses.create(model="gpt-4o", input="x", stream=True))
        refused: Any = client.responses.create(model="gpt-4o", input="x")

    assert (cut.status, cut.incomplete_details and cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert streamed[-1].type == "response.incomplete"
    assert [(part.type, part.refusal) for part in refused.output[0].content] == [("refusal", "No.")]


def test_embeddings_follow_from_the_text():
    """The same text has the same unit vector, in the dimensions asked for, with no step in the script."""
    with ModelServer([reply("not for an embedding")]) as server, client_of(server) as client:
        one = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=8)
        two = client.embeddings.create(model="text-embedding-3-small", input="a", dimensions=8, encoding_format="float")

    assert [len(item.embedding) for item in one.data] == [8, 8]
    assert [round(x, 6) for x in one.data[0].embedding] == [round(x, 6) for x in two.data[0].embedding]
    assert one.data[0].embedding != one.data[1].embedding
    assert [(c.endpoint, c.billed, c.reported) for c in server.truth.calls] == [
        ("embeddings", tokens(1), tokens(1)),
        ("embeddings", tokens(1), tokens(1)),
    ]
    assert server.truth.steps_left == ("0: reply('not for an embedding')",)


def test_embeddings_can_be_scripted_and_fail():
    """A step that names the endpoint applies to embeddings: its usage, or its failure."""
    here = endpoint_is("embeddings")
    script = [fail(500, when=here), reply(usage=tokens(7), when=here)]
    with ModelServer(script) as server, client_of(server) as client:
        answered = client.embeddings.create(model="text-embedding-3-small", input=[[1, 2, 3]])

    assert answered.usage.prompt_tokens == 7
    assert [(c.status, c.retry) for c in server.truth.calls] == [(500, 0), (200, 1)]


def test_models_are_listed():
    """The models endpoint lists what the server was given, and is no model call."""
    with ModelServer(models=["a", "b"]) as server, client_of(server) as client:
        assert [model.id for model in client.models.list()] == ["a", "b"]

    assert server.truth.calls == ()


ANTHROPIC = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 100,
    "system": "You code",
    "messages": [{"role": "user", "content": "hi"}],
}


def test_anthropic_messages():
    """Blocks, stop reason, and usage in that provider's counting, where input leaves out what the cache served."""
    step = tool_calls(call("search", q="x"), text="Let me look.", usage=RICH, when=system_contains("you code"))
    with ModelServer([step]) as server:
        response = httpx.post(f"{server.url}/v1/messages", json=ANTHROPIC, headers={"x-api-key": "sk-ant"}).json()

    assert response == {
        "id": "msg_00000000",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "call_0_0_0", "name": "search", "input": {"q": "x"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 20,
            "cache_read_input_tokens": 64,
            "cache_creation_input_tokens": 16,
            "output_tokens": 40,
            "service_tier": "standard",
        },
    }
    (recorded,) = server.truth.calls
    assert (recorded.endpoint, recorded.authenticated, recorded.billed) == ("messages", True, RICH)


def test_anthropic_stream():
    """Message start, blocks in deltas, message delta with the whole usage, stop."""
    step = tool_calls(call("search", q="x"), text="Look.", usage=RICH)
    with ModelServer([step]) as server:
        text = httpx.post(f"{server.url}/v1/messages", json={**ANTHROPIC, "stream": True}).text

    events = [[line.partition(": ")[2] for line in event.split("\n")] for event in text.split("\n\n")[:-1]]
    data = [json.loads(body) for _, body in events]
    assert [kind for kind, _ in events] == [item["type"] for item in data]
    assert [item["type"] for item in data] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert data[0]["message"]["usage"]["output_tokens"] == 0
    assert (data[-2]["delta"]["stop_reason"], data[-2]["usage"]["output_tokens"]) == ("tool_use", 40)
    assert server.truth.calls[0].reported == RICH


def test_an_anthropic_stream_tells_the_input_first():
    """Cut after its first event, the stream has told the input tokens and not the output tokens."""
    with ModelServer([reply("x" * 50, usage=RICH, cut_after=2)]) as server:
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            httpx.post(f"{server.url}/v1/messages", json={**ANTHROPIC, "stream": True})

    (recorded,) = server.settle().calls
    assert (recorded.outcome, recorded.events_sent) == ("cut", 2)
    assert recorded.reported == tokens(100, cached=64, cache_write=16)


def test_anthropic_errors_have_their_own_shape():
    """A scripted failure speaks the language of the endpoint it happens on."""
    with ModelServer([fail(429, retry_after=2)]) as server:
        response = httpx.post(f"{server.url}/v1/messages", json=ANTHROPIC)

    assert (response.status_code, response.headers["retry-after"]) == (429, "2")
    assert response.json() == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "Rate limit reached. Please try again later."},
    }
