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

from ai_dev_squad.genai.reports import merged
from ai_dev_squad.genai.rounds import SHARES, served_by
from ai_dev_squad.genai.usage import tier_from
from ai_dev_squad.wire.said import (
    BARE_COUNTS,
    NOTHING,
    Said,
    asked_by_agent,
    decode,
    decode_choices,
    decode_list,
    fields_of,
    gemini_searches,
    last_model,
    openai_searches,
    pictures,
    routed_to,
    tgi_tokens,
    vertex_tokens,
)

__all__ = ["Answer"]

_LAST = {
    *("message_stop", "message-end", "stream-end", "interaction.completed", "conversation.response.done"),
    *("response.completed", "response.incomplete", "response.failed"),
}
_REPORT = re.compile(r'"(?:usage|usageMetadata|meta)"\s*:\s*(?=\{)')
_COUNTS = re.compile(r'"(prompt_eval_count|eval_count|inputTextTokenCount)"\s*:\s*(\d+)')
_NAMES = re.compile(r'"(id|model)"\s*:\s*"([^"\\]{1,200})"')
_FAILED = frozenset({"ERROR", "ERROR_TOXIC"})
_BACKGROUND = re.compile(r'"background"\s*:\s*true')
_SGLANG = ("prompt_tokens", "completion_tokens", "cached_tokens")
_EMPTY = re.compile(rb"\s*(\[\s*\])?\s*")
_SEARCH_CALL, _SEARCH_QUERIES = re.compile(rb"_search_call"), re.compile(rb"webSearchQueries")
_read_object = json.JSONDecoder().raw_decode


def _is_last(kind: Any) -> bool:
    return type(kind) is str and kind in _LAST


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
        self._choices = NOTHING
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
                everything = decode_list(text)
                self.events += len(everything)
                for said in everything:
                    self._hear(said)
            else:
                said = decode(text)
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
        text, self._choices = bytes(self._choices), NOTHING  # which would keep the whole answer
        if b'"usage"' not in text and b'"error"' not in text:
            return
        try:
            choices = decode_choices(text)
        except msgspec.MsgspecError:
            return
        for choice in choices:
            if isinstance(choice.usage, dict):
                self.count(choice.usage)
            self.error = choice.error or self.error

    def _hear(self, said: Said) -> None:
        # Anthropic's and OpenAI's first and last events, and Cohere's last, have the answer inside. This runs for each
        # event, most of which have none of it.
        if said.message is not NOTHING:
            self._hear_inside(said.message)
        if said.response is not NOTHING:
            self._hear_inside(said.response)
        if said.interaction is not NOTHING:  # Gemini's events
            self._hear_inside(said.interaction)
        if said.delta is not NOTHING:
            self._hear_inside(said.delta)
        if said.bytes is not None:  # Bedrock's stream of another provider's events
            self._hear_inside(base64.b64decode(said.bytes))
        if said.done is True or _is_last(said.type) or _is_last(said.event_type):
            self.done = True
        if self.response_id is None:
            identifier = said.responseId or said.generation_id or said.id
            # A stream that begins with a thread of OpenAI's tells of its run after that, and Azure's first event has no id yet.
            is_one = isinstance(identifier, str) and not identifier.startswith("thread_")
            self.response_id = identifier or None if is_one else None
        model = said.model or said.modelVersion or said.model_id
        if isinstance(model, str):
            self.model = model
        if said.content_block is not NOTHING:
            self._has_begun = True
        if said.stop_reason == "refusal":  # https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback
            self.is_declined = not self._has_begun and _EMPTY.fullmatch(said.content) is not None
        if said.background is True:
            self.background = True
        if isinstance(said.status, str):
            self.state = said.status.lower()
        if said.service_tier is not None or said.serviceTier is not None:
            told = {"service_tier": said.service_tier, "serviceTier": said.serviceTier}
            self._tier = tier_from(told) or self._tier
        if said.error is not None:
            self.error = said.error or self.error
        self._hear_counts(said)
        if said.choices is not NOTHING:  # as in nearly every event
            self._choices = said.choices
        else:
            self._hear_what_few_say(said)
        if said.base_resp is not None and (code := fields_of(said.base_resp).get("status_code")):
            self.error = {"code": str(code)}  # MiniMax's, with a status of 200
        # Both name the searches of the provider's own in the answer, beside what was found.
        if said.output is not NOTHING and _SEARCH_CALL.search(memoryview(said.output)):
            self.count(openai_searches(said.output, said.tool_usage))
        elif said.candidates is not NOTHING and _SEARCH_QUERIES.search(memoryview(said.candidates)):
            self.count(gemini_searches(said.candidates))
        elif said.predictions is not NOTHING:
            self.count(vertex_tokens(said.predictions))

    def _hear_inside(self, text: bytes | msgspec.Raw) -> None:
        if bytes(memoryview(text)[:1]) != b"{":  # such as Ollama's, the text itself
            return
        try:
            self._hear(decode(text))
        except msgspec.MsgspecError:
            pass

    def _hear_what_few_say(self, said: Said) -> None:
        if self.response_id is None and isinstance(said.request_id, str):  # xAI, DashScope
            self.response_id = said.request_id
        if said.result is not NOTHING:  # Cloudflare Workers AI
            self._hear_inside(said.result)
        if said.outputs is not NOTHING:
            self.model = last_model(said.outputs) or self.model
        if said.trace is not None:
            model, counts = asked_by_agent(said.trace)
            self.model = routed_to(said.trace) or model or self.model
            self.usage |= {name: self.usage.get(name, 0) + count for name, count in counts.items()}
        if said.tool_usage is not None:
            self.count(pictures(said))
        if isinstance(said.finish_reason, str) and said.finish_reason in _FAILED:  # Cohere's
            self.error = self.error or {"code": said.finish_reason}
        if said.type == "error" or (said.code and said.output is NOTHING and said.usage is None):
            # OpenAI's responses, Mistral's conversations, vLLM and DashScope have no object for it.
            self.error = self.error or {"code": str(said.code or said.type)}
        if isinstance(said.stats, dict):  # LM Studio
            asked, written = said.stats.get("input_tokens"), said.stats.get("total_output_tokens")
            if asked is not None and written is not None:
                self.count({"input_tokens": asked, "output_tokens": written})
        if isinstance(said.meta_info, dict):  # SGLang
            self.count({name: said.meta_info[name] for name in _SGLANG if name in said.meta_info})
        if said.details is not NOTHING:
            self.count(tgi_tokens(said.details))
        if said.tokens_predicted is not None:  # llama.cpp
            self.count({"tokens_evaluated": said.tokens_evaluated, "tokens_predicted": said.tokens_predicted})
        if isinstance(said.metrics, dict):  # Replicate
            self.count({name: number for name, number in said.metrics.items() if name.endswith("_token_count")})

    def _hear_counts(self, said: Said) -> None:
        if isinstance(said.usage, dict):
            self.count(said.usage)
            self.model = served_by(said.usage) or self.model
        if isinstance(said.usageMetadata, dict):
            self.count(said.usageMetadata)
        if isinstance(said.x_groq, dict) and isinstance(said.x_groq.get("usage"), dict):
            self.count(said.x_groq["usage"])
            self._hear_shares(said.x_groq.get(SHARES))
        if said.usage_breakdown is not None:
            self._hear_shares(said.usage_breakdown)
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

    def _hear_shares(self, told: Any) -> None:
        if isinstance(told, dict):
            self.count({SHARES: told})
            self.model = served_by(self.usage) or self.model

    def _hear_bare_counts(self, said: Said) -> None:
        self.count({name: number for name in BARE_COUNTS if (number := getattr(said, name)) is not None})
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
