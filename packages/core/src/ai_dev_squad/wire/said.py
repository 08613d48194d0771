"""What one JSON text of an answer may say, and what is told in places of a provider's own; all else is skipped."""

from __future__ import annotations

from typing import Any

import msgspec

from ai_dev_squad.genai.reports import FILE_SEARCHES, PICTURES, WEB_SEARCHES

__all__ = [
    "BARE_COUNTS",
    "NOTHING",
    "Said",
    "asked_by_agent",
    "decode",
    "decode_choices",
    "decode_list",
    "fields_of",
    "gemini_searches",
    "last_model",
    "openai_searches",
    "pictures",
    "routed_to",
    "tgi_tokens",
    "vertex_tokens",
]

NOTHING = msgspec.Raw()


class Said(msgspec.Struct, gc=False):
    """What an answer, or one event of a stream, may say; a decoder skips all else without making objects of it."""

    id: Any = None
    responseId: Any = None  # noqa: N815 - as the provider writes it, as below
    generation_id: Any = None
    request_id: Any = None
    model: Any = None
    modelVersion: Any = None  # noqa: N815
    service_tier: Any = None
    serviceTier: Any = None  # noqa: N815
    type: Any = None
    event_type: Any = None
    done: Any = None
    error: Any = None
    usage: Any = None
    usageMetadata: Any = None  # noqa: N815
    meta: Any = None
    x_groq: Any = None
    usage_breakdown: Any = None
    meta_info: Any = None
    details: msgspec.Raw = NOTHING
    tokens_evaluated: Any = None
    tokens_predicted: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    inputTextTokenCount: Any = None  # noqa: N815
    totalOutputTextTokenCount: Any = None  # noqa: N815
    results: Any = None
    prompt_token_count: Any = None
    generation_token_count: Any = None
    input_token_count: Any = None
    model_id: Any = None
    stop_reason: Any = None
    finish_reason: Any = None
    content: msgspec.Raw = NOTHING
    content_block: msgspec.Raw = NOTHING
    output: msgspec.Raw = NOTHING
    candidates: msgspec.Raw = NOTHING
    choices: msgspec.Raw = NOTHING
    outputs: msgspec.Raw = NOTHING
    predictions: msgspec.Raw = NOTHING
    message: msgspec.Raw = NOTHING
    response: msgspec.Raw = NOTHING
    interaction: msgspec.Raw = NOTHING
    result: msgspec.Raw = NOTHING
    delta: msgspec.Raw = NOTHING
    background: Any = None
    status: Any = None
    bytes: Any = None
    metrics: Any = None
    invocation_metrics: Any = msgspec.field(default=None, name="amazon-bedrock-invocationMetrics")
    trace: Any = None
    tool_usage: Any = None
    tools: msgspec.Raw = NOTHING
    code: Any = None
    stats: Any = None
    base_resp: Any = None


class _Item(msgspec.Struct, gc=False):
    """One item of what OpenAI's responses put out."""

    type: Any = None
    action: Any = None


class _Choice(msgspec.Struct, gc=False):
    """One of the answers of a server that speaks OpenAI's language."""

    usage: Any = None
    error: Any = None


class _Named(msgspec.Struct, gc=False):
    """One part of what a conversation of Mistral's puts out, or a tool of OpenAI's."""

    type: Any = None
    model: Any = None


class _Details(msgspec.Struct, gc=False):
    """What Hugging Face's TGI says of one text that it wrote."""

    generated_tokens: Any = None
    input_length: Any = None
    prefill: list[msgspec.Raw] = []


class _Prediction(msgspec.Struct, gc=False):
    """What Vertex says of one text that it was given to embed."""

    embeddings: Any = None


class _Candidate(msgspec.Struct, gc=False):
    """One of Gemini's answers."""

    groundingMetadata: Any = None  # noqa: N815


# Counts that stand in the answer itself: Ollama, Amazon's and Meta's models at Bedrock, watsonx.ai's embeddings.
BARE_COUNTS = (
    "prompt_eval_count",
    "eval_count",
    "inputTextTokenCount",
    "totalOutputTextTokenCount",
    "prompt_token_count",
    "generation_token_count",
    "input_token_count",
)
decode = msgspec.json.Decoder(Said).decode
decode_list = msgspec.json.Decoder(list[Said]).decode
_decode_items = msgspec.json.Decoder(list[_Item]).decode
_decode_details = msgspec.json.Decoder(_Details).decode
_decode_predictions = msgspec.json.Decoder(list[_Prediction]).decode
decode_choices = msgspec.json.Decoder(list[_Choice]).decode
_decode_outputs = _decode_tools = msgspec.json.Decoder(list[_Named]).decode
_decode_candidates = msgspec.json.Decoder(list[_Candidate]).decode


def openai_searches(output: msgspec.Raw, billed: Any) -> dict[str, int]:
    """The searches among a response's items; opening a page that was found, or looking through it, costs nothing.

    https://platform.openai.com/docs/guides/tools-web-search#output-and-citations. Newer responses say how many are billed.
    """
    try:
        items = _decode_items(output)
    except msgspec.MsgspecError:
        return {}
    web = sum(item.type == "web_search_call" and _action(item) == "search" for item in items)
    told = fields_of(fields_of(billed).get("web_search")).get("num_requests")
    web = told if type(told) is int else web
    return {WEB_SEARCHES: web, FILE_SEARCHES: sum(item.type == "file_search_call" for item in items)}


def fields_of(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def pictures(said: Said) -> dict[str, Any]:
    """What a model was billed that drew pictures within an answer, with its name if the answer's tools say it."""
    drawn = fields_of(fields_of(said.tool_usage).get("image_gen"))
    if not drawn.get("total_tokens"):
        return {}
    try:
        tools = _decode_tools(said.tools)
    except msgspec.MsgspecError:
        tools = []
    names = (tool.model for tool in tools if tool.type == "image_generation" and isinstance(tool.model, str))
    return {PICTURES: {**drawn, "model": next(names, "unknown")}}


def _action(item: _Item) -> Any:
    return item.action.get("type", "search") if isinstance(item.action, dict) else "search"


def last_model(outputs: msgspec.Raw) -> str | None:
    """An agent may hand over to another one: https://docs.mistral.ai/agents/handoffs"""
    try:
        models = [item.model for item in _decode_outputs(outputs)]
    except msgspec.MsgspecError:
        return None
    return next((model for model in reversed(models) if isinstance(model, str) and model), None)


def routed_to(trace: Any) -> str | None:
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PromptRouterTrace.html"""
    model = fields_of(fields_of(trace).get("promptRouter")).get("invokedModelId")
    return model if isinstance(model, str) and model else None


def asked_by_agent(trace: Any) -> tuple[str | None, dict[str, int]]:
    """The model that an agent of Bedrock's asks, and what it was billed for one of its questions.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_OrchestrationModelInvocationOutput.html
    """
    model, counts = None, dict[str, int]()
    for step in map(fields_of, fields_of(trace).values()):
        model = fields_of(step.get("modelInvocationInput")).get("foundationModel") or model
        usage = fields_of(fields_of(fields_of(step.get("modelInvocationOutput")).get("metadata")).get("usage"))
        counts |= {name: usage[name] for name in ("inputTokens", "outputTokens") if type(usage.get(name)) is int}
    return model if isinstance(model, str) else None, counts


def tgi_tokens(details: msgspec.Raw) -> dict[str, int]:
    """https://huggingface.github.io/text-generation-inference/#/Text%20Generation%20Inference/generate"""
    try:
        told = _decode_details(details)
    except msgspec.MsgspecError:
        return {}
    counts = {"input_length": told.input_length or len(told.prefill) or None, "generated_tokens": told.generated_tokens}
    return {name: count for name, count in counts.items() if type(count) is int}


def vertex_tokens(predictions: msgspec.Raw) -> dict[str, int]:
    """https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api#response_body"""
    try:
        embeddings = [item.embeddings for item in _decode_predictions(predictions) if isinstance(item.embeddings, dict)]
    except msgspec.MsgspecError:
        return {}
    counts = [embedding.get("statistics", {}).get("token_count") for embedding in embeddings]
    return {"prompt_token_count": sum(counts)} if counts and all(type(count) is int for count in counts) else {}


def gemini_searches(candidates: msgspec.Raw) -> dict[str, int]:
    """https://ai.google.dev/api/generate-content#GroundingMetadata"""
    try:
        grounded = [candidate.groundingMetadata for candidate in _decode_candidates(candidates)]
    except msgspec.MsgspecError:
        return {}
    asked = [found.get("webSearchQueries") for found in grounded if isinstance(found, dict)]
    return {WEB_SEARCHES: sum(len(queries) for queries in asked if isinstance(queries, list))}
