"""Chat completions, through the real OpenAI client."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ai_dev_squad_testing.model_server import (
    ModelServer,
    Reply,
    Script,
    Tokens,
    ToolCall,
    call,
    fail,
    reply,
    structured,
    system_contains,
    tokens,
    tool_calls,
)
from ai_dev_squad_testing.model_server import chat as wire
from ai_dev_squad_testing.model_server.answer import answer, pieces
from ai_dev_squad_testing.model_server.performance import Taken
from ai_dev_squad_testing.model_server.request import Message, ModelRequest
from ai_dev_squad_testing.model_server.script import Call, Step

USER: Any = [{"role": "user", "content": "hello"}]
RICH = tokens(100, 40, cached=64, cache_write=16, reasoning=20, audio_input=5, audio_output=3)


def client_of(server: ModelServer, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="sk-secret", **options)


def ask(client: openai.OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(**{"model": "gpt-4o-mini", "messages": USER, **options})


def test_a_reply_arrives_with_its_usage():
    """The client sees the scripted text, and every kind of token that the script bills."""
    with ModelServer([reply("Hello!", usage=RICH, model="gpt-4o-mini-2026")]) as server, client_of(server) as client:
        completion = ask(client)

    choice = completion.choices[0]
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "Hello!", "stop")
    assert completion.model == "gpt-4o-mini-2026"
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (100, 40, 140)
    assert usage.prompt_tokens_details.cached_tokens == 64
    assert usage.prompt_tokens_details.cache_write_tokens == 16
    assert usage.prompt_tokens_details.audio_tokens == 5
    assert usage.completion_tokens_details.reasoning_tokens == 20
    assert usage.completion_tokens_details.audio_tokens == 3
    assert completion.id == server.truth.calls[0].response_id


def test_tokens_are_counted_from_the_text_when_the_script_gives_none():
    """Input: all messages; output: the text, tool names and arguments; four characters a token, begun ones count."""
    messages: Any = [
        {"role": "system", "content": "12345"},
        {"role": "user", "content": [{"type": "text", "text": "67"}]},
    ]
    script = [reply("12345"), tool_calls(call("abc", x=1))]
    with ModelServer(script) as server, client_of(server) as client:
        ask(client, messages=messages)
        ask(client, messages=messages)

    assert [c.billed for c in server.truth.calls] == [tokens(2, 2), tokens(2, 3)]


@pytest.mark.parametrize("asked", [True, False])
def test_a_stream_reports_usage_only_when_it_was_asked_for(asked: bool):
    """With include_usage, one last chunk without choices carries the usage and every other says null; without, none."""
    options: Any = {"stream_options": {"include_usage": True}} if asked else {}
    with ModelServer([reply("Hello, how are you?", usage=RICH)]) as server, client_of(server) as client:
        chunks = list(ask(client, stream=True, **options))

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello, how are you?"
    assert [c.usage is not None for c in chunks if c.choices] == [False] * (5 - 1)
    assert [c.usage.total_tokens for c in chunks if not c.choices] == ([140] if asked else [])
    (recorded,) = server.truth.calls
    assert (recorded.billed, recorded.reported) == (RICH, RICH if asked else None)


def test_usage_may_be_missing_altogether():
    """With report_usage=False the client is told nothing, streamed or not, and the truth still knows the bill."""
    script = Script(default=reply("hi", usage=RICH, report_usage=False))
    with ModelServer(script) as server, client_of(server) as client:
        plain = ask(client)
        chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))

    assert plain.usage is None
    assert [c.usage for c in chunks] == [None] * len(chunks)
    assert [(c.billed, c.reported) for c in server.truth.calls] == [(RICH, None)] * 2
    assert (server.truth.totals.billed, server.truth.totals.reported) == (RICH + RICH, Tokens())


def test_parallel_tool_calls():
    """Several tools in one answer; ids are the same in every run, or the script's own."""
    step = tool_calls(call("search", q="x"), call("read_file", path="y", id="mine"), text="Let me look.")
    with ModelServer([step]) as server, client_of(server) as client:
        choice = ask(client).choices[0]

    assert (choice.message.content, choice.finish_reason) == ("Let me look.", "tool_calls")
    assert [(c.id, c.type, c.function.name, c.function.arguments) for c in choice.message.tool_calls] == [
        ("call_0_0_0", "function", "search", '{"q":"x"}'),
        ("mine", "function", "read_file", '{"path":"y"}'),
    ]
    assert server.truth.calls[0].tool_calls == (
        ToolCall("search", '{"q":"x"}', "call_0_0_0"),
        ToolCall("read_file", '{"path":"y"}', "mine"),
    )


def test_streamed_tool_calls_come_together_again():
    """Tool calls arrive as deltas: name and id first, arguments in pieces; the client puts them together."""
    step = tool_calls(call("search", q="a long question"), call("stop"), chunk_size=5)
    with ModelServer([step]) as server, client_of(server) as client:
        with client.chat.completions.stream(model="gpt-4o", messages=USER) as stream:
            kinds = [event.type for event in stream]
        final = stream.get_final_completion()

    assert "tool_calls.function.arguments.delta" in kinds
    assert [(c.function.name, c.function.arguments) for c in final.choices[0].message.tool_calls or ()] == [
        ("search", '{"q":"a long question"}'),
        ("stop", "{}"),
    ]
    assert final.choices[0].finish_reason == "tool_calls"


def test_several_choices():
    """``n`` choices take the script's texts in turn, plain and streamed, and all of them are billed."""
    script = Script(default=reply(["one", "three"]))
    with ModelServer(script) as server, client_of(server) as client:
        plain = ask(client, n=3)
        chunks = list(ask(client, n=3, stream=True))

    assert [(c.index, c.message.content) for c in plain.choices] == [(0, "one"), (1, "three"), (2, "one")]
    said = {k: "".join(c.choices[0].delta.content or "" for c in chunks if c.choices[0].index == k) for k in range(3)}
    assert said == {0: "one", 1: "three", 2: "one"}
    assert [c.choices for c in server.truth.calls] == [3, 3]
    assert [c.billed for c in server.truth.calls] == [tokens(2, 1 + 2 + 1)] * 2


class Plan(BaseModel):
    steps: list[str]


def test_structured_output():
    """A JSON value is the text of a json_schema answer, and the arguments of a tool call that the request forces."""
    tool: Any = {"type": "function", "function": {"name": "Plan", "parameters": Plan.model_json_schema()}}
    with ModelServer(Script(default=structured({"steps": ["a", "ü"]}))) as server, client_of(server) as client:
        parsed = client.chat.completions.parse(model="gpt-4o", messages=USER, response_format=Plan)
        forced = ask(client, tools=[tool], tool_choice={"type": "function", "function": {"name": "Plan"}})

    assert parsed.choices[0].message.parsed == Plan(steps=["a", "ü"])
    asked = forced.choices[0].message.tool_calls[0].function
    assert (asked.name, json.loads(asked.arguments)) == ("Plan", {"steps": ["a", "ü"]})


def test_refusal_reasoning_and_other_endings():
    """A refusal, a reasoning text and any finish reason reach the client in their own fields."""
    script = [reply(refusal="I can't."), reply("x", reasoning="because"), reply("cut", finish_reason="length")]
    with ModelServer(script) as server, client_of(server) as client:
        refused, reasoned, cut = (ask(client).choices[0] for _ in script)

    assert (refused.message.content, refused.message.refusal) == (None, "I can't.")
    assert reasoned.message.model_dump()["reasoning_content"] == "because"
    assert (cut.message.content, cut.finish_reason) == ("cut", "length")
    assert [c.finish_reasons for c in server.truth.calls] == [("stop",), ("stop",), ("length",)]


async def test_async_client_and_parallel_branches():
    """Each branch gets its own lines, however the requests interleave."""
    import asyncio

    script = [reply(f"{name} {k}", when=system_contains(name)) for k in range(3) for name in ("alpha", "beta")]

    async def branch(client: openai.AsyncOpenAI, name: str) -> list[str | None]:
        messages: Any = [{"role": "system", "content": f"You are {name}"}, *USER]
        said = []
        for _ in range(3):
            completion = await client.chat.completions.create(model="m", messages=messages)
            said.append(completion.choices[0].message.content)
        return said

    with ModelServer(script) as server:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="k") as client:
            said = await asyncio.gather(branch(client, "alpha"), branch(client, "beta"))

    assert said == [["alpha 0", "alpha 1", "alpha 2"], ["beta 0", "beta 1", "beta 2"]]
    assert server.truth.steps_left == ()


async def test_async_stream():
    """The asynchronous client reads the same stream."""
    with ModelServer([reply("Hello there, friend", per_chunk=0.001)]) as server:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="k") as client:
            stream = await client.chat.completions.create(model="m", messages=USER, stream=True)
            text = "".join([c.choices[0].delta.content or "" async for c in stream])

    assert text == "Hello there, friend"
    assert server.truth.calls[0].outcome == "completed"


def test_the_client_retries_a_rate_limit():
    """A scripted 429 is retried by the client; the truth shows both calls, the second as retry 1, one of them billed."""
    script = [fail(429, retry_after=0.001), reply("finally", usage=tokens(10, 2))]
    with ModelServer(script) as server, client_of(server) as client:
        assert ask(client).choices[0].message.content == "finally"

    calls = server.truth.calls
    assert [(c.status, c.outcome, c.retry, c.billed) for c in calls] == [
        (429, "failed", 0, None),
        (200, "completed", 1, tokens(10, 2)),
    ]
    totals = server.truth.totals
    assert (totals.calls, totals.successful_calls, totals.billed) == (2, 1, tokens(10, 2))


texts = st.text(max_size=200)


def made(request: ModelRequest, reply: Reply) -> Any:
    return answer(request, reply, Taken(Step(reply), 0, 0), 0)


@given(texts, st.integers(1, 20))
def test_pieces_put_together_are_the_text(text: str, size: int):
    """Cutting loses nothing and no piece is empty or too long."""
    cut = pieces(text, size)

    assert "".join(cut) == text
    assert all(0 < len(piece) <= size for piece in cut)


@given(
    text=texts, arguments=st.lists(texts, max_size=3), n=st.integers(1, 3), size=st.integers(1, 9), asked=st.booleans()
)
def test_a_stream_says_what_the_plain_response_says(text: str, arguments: list[str], n: int, size: int, asked: bool):
    """Whatever the text, each event is one ``data:`` line of JSON, and the deltas add up to the plain response."""
    calls = tuple(Call("tool", argument) for argument in arguments)
    said = Reply((text,), calls, chunk_size=size)
    asking = ModelRequest("chat.completions", "m", (Message("user", "x"),), stream=True, include_usage=asked, n=n)
    answered = made(asking, said)

    stream = b"".join(wire.events(answered)).decode()
    *events, done, rest = stream.split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]

    assert (done, rest) == ("data: [DONE]", "")
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    assert [chunk["usage"] for chunk in chunks if chunk.get("usage")] == (
        [wire.usage(answered.billed)] if asked else []
    )
    plain = wire.body(made(ModelRequest("chat.completions", "m", (Message("user", "x"),), n=n), said))
    for choice in plain["choices"]:
        deltas = [
            c["choices"][0]["delta"] for c in chunks if c["choices"] and c["choices"][0]["index"] == choice["index"]
        ]
        assert "".join(d.get("content") or "" for d in deltas) == (choice["message"]["content"] or "")
        streamed = [""] * len(calls)
        for delta in deltas:
            for part in delta.get("tool_calls", ()):
                streamed[part["index"]] += part["function"]["arguments"]
        assert streamed == [c["function"]["arguments"] for c in choice["message"].get("tool_calls", ())]


def test_the_same_request_gives_the_same_bytes():
    """Chunk splitting is deterministic: a stream played twice differs in ids and time stamps only."""
    request = {"model": "m", "messages": USER, "stream": True, "stream_options": {"include_usage": True}}
    script = Script([reply("one two three four")])
    with ModelServer(script) as server, httpx.Client(base_url=server.base_url) as client:
        first = client.post("/chat/completions", json=request).text
        server.reset()
        second = client.post("/chat/completions", json=request).text

    def shape(stream: str) -> list[Any]:
        events = [json.loads(line[6:]) for line in stream.split("\n\n")[:-2]]
        return [{k: v for k, v in event.items() if k != "created"} for event in events]

    assert shape(first) == shape(second)
    assert [event["choices"][0]["delta"].get("content") for event in shape(first)[1:-2]] == ["one two thre", "e four"]
