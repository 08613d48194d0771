"""Gemini's content, Amazon Bedrock's Converse and Ollama's chat, as those services answer."""

from __future__ import annotations

import json
import struct
import zlib

import httpx
import pytest

from ai_dev_squad_testing.model_server import ModelServer, Script, call, fail, reply, tokens, tool_calls

USAGE = tokens(1200, 96, cached=800, reasoning=60)
CLAUDE = "us.anthropic.claude-v1:0"
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "q"}]}]}
CONVERSE = {"messages": [{"role": "user", "content": [{"text": "q"}]}]}
OLLAMA = {"model": "llama3.1", "messages": [{"role": "user", "content": "q"}]}

GEMINI_USAGE = {
    "promptTokenCount": 1200, "candidatesTokenCount": 36, "totalTokenCount": 1296, "thoughtsTokenCount": 60,
    "cachedContentTokenCount": 800,
}  # fmt: skip
CONVERSE_USAGE = {
    "inputTokens": 400, "outputTokens": 96, "totalTokens": 1296, "cacheReadInputTokens": 800, "cacheWriteInputTokens": 0,
}  # fmt: skip


def asked(step, path, body):
    """What the service answers, and the one call that it took."""
    with ModelServer(Script([step])) as server, httpx.Client() as client:
        answer = client.post(server.url + path, json=body)
        (record,) = server.settle().calls
    return answer, record


def frames(data):
    """The events of Amazon's stream, each checked by both of its sums."""
    found = []
    while data:
        length, headers, check = struct.unpack(">III", data[:12])
        assert zlib.crc32(data[:8]) == check
        assert zlib.crc32(data[: length - 4]) == struct.unpack(">I", data[length - 4 : length])[0]
        head = data[12 : 12 + headers]
        name = head[len(":event-type") + 4 :]
        kind = name[: head[len(":event-type") + 3]].decode()
        found.append((kind, json.loads(data[12 + headers : length - 4])))
        data = data[length:]
    return found


def test_gemini_answers_in_one_piece():
    """Thoughts stand beside the candidates' tokens; the model is in the path."""
    answer, record = asked(reply("Paris.", usage=USAGE), "/v1beta/models/gemini-2.5-flash:generateContent", GEMINI)
    assert answer.json() == {
        "candidates": [
            {"index": 0, "content": {"role": "model", "parts": [{"text": "Paris."}]}, "finishReason": "STOP"}
        ],
        "modelVersion": "gemini-2.5-flash",
        "responseId": "gemini-00000000",
        "usageMetadata": GEMINI_USAGE,
    }
    assert (record.endpoint, record.model, record.stream, record.reported) == (
        "gemini",
        "gemini-2.5-flash",
        False,
        USAGE,
    )


def test_gemini_streams_counts_that_grow():
    """Each event has counts, and only the last ones are whole."""
    step, path = (
        reply("Paris.", usage=USAGE, chunk_size=4),
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    )
    answer, record = asked(step, path, GEMINI)
    told = [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n") if event]
    assert [event["candidates"][0]["content"]["parts"] for event in told] == [[{"text": "Pari"}], [{"text": "s."}]]
    assert [event["usageMetadata"] for event in told] == [
        {"promptTokenCount": 1200, "totalTokenCount": 1200},
        GEMINI_USAGE,
    ]
    assert (record.stream, record.reported) == (True, USAGE)


def test_converse_answers_in_one_piece():
    """Cached tokens stand beside the input; the model is in the path, its colon escaped."""
    answer, record = asked(reply("Paris.", usage=USAGE), "/model/us.anthropic.claude-v1%3A0/converse", CONVERSE)
    assert answer.json() == {
        "output": {"message": {"role": "assistant", "content": [{"text": "Paris."}]}},
        "stopReason": "end_turn",
        "usage": CONVERSE_USAGE,
        "metrics": {"latencyMs": 1},
    }
    assert (record.endpoint, record.model, record.stream, record.reported) == ("converse", CLAUDE, False, USAGE)


def test_converse_streams_frames():
    """Text and tools are blocks; the counts come after the message has stopped."""
    step = tool_calls(call("look_up", word="fig"), text="Wait.", usage=USAGE, chunk_size=40)
    answer, record = asked(step, f"/model/{CLAUDE}/converse-stream", CONVERSE)
    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert frames(answer.content) == [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Wait."}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        (
            "contentBlockStart",
            {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "call_0_0_0", "name": "look_up"}}},
        ),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"word":"fig"}'}}}),
        ("contentBlockStop", {"contentBlockIndex": 1}),
        ("messageStop", {"stopReason": "tool_use"}),
        ("metadata", {"usage": CONVERSE_USAGE, "metrics": {"latencyMs": 1}}),
    ]
    assert (record.stream, record.reported) == (True, USAGE)


def test_ollama_answers_in_lines_unless_told_otherwise():
    """A request that says nothing of streams gets one; the last line has the counts, and no word of caches."""
    lines, streamed = asked(reply("Paris.", usage=USAGE, chunk_size=4), "/api/chat", OLLAMA)
    whole, plain = asked(reply("Paris.", usage=USAGE), "/api/chat", {**OLLAMA, "stream": False})
    told = [json.loads(line) for line in lines.text.splitlines()]
    end = {
        "done": True,
        "done_reason": "stop",
        "total_duration": 1_000_000,
        "prompt_eval_count": 1200,
        "eval_count": 96,
    }
    assert [(line["message"]["content"], line["done"]) for line in told] == [("Pari", False), ("s.", False), ("", True)]
    assert end.items() <= told[-1].items()
    assert whole.json() == {
        "model": "llama3.1", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": "Paris."}, **end
    }  # fmt: skip
    assert ((streamed.endpoint, streamed.stream), plain.stream) == (("ollama", True), False)


@pytest.mark.parametrize(
    "path,body,error",
    [
        ("/v1beta/models/m:generateContent", GEMINI, {"error": {"code": 429, "message": "slow", "status": "UNKNOWN"}}),
        ("/model/m/converse", CONVERSE, {"message": "slow"}),
        ("/api/chat", OLLAMA, {"error": "slow"}),
    ],
)
def test_each_refuses_in_its_own_words(path, body, error):
    """A scripted failure has the service's own form."""
    answer, _ = asked(fail(429, message="slow"), path, body)
    assert (answer.status_code, answer.json()) == (429, error)


def test_an_answer_says_the_tier_it_was_served_in():
    """OpenAI and Anthropic have one in their answers; the truth keeps what was scripted."""
    step, body = reply("hi", service_tier="flex"), {"model": "m", "messages": [{"role": "user", "content": "q"}]}
    chat, record = asked(step, "/v1/chat/completions", body)
    messages, _ = asked(step, "/v1/messages", {**body, "max_tokens": 9})
    assert (chat.json()["service_tier"], messages.json()["usage"]["service_tier"], record.service_tier) == ("flex",) * 3
