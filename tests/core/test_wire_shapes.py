"""Which requests call a model: by path, and by what the body says."""

from __future__ import annotations

import json

import httpx
import pytest

from ai_dev_squad import wire
from ai_dev_squad.wire import Exchange

OPENAI = "https://api.openai.com/v1"
CALLS = {
    "https://api.openai.com/v1/chat/completions": ("chat", "body"),
    "https://x.openai.azure.com/openai/deployments/mine/chat/completions?api-version=1": ("chat", "body"),
    "https://x.services.ai.azure.com/models/chat/completions": ("chat", "body"),
    "https://openrouter.ai/api/v1/chat/completions": ("chat", "body"),
    "https://api.mistral.ai/v1/fim/completions": ("completions", "body"),
    "https://api.openai.com/v1/completions": ("completions", "body"),
    "https://api.openai.com/v1/responses": ("responses", "body"),
    "https://api.openai.com/v1/embeddings": ("embeddings", "body"),
    "https://ark.cn-beijing.volces.com/api/v3/embeddings/multimodal": ("embeddings", "body"),
    "https://ark.cn-beijing.volces.com/api/v3/contents/generations/tasks": ("videos", "body"),
    "https://api.openai.com/v1/videos/video_1/remix": ("videos", ""),
    "https://api.minimax.io/v1/text/chatcompletion_v2": ("chat", "body"),
    "https://router.huggingface.co/hf-inference/models/google/gemma-2b": ("hf_inference", "google/gemma-2b"),
    "https://router.huggingface.co/hf-inference/models/BAAI/bge/pipeline/feature-extraction": (
        "embeddings",
        "BAAI/bge",
    ),
    "https://api.cloudflare.com/client/v4/accounts/a/ai/run/@cf/meta/llama-3": ("cloudflare", "@cf/meta/llama-3"),
    "https://gateway.ai.cloudflare.com/v1/a/g/workers-ai/@cf/meta/llama-3": ("cloudflare", "@cf/meta/llama-3"),
    "https://bedrock-agent-runtime.us-east-1.amazonaws.com/retrieveAndGenerate": ("retrieval", ""),
    "https://ai.api.nvidia.com/v1/retrieval/nvidia/reranking": ("rerank", "body"),
    "https://api.jina.ai/v1/classify": ("classify", "body"),
    "https://bedrock-agent-runtime/agents/A/agentAliases/B/sessions/C/text": ("bedrock_agent", ""),
    "https://api.openai.com/v1/decisions": ("decisions", "body"),
    "https://api.perplexity.ai/v1/sonar": ("chat", "body"),
    "http://localhost:1234/api/v1/chat": ("lm_studio", "body"),
    "https://api.openai.com/v1/images/generations": ("images", "body"),
    "https://x.openai.azure.com/openai/deployments/mine/images/edits?api-version=1": ("images", "body"),
    "https://api.openai.com/v1/audio/transcriptions": ("transcriptions", "body"),
    "https://api.openai.com/v1/audio/translations": ("transcriptions", "body"),
    "https://api.openai.com/v1/images/variations": ("images", "body"),
    "https://api.openai.com/v1/audio/speech": ("speech", "body"),
    "https://gateway.example/v1/videos": ("videos", "body"),
    "https://api.x.ai/v1/videos/generations": ("videos", "body"),
    "https://g/v1/projects/p/locations/l/publishers/google/models/veo-3.0:predictLongRunning": ("videos", "veo-3.0"),
    "https://api.mistral.ai/v1/ocr": ("ocr", "body"),
    "https://api.voyageai.com/v1/multimodalembeddings": ("embeddings", "body"),
    "https://api.cohere.com/v2/rerank": ("rerank", "body"),
    "https://g/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict": (
        *("vertex_embeddings", "text-embedding-005"),
    ),
    "https://g/v1/projects/p/locations/l/publishers/google/models/imagen-4.0:predict": ("images", "imagen-4.0"),
    "https://api.anthropic.com/v1/messages?beta=true": ("messages", "body"),
    "https://g/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:rawPredict": ("messages", "claude@1"),
    "https://g/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict": ("messages", "c"),
    "https://g/v1/projects/p/locations/l/publishers/mistralai/models/m:rawPredict": ("chat", "m"),
    "https://g/v1beta/models/gemini-2.5-flash:generateContent": ("gemini", "gemini-2.5-flash"),
    "https://g/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse": ("gemini", "gemini-2.5-flash"),
    "https://g/v1beta/tunedModels/mine:generateContent": ("gemini", "mine"),
    "https://generativelanguage.googleapis.com/v1beta/interactions": ("interactions", "body"),
    "https://g/v1beta/models/e:embedContent": ("gemini_embeddings", "e"),
    "https://g/v1beta/models/e:batchEmbedContents": ("gemini_embeddings", "e"),
    "https://bedrock/model/anthropic.claude-v1%3A0/converse": ("converse", "anthropic.claude-v1:0"),
    "https://bedrock/model/m/converse-stream": ("converse", "m"),
    "https://bedrock/model/m/invoke": ("invoke", "m"),
    "https://bedrock/model/amazon.titan-embed-text-v2%3A0/invoke": (
        "invoke_embeddings",
        "amazon.titan-embed-text-v2:0",
    ),
    "https://bedrock/model/us.cohere.embed-v4%3A0/invoke": ("invoke_embeddings", "us.cohere.embed-v4:0"),
    "https://bedrock/model/m/invoke-with-response-stream": ("invoke", "m"),
    "http://localhost:11434/api/chat": ("ollama", "body"),
    "http://localhost:11434/api/generate": ("ollama", "body"),
    "http://localhost:11434/api/embed": ("ollama_embeddings", "body"),
    "https://api.cohere.com/v1/chat": ("cohere", "body"),
    "https://api.cohere.com/v2/chat": ("cohere", "body"),
    "https://api.cohere.com/v2/embed": ("cohere_embeddings", "body"),
    "https://us-south.ml.cloud.ibm.com/ml/v1/deployments/mine/text/chat?version=1": ("watsonx", "mine"),
    "https://us-south.ml.cloud.ibm.com/ml/v1/deployments/mine/text/generation_stream": ("watsonx_text", "mine"),
    "https://dashscope.aliyuncs.com/api/v1/services/aigc/text-generation/generation": ("dashscope", "body"),
    "https://dashscope.aliyuncs.com/api/v1/services/aigc/multimodal-generation/generation": ("dashscope", "body"),
    "https://dashscope.aliyuncs.com/api/v1/services/embeddings/text-embedding/text-embedding": ("embeddings", "body"),
    "https://dashscope.aliyuncs.com/api/v1/services/rerank/text-rerank/text-rerank": ("rerank", "body"),
    "https://x.snowflakecomputing.com/api/v2/cortex/inference:complete": ("chat", "body"),
    "https://x.cloud.databricks.com/serving-endpoints/mine/invocations": ("chat", "mine"),
    "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/mine/invocations": ("chat", "mine"),
    "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/e/invocations-response-stream": ("chat", "e"),
}
OTHERS = (
    "https://api.anthropic.com/v1/messages/count_tokens",
    "https://api.anthropic.com/v1/messages/batches",
    "https://api.openai.com/v1/batches",
    "https://api.openai.com/v1/files",
    "https://api.openai.com/v1/responses/resp_1/cancel",
    "https://api.openai.com/v1/chat/completions/chatcmpl_1",
    "https://g/v1beta/models/gemini-2.5-flash:countTokens",
    "https://g/v1/projects/my-embedding/locations/l/endpoints/12:predict",
    "https://g/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
    "http://localhost/my-chain/invoke",
    "http://localhost/invoke",
    "http://localhost/other/path",
)
PATHS_OF_OTHERS = (
    "http://localhost/ai/run/nightly",
    "http://localhost/conversations/3",
    "http://localhost/v1/predictions",
    "http://localhost/v1/chat",
    "https://graph.microsoft.com/v1.0/chats/1/messages",
    "https://api.openai.com/v1/threads/t/messages",
    "http://localhost/api/chat",
    "http://localhost/surveys/3/responses",
    "https://www.googleapis.com/youtube/v3/videos",
    "http://localhost/scans/3/ocr",
)


class Recorder:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.asked_of: list[Exchange] = []
        self.ended_with: list[Exchange] = []

    def asked(self, exchange: Exchange) -> None:
        self.asked_of.append(exchange)

    def ended(self, exchange: Exchange) -> None:
        self.ended_with.append(exchange)


def sent(url: str, **body: object) -> list[tuple[str, str]]:
    """API and model of what is seen when a request is sent."""
    recorder = Recorder()
    client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json={})))
    with client, wire.install(recorder):
        client.post(url, **body)  # type: ignore[arg-type]
    # Of one that only asks about an earlier one, the end alone is told.
    assert recorder.asked_of == [exchange for exchange in recorder.ended_with if exchange.follows is None]
    return [(exchange.api, exchange.requested_model) for exchange in recorder.asked_of]


@pytest.mark.parametrize("url", CALLS)
def test_a_call_is_known_by_its_path_and_its_model_is_named_by_body_or_path(url: str) -> None:
    """The body's model goes first; where it has none, the path's is taken."""
    api, model = CALLS[url]
    assert sent(url, json={"model": "body"} if model == "body" else {"messages": []}) == [(api, model)]


@pytest.mark.parametrize("url", OTHERS)
def test_other_paths_are_not_calls_whatever_they_are_sent(url: str) -> None:
    """Counting tokens, batches, files and strangers' paths are let through."""
    assert sent(url, json={"model": "m", "messages": []}) == []


@pytest.mark.parametrize("url", PATHS_OF_OTHERS)
@pytest.mark.parametrize("body", [{"json": {"content": "hi"}}, {"data": {"model": "m"}}, {"content": b"\x00"}])
def test_a_path_that_others_have_too_needs_a_model_in_its_body(url: str, body: dict[str, object]) -> None:
    """Without one it's a chat message, a survey, or somebody's own endpoint."""
    assert sent(url, **body) == []


CONVERSED = {"inputs": "q"}
RAG = "https://bedrock-agent-runtime.us-east-1.amazonaws.com"
RERANKED = {"bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": "arn:rerank"}}}


@pytest.mark.parametrize(
    "url, body, call",
    [
        # posthog-python#395, sentry#111700
        (f"{OPENAI}/responses", {"prompt": {"id": "pmpt_1"}, "input": "q"}, ("responses", "")),
        (f"{OPENAI}/responses", {"agent": {"name": "a", "type": "agent_reference"}, "input": "q"}, ("responses", "")),
        # braintrust-sdk-python#324
        ("https://api.mistral.ai/v1/conversations", {"model": "m", **CONVERSED}, ("conversations", "m")),
        ("https://api.mistral.ai/v1/conversations", {"agent_id": "ag_1", **CONVERSED}, ("conversations", "ag_1")),
        ("https://api.mistral.ai/v1/conversations/conv_1", CONVERSED, ("conversations", "")),
        ("https://api.mistral.ai/v1/conversations/conv_1/restart", CONVERSED, ("conversations", "")),
        ("https://api.cohere.com/v1/chat", {"message": "q"}, ("cohere", "")),
        ("https://api.cohere.com/v1/rerank", {"query": "q", "documents": []}, ("rerank", "")),
        ("https://x.cloud.databricks.com/serving-endpoints/gte/invocations", {"input": ["q"]}, ("embeddings", "gte")),
        ("https://x/accounts/a/ai/run/@cf/baai/bge", {"text": ["q"]}, ("cloudflare_embeddings", "@cf/baai/bge")),
        ("https://api.replicate.com/v1/models/meta/llama/predictions", {"input": {}}, ("replicate", "meta/llama")),
        ("https://api.replicate.com/v1/predictions", {"version": "5c7d", "input": {}}, ("replicate", "5c7d")),
        (
            "https://bedrock-agent-runtime/agents/s",
            {"foundationModel": "m"},
            ("bedrock_agent", "m"),
        ),  # openinference#1344
        ("https://bedrock/async-invoke", {"modelId": "amazon.nova-reel-v1:0"}, ("videos", "amazon.nova-reel-v1:0")),
        (
            f"{RAG}/retrieveAndGenerate",
            {"retrieveAndGenerateConfiguration": {"knowledgeBaseConfiguration": {"modelArn": "arn:claude"}}},
            ("retrieval", "arn:claude"),
        ),
        (f"{RAG}/rerank", {"rerankingConfiguration": RERANKED}, ("rerank", "arn:rerank")),
        (
            "https://api.perplexity.ai/async/chat/completions",
            {"request": {"model": "sonar-deep-research"}},
            ("deferred", "sonar-deep-research"),
        ),
        (f"{OPENAI}/threads/thread_1/runs", {"assistant_id": "asst_1"}, ("runs", "")),
        (f"{OPENAI}/threads/runs", {"assistant_id": "asst_1", "model": "gpt-4o"}, ("runs", "gpt-4o")),
        ("http://localhost:8080/generate", {"inputs": "q", "parameters": {"max_new_tokens": 9}}, ("tgi", "")),
        ("http://localhost:8080/generate_stream", {"inputs": "q", "parameters": {"details": True}}, ("tgi", "")),
        ("https://x/endpoints/e/invocations", {"inputs": "q", "parameters": {"max_new_tokens": 9}}, ("tgi", "e")),
        ("http://localhost:30000/generate", {"text": "q", "sampling_params": {}}, ("sglang", "")),
        ("http://localhost:8080/completion", {"prompt": "q", "n_predict": 9}, ("llama_cpp", "")),
        ("http://localhost:8080/embed", {"inputs": ["q"]}, ("tei_embeddings", "")),
        ("https://api.perplexity.ai/v1/agent", {"preset": "pro-search", "input": "q"}, ("responses", "")),
        ("https://api.perplexity.ai/v1/responses", {"models": ["a/b", "c/d"], "input": "q"}, ("responses", "")),
    ],
)
def test_a_model_may_be_named_elsewhere_or_be_chosen_there(
    url: str, body: dict[str, object], call: tuple[str, str]
) -> None:
    """Deeper inside, by a prompt or an agent that the provider keeps, or by the provider itself: a call all the same."""
    assert sent(url, json=body) == [call]


@pytest.mark.parametrize(
    "url, body",
    [
        ("http://localhost/surveys/3/responses", {"prompt": "q", "agent": "a", "preset": "b"}),
        ("http://localhost/v1/agent", {"model": "m", "input": "q"}),
        ("http://localhost/conversations/3/run", {"inputs": {"topic": "q"}}),
        ("https://api.mistral.ai/v1/agents/ag_1", {"model": "m"}),
        (f"{OPENAI}/conversations", {"items": []}),
        (f"{OPENAI}/conversations/conv_1", {"metadata": {}}),
        (f"{OPENAI}/conversations/conv_1/items", {"items": []}),
        ("https://gateway.example/v1/chat", {"message": "q"}),
        ("https://x.cloud.databricks.com/serving-endpoints/agent/invocations", {"input": [{"role": "user"}]}),
        ("http://localhost/v1/predictions", {"version": "1", "input": [1, 2]}),
        ("http://localhost:2024/threads/7c1b/runs", {"assistant_id": "agent", "input": {}}),  # LangGraph's server
        ("http://localhost/reports/generate", {"inputs": "q", "parameters": {"format": "pdf"}}),
        ("http://localhost/completion", {"prompt": "q"}),
        ("http://localhost/embed", {"url": "https://a.example"}),
    ],
)
def test_what_looks_like_it_is_no_call(url: str, body: dict[str, object]) -> None:
    """Where nothing is asked, or somebody else might be."""
    assert sent(url, json=body) == []


@pytest.mark.parametrize(
    "url, named_as, api",
    [
        ("https://generativelanguage.googleapis.com/v1beta/interactions", "agent", "interactions"),
        ("https://us-south.ml.cloud.ibm.com/ml/v1/text/chat?version=2025-02-06", "model_id", "watsonx"),
        ("https://us-south.ml.cloud.ibm.com/ml/v1/text/generation?version=1", "model_id", "watsonx_text"),
        ("https://us-south.ml.cloud.ibm.com/ml/v1/text/embeddings?version=1", "model_id", "embeddings"),
        ("https://us-south.ml.cloud.ibm.com/ml/v1/text/rerank?version=1", "model_id", "rerank"),
    ],
)
def test_a_model_is_named_as_its_provider_does(url: str, named_as: str, api: str) -> None:
    """By a field of the provider's own; a stranger's path that ends like another one's is no call for that field."""
    assert sent(url, json={named_as: "m"}) == [(api, "m")]
    assert sent("http://localhost/messages", json={named_as: "m"}) == []


@pytest.mark.parametrize("path", ["serving-endpoints/churn/invocations", "endpoints/churn/invocations"])
def test_an_endpoint_that_is_sent_no_messages_serves_no_language_model(path: str) -> None:
    """Databricks and SageMaker serve whatever was put there."""
    assert sent(f"https://x/{path}", json={"dataframe_records": [{"age": 4}]}) == []
    assert sent(f"https://x/{path}", content=b"age,4") == []


def test_an_unmistakable_path_is_a_call_even_if_its_body_cannot_be_read() -> None:
    """A body that is made while it is sent hides the model, not the call."""
    body = iter([json.dumps({"model": "m"}).encode()])
    assert sent("https://x/v1/chat/completions", content=body) == [("chat", "")]
    assert sent("https://x/openai/deployments/d/chat/completions", content=b"\x1f\x8b") == [("chat", "d")]
