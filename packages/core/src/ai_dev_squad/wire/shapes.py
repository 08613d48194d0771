"""Which requests call a model, by path. A new API is a row; its answers are read by what they say (``answers``)."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import NamedTuple
from urllib.parse import unquote

from ai_dev_squad.wire.requests import Request

__all__ = ["SHAPES", "Shape", "followed", "shape_of"]


class Shape(NamedTuple):
    """One row: a path that ends with ``ending`` is a call of ``api`` if it also names a model."""

    api: str
    ending: str
    within: str = ""
    """What else stands in the path."""
    model_in_path: bool = False
    """Whether the path may name the model, instead of the body."""
    unmistakable: bool = False
    """Whether nobody else has such a path, so that a request that names no model, or can't be read, is a call, too."""
    named_as: tuple[str, ...] = ("model",)
    """Where the body names the model."""
    asking: str = ""
    """What the body must have, where the same path serves what is no language model."""

    def model(self, path: str, request: Request) -> str | None:
        """The model, deployment or endpoint that is asked; ``None`` if neither the body nor ``path`` names one."""
        named = request.named(*self.named_as)
        found = _MODEL.search(path) if named is None and self.model_in_path else None
        return unquote(found.group(1)) if found else named

    def is_call(self, path: str, request: Request) -> bool:
        """Whether a request to a path of this shape calls a model."""
        if self.asking and self.asking not in request.mapping():
            return False
        return self.unmistakable or self.model(path, request) is not None


# Earlier rows win. Sources: the API references of OpenAI, Azure OpenAI and AI Foundry, Anthropic, Vertex AI, Gemini,
# Amazon Bedrock Runtime and SageMaker Runtime, Ollama, Cohere, Voyage, Mistral, IBM watsonx.ai, DashScope, Snowflake Cortex and
# Databricks. Compatible servers (OpenRouter, xAI, DeepSeek, Moonshot, Groq, LiteLLM's proxy, vLLM) have the paths of OpenAI,
# below any prefix.
SHAPES = (
    Shape("chat", "/chat/completions", model_in_path=True, unmistakable=True),
    Shape("chat", "/agents/completions", unmistakable=True),
    Shape("completions", "/completions", model_in_path=True),
    Shape("responses", "/responses"),
    Shape("responses", "/responses/compact"),
    Shape("ollama_embeddings", "/api/embeddings"),
    Shape("embeddings", "/embeddings", model_in_path=True, named_as=("model", "model_id")),
    *(Shape("embeddings", ending) for ending in ("/multimodalembeddings", "/contextualizedembeddings")),
    Shape("images", "/images/generations", model_in_path=True, unmistakable=True),
    Shape("images", "/images/edits", model_in_path=True, unmistakable=True),
    Shape("images", "/images/variations", model_in_path=True, unmistakable=True),
    Shape("transcriptions", "/audio/transcriptions", model_in_path=True, unmistakable=True),
    Shape("transcriptions", "/audio/translations", model_in_path=True, unmistakable=True),
    Shape("speech", "/audio/speech", model_in_path=True, unmistakable=True),
    *(Shape("videos", ending) for ending in ("/videos", "/videos/generations")),
    Shape("videos", ":predictLongRunning", within="/models/veo", model_in_path=True),
    Shape("ocr", "/ocr"),
    *(Shape("embeddings", f"/{kind}-embedding", within="/services/embeddings/") for kind in ("text", "multimodal")),
    Shape("rerank", "/rerank", named_as=("model", "model_id")),
    Shape("rerank", "/text-rerank", within="/services/rerank/"),
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
    Shape("invoke", "/invoke", within="/model/", model_in_path=True),
    Shape("invoke", "/invoke-with-response-stream", within="/model/", model_in_path=True),
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
    Shape("chat", "/invocations", within="/serving-endpoints/", model_in_path=True, asking="messages"),
    Shape("chat", "/invocations", within="/endpoints/", model_in_path=True, asking="messages"),
    Shape("chat", "/invocations-response-stream", within="/endpoints/", model_in_path=True, asking="messages"),
    Shape("cohere", "/v1/chat"),
    Shape("cohere", "/v2/chat"),
    Shape("cohere_embeddings", "/v1/embed"),
    Shape("cohere_embeddings", "/v2/embed"),
)

# Vertex counts tokens by a model of that name, which answers nothing and costs nothing.
_COUNTS_ONLY = "/models/count-tokens:"

_MODEL = re.compile(
    r"/(?:models?|tunedModels|endpoints|serving-endpoints|deployments|engines)/([^/?]+?)(?::[a-zA-Z]+)?(?:/|\?|$)"
)


def _last_part(path: str) -> str:
    part = path[path.rfind("/") + 1 :]
    return part[part.rfind(":") + 1 :]


_by_last_part: dict[str, list[Shape]] = defaultdict(list)
for _shape in SHAPES:
    _by_last_part[_last_part(_shape.ending)].append(_shape)
_rows = dict(_by_last_part)


def shape_of(path: str) -> Shape | None:
    """The row of a request to ``path``, which may have a query; ``None`` if it calls no model that we know of."""
    plain = path.partition("?")[0].rstrip("/")
    rows = _rows.get(_last_part(plain))
    if rows is None or _COUNTS_ONLY in plain:
        return None
    return next((row for row in rows if plain.endswith(row.ending) and row.within in plain), None)


_FOLLOWED = re.compile(r"/(?:responses|interactions)/([\w-]{1,256})(/cancel)?/?(?:\?|$)")


def followed(method: str, path: str) -> str | None:
    """The id of the response that a request asks about or cancels; ``None`` if it does neither."""
    found = _FOLLOWED.search(path) if "/responses/" in path or "/interactions/" in path else None
    if found is None or method != ("GET" if found[2] is None else "POST"):
        return None
    return found[1]
