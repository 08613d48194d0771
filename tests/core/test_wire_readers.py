"""Answers are read right however they are cut, and nothing is kept but what isn't complete."""

from __future__ import annotations

import itertools
import json
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.wire import Answer
from ai_dev_squad.wire.packing import unpacked
from ai_dev_squad.wire.readers import reader_of
from ai_dev_squad.wire.requests import Request

SSE = "text/event-stream; charset=utf-8"
LINES = "application/x-ndjson"
JSON = "application/json"
FRAMES = "application/vnd.amazon.eventstream"


def read(kind: str, *pieces: bytes) -> Answer:
    """What an answer in these pieces says."""
    answer = Answer()
    reader = reader_of(answer, kind)
    for piece in pieces:
        reader.feed(piece)
    reader.end()
    return answer


def said(answer: Answer) -> dict[str, object]:
    """All of it that isn't empty."""
    names = [name for name in (*Answer.__slots__, "service_tier") if not name.startswith("_")]
    return {name: value for name in names if (value := getattr(answer, name))}


def sse(*events: object, end: str = "\n\n") -> bytes:
    """Server-sent events."""
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return "".join(f"data: {text}{end}" for text in texts).encode()


USAGE = {"prompt_tokens": 3, "completion_tokens": 4}
CHUNK = {"id": "c-1", "model": "m-1", "choices": [{"delta": {"content": "é"}}], "usage": None}
STREAMS = {
    "OpenAI's": (
        SSE,
        sse(CHUNK, CHUNK, {**CHUNK, "choices": [], "usage": USAGE}, "[DONE]"),
        {"events": 3, "model": "m-1", "response_id": "c-1", "usage": USAGE, "done": True},
    ),
    "with carriage returns and comments": (
        SSE,
        b": OPENROUTER PROCESSING\r\n\r\n" + sse({**CHUNK, "usage": USAGE}, "[DONE]", end="\r\n\r\n"),
        {"events": 1, "model": "m-1", "response_id": "c-1", "usage": USAGE, "done": True},
    ),
    "with carriage returns alone": (
        SSE,
        sse({**CHUNK, "usage": USAGE}, "[DONE]", end="\r\r"),
        {"events": 1, "model": "m-1", "response_id": "c-1", "usage": USAGE, "done": True},
    ),
    "with a byte order mark": (
        SSE,
        b"\xef\xbb\xbf" + sse({**CHUNK, "usage": USAGE}),
        {"events": 1, "model": "m-1", "response_id": "c-1", "usage": USAGE},
    ),
    "a document with a byte order mark": (
        JSON,
        b"\xef\xbb\xbf" + json.dumps({**CHUNK, "usage": USAGE}).encode(),
        {"events": 1, "model": "m-1", "response_id": "c-1", "usage": USAGE},
    ),
    "over several lines of an event": (
        SSE,
        b'data: {not json\n\ndata: {\ndata:  "id": "c-1", "usage":\ndata: '
        + json.dumps(USAGE).encode()
        + b"}\n\ndata: [DONE]\n",
        {"events": 1, "response_id": "c-1", "usage": USAGE, "done": True},
    ),
    "over the lines of an event that nothing ends": (
        SSE,
        b'data: {"id":\ndata: "c-1"}',
        {"events": 1, "response_id": "c-1"},
    ),
    "a document in UTF-16": (
        JSON,
        json.dumps({**CHUNK, "usage": USAGE}).encode("utf-16"),
        {"events": 1, "model": "m-1", "response_id": "c-1", "usage": USAGE},
    ),
    "without an id at first, as Azure's": (  # its first event says what a filter thinks of the prompt
        SSE,
        sse({"id": "", "model": "", "choices": [], "prompt_filter_results": []}, {**CHUNK, "usage": USAGE}),
        {"events": 2, "model": "m-1", "response_id": "c-1", "usage": USAGE},
    ),
    "with a number that JSON has not": (
        SSE,
        b'data: {"id":"c-1","choices":[{"logprobs":NaN}],"usage":'
        + json.dumps(USAGE).encode()
        + b"}\n\ndata: [DONE]\n",
        {"response_id": "c-1", "usage": USAGE, "done": True},
    ),
    "kinds that are no names": (
        SSE,
        sse({"type": ["x"], "event_type": {}, "finish_reason": {}}, {**CHUNK, "usage": USAGE}),
        {"events": 2, "model": "m-1", "response_id": "c-1", "usage": USAGE},
    ),
    "Groq's": (
        SSE,
        sse({**CHUNK, "x_groq": {"id": "req", "usage": USAGE}}),
        {"events": 1, "model": "m-1", "response_id": "c-1", "usage": USAGE},
    ),
    "cumulative": (
        SSE,
        sse(*[{**CHUNK, "usage": {"prompt_tokens": 3, "completion_tokens": n}} for n in (1, 2, 4, 0)]),
        {"events": 4, "model": "m-1", "response_id": "c-1", "usage": USAGE},
    ),
    "Anthropic's": (
        SSE,
        sse(
            {"type": "message_start", "message": {"id": "a", "model": "c", "usage": {"input_tokens": 5}}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": '"usage":{"input_tokens":1}'}},
            {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 6, "service_tier": "priority"}},
            {"type": "message_stop"},
        ),
        {
            "events": 4,
            "model": "c",
            "response_id": "a",
            "service_tier": "priority",
            "usage": {"input_tokens": 5, "output_tokens": 6, "service_tier": "priority"},
            "done": True,
        },
    ),
    "Anthropic's in fast mode, which its last event does not repeat": (
        SSE,
        sse(
            {
                "type": "message_start",
                "message": {"model": "c", "usage": {"input_tokens": 5, "output_tokens": 1, "speed": "fast"}},
            },
            {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 6, "service_tier": "standard"}},
        ),
        {
            "events": 2,
            "model": "c",
            "service_tier": "fast",
            "usage": {"input_tokens": 5, "output_tokens": 6, "speed": "fast", "service_tier": "standard"},
        },
    ),
    "Gemini's, at a tariff": (
        SSE,
        sse({"modelVersion": "g", "usageMetadata": {"promptTokenCount": 5, "trafficType": "ON_DEMAND_FLEX"}}),
        {
            "events": 1,
            "model": "g",
            "service_tier": "flex",
            "usage": {"promptTokenCount": 5, "trafficType": "ON_DEMAND_FLEX"},
        },
    ),
    "Bedrock's, at a tariff": (
        JSON,
        json.dumps({"usage": {"inputTokens": 5, "outputTokens": 6}, "serviceTier": {"type": "priority"}}).encode(),
        {"events": 1, "service_tier": "priority", "usage": {"inputTokens": 5, "outputTokens": 6}},
    ),
    "OpenAI's responses, with searches": (
        SSE,
        sse(
            {"type": "response.output_item.done", "item": {"type": "web_search_call", "action": {"type": "search"}}},
            {
                "type": "response.completed",
                "response": {
                    "id": "r",
                    "model": "m",
                    "output": [
                        {"type": "web_search_call", "action": {"type": "search", "query": "tea"}},
                        {"type": "web_search_call", "action": {"type": "open_page", "url": "https://a.example"}},
                        {"type": "web_search_call"},
                        {"type": "file_search_call", "queries": ["tea"]},
                        {"type": "message", "content": [{"text": "web_search_call"}]},
                    ],
                    "usage": {"input_tokens": 5, "output_tokens": 6},
                },
            },
        ),
        {
            "events": 2,
            "model": "m",
            "response_id": "r",
            "usage": {"input_tokens": 5, "output_tokens": 6, "web_searches": 2, "file_searches": 1},
            "done": True,
        },
    ),
    "Gemini's, grounded": (
        JSON,
        json.dumps(
            {
                "responseId": "g",
                "candidates": [{"groundingMetadata": {"webSearchQueries": ["tea", "green tea"]}}, {"index": 1}],
                "usageMetadata": {"promptTokenCount": 2},
            }
        ).encode(),
        {"events": 1, "response_id": "g", "usage": {"promptTokenCount": 2, "web_searches": 2}},
    ),
    "Cohere's first": (
        SSE,
        sse({"event_type": "stream-end", "response": {"generation_id": "g", "meta": {"billed_units": {"x": 1}}}}),
        {"events": 1, "response_id": "g", "usage": {"billed_units": {"x": 1}}, "done": True},
    ),
    "Ollama's": (
        LINES,
        b'{"model":"l","message":{"content":"a"}}\n{"model":"l","done":true,"prompt_eval_count":7,"eval_count":8}\n',
        {"events": 2, "model": "l", "usage": {"prompt_eval_count": 7, "eval_count": 8}, "done": True},
    ),
    "Gemini's array": (
        JSON,
        b'[{"responseId":"g","modelVersion":"v"}\n,\n {"usageMetadata": {"promptTokenCount": 2}}\n]',
        {"events": 2, "model": "v", "response_id": "g", "usage": {"promptTokenCount": 2}},
    ),
    "a document": (
        JSON,
        json.dumps({"id": "c-1", "model": "m-1", "usage": USAGE}).encode(),
        {"events": 1, "model": "m-1", "response_id": "c-1", "usage": USAGE},
    ),
    "lines that call themselves a document": (
        JSON,
        b'{"model":"l"}\n{"model":"l","prompt_eval_count":7}\n',
        {"events": 2, "model": "l", "usage": {"prompt_eval_count": 7}},
    ),
    "events that say nothing of themselves": (
        "",
        sse({**CHUNK, "usage": USAGE}),
        {"events": 1, "model": "m-1", "response_id": "c-1", "usage": USAGE},
    ),
    "Amazon's Titan": (
        JSON,
        b'{"inputTextTokenCount":5,"results":[{"tokenCount":6,"outputText":"a"},{"tokenCount":1}]}',
        {"events": 1, "usage": {"inputTextTokenCount": 5, "results": [{"tokenCount": 6}, {"tokenCount": 1}]}},
    ),
    "Meta's Llama": (
        JSON,
        b'{"generation":"x","prompt_token_count":5,"generation_token_count":6}',
        {"events": 1, "usage": {"prompt_token_count": 5, "generation_token_count": 6}},
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_an_answer_says(name: str) -> None:
    """In one piece, and byte by byte."""
    kind, content, expected = STREAMS[name]
    assert said(read(kind, content)) == expected
    assert said(read(kind, *[content[at : at + 1] for at in range(len(content))])) == expected


@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(0, 400), max_size=8))
def test_any_cut_reads_the_same(name: str, cuts: list[int]) -> None:
    """Where pieces begin is the network's business."""
    kind, content, expected = STREAMS[name]
    edges = [0, *sorted(cuts), len(content)]
    pieces = [content[start:end] for start, end in itertools.pairwise(edges)]
    assert said(read(kind, *pieces)) == expected


@given(st.binary(max_size=300), st.sampled_from([SSE, LINES, JSON, ""]))
def test_no_text_is_too_strange(content: bytes, kind: str) -> None:
    """Whatever arrives, readers of text take it, and count nothing that isn't there."""
    assert read(kind, content).usage == {}


def test_an_exception_in_an_event_stream_is_an_error() -> None:
    """Amazon's services report it in a message of another kind."""
    head = b"\x0f:exception-type\x07\x00\x13throttlingException"
    body = b'{"message":"Too many"}'
    lengths = (16 + len(head) + len(body)).to_bytes(4, "big") + len(head).to_bytes(4, "big")
    assert said(read(FRAMES, lengths + b"crc." + head + body + b"crc.")) == {"events": 1, "error": body.decode()}


def test_a_length_that_cannot_be_is_refused() -> None:
    """An event stream out of step would otherwise be collected for ever."""
    with pytest.raises(ValueError, match="a message of 4294967295 bytes"):
        read(FRAMES, b"\xff" * 12)


LONG = [b"x" * 4096] * 500
LAST = b'","metadata":{},"usage":{"input_tokens":3,"details":{"a":"}"}}}'


@pytest.mark.parametrize(
    "kind, pieces",
    [
        (
            SSE,
            [b'data: {"type":"response.completed","response":{"id":"r","model":"m","output":"', *LONG, LAST, b"}\n\n"],
        ),
        (JSON, [b'{"id":"r","model":"m","output":"', *LONG, LAST]),
        (JSON, [b'{"id":"r","model":"m","output":"' + b"".join(LONG) + LAST]),
    ],
)
def test_of_a_text_of_two_megabytes_little_is_kept(kind: str, pieces: list[bytes]) -> None:
    """Its beginning is looked at and its end is kept, where the usage is."""
    tracemalloc.start()
    answer = read(kind, *pieces)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    told = (answer.model, answer.response_id, answer.usage)
    assert told == ("m", "r", {"input_tokens": 3, "details": {"a": "}"}})
    assert peak < 1_000_000


def test_a_report_that_is_cut_counts_nothing() -> None:
    """The client left in the middle of it."""
    assert read(JSON, b'{"id":"r","usage":{"input_to').usage == {}


PLAIN = sse({**CHUNK, "usage": USAGE}, "[DONE]")


def deflated(bits: int) -> bytes:
    """The answer, packed by zlib."""
    pack = zlib.compressobj(6, zlib.DEFLATED, bits)
    return pack.compress(PLAIN) + pack.flush()


@pytest.mark.parametrize("size", [1, 5, 10_000])
@pytest.mark.parametrize(
    "encoding, content",
    [
        ("gzip", deflated(31)),
        ("x-gzip", deflated(31)),
        ("deflate", deflated(15)),
        ("deflate", deflated(-15)),
        ("identity", PLAIN),
        ("deflate, GZIP", zlib.compress(deflated(15), wbits=31)),
    ],
)
def test_a_packed_answer_is_unpacked(encoding: str, content: bytes, size: int) -> None:
    """With and without the header that deflate should have, and packed twice."""
    answer = Answer()
    reader = unpacked(reader_of(answer, SSE), encoding)
    for start in range(0, len(content), size):
        reader.feed(content[start : start + size])
    reader.end()
    assert (answer.usage, answer.done) == (USAGE, True)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_not_packed_as_it_says_says_nothing(encoding: str) -> None:
    """The client cannot unpack it either, and says so; nothing of ours has failed."""
    answer = Answer()
    reader = unpacked(reader_of(answer, SSE), encoding)
    for piece in (deflated(31)[:10] + b"\xff" * 40, PLAIN):
        reader.feed(piece)
    reader.end()
    assert (answer.usage, answer.events) == ({}, 0)


def test_an_unknown_packing_is_named() -> None:
    """And what is known."""
    with pytest.raises(ValueError, match="content-encoding 'lzma' isn't one of gzip, x-gzip, deflate, br, zstd"):
        unpacked(reader_of(Answer(), SSE), "lzma")


@pytest.mark.parametrize(
    "body, limit",
    [
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 5, "max_completion_tokens": 4}, 4),
        ({"max_output_tokens": 6}, 6),
        ({"generationConfig": {"maxOutputTokens": 7}}, 7),
        ({"inferenceConfig": {"maxTokens": 8}}, 8),
        ({"options": {"num_predict": 9}}, 9),
        ({"options": {"num_predict": -1}}, None),
        ({"max_tokens": True}, None),
        ({}, None),
    ],
)
def test_a_limit_of_output_is_found_whatever_it_is_called(body: dict[str, object], limit: int | None) -> None:
    """In the text that is sent, and in the mapping that a client is given."""
    texts = (json.dumps(body).encode(), json.dumps(body), bytearray(json.dumps(body).encode()))
    assert [Request(text).max_output_tokens for text in (*texts, body)] == [limit] * 4


@pytest.mark.parametrize(
    "said, tier",
    [
        ({"service_tier": "flex"}, "flex"),
        ({"serviceTier": {"type": "Priority"}}, "priority"),
        ({"serviceTier": "flex"}, "flex"),
        ({"speed": "fast", "service_tier": "auto"}, "fast"),
        ({"speed": 1.5}, None),
        ({}, None),
    ],
)
def test_a_request_names_the_tier_that_it_asks_for(said: dict[str, Any], tier: str | None) -> None:
    """OpenAI, Bedrock, Gemini and Anthropic's fast mode; the speed of speech is none."""
    assert Request(json.dumps(said).encode()).service_tier == tier


def test_a_request_says_what_was_asked() -> None:
    """The prompt as it is sent, and everything else by its name."""
    body = {"model": "m", "messages": [{"role": "user"}], "stream": True, "service_tier": "flex", "tools": [1]}
    request = Request(json.dumps(body).encode())
    assert (request.named("model"), request.stream, request.service_tier) == ("m", True, "flex")
    assert (request.prompt(), request.mapping()) == (body["messages"], body)
    assert (Request(None).named("model"), Request(None).prompt(), Request(None).mapping()) == (None, None, {})
