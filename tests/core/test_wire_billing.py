"""What a call costs by what its answer says, in the places and words that only some providers and gateways have."""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

import ai_dev_squad
from ai_dev_squad import attributes as keys
from ai_dev_squad import operations
from ai_dev_squad.running import running
from ai_dev_squad_testing import capture

GOOGLE = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/models"
OPENAI, GATEWAY = "https://api.openai.com/v1", "https://gateway.example/v1"
CHATTED = {"id": "c", "model": "house-model", "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}
CLAUDE = {"model": "claude-opus-4-8", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}]}
COST = "x-litellm-response-cost"


def billed(url: str, body: dict[str, Any], **answer: Any) -> tuple[Any, ...]:
    """Kind of call, input and output tokens, cost and whose word that is, of the one call in the ledger and the journal."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, **answer))
    with capture() as captured:
        with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as client:
            client.post(url, json=body)
        (entry,) = ai_dev_squad.get_cost_tracker().entries
        (call,) = (line for line in captured.closing() if line.operation != "invoke_agent")
    usage = entry.usage
    assert usage == call.usage
    return call.operation, usage.input_tokens, usage.output_tokens, entry.cost_usd, entry.cost.price_source


def events(*told: object) -> dict[str, Any]:
    """An answer that comes in events."""
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in told)
    return {"text": text, "headers": {"content-type": "text/event-stream"}}


@pytest.mark.parametrize(
    "url, body, answer, expected",
    [
        pytest.param(  # helicone#4901, req_llm#498
            f"{GOOGLE}/gemini-embedding-001:predict",
            {"instances": [{"content": "a"}, {"content": "b"}]},
            {
                "predictions": [
                    {"embeddings": {"statistics": {"token_count": count}, "values": [0.1]}} for count in (4, 6)
                ]
            },
            ("embeddings", 10, None, 10 * 0.15e-6),
            id="Vertex's predictions",
        ),
        pytest.param(  # opentelemetry-python-contrib#4996
            "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.titan-embed-text-v2:0/invoke",
            {"inputText": "a"},
            {"embedding": [0.1], "inputTextTokenCount": 10},
            ("embeddings", 10, None, 10 * 0.02e-6),
            id="Bedrock's, by the model",
        ),
        pytest.param(
            "https://api.voyageai.com/v1/embeddings",
            {"model": "voyage-3", "input": ["a"]},
            {"data": [], "model": "voyage-3", "usage": {"total_tokens": 10}},
            ("embeddings", 10, None, 10 * 0.06e-6),
            id="a total alone",
        ),
        pytest.param(
            "https://api.voyageai.com/v1/multimodalembeddings",
            {"model": "voyage-3", "inputs": [{"content": [{"type": "text", "text": "a"}]}]},
            {"data": [], "model": "voyage-3", "usage": {"text_tokens": 4, "image_pixels": 3360, "total_tokens": 10}},
            ("embeddings", 10, None, 10 * 0.06e-6),
            id="a total beside other words",
        ),
        pytest.param(  # bifrost#4321, litellm#13797
            "https://api.cohere.com/v2/rerank",
            {"model": "rerank-v3.5", "query": "q", "documents": ["a"]},
            {"results": [], "meta": {"billed_units": {"search_units": 1}}},
            ("generate_content", None, None, None),
            id="texts put in order",
        ),
        pytest.param(
            f"{OPENAI}/decisions",
            {"model": "gpt-6-luna", "input": "q", "questions": [{"type": "predicate", "instructions": "i"}]},
            {
                "model": "gpt-6-luna",
                "answers": [{"type": "predicate", "probability": 0.9}],
                "usage": {
                    "input_tokens": 1000,
                    "input_tokens_details": {"cached_tokens": 900},
                    "output_tokens": 7,
                    "total_tokens": 1007,
                },
            },
            ("generate_content", 1000, 0, pytest.approx(1000 * 0.1e-6)),
            id="decisions, of which the input alone is billed",
        ),
    ],
)
def test_what_is_no_chat(url: str, body: dict[str, Any], answer: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """It is a call all the same, for the budget as well; what has no price in the list is unknown and not 0."""
    assert billed(url, body, json=answer)[:4] == expected


WATSONX, DASHSCOPE = (
    "https://us-south.ml.cloud.ibm.com/ml/v1/text",
    "https://dashscope.aliyuncs.com/api/v1/services/aigc",
)


@pytest.mark.parametrize(
    "url, body, answer, expected",
    [
        pytest.param(
            f"{WATSONX}/chat?version=2025-02-06",
            {"model_id": "ibm/granite", "messages": [], "max_tokens": 90},
            {"json": {"model_id": "ibm/granite", "usage": {"prompt_tokens": 59, "completion_tokens": 49}}},
            ("chat", "ibm.watsonx.ai", "ibm/granite", 90, 59, 49),
            id="watsonx.ai, chat",
        ),
        pytest.param(
            f"{WATSONX}/generation?version=2025-02-06",
            {"model_id": "ibm/granite", "input": "q", "parameters": {"max_new_tokens": 90}},
            {"json": {"model_id": "ibm/granite", "results": [{"input_token_count": 4, "generated_token_count": 20}]}},
            ("text_completion", "ibm.watsonx.ai", "ibm/granite", 90, 4, 20),
            id="watsonx.ai, text",
        ),
        pytest.param(
            f"{WATSONX}/generation_stream?version=2025-02-06",
            {"model_id": "ibm/granite", "input": "q"},
            events(
                {"model_id": "ibm/granite", "results": [{"input_token_count": 4, "generated_token_count": 0}]},
                {"results": [{"input_token_count": 0, "generated_token_count": 1}]},
                {"results": [{"input_token_count": 0, "generated_token_count": 2}]},
            ),
            ("text_completion", "ibm.watsonx.ai", "ibm/granite", None, 4, 2),
            id="watsonx.ai, a stream that counts up",
        ),
        pytest.param(
            f"{WATSONX}/embeddings?version=2025-02-06",
            {"model_id": "ibm/slate", "inputs": ["q"]},
            {"json": {"model_id": "ibm/slate", "results": [{"embedding": [0.1]}], "input_token_count": 8}},
            ("embeddings", "ibm.watsonx.ai", "ibm/slate", None, 8, None),
            id="watsonx.ai, embeddings",
        ),
        pytest.param(
            f"{DASHSCOPE}/text-generation/generation",
            {"model": "qwen-plus", "input": {"messages": []}, "parameters": {"max_tokens": 90}},
            {
                "json": {
                    "request_id": "r",
                    "output": {"choices": []},
                    "usage": {"input_tokens": 26, "output_tokens": 66},
                }
            },
            ("chat", "dashscope", None, 90, 26, 66),
            id="DashScope",
        ),
        pytest.param(
            f"{DASHSCOPE}/multimodal-generation/generation",
            {"model": "qwen-vl-plus", "input": {"messages": []}, "parameters": {"incremental_output": True}},
            events(
                {"output": {}, "usage": {"input_tokens": 1271, "output_tokens": 1, "image_tokens": 1247}},
                {"output": {}, "usage": {"input_tokens": 1271, "output_tokens": 55, "image_tokens": 1247}},
            ),
            ("chat", "dashscope", None, None, 1271, 55),
            id="DashScope, a stream that counts up",
        ),
        pytest.param(
            "https://x.snowflakecomputing.com/api/v2/cortex/inference:complete",
            {"model": "claude-4-sonnet", "messages": [], "stream": True},
            events({"model": "claude-4-sonnet", "usage": {"prompt_tokens": 18, "completion_tokens": 172}}),
            ("chat", "snowflake", "claude-4-sonnet", None, 18, 172),
            id="Snowflake Cortex",
        ),
        pytest.param(
            "https://adb-1.2.azuredatabricks.net/serving-endpoints/mine/invocations",
            {"messages": [], "max_tokens": 90},
            {"json": {"model": "claude-sonnet-4-5", "usage": {"prompt_tokens": 7, "completion_tokens": 74}}},
            ("chat", "databricks", "claude-sonnet-4-5", 90, 7, 74),
            id="Databricks",
        ),
    ],
)
def test_who_speaks_a_language_of_their_own(
    url: str, body: dict[str, Any], answer: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    """Kind, provider, the model that answered, the limit asked for, and the tokens: as its reference has them."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, **answer))
    with capture() as captured:
        with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as client:
            client.post(url, json=body)
        (call,) = (line for line in captured.closing() if line.operation != "invoke_agent")
        (entry,) = ai_dev_squad.get_cost_tracker().entries
    said = ChainMap(*(line.metadata or {} for line in captured.lines if line.span_id == call.span_id))
    found = (said.get(name) for name in (keys.PROVIDER_NAME, keys.RESPONSE_MODEL, keys.REQUEST_MAX_TOKENS))
    assert (call.operation, *found, entry.usage.input_tokens, entry.usage.output_tokens) == expected


@pytest.mark.parametrize(
    "url, body, answer, expected",
    [
        pytest.param(  # pi#2017, AstrBot#6614
            "https://api.moonshot.ai/v1/chat/completions",
            {"model": "kimi-k2-0905-preview", "messages": [], "stream": True},
            events(
                {"model": "kimi-k2-0905-preview", "choices": [{"index": 0, "delta": {"content": '"usage":{'}}]},
                {"choices": [{"delta": {}, "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}]},
            ),
            (1000, 100, pytest.approx(1000 * 0.6e-6 + 100 * 2.5e-6)),
            id="Moonshot, whose streams tell it in a choice",
        ),
        pytest.param(  # posthog-python#395
            f"{OPENAI}/responses",
            {"prompt": {"id": "pmpt_1"}, "input": "q"},
            {"json": {"model": "gpt-4o", "usage": {"input_tokens": 1000, "output_tokens": 100}}},
            (1000, 100, 0.0035),
            id="a prompt that is kept at OpenAI, with its model",
        ),
        pytest.param(
            "https://api.mistral.ai/v1/conversations",
            {"agent_id": "ag_1", "inputs": "q"},
            {
                "json": {
                    "outputs": [{"type": "tool.execution"}, {"type": "message.output", "model": "mistral-large-2512"}],
                    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
                }
            },
            (1000, 100, pytest.approx(1000 * 0.5e-6 + 100 * 1.5e-6)),
            id="an agent that is kept at Mistral",
        ),
        pytest.param(  # Roo-Code#1604
            "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprompt-router%2Fr/converse",
            {"messages": []},
            {
                "json": {
                    "usage": {"inputTokens": 1000, "outputTokens": 100},
                    "trace": {
                        "promptRouter": {
                            "invokedModelId": "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-pro-v1:0"
                        }
                    },
                }
            },
            (1000, 100, pytest.approx(1000 * 0.8e-6 + 100 * 3.2e-6)),
            id="a router of Bedrock's",
        ),
        pytest.param(
            "https://api.cloudflare.com/client/v4/accounts/a/ai/run/@cf/meta/llama-3.1-8b-instruct",
            {"prompt": "q"},
            {
                "json": {
                    "success": True,
                    "result": {"response": "a", "usage": {"prompt_tokens": 1000, "completion_tokens": 100}},
                }
            },
            (1000, 100, pytest.approx(1000 * 0.282e-6 + 100 * 0.827e-6)),
            id="Cloudflare Workers AI",
        ),
        pytest.param(
            "https://api.replicate.com/v1/models/meta/meta-llama-3-70b-instruct/predictions",
            {"input": {"prompt": "q"}},
            {
                "json": {
                    "status": "succeeded",
                    "metrics": {"input_token_count": 10, "output_token_count": 20, "predict_time": 1.5},
                }
            },
            (10, 20, None),
            id="Replicate",
        ),
        pytest.param(
            "http://localhost:1234/api/v1/chat",
            {"model": "qwen3", "input": "q"},
            {"json": {"model_instance_id": "qwen3", "stats": {"input_tokens": 10, "total_output_tokens": 20}}},
            (10, 20, None),
            id="LM Studio",
        ),
        pytest.param(
            "https://router.huggingface.co/groq/openai/v1/chat/completions",
            {"model": "llama-3.3-70b-versatile", "messages": []},
            {"json": {"usage": {"prompt_tokens": 1000, "completion_tokens": 100}}},
            (1000, 100, pytest.approx(1000 * 0.59e-6 + 100 * 0.79e-6)),
            id="Groq, through Hugging Face",
        ),
        pytest.param(
            "https://api.deepinfra.com/v1/openai/chat/completions",
            {"model": "deepseek-ai/DeepSeek-V3", "messages": []},
            {"json": {"usage": {"prompt_tokens": 1000, "completion_tokens": 100, "estimated_cost": 0.00034}}},
            (1000, 100, 0.00034),
            id="DeepInfra, who says what it costs",
        ),
    ],
)
def test_what_is_said_in_places_of_their_own(
    url: str, body: dict[str, Any], answer: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    """Tokens and the model that answered are found where the provider says them."""
    assert billed(url, body, **answer)[1:4] == expected


@pytest.mark.parametrize(
    "answer, error",
    [
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "1008"),
        ({"choices": [{"finish_reason": "error", "error": {"code": 502, "message": "upstream"}}]}, "502"),
        ({"base_resp": {"status_code": 0}, "choices": [{"error": None, "message": {"content": '"error":{}'}}]}, None),
    ],
)
def test_an_error_that_is_sent_as_a_success(answer: dict[str, Any], error: str | None) -> None:
    """MiniMax and OpenRouter say in the answer what went wrong."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    with capture() as captured:
        with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as client:
            client.post(f"{GATEWAY}/chat/completions", json={"model": "m", "messages": []})
    (call,) = captured.closing("chat")
    assert (call.status, call.error and call.error.type) == ("error" if error else "ok", error)


@pytest.mark.parametrize(
    "path, body, last, error",
    [
        ("responses", {"input": "q"}, {"type": "error", "code": "server_error", "message": "m"}, "server_error"),
        ("responses", {"input": "q"}, {"type": "error", "code": None, "message": "m"}, "error"),
        ("chat/completions", {}, {"object": "error", "message": "m", "type": "BadRequestError", "code": 400}, "400"),
        (
            "conversations",
            {"inputs": "q"},
            {"type": "conversation.response.error", "message": "m", "code": 3000},
            "3000",
        ),
        ("services/aigc/text-generation/generation", {}, {"code": "Throttling", "message": "m"}, "Throttling"),
        ("v2/chat", {}, {"event_type": "stream-end", "finish_reason": "ERROR"}, "ERROR"),
    ],
)
def test_an_error_that_is_the_event_itself(path: str, body: dict[str, Any], last: dict[str, Any], error: str) -> None:
    """Amid a stream OpenAI's responses, vLLM, Mistral and DashScope say so without an object of its own."""
    told = events({"choices": [], "type": "begun"}, last)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, **told))
    with capture() as captured:
        with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as client:
            client.post(f"{GATEWAY}/{path}", json={"model": "m", **body})
    (call,) = captured.closing("chat")
    assert (call.status, call.error and call.error.type) == ("error", error)


class Arriving(httpx.SyncByteStream):
    """Events one by one."""

    def __init__(self, *told: object) -> None:
        self._told = told

    def __iter__(self) -> Iterator[bytes]:
        for event in self._told:
            yield f"data: {json.dumps(event)}\n\n".encode()


def test_who_is_told_of_an_error_amid_a_stream_reads_no_further() -> None:
    """OpenAI's client raises and closes at such an event: that is an error with the code that was sent, and what had come is
    counted (OmniRoute#8210, local-operator#223).
    """
    begun = {"choices": [{"index": 0, "delta": {"content": "half a"}}]}
    broken = {"choices": [], "error": {"code": 502, "message": "provider_unavailable"}}
    head = {"content-type": "text/event-stream"}
    stream = Arriving(begun, broken, begun)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=head, stream=stream))
    with capture() as captured:
        with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as client:
            with client.stream("POST", f"{OPENAI}/chat/completions", json={"model": "gpt-4o", "messages": []}) as told:
                list(zip(range(2), told.iter_raw(), strict=False))
    (call,) = captured.closing("chat")
    assert (call.status, call.error and call.error.type) == ("error", "502")
    assert call.usage is not None
    assert (call.usage.source, call.usage.output_tokens) == ("estimated", 2)


def frame(kind: str, told: dict[str, Any]) -> bytes:
    """One message of Amazon's event stream."""
    name, payload = b":event-type", json.dumps(told).encode()
    headers = bytes([len(name)]) + name + b"\x07" + len(kind).to_bytes(2, "big") + kind.encode()
    length = 16 + len(headers) + len(payload)
    return length.to_bytes(4, "big") + len(headers).to_bytes(4, "big") + bytes(4) + headers + payload + bytes(4)


def test_an_agent_of_bedrocks_has_asked_more_than_once() -> None:
    """Each of its questions is in its trace, with what that alone was billed (openinference#2064, openllmetry#1659)."""
    asked = {"modelInvocationInput": {"foundationModel": "amazon.nova-pro-v1:0"}}
    billed_each = [{"inputTokens": 600, "outputTokens": 40}, {"inputTokens": 400, "outputTokens": 60}]
    steps = [asked, *({"modelInvocationOutput": {"metadata": {"usage": each}}} for each in billed_each)]
    frames = [frame("trace", {"agentId": "A", "trace": {"orchestrationTrace": step}}) for step in steps]
    told = {
        "content": b"".join([*frames, frame("chunk", {"bytes": "aGk="})]),
        "headers": {"content-type": "application/vnd.amazon.eventstream"},
    }
    url = "https://bedrock-agent-runtime.us-east-1.amazonaws.com/agents/A/agentAliases/B/sessions/C/text"
    assert billed(url, {"inputText": "q", "enableTrace": True}, **told)[:4] == (
        *("chat", 1000, 100),
        pytest.approx(1000 * 0.8e-6 + 100 * 3.2e-6),
    )


@pytest.mark.parametrize("last", [None, {"type": "error", "error": {"type": "overloaded_error"}}])
def test_a_stream_that_breaks_off_has_said_more_than_it_had_counted(last: dict[str, Any] | None) -> None:
    """Anthropic counts the output at the end alone, and a 1 when it begins (litellm#30787, litellm#30420)."""
    begun = {"model": "claude-opus-4-8", "content": [], "usage": {"input_tokens": 1000, "output_tokens": 1}}
    told = events(
        {"type": "message_start", "message": begun},
        *({"type": "content_block_delta", "delta": {"text": f"word {index}"}} for index in range(100)),
        *([last] if last else []),
    )

    def breaking() -> Iterator[bytes]:
        yield told["text"].encode()
        if last is None:
            raise httpx.RemoteProtocolError("the peer has closed the connection")

    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=told["headers"], content=breaking()))
    with capture():
        with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as client:
            with client.stream("POST", "https://api.anthropic.com/v1/messages", json=CLAUDE) as response:
                with suppress(httpx.RemoteProtocolError):
                    list(response.iter_lines())
        (entry,) = ai_dev_squad.get_cost_tracker().entries
    events_told = 101 if last is None else 102
    assert (entry.input_tokens, entry.output_tokens, entry.usage.source) == (1000, events_told, "estimated")


def test_speech_is_counted_where_its_stream_says_so() -> None:
    """Sound alone says nothing of tokens: what was read is estimated, and the cost is unknown (opik#5010, langwatch#6934)."""
    asked = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "hello"}
    told = events(
        {"type": "speech.audio.delta", "audio": "aa"},
        {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}},
    )
    assert billed(f"{OPENAI}/audio/speech", asked, **told)[:4] == (
        *("generate_content", 14, 101),
        pytest.approx(14 * 0.6e-6 + 101 * 12e-6),
    )
    sound = billed(f"{OPENAI}/audio/speech", asked, content=b"ID3\x04\x00", headers={"content-type": "audio/mpeg"})
    assert (sound[0], sound[1] > 0, sound[2:4]) == ("generate_content", True, (None, None))


@pytest.mark.parametrize(
    "said, expected",
    [
        ("0.0123", (0.0123, "provider")),
        ("0.0", (None, None)),
        ("", (None, None)),
        ("nan", (None, None)),
        ("-1", (None, None)),
    ],
)
def test_a_gateway_says_in_the_head_what_it_cost(said: str, expected: tuple[Any, ...]) -> None:
    """A proxy knows the model behind an alias and its contract; a 0 of it is no price (OpenHands#6022, litellm#16212)."""
    asked = {"model": "house-model", "messages": []}
    assert billed(f"{GATEWAY}/chat/completions", asked, json=CHATTED, headers={COST: said})[3:] == expected


@pytest.mark.parametrize(
    "url, model, expected",
    [
        ("https://openrouter.ai/api/v1", "deepseek/deepseek-r1:free", (0.0, "provider")),
        ("https://openrouter.ai/api/v1", "openai/gpt-4o", (0.0, "provider")),
        (GATEWAY, "gpt-4o", (0.0035, "genai-prices")),
        (GATEWAY, "house-model", (None, None)),
    ],
)
def test_a_cost_of_0_is_one_where_models_are_given_away(url: str, model: str, expected: tuple[Any, ...]) -> None:
    """A gateway that could not price a call says 0 as well, and its budget would never be reached (litellm#37924)."""
    answer = CHATTED | {"model": model, "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "cost": 0}}
    assert billed(f"{url}/chat/completions", {"model": model, "messages": []}, json=answer)[3:] == expected


@pytest.mark.parametrize(
    "model, price",
    [
        ("gpt-4o", "openai/gpt-4o"),
        ("gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("claude-opus-4-8", "anthropic/claude-opus-4-8"),
    ],
)
def test_a_gateway_speaks_anthropics_language_for_others(model: str, price: str) -> None:
    """As LiteLLM's proxy does for who has a client of Anthropic's only: the model tells who is paid."""
    answer = {"model": model, "usage": {"input_tokens": 1000, "output_tokens": 100}}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    with capture():
        with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as client:
            client.post(f"{GATEWAY}/messages", json=CLAUDE | {"model": model})
        (entry,) = ai_dev_squad.get_cost_tracker().entries
    assert entry.cost.price == price


SHARES = {
    "models": [
        {"model": "openai/gpt-oss-120b", "usage": {"prompt_tokens": 500, "completion_tokens": 50}},
        {"model": "llama-3.3-70b-versatile", "usage": {"prompt_tokens": 400, "completion_tokens": 40}},
        {"model": "openai/gpt-oss-120b", "usage": {"prompt_tokens": 100, "completion_tokens": 10}},
    ]
}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"json": CHATTED | {"model": "groq/compound", "usage_breakdown": SHARES}}, id="at once"),
        pytest.param(
            events({"choices": []}, {"choices": [], "x_groq": {"usage": CHATTED["usage"], "usage_breakdown": SHARES}}),
            id="in events",
        ),
    ],
)
def test_each_model_of_a_system_has_its_own_price(answer: dict[str, Any]) -> None:
    """Groq's compound systems have no price; what they are made of has, and the answer says who had how much of the whole."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, **answer))
    with capture() as captured:
        with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as client:
            client.post(
                "https://api.groq.com/openai/v1/chat/completions", json={"model": "groq/compound", "messages": []}
            )
        entries = ai_dev_squad.get_cost_tracker().entries
    assert [(entry.cost.price, entry.input_tokens, entry.output_tokens, entry.cost_usd) for entry in entries] == [
        ("groq/openai/gpt-oss-120b", 600, 60, pytest.approx(600 * 0.15e-6 + 60 * 0.6e-6)),
        ("groq/llama-3.3-70b-versatile", 400, 40, pytest.approx(400 * 0.59e-6 + 40 * 0.79e-6)),
    ]
    assert (
        captured.tree()
        == """\
invoke_agent agent: ok
  chat groq/compound: ok
    chat llama-3.3-70b-versatile: ok"""
    )


WRITTEN = {"inputs": "q", "parameters": {"max_new_tokens": 9}}
DETAILS = {"finish_reason": "length", "generated_tokens": 5, "tokens": []}


@pytest.mark.parametrize(
    "url, body, answer, expected",
    [
        pytest.param(
            "http://tgi:8080/generate",
            WRITTEN,
            {"json": {"generated_text": "a", "details": DETAILS | {"prefill": [{"id": 1}, {"id": 2}]}}},
            ("text_completion", 2, 5),
            id="TGI, which lists what it was asked",
        ),
        pytest.param(
            "http://tgi:8080/generate",
            WRITTEN,
            {"json": {"generated_text": "a"}, "headers": {"x-prompt-tokens": "7", "x-generated-tokens": "3"}},
            ("text_completion", 7, 3),
            id="TGI, in the head",
        ),
        pytest.param(
            "http://tgi:8080/generate_stream",
            WRITTEN,
            events({"token": {"id": 1}}, {"generated_text": "a b", "details": DETAILS | {"input_length": 4}}),
            ("text_completion", 4, 5),
            id="TGI, in events",
        ),
        pytest.param(
            "http://sglang:30000/generate",
            {"text": "q", "sampling_params": {"max_new_tokens": 9}},
            {"json": {"text": "a", "meta_info": {"id": "x", "prompt_tokens": 6, "completion_tokens": 2}}},
            ("text_completion", 6, 2),
            id="SGLang",
        ),
        pytest.param(
            "http://llama:8080/completion",
            {"prompt": "q", "n_predict": 9, "stream": True},
            events({"content": "a", "stop": False}, {"stop": True, "tokens_predicted": 5, "tokens_evaluated": 9}),
            ("text_completion", 9, 5),
            id="llama.cpp",
        ),
    ],
)
def test_a_server_of_one_model_names_none(
    url: str, body: dict[str, Any], answer: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    """It is a call all the same, counted by what the server says in words of its own."""
    assert billed(url, body, **answer)[:3] == expected


def test_a_page_is_no_answer() -> None:
    """A gateway's page of a login comes with a 200: the call failed, and nothing of it is billed."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, html="<html>Sign in</html>"))
    with capture() as captured:
        with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as client:
            client.post(f"{OPENAI}/chat/completions", json={"model": "gpt-4o", "messages": [{"content": "q"}]})
    (call,) = captured.closing("chat")
    assert (call.status, call.error and call.error.type, call.usage and call.usage.source) == (
        *("error", "html_page"),
        "missing",
    )


def test_a_streams_head_knows_no_cost_yet() -> None:
    """What stands there was known before anything was said."""
    streamed = events(CHATTED)
    streamed["headers"] |= {COST: "0.5"}
    asked = {"model": "house-model", "messages": [], "stream": True}
    assert billed(f"{GATEWAY}/chat/completions", asked, **streamed)[3:] == (None, None)


@pytest.mark.parametrize(
    "asked, served, factor",
    [
        ({}, {"service_tier": "standard"}, 1),
        ({"speed": "fast"}, {"service_tier": "standard", "speed": "fast"}, 2),
        ({"speed": "fast"}, {"service_tier": "standard", "speed": "standard"}, 1),
        ({}, {"service_tier": "batch"}, 0.5),
        ({"inference_geo": "global"}, {"service_tier": "standard", "inference_geo": "global"}, 1),
        ({}, {"service_tier": "standard", "inference_geo": "us"}, 1.1),
        ({"speed": "fast"}, {"service_tier": "standard", "speed": "fast", "inference_geo": "us"}, 2.2),
        ({}, {"service_tier": "batch", "inference_geo": "us"}, 0.55),
    ],
)
def test_the_speed_and_the_place_that_served_are_what_is_billed(
    asked: dict[str, Any], served: dict[str, Any], factor: float
) -> None:
    """Anthropic may serve at the usual speed what was asked for in fast mode (litellm#38378); what it kept in the United States
    is dearer by a tenth, also where only the workspace asks for that (claude-code#60641, litellm#38369).
    """
    answer = {"model": "claude-opus-4-8", "usage": {"input_tokens": 1000, "output_tokens": 100, **served}}
    cost = billed("https://api.anthropic.com/v1/messages", CLAUDE | asked, json=answer)[3]
    assert cost == pytest.approx((1000 * 5e-6 + 100 * 25e-6) * factor)


def test_a_compaction_is_billed_beside_the_answer() -> None:
    """180,000 + 23,000 tokens in and 3,500 + 1,000 out (pydantic-ai#5065)."""
    rounds = [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
        {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
    ]
    answer = {
        "model": "claude-opus-4-8",
        "usage": {"input_tokens": 23_000, "output_tokens": 1_000, "iterations": rounds},
    }
    told = billed("https://api.anthropic.com/v1/messages", CLAUDE, json=answer)
    assert told[:4] == ("chat", 203_000, 4_500, pytest.approx(203_000 * 5e-6 + 4_500 * 25e-6))


def test_an_advisor_is_a_call_of_its_own_at_its_own_price() -> None:
    """Its tokens are in no sum of the answer's, and it is another model (ccusage#1115, pydantic-ai#6605, codeburn#659)."""
    rounds = [
        {"type": "message", "input_tokens": 1_000, "output_tokens": 50},
        {
            "type": "advisor_message",
            "model": "claude-opus-4-8",
            "input_tokens": 9_000,
            "output_tokens": 800,
            "cache_read_input_tokens": 1_000,
            "cache_creation_input_tokens": 0,
        },
        {"type": "message", "input_tokens": 2_000, "output_tokens": 50},
    ]
    answer = {
        "model": "claude-sonnet-4-6",
        "usage": {"input_tokens": 3_000, "output_tokens": 100, "iterations": rounds},
    }
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    with capture() as captured:
        ai_dev_squad.get_cost_tracker().budget_manager.set_budget("all", 1.0, "total", [], on_exceed="stop")
        with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as client:
            client.post("https://api.anthropic.com/v1/messages", json=CLAUDE | {"model": "claude-sonnet-4-6"})
        entries = ai_dev_squad.get_cost_tracker().entries
        (status,) = ai_dev_squad.get_cost_tracker().budget_manager.status()
    advice = 9_000 * 5e-6 + 1_000 * 0.5e-6 + 800 * 25e-6
    answered = 3_000 * 3e-6 + 100 * 15e-6
    assert [(entry.model_name, entry.input_tokens, entry.output_tokens, entry.cost_usd) for entry in entries] == [
        ("claude-sonnet-4-6", 3_000, 100, pytest.approx(answered)),
        ("claude-opus-4-8", 10_000, 800, pytest.approx(advice)),
    ]
    assert (status.spent_usd, status.reserved_usd) == (pytest.approx(advice + answered), 0)
    assert (
        captured.tree()
        == """\
invoke_agent agent: ok
  chat claude-sonnet-4-6: ok
    chat claude-opus-4-8: ok"""
    )


@pytest.mark.parametrize(
    "tools, told, drawn",
    [
        pytest.param(
            [{"type": "image_generation", "model": "gpt-image-1.5"}],
            {"input_tokens_details": {"text_tokens": 40, "image_tokens": 10}},
            ("openai/gpt-image-1.5", pytest.approx(40 * 5e-6 + 10 * 8e-6 + 1000 * 32e-6)),
            id="by a model that is named",
        ),
        pytest.param([{"type": "image_generation"}], {}, (None, None), id="by whichever model OpenAI takes"),
    ],
)
def test_pictures_within_a_response_are_a_call_of_their_own(
    tools: list[Any], told: dict[str, Any], drawn: tuple[Any, ...]
) -> None:
    """Another model draws them, at its own price, and they are in no count of the answer's; searches are as many as are billed."""
    answer = {
        "model": "gpt-4o",
        "tools": [{"type": "web_search"}, *tools],
        "output": [{"type": "web_search_call", "action": {"type": "search"}}] * 3,
        "usage": {"input_tokens": 1000, "output_tokens": 100},
        "tool_usage": {
            "image_gen": {"input_tokens": 50, "output_tokens": 1000, "total_tokens": 1050, **told},
            "web_search": {"num_requests": 1},
        },
    }
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    with capture() as captured:
        with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as client:
            client.post(f"{OPENAI}/responses", json={"model": "gpt-4o", "input": "q"})
        answered, beside = ai_dev_squad.get_cost_tracker().entries
    assert (answered.input_tokens, answered.output_tokens, answered.usage.web_searches) == (1000, 100, 1)
    assert (beside.input_tokens, beside.output_tokens, beside.usage.image_output_tokens) == (50, 1000, 1000)
    assert (beside.cost.price, beside.cost_usd) == drawn
    assert captured.tree().count("chat") == 2


FABLE = CLAUDE | {"model": "claude-fable-5"}
DECLINED = {
    "input_tokens": 2,
    "output_tokens": 578,
    "cache_creation_input_tokens": 10_421,
    "cache_read_input_tokens": 72_769,
}
SERVED = {
    "input_tokens": 2,
    "output_tokens": 13_658,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 79_214,
}
UNHEARD = {"input_tokens": 85_000, "output_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


def rounds(declined: dict[str, int]) -> dict[str, Any]:
    """The report of an answer that Opus gave after Fable had declined."""
    return SERVED | {
        "iterations": [
            {"type": "message", "model": "claude-fable-5", **declined},
            {"type": "fallback_message", "model": "claude-opus-4-8", **SERVED},
        ]
    }


def streamed(*blocks: str, stop_reason: str, usage: dict[str, Any]) -> dict[str, Any]:
    """An answer of Fable's in events, which another model may have ended."""
    begun = {"model": "claude-fable-5", "content": [], "stop_reason": None, "usage": DECLINED | {"output_tokens": 1}}
    return events(
        {"type": "message_start", "message": begun},
        *({"type": "content_block_start", "content_block": {"type": kind}} for kind in blocks),
        {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": usage},
        {"type": "message_stop"},
    )


@pytest.mark.parametrize(
    "answer, declined",
    [
        pytest.param({"json": {"model": "claude-opus-4-8", "usage": rounds(DECLINED)}}, True, id="at once"),
        pytest.param(
            streamed("text", "fallback", "text", stop_reason="end_turn", usage=rounds(DECLINED)), True, id="in events"
        ),
        pytest.param({"json": {"model": "claude-opus-4-8", "usage": rounds(UNHEARD)}}, False, id="before a word"),
    ],
)
def test_a_model_that_answers_in_the_place_of_another_has_its_own_price(answer: dict[str, Any], declined: bool) -> None:
    """Who had begun before it declined is billed beside it, as a call of its own; what it had counted when the stream began is
    none of the other's (chatlas#380, ccusage#1552, bifrost#5387, openinference#3734).
    """
    transport = httpx.MockTransport(lambda _: httpx.Response(200, **answer))
    with capture(spans=True) as captured:
        with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as client:
            client.post("https://api.anthropic.com/v1/messages", json=FABLE)
        entries = ai_dev_squad.get_cost_tracker().entries
    served = ("anthropic/claude-opus-4-8", 79_216, 13_658, pytest.approx(2 * 5e-6 + 79_214 * 0.5e-6 + 13_658 * 25e-6))
    beside = (
        "anthropic/claude-fable-5",
        83_192,
        578,
        pytest.approx(2 * 10e-6 + 10_421 * 12.5e-6 + 72_769 * 1e-6 + 578 * 50e-6),
    )
    assert [(entry.cost.price, entry.input_tokens, entry.output_tokens, entry.cost_usd) for entry in entries] == [
        served,
        *([beside] if declined else []),
    ]
    answered = [span.attributes[keys.RESPONSE_MODEL] for span in captured.spans if span.name.startswith("chat")]
    assert answered == [*(["claude-fable-5"] if declined else []), "claude-opus-4-8"]


@pytest.mark.parametrize(
    "answer, expected",
    [
        pytest.param(
            {"json": {"model": "claude-fable-5", "content": [], "stop_reason": "refusal", "usage": DECLINED}},
            (0.0, "provider"),
            id="at once",
        ),
        pytest.param(streamed(stop_reason="refusal", usage={"output_tokens": 1}), (0.0, "provider"), id="in events"),
        pytest.param(
            streamed("text", stop_reason="refusal", usage={"output_tokens": 578}),
            (pytest.approx(2 * 10e-6 + 10_421 * 12.5e-6 + 72_769 * 1e-6 + 578 * 50e-6), "genai-prices"),
            id="amid its answer",
        ),
    ],
)
def test_who_declines_before_saying_anything_is_not_billed(answer: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Its tokens are counted all the same (llmgateway#2642, new-api#7162)."""
    assert billed("https://api.anthropic.com/v1/messages", FABLE, **answer)[3:] == expected
