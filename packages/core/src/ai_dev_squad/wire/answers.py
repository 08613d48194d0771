"""What an answer says about a call, whichever the provider: names and counts, no content.

Sources: OpenAI's references of chat, streaming and responses; Anthropic's Messages and their streaming; Gemini's
GenerateContentResponse; Amazon Bedrock Runtime's Converse, ConverseStream and InvokeModel; Ollama's API; Cohere's Chat
v1 and v2; Groq's and OpenRouter's chat completions; IBM watsonx.ai's text generation.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import msgspec

from ai_dev_squad.genai.reports import FILE_SEARCHES, WEB_SEARCHES, merged
from ai_dev_squad.genai.rounds import served_by
from ai_dev_squad.genai.usage import tier_from

__all__ = ["Answer"]

_LAST = {
    *("message_stop", "message-end", "stream-end", "interaction.completed", "conversation.response.done"),
    *("response.completed", "response.incomplete", "response.failed"),
}
_REPORT = re.compile(r'"(?:usage|usageMetadata|meta)"\s*:\s*(?=\{)')
_COUNTS = re.compile(r'"(prompt_eval_count|eval_count|inputTextTokenCount)"\s*:\s*(\d+)')
_NAMES = re.compile(r'"(id|model)"\s*:\s*"([^"\\]{1,200})"')
_BACKGROUND = re.compile(r'"background"\s*:\s*true')
_EMPTY = re.compile(rb"\s*(\[\s*\])?\s*")
_SEARCH_CALL, _SEARCH_QUERIES = re.compile(rb"_search_call"), re.compile(rb"webSearchQueries")
_read_object = json.JSONDecoder().raw_decode


_NOTHING = msgspec.Raw()


class _Said(msgspec.Struct, gc=False):
    """What an answer, or one event of a stream, may say; a decoder skips all else without making objects of it."""

    id: Any = None
    responseId: Any = None  # noqa: N815 - as the provider writes it, as below
    generation_id: Any = None
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
    content: msgspec.Raw = _NOTHING
    content_block: msgspec.Raw = _NOTHING
    output: msgspec.Raw = _NOTHING
    candidates: msgspec.Raw = _NOTHING
    choices: msgspec.Raw = _NOTHING
    outputs: msgspec.Raw = _NOTHING
    predictions: msgspec.Raw = _NOTHING
    message: msgspec.Raw = _NOTHING
    response: msgspec.Raw = _NOTHING
    interaction: msgspec.Raw = _NOTHING
    result: msgspec.Raw = _NOTHING
    delta: msgspec.Raw = _NOTHING
    background: Any = None
    status: Any = None
    bytes: Any = None
    metrics: Any = None
    invocation_metrics: Any = msgspec.field(default=None, name="amazon-bedrock-invocationMetrics")
    trace: Any = None
    base_resp: Any = None


class _Item(msgspec.Struct, gc=False):
    """One item of what OpenAI's responses put out."""

    type: Any = None
    action: Any = None


class _Choice(msgspec.Struct, gc=False):
    """One of the answers of a server that speaks OpenAI's language."""

    usage: Any = None
    error: Any = None


class _Output(msgspec.Struct, gc=False):
    """One part of what a conversation of Mistral's puts out."""

    model: Any = None


class _Prediction(msgspec.Struct, gc=False):
    """What Vertex says of one text that it was given to embed."""

    embeddings: Any = None


class _Candidate(msgspec.Struct, gc=False):
    """One of Gemini's answers."""

    groundingMetadata: Any = None  # noqa: N815


# Counts that stand in the answer itself: Ollama, Amazon's and Meta's models at Bedrock, watsonx.ai's embeddings.
_BARE = (
    "prompt_eval_count",
    "eval_count",
    "inputTextTokenCount",
    "totalOutputTextTokenCount",
    "prompt_token_count",
    "generation_token_count",
    "input_token_count",
)
_decode = msgspec.json.Decoder(_Said).decode
_decode_list = msgspec.json.Decoder(list[_Said]).decode
_decode_items = msgspec.json.Decoder(list[_Item]).decode
_decode_predictions = msgspec.json.Decoder(list[_Prediction]).decode
_decode_choices = msgspec.json.Decoder(list[_Choice]).decode
_decode_outputs = msgspec.json.Decoder(list[_Output]).decode
_decode_candidates = msgspec.json.Decoder(list[_Candidate]).decode


class Answer:
    """What the answer has said so far."""

    __slots__ = (
        "_choices",
        "_has_begun",
        "_tier",
        "background",
        "done",
        "error",
        "events",
        "is_declined",
        "model",
        "response_id",
        "state",
        "usage",
    )

    def __init__(self) -> None:
        self.model: str | None = None
        """The model that answered, as the provider names it."""
        self.response_id: str | None = None
        self.usage: dict[str, Any] = {}
        """The provider's reports of usage, laid over one another: a later number takes the place of an earlier one, a
        later 0 or null takes nothing back. Empty if there was none."""
        self.error: Any = None
        """The error that the provider reports inside the answer, as it does."""
        self.events = 0
        """JSON texts in it: of a stream, about as many as there are tokens or words."""
        self.background = False
        """Whether the provider says that it goes on with it after its answer (OpenAI)."""
        self.state: str | None = None
        """How far it is, in the provider's word."""
        self.is_declined = False
        """Whether the model has declined before it said anything, which Anthropic doesn't bill."""
        self.done = False
        """Whether the provider has said that this was the last event: many clients read no further."""
        self._choices = _NOTHING
        self._tier: str | None = None
        self._has_begun = False

    @property
    def service_tier(self) -> str | None:
        """The tier that served, said within the usage or beside it."""
        return tier_from(self.usage) or self._tier

    def take(self, text: bytes | bytearray) -> bool:
        """Read one JSON text: an object, or Gemini's array of objects. ``False`` if it's no such thing."""
        try:
            if text[:1] == b"[":
                everything = _decode_list(text)
                self.events += len(everything)
                for said in everything:
                    self._hear(said)
            else:
                said = _decode(text)
                self.events += 1
                self._hear(said)
        except msgspec.MsgspecError:
            return False
        return True

    def take_part(self, text: bytes) -> None:
        """Look for counts in a JSON text that is cut, or is none: the last report of usage stands near the end."""
        shown = text.decode("utf-8", "replace")
        for name, value in _NAMES.findall(shown):
            if name == "id":
                self.response_id = self.response_id or value
            else:
                self.model = self.model or value
        self.background = self.background or _BACKGROUND.search(shown) is not None
        self.count({name: int(value) for name, value in _COUNTS.findall(shown)})
        for match in list(_REPORT.finditer(shown))[-1:]:
            try:
                report, _ = _read_object(shown, match.end())
            except ValueError:
                return  # cut in the middle
            self.count(report)

    def count(self, report: dict[str, Any]) -> None:
        """Take in a report of usage."""
        self.usage = merged(self.usage, report) if self.usage else dict(report)

    def end(self) -> None:
        """Nothing follows. Moonshot's streams have the usage in their last choice, and OpenRouter the error of who answers."""
        text, self._choices = bytes(self._choices), _NOTHING  # which would keep the whole answer
        if b'"usage"' not in text and b'"error"' not in text:
            return
        try:
            choices = _decode_choices(text)
        except msgspec.MsgspecError:
            return
        for choice in choices:
            if isinstance(choice.usage, dict):
                self.count(choice.usage)
            self.error = choice.error or self.error

    def _hear(self, said: _Said) -> None:
        # Anthropic's and OpenAI's first and last events, and Cohere's last, have the answer inside. This runs for each
        # event, most of which have none of it.
        if said.message is not _NOTHING:
            self._hear_inside(said.message)
        if said.response is not _NOTHING:
            self._hear_inside(said.response)
        if said.interaction is not _NOTHING:  # Gemini's events
            self._hear_inside(said.interaction)
        if said.delta is not _NOTHING:
            self._hear_inside(said.delta)
        if said.bytes is not None:  # Bedrock's stream of another provider's events
            self._hear_inside(base64.b64decode(said.bytes))
        if said.done is True or said.type in _LAST or said.event_type in _LAST:
            self.done = True
        if self.response_id is None:
            identifier = said.responseId or said.generation_id or said.id
            self.response_id = identifier if isinstance(identifier, str) else None
        model = said.model or said.modelVersion or said.model_id
        if isinstance(model, str):
            self.model = model
        if said.content_block is not _NOTHING:
            self._has_begun = True
        if said.stop_reason == "refusal":  # https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback
            self.is_declined = not self._has_begun and _EMPTY.fullmatch(said.content) is not None
        if said.background is True:
            self.background = True
        if isinstance(said.status, str):
            self.state = said.status
        if said.service_tier is not None or said.serviceTier is not None:
            told = {"service_tier": said.service_tier, "serviceTier": said.serviceTier}
            self._tier = tier_from(told) or self._tier
        if said.error is not None:
            self.error = said.error or self.error
        self._hear_counts(said)
        if said.choices is not _NOTHING:  # as in nearly every event
            self._choices = said.choices
        else:
            self._hear_what_few_say(said)
        if isinstance(said.base_resp, dict) and said.base_resp.get("status_code"):  # MiniMax, with a status of 200
            self.error = {"code": str(said.base_resp["status_code"]), "message": said.base_resp.get("status_msg")}
        # Both name the searches of the provider's own in the answer, beside what was found.
        if said.output is not _NOTHING and _SEARCH_CALL.search(memoryview(said.output)):
            self.count(_openai_searches(said.output))
        elif said.candidates is not _NOTHING and _SEARCH_QUERIES.search(memoryview(said.candidates)):
            self.count(_gemini_searches(said.candidates))
        elif said.predictions is not _NOTHING:
            self.count(_vertex_tokens(said.predictions))

    def _hear_inside(self, text: bytes | msgspec.Raw) -> None:
        if bytes(memoryview(text)[:1]) != b"{":  # such as Ollama's, the text itself
            return
        try:
            self._hear(_decode(text))
        except msgspec.MsgspecError:
            pass

    def _hear_what_few_say(self, said: _Said) -> None:
        if said.result is not _NOTHING:  # Cloudflare Workers AI
            self._hear_inside(said.result)
        if said.outputs is not _NOTHING:
            self.model = _last_model(said.outputs) or self.model
        if said.trace is not None:
            self.model = _routed_to(said.trace) or self.model
        if isinstance(said.metrics, dict):  # Replicate
            self.count({name: number for name, number in said.metrics.items() if name.endswith("_token_count")})

    def _hear_counts(self, said: _Said) -> None:
        if isinstance(said.usage, dict):
            self.count(said.usage)
            self.model = served_by(said.usage) or self.model
        if isinstance(said.usageMetadata, dict):
            self.count(said.usageMetadata)
        if isinstance(said.x_groq, dict) and isinstance(said.x_groq.get("usage"), dict):
            self.count(said.x_groq["usage"])
        if isinstance(said.meta, dict) and "billed_units" in said.meta:
            self.count({name: said.meta[name] for name in ("billed_units", "tokens") if name in said.meta})
        if isinstance(said.invocation_metrics, dict):
            counts = said.invocation_metrics.items()
            self.count({name: number for name, number in counts if name.endswith("TokenCount")})
        if (
            said.prompt_eval_count is not None
            or said.eval_count is not None
            or said.inputTextTokenCount is not None
            or said.prompt_token_count is not None
            or said.generation_token_count is not None
            or said.input_token_count is not None
        ):
            self._hear_bare_counts(said)
        elif said.results is not None:
            self._hear_results(said.results)

    def _hear_bare_counts(self, said: _Said) -> None:
        self.count({name: number for name in _BARE if (number := getattr(said, name)) is not None})
        if said.inputTextTokenCount is not None and isinstance(said.results, list):
            counts = [{"tokenCount": result.get("tokenCount")} for result in said.results if isinstance(result, dict)]
            self.count({"results": counts})

    def _hear_results(self, results: Any) -> None:
        # watsonx.ai's texts, each with what has been counted of it so far.
        texts = [result for result in results if isinstance(result, dict)] if isinstance(results, list) else []
        for name in ("input_token_count", "generated_token_count"):
            counts = [count for text in texts if type(count := text.get(name)) is int]
            if counts:
                self.count({name: sum(counts)})


def _openai_searches(output: msgspec.Raw) -> dict[str, int]:
    """The searches among a response's items; opening a page that was found, or looking through it, costs nothing.

    https://platform.openai.com/docs/guides/tools-web-search#output-and-citations
    """
    try:
        items = _decode_items(output)
    except msgspec.MsgspecError:
        return {}
    web = sum(item.type == "web_search_call" and _action(item) == "search" for item in items)
    return {WEB_SEARCHES: web, FILE_SEARCHES: sum(item.type == "file_search_call" for item in items)}


def _action(item: _Item) -> Any:
    return item.action.get("type", "search") if isinstance(item.action, dict) else "search"


def _last_model(outputs: msgspec.Raw) -> str | None:
    """An agent may hand over to another one: https://docs.mistral.ai/agents/handoffs"""
    try:
        models = [item.model for item in _decode_outputs(outputs)]
    except msgspec.MsgspecError:
        return None
    return next((model for model in reversed(models) if isinstance(model, str) and model), None)


def _routed_to(trace: Any) -> str | None:
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PromptRouterTrace.html"""
    router = trace.get("promptRouter") if isinstance(trace, dict) else None
    model = router.get("invokedModelId") if isinstance(router, dict) else None
    return model if isinstance(model, str) and model else None


def _vertex_tokens(predictions: msgspec.Raw) -> dict[str, int]:
    """https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api#response_body"""
    try:
        embeddings = [item.embeddings for item in _decode_predictions(predictions) if isinstance(item.embeddings, dict)]
    except msgspec.MsgspecError:
        return {}
    counts = [embedding.get("statistics", {}).get("token_count") for embedding in embeddings]
    return {"prompt_token_count": sum(counts)} if counts and all(type(count) is int for count in counts) else {}


def _gemini_searches(candidates: msgspec.Raw) -> dict[str, int]:
    """https://ai.google.dev/api/generate-content#GroundingMetadata"""
    try:
        grounded = [candidate.groundingMetadata for candidate in _decode_candidates(candidates)]
    except msgspec.MsgspecError:
        return {}
    asked = [found.get("webSearchQueries") for found in grounded if isinstance(found, dict)]
    return {WEB_SEARCHES: sum(len(queries) for queries in asked if isinstance(queries, list))}
