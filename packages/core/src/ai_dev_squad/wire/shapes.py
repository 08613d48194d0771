"""Which requests call a model, by path. A new API is a row; its answers are read by what they say (``answers``)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from ai_dev_squad.genai.providers import provider_of_host
from ai_dev_squad.wire.requests import Request

__all__ = ["SHAPES", "Shape", "followed", "shapes_of"]


class Shape(NamedTuple):
    """One row: a path that ends with ``ending`` is a call of ``api`` if it also names a model."""

    api: str
    ending: str
    """``""`` for a path that ends with a name, which ``within`` finds."""
    within: str = ""
    """What else stands in the path."""
    model_in_path: bool = False
    """Whether the path may name the model, instead of the body."""
    unmistakable: bool = False
    """Whether nobody else has such a path, so that a request that names no model, or can't be read, is a call, too."""
    named_as: tuple[str, ...] = ("model",)
    """Where the body names the model; ``a.b`` is ``b`` inside of ``a``."""
    asking: Callable[[Mapping[str, Any]], bool] | None = None
    """Whether this body asks a model, where the same path serves something else as well."""
    chosen_by: str = ""
    """The provider that takes a model by itself where a request to its own host names none."""
    nowhere_else: bool = False
    """Whether such a path at another host is somebody else's."""

    def model(self, path: str, request: Request) -> str | None:
        """The model, deployment or endpoint that is asked; ``None`` if neither the body nor ``path`` names one."""
        named = request.named(*self.named_as)
        found = _MODEL.search(path) if named is None and self.model_in_path else None
        return unquote(found[found.lastindex or 0]) if found else named

    def is_call(self, path: str, request: Request, host: str) -> bool:
        """Whether a request to a path of this shape calls a model."""
        if self.asking is not None and not self.asking(request.mapping()):
            return False
        if self.chosen_by and provider_of_host(host) == self.chosen_by:
            return True
        return not self.nowhere_else and (self.unmistakable or self.model(path, request) is not None)


def _chats(body: Mapping[str, Any]) -> bool:
    return "messages" in body


def _embeds(body: Mapping[str, Any]) -> bool:
    texts = body.get("input")
    return isinstance(texts[0] if isinstance(texts, list) and texts else texts, str)


def _measures(body: Mapping[str, Any]) -> bool:
    return isinstance(body.get("text"), list)


def _goes_on(body: Mapping[str, Any]) -> bool:
    return isinstance(body.get("inputs"), (str, list))


def _generates(body: Mapping[str, Any]) -> bool:
    """As Hugging Face's TGI is asked, and what SageMaker runs of it: an endpoint there may serve anything."""
    parameters = body.get("parameters")
    wanted = isinstance(parameters, dict) and not _OF_GENERATION.isdisjoint(parameters)
    return isinstance(body.get("inputs"), str) and wanted


def _samples(body: Mapping[str, Any]) -> bool:
    return "sampling_params" in body and not {"text", "input_ids"}.isdisjoint(body)


def _completes(body: Mapping[str, Any]) -> bool:
    return isinstance(body.get("prompt"), (str, list)) and not {"n_predict", "cache_prompt", "id_slot"}.isdisjoint(body)


def _measures_inputs(body: Mapping[str, Any]) -> bool:
    texts = body.get("inputs")
    return isinstance(texts[0] if isinstance(texts, list) and texts else texts, str)


def _runs(body: Mapping[str, Any]) -> bool:
    """OpenAI's assistants have names of their own; LangGraph's, whose paths are the same, have other names."""
    return str(body.get("assistant_id")).startswith("asst_")


def _predicts(body: Mapping[str, Any]) -> bool:
    return isinstance(body.get("input"), dict)


def _names_what_is_kept(body: Mapping[str, Any]) -> bool:
    """A prompt that is kept at OpenAI, an agent at Azure AI Foundry or a preset of Perplexity's: the model stands there.

    https://platform.openai.com/docs/guides/prompting
    https://learn.microsoft.com/azure/foundry/agents/quickstarts/responses-api
    https://docs.perplexity.ai/docs/agent-api/presets
    """
    prompt, agent = body.get("prompt"), body.get("agent") or body.get("agent_reference")
    return (
        (isinstance(prompt, dict) and "id" in prompt)
        or (isinstance(agent, dict) and "name" in agent)
        or (isinstance(body.get("preset") or body.get("models"), (str, list)) and "input" in body)
    )


_OF_GENERATION = frozenset(
    {"max_new_tokens", "temperature", "do_sample", "return_full_text", "top_p", "details", "stop"}
)

# Earlier rows win. Sources: the API references of OpenAI, Azure OpenAI and AI Foundry, Anthropic, Vertex AI, Gemini,
# Amazon Bedrock Runtime, Agent Runtime and SageMaker Runtime, Ollama, Cohere, Voyage, Mistral, IBM watsonx.ai, DashScope,
# Snowflake Cortex, Databricks, Cloudflare Workers AI, Hugging Face's Inference Providers, Replicate, MiniMax, Volcano Engine's Ark,
# NVIDIA NIM, Jina, Perplexity and LM Studio. Compatible servers (OpenRouter, xAI, DeepSeek, Moonshot, Groq, LiteLLM's proxy, vLLM) have the
# paths of OpenAI, below any prefix.
SHAPES = (
    *(Shape("deferred", f"/async/{ending}", named_as=("request.model",)) for ending in ("chat/completions", "sonar")),
    Shape("chat", "/chat/completions", model_in_path=True, unmistakable=True),
    Shape("chat", "/agents/completions", unmistakable=True),
    *(Shape("chat", ending) for ending in ("/text/chatcompletion_v2", "/v1/sonar")),
    Shape("completions", "/completions", model_in_path=True),
    Shape("responses", "/responses"),
    Shape("responses", "/responses", unmistakable=True, asking=_names_what_is_kept),
    Shape("responses", "/v1/agent", chosen_by="perplexity", nowhere_else=True),
    Shape("responses", "/responses/compact"),
    Shape("conversations", "/conversations", named_as=("model", "agent_id"), asking=_goes_on),
    Shape("conversations", "", within="/conversations/", unmistakable=True, asking=_goes_on),
    Shape("ollama_embeddings", "/api/embeddings"),
    Shape("embeddings", "/embeddings", model_in_path=True, named_as=("model", "model_id")),
    *(
        Shape("embeddings", ending)
        for ending in ("/multimodalembeddings", "/contextualizedembeddings", "/embeddings/multimodal")
    ),
    Shape("embeddings", "/pipeline/feature-extraction", within="/hf-inference/models/", model_in_path=True),
    Shape("hf_inference", "", within="/hf-inference/models/", model_in_path=True),
    Shape("replicate", "/predictions", "/v1/", model_in_path=True, named_as=("version", "model"), asking=_predicts),
    *(
        Shape(api, "", within=within, model_in_path=True, asking=asking)
        for within in ("/ai/run/@", "/workers-ai/@")
        for api, asking in (("cloudflare_embeddings", _measures), ("cloudflare", None))
    ),
    # Servers of one model that are asked in their own language: nobody names the model.
    *(Shape("tgi", ending, unmistakable=True, asking=_generates) for ending in ("/generate", "/generate_stream")),
    Shape("sglang", "/generate", unmistakable=True, asking=_samples),
    Shape("llama_cpp", "/completion", unmistakable=True, asking=_completes),
    *(
        Shape("tgi", ending, within="/endpoints/", model_in_path=True, asking=_generates)
        for ending in ("/invocations", "/invocations-response-stream")
    ),
    Shape("runs", "/runs", within="/threads/", unmistakable=True, asking=_runs),
    Shape("images", "/images/generations", model_in_path=True, unmistakable=True),
    Shape("images", "/images/edits", model_in_path=True, unmistakable=True),
    Shape("images", "/images/variations", model_in_path=True, unmistakable=True),
    Shape("transcriptions", "/audio/transcriptions", model_in_path=True, unmistakable=True),
    Shape("transcriptions", "/audio/translations", model_in_path=True, unmistakable=True),
    Shape("speech", "/audio/speech", model_in_path=True, unmistakable=True),
    *(
        Shape("videos", ending)
        for ending in ("/videos", "/videos/generations", "/videos/edits", "/contents/generations/tasks")
    ),
    Shape("videos", "/remix", within="/videos/", unmistakable=True),
    Shape("videos", "/async-invoke", named_as=("modelId",)),
    Shape("videos", ":predictLongRunning", within="/models/veo", model_in_path=True),
    Shape("ocr", "/ocr"),
    *(Shape("embeddings", f"/{kind}-embedding", within="/services/embeddings/") for kind in ("text", "multimodal")),
    Shape(
        "rerank",
        "/rerank",
        named_as=(
            *("model", "model_id"),
            "rerankingConfiguration.bedrockRerankingConfiguration.modelConfiguration.modelArn",
        ),
        chosen_by="cohere",
    ),
    Shape("rerank", "/text-rerank", within="/services/rerank/"),
    *(Shape("rerank", ending) for ending in ("/ranking", "/reranking")),
    Shape("classify", "/classify"),
    Shape("decisions", "/decisions"),
    Shape("messages", "/messages"),
    Shape("messages", ":rawPredict", within="/publishers/anthropic/", model_in_path=True),
    Shape("messages", ":streamRawPredict", within="/publishers/anthropic/", model_in_path=True),
    Shape("chat", ":rawPredict", within="/publishers/", model_in_path=True),
    Shape("chat", ":streamRawPredict", within="/publishers/", model_in_path=True),
    Shape("gemini", ":generateContent", model_in_path=True),
    Shape("gemini", ":streamGenerateContent", model_in_path=True),
    Shape("interactions", "/interactions", named_as=("model", "agent")),
    Shape("gemini_embeddings", ":embedContent", model_in_path=True),
    Shape("gemini_embeddings", ":batchEmbedContents", model_in_path=True),
    *(
        Shape("vertex_embeddings", ":predict", within=f"/models/{family}", model_in_path=True)
        for family in (
            "text-embedding",
            "textembedding",
            "text-multilingual",
            "multimodalembedding",
            "gemini-embedding",
        )
    ),
    Shape("images", ":predict", within="/models/imagen", model_in_path=True),
    Shape("converse", "/converse", within="/model/", model_in_path=True),
    Shape("converse", "/converse-stream", within="/model/", model_in_path=True),
    *(
        Shape("invoke_embeddings", "/invoke", within=family, model_in_path=True)
        for family in ("titan-embed", "cohere.embed", "marengo-embed", "multimodal-embeddings")
    ),
    Shape("invoke", "/invoke", within="/model/", model_in_path=True),
    Shape("invoke", "/invoke-with-response-stream", within="/model/", model_in_path=True),
    *(
        Shape(
            "retrieval",
            ending,
            unmistakable=True,
            named_as=tuple(
                f"retrieveAndGenerateConfiguration.{source}Configuration.modelArn"
                for source in ("knowledgeBase", "externalSources")
            ),
        )
        for ending in ("/retrieveAndGenerate", "/retrieveAndGenerateStream")
    ),
    Shape("bedrock_agent", "/text", within="/agentAliases/", unmistakable=True),
    Shape("bedrock_agent", "", within="/agents/", named_as=("foundationModel",)),
    Shape("ollama", "/api/chat"),
    Shape("ollama", "/api/generate"),
    Shape("ollama_embeddings", "/api/embed"),
    *(
        Shape(api, f"/text/{ending}", within="/ml/v1/", model_in_path=True, named_as=("model_id",))
        for api, endings in {
            "watsonx": ("chat", "chat_stream"),
            "watsonx_text": ("generation", "generation_stream"),
        }.items()
        for ending in endings
    ),
    *(Shape("dashscope", f"/aigc/{kind}-generation/generation") for kind in ("text", "multimodal")),
    Shape("chat", "/cortex/inference:complete"),
    # Endpoints serve whatever somebody has put there: a chat model is sent messages.
    Shape("chat", "/invocations", within="/serving-endpoints/", model_in_path=True, asking=_chats),
    Shape("embeddings", "/invocations", within="/serving-endpoints/", model_in_path=True, asking=_embeds),
    Shape("chat", "/invocations", within="/endpoints/", model_in_path=True, asking=_chats),
    Shape("chat", "/invocations-response-stream", within="/endpoints/", model_in_path=True, asking=_chats),
    Shape("lm_studio", "/api/v1/chat"),
    Shape("cohere", "/v1/chat", chosen_by="cohere"),
    Shape("cohere", "/v2/chat"),
    Shape("cohere_embeddings", "/v1/embed", chosen_by="cohere"),
    Shape("cohere_embeddings", "/v2/embed"),
    Shape("tei_embeddings", "/embed", unmistakable=True, asking=_measures_inputs),
)

# Vertex counts tokens by a model of that name, which answers nothing and costs nothing.
_COUNTS_ONLY = "/models/count-tokens:"

_MODEL = re.compile(
    # With these a model's name is its owner's and its own.
    r"/(?:ai/run|workers-ai|hf-inference/models)/([^?]+?)(?:/pipeline/[\w-]+)?/?(?:\?|$)"
    r"|/(?:models|deployments)/([^/?]+/[^/?]+)/predictions"
    r"|/(?:models?|tunedModels|endpoints|serving-endpoints|deployments|engines)/([^/?]+?)(?::[a-zA-Z]+)?(?:/|\?|$)"
)


def _last_part(path: str) -> str:
    part = path[path.rfind("/") + 1 :]
    return part[part.rfind(":") + 1 :]


_by_last_part: dict[str, list[Shape]] = defaultdict(list)
_by_part_within: dict[str, list[Shape]] = defaultdict(list)
for _shape in SHAPES:
    if _shape.ending:
        _by_last_part[_last_part(_shape.ending)].append(_shape)
    else:
        _by_part_within[_shape.within].append(_shape)
_rows, _rows_within = dict(_by_last_part), tuple(_by_part_within.items())


def shapes_of(path: str) -> list[Shape]:
    """The rows of a request to ``path``, which may have a query, the first first; none if it calls no model that we know of."""
    plain = path.partition("?")[0].rstrip("/")
    rows = _rows.get(_last_part(plain))
    if rows is None:
        for part, named_last in _rows_within:
            if part in plain:
                return named_last
        return []
    if _COUNTS_ONLY in plain:
        return []
    return [row for row in rows if plain.endswith(row.ending) and row.within in plain]


_TOLD_LATER = ("/responses/", "/threads/", "/interactions/", "/async/", "/deferred-completion/", "/predictions/")
_FOLLOWED = re.compile(
    r"/(responses|interactions|predictions|async/chat/completions|async/sonar|chat/deferred-completion"
    r"|threads/[\w-]{1,256}/runs(?=/run_))/([\w-]{1,256})(/cancel|/submit_tool_outputs)?/?(?:\?|$)"
)
_LATER = {"responses": "responses", "interactions": "interactions", "predictions": "replicate"}


def followed(method: str, path: str) -> tuple[str, str] | None:
    """API and id of the response that a request asks about, goes on with or cancels; ``None`` if it does neither."""
    for part in _TOLD_LATER:
        if part in path:
            break
    else:
        return None
    found = _FOLLOWED.search(path)
    if found is None or method != ("GET" if found[3] is None else "POST"):
        return None
    api = "runs" if found[1].startswith("threads") else _LATER.get(found[1], "deferred")
    return api, found[2]
