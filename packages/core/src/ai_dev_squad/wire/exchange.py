"""One request of a model and its answer, from the moment before it is sent until the answer is through."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from ai_dev_squad.genai.providers import convention_name, is_known, maker_of_model, provider_of_host
from ai_dev_squad.guard import report
from ai_dev_squad.wire.answers import Answer
from ai_dev_squad.wire.packing import unpacked
from ai_dev_squad.wire.readers import Reader, reader_of
from ai_dev_squad.wire.requests import Request
from ai_dev_squad.wire.shapes import Shape

__all__ = ["Exchange", "Observer", "Status"]

Status = Literal["ok", "error", "closed_early", "cancelled"]
"""How an exchange ended: answered; refused by the server, failed, or an error inside the answer; given up by its reader;
cancelled."""

_OF_TGI = {"input_length": "x-prompt-tokens", "generated_tokens": "x-generated-tokens"}
_OF_BEDROCK = {
    "inputTokenCount": "x-amzn-bedrock-input-token-count",
    "outputTokenCount": "x-amzn-bedrock-output-token-count",
    "cacheReadInputTokenCount": "x-amzn-bedrock-cache-read-input-token-count",
    "cacheWriteInputTokenCount": "x-amzn-bedrock-cache-write-input-token-count",
}
_COUNTED_IN_HEADERS = {
    **dict.fromkeys(("invoke", "invoke_embeddings"), _OF_BEDROCK),
    **dict.fromkeys(("tgi", "hf_inference"), _OF_TGI),
}

# LiteLLM's proxy: https://docs.litellm.ai/docs/proxy/response_headers
_COST = "x-litellm-response-cost"

# https://huggingface.co/docs/inference-providers: below the name of a provider its own API, at its own price
_ROUTER = "router.huggingface.co"

_OPENAIS = ("gpt-", "o1", "o3", "o4-")

# Whose API it is, where the host doesn't say who answers.
_PROVIDERS = {
    "messages": "anthropic",
    "gemini": "gcp.gemini",
    "interactions": "gcp.gemini",
    "gemini_embeddings": "gcp.gemini",
    "vertex_embeddings": "gcp.vertex_ai",
    "converse": "aws.bedrock",
    **dict.fromkeys(("invoke", "invoke_embeddings"), "aws.bedrock"),
    "ollama": "ollama",
    "ollama_embeddings": "ollama",
    "cohere": "cohere",
    "cohere_embeddings": "cohere",
    "watsonx": "ibm.watsonx.ai",
    "watsonx_text": "ibm.watsonx.ai",
    "dashscope": "dashscope",
    "conversations": "mistral_ai",
    "cloudflare": "cloudflare",
    "cloudflare_embeddings": "cloudflare",
    "hf_inference": "huggingface",
    **dict.fromkeys(("tgi", "tei_embeddings"), "huggingface"),
    "llama_cpp": "llama_cpp",
    "sglang": "sglang",
    "replicate": "replicate",
    "retrieval": "aws.bedrock",
    "bedrock_agent": "aws.bedrock",
    "lm_studio": "lm_studio",
}


class Exchange:
    """One request of a model and its answer."""

    __slots__ = (
        "__weakref__",
        "_ending",
        "_held",
        "_is_page",
        "_reader",
        "_shape",
        "answer",
        "api",
        "duration_s",
        "error",
        "first_piece_s",
        "follows",
        "host",
        "is_sending",
        "note",
        "path",
        "port",
        "reported_usd",
        "request",
        "scheme",
        "started",
        "status",
        "status_code",
        "streamed",
    )

    def __init__(
        self,
        shape: Shape,
        request: Request,
        *,
        path: str,
        host: str,
        port: int | None = None,
        scheme: str | None = None,
    ) -> None:
        self.api, self.request, self._shape = shape.api, request, shape
        """Which API (``shapes``), and what is asked."""
        self.scheme, self.host, self.port, self.path = scheme, host, port, path
        """Where to; the path has its query. ``port`` is ``None`` if it's the scheme's own."""
        self.answer = Answer()
        self.status: Status | None = None
        """``None`` until it has ended."""
        self.status_code: int | None = None
        """HTTP's; ``None`` if there was no answer. A redirect that the client follows by a request of its own ends
        ``ok`` with a code below 400 and no usage."""
        self.error: BaseException | None = None
        """What the client raised."""
        self.streamed = False
        """Whether the answer comes in events."""
        self.started = time.perf_counter()
        self.first_piece_s: float | None = None
        """Seconds until the first piece of the answer's body."""
        self.duration_s: float | None = None
        """Seconds until the end."""
        self.reported_usd: float | None = None
        """What a gateway says in the head of its answer that the call cost."""
        self.follows: str | None = None
        """The id of a response that an earlier request has asked for, where this one only asks about it."""
        self.note: Any = None
        """The observer's own."""
        self.is_sending = True
        """Whether the client waits for the answer's head."""
        self._reader: Reader | None = None
        self._is_page = False
        self._ending: list[Ending] = []
        self._held: _Held | None = None

    @property
    def requested_model(self) -> str:
        """The model that the body names, else the path; ``""`` if neither does."""
        return self._shape.model(self.path, self.request) or ""

    @property
    def provider(self) -> str:
        """Whose model it is: the host says so, or else the API; of what Hugging Face passes on, the path, and of a gateway that
        speaks Anthropic's language for others, the model's name.
        """
        if self.host == _ROUTER and is_known(chosen := self.path.split("/", 2)[1]):
            return convention_name(chosen)
        return provider_of_host(self.host) or self._maker or _PROVIDERS.get(self.api, "openai")

    @property
    def _maker(self) -> str | None:
        if self.api != "messages":
            return None
        model = self.requested_model
        return "openai" if model.startswith(_OPENAIS) else maker_of_model(model)

    @property
    def address(self) -> str | None:
        """Where it is sent: a host, or ``host:port``."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def has_no_output(self) -> bool:
        """Whether nothing is written: texts are only measured, or put in order."""
        return "embeddings" in self.api or self.api in {"rerank", "classify"}

    @property
    def goes_on(self) -> bool:
        """Whether the provider goes on with the answer after it is through: OpenAI and Replicate say so, runs of threads always
        do, Gemini and xAI only repeat what was asked, if that, and Perplexity has a path of its own for it.
        """
        answer = self.answer
        if self.api == "replicate":
            return answer.state in {"starting", "processing"}
        return (
            answer.background
            or self.api in {"deferred", "runs"}
            or (self.api in {"interactions", "chat"} and self.request.background)
        )

    def watch(self, ending: Ending) -> None:
        """From now on the exchange has an end, of which ``ending`` is told once."""
        self._ending.append(ending)

    def hold(self, answer: object) -> None:
        """If its end is still to come, it's dropped when nobody holds ``answer`` any more, whoever holds the exchange."""
        if self._ending and type(answer).__weakrefoffset__:
            self._held = _Held(answer, _let_go)
            self._held.exchange = self

    def answered(self, status_code: int, headers: Mapping[str, Any], *, packed: bool = True) -> None:
        """The answer's head is here; its pieces follow, ``packed`` as ``headers`` say or unpacked already."""
        self.status_code = status_code
        try:
            kind = str(headers.get("content-type") or "").lower()
            self.streamed = "stream" in kind or "ndjson" in kind
            self._is_page = "html" in kind
            if not self.streamed:  # a stream's cost isn't known when it begins
                self.reported_usd = _amount(headers.get(_COST))
            if self.api in _COUNTED_IN_HEADERS:  # where a model's own format may say nothing of tokens
                self._count_in(headers, _COUNTED_IN_HEADERS[self.api])
            reader = reader_of(self.answer, kind)
            encoding = headers.get("content-encoding") if packed else None
            self._reader = unpacked(reader, str(encoding)) if encoding else reader
        except Exception as error:  # noqa: BLE001 - the user's call comes first, here and below
            report("unpacking an answer on the wire", error)

    def feed(self, data: bytes) -> None:
        """A piece of the answer passes by."""
        if self.first_piece_s is None:
            self.first_piece_s = time.perf_counter() - self.started
        if self._reader is None:
            return
        try:
            self._reader.feed(data)
        except Exception as error:  # noqa: BLE001
            self._reader = None
            report("reading an answer on the wire", error)
        if self.answer.done:  # many clients leave without reading to the end, or never close
            self.end("ok")

    def whole(self, status_code: int, headers: Mapping[str, Any], content: bytes, *, packed: bool = False) -> None:
        """The answer is here at once."""
        self.answered(status_code, headers, packed=packed)
        self.feed(content)
        self.end("ok")

    def end(self, status: Status, error: BaseException | None = None) -> None:
        """The answer is through, or given up. Only the first end counts."""
        try:
            ending = self._ending.pop()  # atomic, so that two threads can't both end it
        except IndexError:
            return
        self.duration_s, self._held = time.perf_counter() - self.started, None
        reader, self._reader = self._reader, None
        try:
            if reader is not None:
                reader.end()
            self.answer.end()
            if self._is_page and not self.answer.events:  # a gateway's, or of a login
                self.answer.error = self.answer.error or {"code": "html_page"}
        except Exception as failure:  # noqa: BLE001
            report("reading the end of an answer on the wire", failure)
        self.error = error
        if status == "closed_early" and self.answer.done:
            status = "ok"
        refused = (self.status_code or 0) >= 400 or self.answer.error is not None
        # Who is told of an error reads no further.
        self.status = "error" if status in {"ok", "closed_early"} and refused else status
        try:
            ending.ended(self)
        except Exception as failure:  # noqa: BLE001
            report("ending an exchange on the wire", failure)

    def failed(self, error: BaseException) -> None:
        """The request, or reading its answer, failed."""
        self.end("error" if isinstance(error, Exception) else "cancelled", error)

    def drop(self) -> None:
        """Nobody reads the answer to its end any more."""
        # In the midst of anything, perhaps under a lock that the observer wants: it's told later.
        if self._ending:
            self._ending[0].dropped(self)

    __del__ = drop

    def _count_in(self, headers: Mapping[str, Any], names: Mapping[str, str]) -> None:
        told = {name: headers.get(header) for name, header in names.items()}
        self.answer.count({name: int(number) for name, number in told.items() if number is not None})


class _Held(weakref.ref[Any]):
    """What a client reads, and the exchange whose answer it is."""

    __slots__ = ("exchange",)

    exchange: Exchange


def _let_go(held: Any) -> None:
    held.exchange.drop()


def _amount(said: Any) -> float | None:
    """A cost above 0: a gateway that could not price a call says 0 as well."""
    try:
        usd = float(said)
    except (TypeError, ValueError):
        return None
    return usd if 0 < usd < math.inf else None


class Ending(Protocol):
    """Who is told of ends."""

    def ended(self, exchange: Exchange) -> None:
        """The exchange has ended."""

    def dropped(self, exchange: Exchange) -> None:
        """Nobody holds the answer any more, which was not read to its end. Must not wait for anything."""


class Observer(Protocol):
    """Who wants to know."""

    def asked(self, exchange: Exchange) -> None:
        """A request is about to be sent. What this raises goes to the caller, and nothing is sent.

        Of such an exchange no end is told.
        """

    def ended(self, exchange: Exchange) -> None:
        """The answer is through, or given up: once for each exchange that was sent, in whatever thread.

        Of one that ``follows`` an earlier one this is all that is told.
        """
