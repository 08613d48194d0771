"""Real client libraries: each call is seen exactly once, with what the provider counted."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any

import anthropic
import boto3
import cohere
import dashscope
import groq
import litellm
import ollama
import openai
import pytest
import requests
from azure.ai.inference import ChatCompletionsClient, EmbeddingsClient
from azure.ai.inference.aio import ChatCompletionsClient as AsyncChatCompletionsClient
from azure.core.credentials import AzureKeyCredential
from google import genai
from lm15 import AnthropicLM, AsyncOpenAIChatLM, Message, OpenAIChatLM, OpenAILM
from lm15 import Request as LM15Request
from mistralai.client import Mistral

MESSAGES: Any = [{"role": "user", "content": "q"}]
CONVERSED: Any = [{"role": "user", "content": [{"text": "q"}]}]
ASKING: Any = {"stream": True, "stream_options": {"include_usage": True}}
NAME_NO_MODEL = {"converse", "cohere", "cohere_embeddings", "gemini_embeddings", "dashscope"}
"""APIs whose answers don't say which model made them."""
CALLS: dict[str, tuple[Callable[[str], Any], tuple[str, Any]]] = {}
"""By name: a call with the address of a server, and API and output tokens, as the provider counts them."""


def call(api: str, output: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a call; its name says whose."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        CALLS[function.__name__] = (function, (api, output))
        return function

    return register


async def drain(stream: Any) -> None:
    """Read to the end."""
    async for _ in stream:
        pass


@call("chat", 10)
def openai_chat(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)


@call("chat", 10)
def openai_chat_stream(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client:
        list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **ASKING))


@call("chat", 10)
async def openai_chat_stream_async(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x") as client:
        await drain(await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, **ASKING))


@call("chat", 10)
async def openai_chat_on_aiohttp(url: str) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{url}/v1", api_key="x", http_client=openai.DefaultAioHttpClient()
    ) as client:
        await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)


@call("chat", 10)
def openai_azure(url: str) -> None:
    with openai.AzureOpenAI(azure_endpoint=url, api_key="x", api_version="2024-10-21") as client:
        client.chat.completions.create(model="mine", messages=MESSAGES)


@call("responses", 10)
def openai_responses(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client:
        client.responses.create(model="gpt-4o", input="q")


@call("responses", 10)
async def openai_responses_stream(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x") as client:
        await drain(await client.responses.create(model="gpt-4o", input="q", stream=True))


@call("completions", 10)
def openai_completions(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client:
        client.completions.create(model="gpt-3.5-turbo-instruct", prompt="q")


@call("embeddings", None)
def openai_embeddings(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client:
        client.embeddings.create(model="text-embedding-3-small", input="q")


@call("messages", 40)
def anthropic_messages(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key="x") as client:
        client.messages.create(model="claude", max_tokens=9, messages=MESSAGES)


@call("messages", 40)
def anthropic_stream(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key="x") as client:
        with client.messages.stream(model="claude", max_tokens=9, messages=MESSAGES) as stream:
            assert stream.get_final_text() == "w0 w1 w2 w3 w4 "


@call("messages", 40)
async def anthropic_stream_async(url: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=url, api_key="x") as client:
        await drain(await client.messages.create(model="claude", max_tokens=9, messages=MESSAGES, stream=True))


def _gemini(url: str) -> Any:
    return genai.Client(api_key="x", http_options={"base_url": url})


@call("gemini", 10)
def gemini_generate(url: str) -> None:
    client = _gemini(url)
    client.models.generate_content(model="gemini-2.5-flash", contents="q")


@call("gemini", 10)
def gemini_stream(url: str) -> None:
    client = _gemini(url)
    list(client.models.generate_content_stream(model="gemini-2.5-flash", contents="q"))


@call("gemini", 10)
async def gemini_generate_async(url: str) -> None:
    client = _gemini(url).aio
    await client.models.generate_content(model="gemini-2.5-flash", contents="q")
    await client.aclose()


@call("gemini", 10)
async def gemini_stream_async(url: str) -> None:
    client = _gemini(url).aio
    await drain(await client.models.generate_content_stream(model="gemini-2.5-flash", contents="q"))
    await client.aclose()


@call("gemini_embeddings", None)
def gemini_embeddings(url: str) -> None:
    client = _gemini(url)
    client.models.embed_content(model="text-embedding-004", contents="q")


@call("chat", 10)
def mistral_chat(url: str) -> None:
    with Mistral(api_key="x", server_url=url) as client:
        client.chat.complete(model="mistral-small", messages=MESSAGES)


@call("chat", 10)
async def mistral_chat_async(url: str) -> None:
    async with Mistral(api_key="x", server_url=url) as client:
        await client.chat.complete_async(model="mistral-small", messages=MESSAGES)


@call("conversations", 10)
def mistral_conversation(url: str) -> None:
    with Mistral(api_key="x", server_url=url) as client:
        client.beta.conversations.start(model="mistral-small", inputs="q")


@call("conversations", 10)
async def mistral_conversation_stream_async(url: str) -> None:
    async with Mistral(api_key="x", server_url=url) as client:
        await drain(await client.beta.conversations.start_stream_async(agent_id="ag_1", inputs="q"))


@call("cohere", 10)
def cohere_chat(url: str) -> None:
    cohere.ClientV2(api_key="x", base_url=url).chat(model="command-a", messages=MESSAGES)


@call("cohere", 10)
def cohere_stream(url: str) -> None:
    list(cohere.ClientV2(api_key="x", base_url=url).chat_stream(model="command-a", messages=MESSAGES))


@call("cohere_embeddings", None)
def cohere_embeddings(url: str) -> None:
    client = cohere.ClientV2(api_key="x", base_url=url)
    client.embed(model="embed-v4.0", texts=["q"], input_type="search_query", embedding_types=["float"])


@call("chat", 10)
def groq_chat(url: str) -> None:
    with groq.Groq(api_key="x", base_url=url) as client:
        client.chat.completions.create(model="llama", messages=MESSAGES)


@call("ollama", 9)
def ollama_chat(url: str) -> None:
    ollama.Client(host=url).chat(model="llama", messages=MESSAGES)


@call("ollama", 9)
async def ollama_generate_stream(url: str) -> None:
    await drain(await ollama.AsyncClient(host=url).generate(model="llama", prompt="q", stream=True))


@call("ollama_embeddings", None)
def ollama_embeddings(url: str) -> None:
    ollama.Client(host=url).embed(model="llama", input="q")


@call("chat", 10)
def litellm_openai(url: str) -> None:
    litellm.completion(model="openai/gpt-4o", api_base=f"{url}/v1", api_key="x", messages=MESSAGES)


@call("chat", 10)
def litellm_stream(url: str) -> None:
    list(litellm.completion(model="openai/gpt-4o", api_base=f"{url}/v1", api_key="x", messages=MESSAGES, **ASKING))


@call("messages", 40)
async def litellm_anthropic_async(url: str) -> None:
    await litellm.acompletion(model="anthropic/claude-3-5-haiku", api_base=url, api_key="x", messages=MESSAGES)


@call("chat", 10)
async def litellm_mistral_async(url: str) -> None:
    await litellm.acompletion(model="mistral/mistral-small", api_base=f"{url}/v1", api_key="x", messages=MESSAGES)


def _amazon(service: str, url: str) -> Any:
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=url, **keys)


def _bedrock(url: str) -> Any:
    return _amazon("bedrock-runtime", url)


@call("converse", 25)
def bedrock_converse(url: str) -> None:
    _bedrock(url).converse(modelId="us.anthropic.claude-v1:0", messages=CONVERSED)


@call("converse", 25)
def bedrock_converse_stream(url: str) -> None:
    list(_bedrock(url).converse_stream(modelId="us.anthropic.claude-v1:0", messages=CONVERSED)["stream"])


@call("invoke", 40)
def bedrock_invoke(url: str) -> None:
    _bedrock(url).invoke_model(modelId="us.anthropic.claude-v1:0", body=b"{}")["body"].read()


@call("invoke", 40)
def bedrock_invoke_stream(url: str) -> None:
    list(_bedrock(url).invoke_model_with_response_stream(modelId="us.anthropic.claude-v1:0", body=b"{}")["body"])


@call("chat", 10)
def sagemaker_endpoint(url: str) -> None:
    client = _amazon("sagemaker-runtime", url)
    client.invoke_endpoint(EndpointName="e", Body=json.dumps({"messages": MESSAGES}))["Body"].read()


@call("chat", 10)
def sagemaker_endpoint_stream(url: str) -> None:
    asked = json.dumps({"messages": MESSAGES, "stream": True})
    list(_amazon("sagemaker-runtime", url).invoke_endpoint_with_response_stream(EndpointName="e", Body=asked)["Body"])


@call("dashscope", 10)
def dashscope_generation(url: str) -> None:
    dashscope.Generation.call("qwen-plus", messages=MESSAGES, api_key="x", base_address=f"{url}/api/v1")


@call("dashscope", 10)
def dashscope_generation_stream(url: str) -> None:
    asking: Any = {"stream": True, "incremental_output": True, "result_format": "message"}
    list(dashscope.Generation.call("qwen-plus", messages=MESSAGES, api_key="x", base_address=f"{url}/api/v1", **asking))


@call("dashscope", 10)
async def dashscope_generation_async(url: str) -> None:
    await dashscope.AioGeneration.call("qwen-plus", messages=MESSAGES, api_key="x", base_address=f"{url}/api/v1")


@call("chat", 10)
def azure_inference(url: str) -> None:
    with ChatCompletionsClient(endpoint=url, credential=AzureKeyCredential("x")) as client:
        client.complete(messages=MESSAGES, model="phi")


@call("chat", 10)
async def azure_inference_async(url: str) -> None:
    async with AsyncChatCompletionsClient(endpoint=url, credential=AzureKeyCredential("x")) as client:
        await client.complete(messages=MESSAGES, model="phi")


@call("embeddings", None)
def azure_inference_embeddings(url: str) -> None:
    with EmbeddingsClient(endpoint=url, credential=AzureKeyCredential("x")) as client:
        client.embed(input=["q"], model="embed")


ASKED = LM15Request(model="gpt-4o", messages=(Message.user("q"),))


@call("chat", 10)
def lm15_chat(url: str) -> None:
    OpenAIChatLM(api_key="x", base_url=f"{url}/v1").complete(ASKED)


@call("chat", 10)
def lm15_chat_stream(url: str) -> None:
    list(OpenAIChatLM(api_key="x", base_url=f"{url}/v1").stream(ASKED))


@call("chat", 10)
async def lm15_chat_async(url: str) -> None:
    await AsyncOpenAIChatLM(api_key="x", base_url=f"{url}/v1").complete(ASKED)


@call("chat", 10)
async def lm15_chat_stream_async(url: str) -> None:
    await drain(AsyncOpenAIChatLM(api_key="x", base_url=f"{url}/v1").stream(ASKED))


@call("responses", 10)
def lm15_responses(url: str) -> None:
    OpenAILM(api_key="x", base_url=f"{url}/v1").complete(ASKED)


@call("messages", 40)
def lm15_messages_stream(url: str) -> None:
    list(AnthropicLM(api_key="x", base_url=f"{url}/v1").stream(ASKED))


@call("chat", 10)
def plain_requests(url: str) -> None:
    requests.post(f"{url}/v1/chat/completions", json={"model": "m", "messages": MESSAGES}, timeout=9).raise_for_status()


OUTPUTS = ("completion_tokens", "output_tokens", "candidatesTokenCount", "outputTokens", "eval_count")


@pytest.mark.filterwarnings("ignore")  # of other people's clients
@pytest.mark.parametrize("name", CALLS)
def test_a_client_library_is_seen_once_and_counted_right(name: str, serve, tapped) -> None:
    """Whichever door it goes through, and however many of them."""
    server = serve()
    function, (api, output) = CALLS[name]
    result = function(server.url)
    if inspect.iscoroutine(result):
        asyncio.run(result)
    ((status, usage),) = tapped.told()
    (exchange,) = tapped.asked_of
    usage = usage.get("billed_units", usage)
    counted = next((usage[key] for key in OUTPUTS if key in usage), None)
    assert (exchange.api, status, counted, bool(usage), len(server.requests)) == (api, "ok", output, True, 1)
    assert exchange.requested_model
    assert exchange.answer.model is not None or api in NAME_NO_MODEL
