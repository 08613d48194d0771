"""Which requests call a model, by path. A new API is a row; its answers are read by what they say (``answers``)."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import NamedTuple
from urllib.parse import unquote

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

    def names_model(self, path: str) -> str | None:
        """The model, deployment or endpoint that ``path`` names, if it may."""
        found = _MODEL.search(path) if self.model_in_path else None
        return unquote(found.group(1)) if found else None


# Earlier rows win. Sources: the API references of OpenAI, Azure OpenAI and AI Foundry, Anthropic, Vertex AI, Gemini,
# Amazon Bedrock Runtime, Ollama, Cohere, Voyage and Mistral. Compatible servers (OpenRouter, xAI, DeepSeek, Moonshot, Groq,
# LiteLLM's proxy, vLLM) have the paths of OpenAI, below any prefix.
SHAPES = (
    Shape("chat", "/chat/completions", model_in_path=True, unmistakable=True),
    Shape("chat", "/agents/completions", unmistakable=True),
    Shape("completions", "/completions", model_in_path=True),
    Shape("responses", "/responses"),
    Shape("responses", "/responses/compact"),
    Shape("ollama_embeddings", "/api/embeddings"),
    Shape("embeddings", "/embeddings", model_in_path=True),
    *(Shape("embeddings", ending) for ending in ("/multimodalembeddings", "/contextualizedembeddings")),
    Shape("images", "/images/generations", model_in_path=True, unmistakable=True),
    Shape("images", "/images/edits", model_in_path=True, unmistakable=True),
    Shape("images", "/images/variations", model_in_path=True, unmistakable=True),
    Shape("transcriptions", "/audio/transcriptions", model_in_path=True, unmistakable=True),
    Shape("transcriptions", "/audio/translations", model_in_path=True, unmistakable=True),
    Shape("speech", "/audio/speech", model_in_path=True, unmistakable=True),
    Shape("rerank", "/rerank"),
    Shape("messages", "/messages"),
    Shape("messages", ":rawPredict", within="/publishers/anthropic/", model_in_path=True),
    Shape("messages", ":streamRawPredict", within="/publishers/anthropic/", model_in_path=True),
    Shape("chat", ":rawPredict", within="/publishers/", model_in_path=True),
    Shape("chat", ":streamRawPredict", within="/publishers/", model_in_path=True),
    Shape("gemini", ":generateContent", model_in_path=True),
    Shape("gemini", ":streamGenerateContent", model_in_path=True),
    Shape("interactions", "/interactions"),
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
    Shape("cohere", "/v1/chat"),
    Shape("cohere", "/v2/chat"),
    Shape("cohere_embeddings", "/v1/embed"),
    Shape("cohere_embeddings", "/v2/embed"),
)

# Vertex counts tokens by a model of that name, which answers nothing and costs nothing.
_COUNTS_ONLY = "/models/count-tokens:"

_MODEL = re.compile(r"/(?:models?|tunedModels|endpoints|deployments|engines)/([^/?]+?)(?::[a-zA-Z]+)?(?:/|\?|$)")


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
