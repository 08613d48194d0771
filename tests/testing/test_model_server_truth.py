"""What the server records, how it adds up, and how others read it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from ai_dev_squad_testing.model_server import (
    CallRecord,
    Message,
    ModelServer,
    ToolCall,
    Truth,
    after_tool_result,
    call,
    fail,
    hang,
    reply,
    respond,
    role,
    system_contains,
    tokens,
    tool_calls,
)

BODY: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_record_in_full():
    """Everything about a call is in its record, and the key is not."""
    step = tool_calls(call("search", q="x"), usage=tokens(10, 4, cached=6))
    headers = {
        "authorization": "Bearer sk-very-secret",
        "traceparent": TRACEPARENT,
        "x-stainless-retry-count": "2",
    }
    offered = {"tools": [{"type": "function", "function": {"name": "search"}}], "n": 2}
    with ModelServer([role("asker", system_contains("") & ~after_tool_result(), step)], keep_messages=True) as server:
        httpx.post(f"{server.base_url}/chat/completions", json={**BODY, **offered}, headers=headers)
        (recorded,) = server.truth.calls
        served = httpx.get(f"{server.url}/truth")

    assert recorded == CallRecord(
        index=0,
        endpoint="chat.completions",
        model="gpt-4o",
        stream=False,
        outcome="completed",
        status=200,
        billed=tokens(10, 4, cached=6),
        reported=tokens(10, 4, cached=6),
        finish_reasons=("tool_calls", "tool_calls"),
        tool_calls=(ToolCall("search", '{"q":"x"}', "call_0_0_0"),),
        response_id="chatcmpl-00000000",
        response_model="gpt-4o",
        step="asker[0]",
        role="asker",
        retry=2,
        traceparent=TRACEPARENT,
        authenticated=True,
        choices=2,
        tools=("search",),
        messages=(Message("user", "hello"),),
        finished=0,
        arrived=recorded.arrived,
        duration_s=recorded.duration_s,
    )
    assert recorded.arrived.tzinfo is not None
    assert (recorded.duration_s or 0) > 0
    assert "secret" not in served.text
    assert Truth.from_dict(served.json()) == server.truth


def test_the_truth_over_http():
    """GET /truth serves what server.truth is, for another process; POST /reset forgets it and restarts the script."""
    with ModelServer([fail(429), reply("hi")]) as server:
        statuses = [httpx.post(f"{server.base_url}/chat/completions", json=BODY).status_code for _ in range(3)]
        fetched = Truth.fetch(server.url)
        served = httpx.get(f"{server.url}/truth").json()
        httpx.post(f"{server.url}/reset")
        after = server.truth
        again = httpx.post(f"{server.base_url}/chat/completions", json=BODY).status_code

    assert statuses == [429, 200, 400]
    assert [c.outcome for c in fetched.calls] == ["failed", "completed", "unexpected"]
    assert served["totals"]["calls"] == 3
    assert served["totals"]["billed"]["input_tokens"] == 2
    assert (after.calls, after.steps_left) == ((), ("0: fail(429)", "1: reply('hi')"))
    assert again == 429


def test_sums_by_model_and_role():
    """Totals split the bill without losing any of it."""
    script = [
        role("a", system_contains("a"), reply("x", usage=tokens(10, 1)), reply("x", usage=tokens(20, 2))),
        reply("x", usage=tokens(400, 3), report_usage=False),
    ]
    sent = [("m1", "a"), ("m2", "a"), ("m2", "b")]
    with ModelServer(script) as server:
        for model, system in sent:
            body = {"model": model, "messages": [{"role": "system", "content": system}]}
            httpx.post(f"{server.base_url}/chat/completions", json=body)
        truth = server.truth

    assert truth.totals.billed == tokens(430, 6)
    assert truth.totals.reported == tokens(30, 3)
    assert {m: t.billed for m, t in truth.by_model().items()} == {"m1": tokens(10, 1), "m2": tokens(420, 5)}
    assert {r: t.billed for r, t in truth.by_role().items()} == {"": tokens(400, 3), "a": tokens(30, 3)}


def test_calls_under_way_are_active_until_settled():
    """A call that lasts is in the truth at once; settle() names it when it goes on, and waits for it when it ends."""
    body = json.dumps(BODY).encode()
    with ModelServer([hang()]) as server, socket.create_connection(("127.0.0.1", server.port)) as waiting:
        waiting.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        while not server.truth.calls:
            time.sleep(0.001)
        before = [(c.outcome, c.finished) for c in server.truth.calls]
        with pytest.raises(TimeoutError, match=r"calls \[0\] are still under way after 0.01 s"):
            server.settle(0.01)
        waiting.close()
        after = [(c.outcome, c.finished) for c in server.settle().calls]

    assert (before, after) == ([("active", None)], [("hung", 0)])


def test_a_call_from_before_a_reset_is_forgotten():
    """What ends after a reset does not appear in the new truth, and the client still gets it whole."""
    with ModelServer([reply("slow " * 10, per_chunk=0.01)]) as server:
        with openai.OpenAI(base_url=server.base_url, api_key="k") as client:
            stream = client.chat.completions.create(model="m", messages=BODY["messages"], stream=True)
            server.reset()
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert (text, server.truth.calls) == ("slow " * 10, ())


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


SUMS = [
    role(
        "adder",
        system_contains("you add"),
        tool_calls(call("add", a=1, b=2), call("add", a=3, b=4), usage=tokens(50, 20)),
        respond(
            lambda asked: reply(" and ".join(r.text for r in asked.tool_results), usage=tokens(90, 8, cached=64)),
            when=after_tool_result(),
        ),
    )
]


@pytest.mark.parametrize("responses_api", [False, True])
def test_langchain_with_tools(responses_api: bool):
    """ChatOpenAI runs a tool loop over either API; the tokens it reports are those that were billed."""
    with ModelServer(SUMS) as server:
        model = ChatOpenAI(
            model="gpt-4o-mini", base_url=server.base_url, api_key="k", use_responses_api=responses_api
        ).bind_tools([add])
        messages: list[Any] = [SystemMessage("You add"), HumanMessage("1+2, 3+4")]
        asked = model.invoke(messages)
        results = [add.invoke(found) for found in asked.tool_calls]
        answer = model.invoke([*messages, asked, *results])

    assert answer.text == "3 and 7"
    assert asked.usage_metadata["total_tokens"] == 70
    assert answer.usage_metadata["input_token_details"]["cache_read"] == 64
    endpoint = "responses" if responses_api else "chat.completions"
    assert [(c.endpoint, c.billed) for c in server.truth.calls] == [
        (endpoint, tokens(50, 20)),
        (endpoint, tokens(90, 8, cached=64)),
    ]


@pytest.mark.parametrize("stream_usage", [None, True])
def test_langchain_streaming(stream_usage: bool | None):
    """With a custom base URL LangChain asks for usage only when told to; the bill is the same."""
    with ModelServer([reply("one two three", usage=tokens(9, 3))]) as server:
        model = ChatOpenAI(model="gpt-4o-mini", base_url=server.base_url, api_key="k", stream_usage=stream_usage)
        chunks = list(model.stream("hi"))

    assert "".join(chunk.text for chunk in chunks) == "one two three"
    assert sum((chunk.usage_metadata or {}).get("total_tokens", 0) for chunk in chunks) == (12 if stream_usage else 0)
    (recorded,) = server.truth.calls
    assert (recorded.billed, recorded.reported) == (tokens(9, 3), tokens(9, 3) if stream_usage else None)


def test_langchain_retries_and_embeds():
    """max_retries meets a 429 and a 503; embeddings need no script."""
    with ModelServer([fail(429, retry_after=0.001), fail(503, retry_after=0.001), reply("hi")]) as server:
        model = ChatOpenAI(model="m", base_url=server.base_url, api_key="k", max_retries=2)
        answer = model.invoke("hi")
        vectors = OpenAIEmbeddings(
            model="text-embedding-3-small", base_url=server.base_url, api_key="k", check_embedding_ctx_length=False
        ).embed_documents(["a", "b"])

    assert answer.text == "hi"
    assert [(c.status, c.retry) for c in server.truth.calls] == [(429, 0), (503, 1), (200, 2), (200, 0)]
    assert [len(vector) for vector in vectors] == [16, 16]


def program(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ai_dev_squad_testing.model_server", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program(tmp_path: Path, number: int):
    """It prints its URL, plays the script, and on a signal says what was billed and what went against the script."""
    script = tmp_path / "script.json"
    script.write_text(
        '[{"reply": "Hello!", "usage": {"input": 9, "output": 3}}, {"fail": 500, "when": {"streamed": true}}]'
    )
    with program("--script", str(script)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        said = [httpx.post(f"{url}/v1/chat/completions", json=BODY) for _ in range(2)]
        truth = Truth.fetch(url)
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)

    assert said[0].json()["choices"][0]["message"]["content"] == "Hello!"
    assert truth.totals.billed == tokens(9, 3)
    assert process.returncode == 0
    assert errors.splitlines()[0] == "2 calls, 1 successful, billed 9 input and 3 output tokens"
    assert errors.splitlines()[1].startswith("unexpected: no step of the script matches this request")
    assert errors.splitlines()[2:] == ["never asked for: step 1: fail(500) when streamed"]


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["--script", "missing.py"], "missing.py: cannot be read"),
        (["--port", "99999"], "cannot listen on 127.0.0.1:99999"),
    ],
)
def test_the_program_refuses_what_it_cannot_use(arguments: list[str], message: str):
    """A script or port that cannot be used ends the program with 2 and one line that says why."""
    with program(*arguments) as process:
        output, errors = process.communicate(timeout=10)

    assert (process.returncode, output, errors.count("\n")) == (2, "", 1)
    assert message in errors
