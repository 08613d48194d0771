"""What a request asks of a model: little at once, the rest when somebody wants to know."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from ai_dev_squad.genai.messages import listed
from ai_dev_squad.genai.requests import output_limit
from ai_dev_squad.genai.usage import tier_from

__all__ = ["Request"]

_SYSTEMS = ("system", "instructions", "systemInstruction", "system_instruction", "preamble")
_PROMPTS = (
    "messages",
    "input",
    "prompt",
    "contents",
    "content",
    "message",
    "texts",
    "inputs",
    "inputText",
    "additional_messages",
    "requests",
    "instances",
)


class _Read(msgspec.Struct, gc=False):
    """What is read before the request is sent; a decoder skips all else without making objects of it."""

    model: Any = None
    model_id: Any = None
    modelId: Any = None  # noqa: N815 - as Bedrock writes it
    foundationModel: Any = None  # noqa: N815
    agent: Any = None
    agent_id: Any = None
    version: Any = None
    stream: Any = None
    stream_options: Any = None
    service_tier: Any = None
    serviceTier: Any = None  # noqa: N815
    speed: Any = None
    inference_geo: Any = None
    background: Any = None
    deferred: Any = None


_decode = msgspec.json.Decoder(_Read).decode


class Request:
    """One request's body, which the client holds as long as we do. It is read when somebody asks, and at most once.

    What can't be read before it is sent (``None``), or is no JSON object, says nothing.
    """

    __slots__ = ("_body", "_fields", "_mapping")

    def __init__(self, body: Any) -> None:
        self._body = body
        self._fields: _Read | None = _Read() if body is None else None
        self._mapping: dict[str, Any] | None = None
        if isinstance(body, dict):  # which the program may change
            self._fields = _Read(**{name: body[name] for name in _Read.__struct_fields__ if name in body})

    @property
    def _read(self) -> _Read:
        if self._fields is None:
            try:
                self._fields = _decode(self._body)
            except (msgspec.MsgspecError, TypeError):
                self._fields, self._body = _Read(), None
        return self._fields

    def named(self, *fields: str) -> str | None:
        """The model that the body names in the first of these fields that has a name; ``a.b`` is ``b`` inside of ``a``."""
        names = (self._inside(field) if "." in field else getattr(self._read, field) for field in fields)
        return next((name for name in names if isinstance(name, str) and name), None)

    def _inside(self, field: str) -> Any:
        found: Any = self.mapping()
        for name in field.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        return found

    @property
    def stream(self) -> bool | None:
        """Whether the body asks for a stream; ``None`` if it doesn't say so."""
        return self._read.stream if isinstance(self._read.stream, bool) else None

    @property
    def stream_options(self) -> dict[str, Any] | None:
        """OpenAI's ``stream_options``."""
        return self._read.stream_options if isinstance(self._read.stream_options, dict) else None

    @property
    def service_tier(self) -> str | None:
        """The tier that is asked for."""
        read = self._read
        if read.service_tier is read.serviceTier is read.speed is read.inference_geo is None:  # as nearly always
            return None
        named = "fast" if read.speed == "fast" else read.service_tier  # Anthropic's answer names both
        return tier_from({"service_tier": named, "serviceTier": read.serviceTier, "inference_geo": read.inference_geo})

    @property
    def background(self) -> bool:
        """Whether the provider is to go on with it after its answer."""
        return self._read.background is True or self._read.deferred is True

    @property
    def max_output_tokens(self) -> int | None:
        """The most output tokens that the answer may have, whatever the provider calls it."""
        whole = self.mapping()
        limit, prompts = output_limit(whole), whole.get("prompt")
        # OpenAI's completions go on with each text of a list; a list of numbers is one text.
        if limit is not None and isinstance(prompts, list) and prompts and not isinstance(prompts[0], int):
            return limit * len(prompts)
        return limit

    @property
    def fingerprint(self) -> int:
        """The same for a request that is sent again."""
        body = self._body
        return hash(bytes(body)) if isinstance(body, (bytes, bytearray, memoryview)) else hash(repr(body))

    def mapping(self) -> dict[str, Any]:
        """The whole body, decoded."""
        if self._mapping is None:
            self._read  # noqa: B018 - what can't be read is let go
            if isinstance(self._body, dict):
                self._mapping = self._body
            else:
                self._mapping = {} if self._body is None else cast("dict[str, Any]", msgspec.json.decode(self._body))
        return self._mapping

    def prompt(self) -> Any:
        """What the model is asked: messages, input, prompt or contents, as sent; ``None`` if there are none.

        Instructions that stand beside them come first, as the message that they are with other providers.
        """
        whole = self.mapping()
        asked = _first(whole, _PROMPTS)
        if asked is None and isinstance(whole.get("text"), (str, list)):  # OpenAI's responses say there how to answer
            asked = whole["text"]
        if isinstance(asked, dict):  # as DashScope's input holds its messages
            asked = _first(asked, _PROMPTS) or asked
        instructions = _first(whole, _SYSTEMS)
        if not instructions or asked is None:
            return asked
        if isinstance(instructions, dict) and "parts" in instructions:
            instructions = instructions["parts"]  # Gemini's
        return [{"role": "system", "content": instructions}, *listed(asked)]

    def tools(self) -> Any:
        """The definitions of the tools that are offered."""
        whole = self.mapping()
        config = whole.get("toolConfig")  # Bedrock's
        return config.get("tools") if isinstance(config, dict) and "tools" not in whole else whole.get("tools")

    def answer_format(self) -> Any:
        """The format, or schema, that the answer has to follow."""
        whole = self.mapping()
        text = whole.get("text")  # OpenAI's responses
        return text.get("format") if isinstance(text, dict) else whole.get("response_format")


def _first(whole: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((whole[name] for name in names if whole.get(name) is not None), None)
