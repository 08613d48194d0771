"""What a request asks for, in the conventions' words: settings, server, and a hash of everything that the model sees."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai.messages import listed, message, plain_text, role_name
from ai_dev_squad.genai.providers import maker_of_model, provider_behind
from ai_dev_squad.genai.remembered import Remembered
from ai_dev_squad.genai.usage import tier_from
from ai_dev_squad.kinds import ModelRequest

__all__ = [
    "Offered",
    "PromptMarks",
    "model_request",
    "offered",
    "output_limit",
    "prompt_hash",
    "prompt_marks",
    "provider_speaking_openai",
    "request_attributes",
    "server_attributes",
]

# One table of the names that clients and providers have for the same setting; the first that is set counts.
_NUMBERS: Mapping[str, tuple[str, ...]] = {
    keys.REQUEST_TEMPERATURE: ("temperature",),
    keys.REQUEST_TOP_P: ("top_p", "topP", "p"),
    keys.REQUEST_TOP_K: ("top_k", "topK", "k"),
    keys.REQUEST_MAX_TOKENS: (
        *("max_completion_tokens", "max_output_tokens", "max_tokens", "maxOutputTokens", "maxTokens"),
        *("num_predict", "max_tokens_to_sample", "max_new_tokens", "max_gen_len", "maxTokenCount"),
    ),
    keys.REQUEST_SEED: ("seed", "random_seed"),
    keys.REQUEST_FREQUENCY_PENALTY: ("frequency_penalty", "frequencyPenalty"),
    keys.REQUEST_PRESENCE_PENALTY: ("presence_penalty", "presencePenalty"),
}
_CHOICES = ("n", "candidate_count", "candidateCount", "num_generations")
_STOPS = ("stop", "stop_sequences", "stopSequences")
# Where providers put settings one level deeper: Gemini, Bedrock, Titan, Ollama, watsonx.ai and DashScope.
_NESTED = ("generationConfig", "generation_config", "inferenceConfig", "textGenerationConfig", "options", "parameters")
_NUMBER_NAMES = frozenset(name for names in _NUMBERS.values() for name in names)
_NAMES = frozenset(
    {
        *(*_NUMBER_NAMES, *_CHOICES, *_STOPS, *_NESTED, "reasoning_effort", "reasoning"),
        *("response_format", "text", "responseMimeType", "response_mime_type", "format"),
    }
)
"""All that a setting may be called: most requests have none, and cost a look at that."""
_PORTS = {"https": 443, "http": 80, "wss": 443, "ws": 80}
_MOST = 1 << 53


def request_attributes(settings: Mapping[str, Any], *, stream: bool | None = None) -> dict[str, Any]:
    """``gen_ai.request.*`` and ``gen_ai.output.type`` of a request's settings, whichever client or provider names them.

    ``settings`` is a request's body or a client's arguments. What isn't set, or is no plain value, is left out; so is
    one choice, which everybody asks for. ``stream`` overrides what the settings say.
    """
    found: dict[str, Any] = {}
    for source in _sources(settings):
        for attribute, names in () if _NUMBER_NAMES.isdisjoint(source) else _NUMBERS.items():
            if attribute in found:
                continue
            for name in names:
                value = source.get(name)
                if value is not None and _is_number(value):
                    found[attribute] = value
                    break
        _named(source, found)
    if stream if stream is not None else settings.get("stream") is True:
        found[keys.REQUEST_STREAM] = True
    return found


def _sources(settings: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if _NAMES.isdisjoint(settings):
        return ()
    nested = [part for name in _NESTED if (part := settings.get(name)) is not None]  # the ABC is slow to say no
    return [settings, *(part for part in nested if isinstance(part, Mapping))] if nested else (settings,)


def _named(source: Mapping[str, Any], found: dict[str, Any]) -> None:
    stop = next((source[name] for name in _STOPS if source.get(name)), None)
    if isinstance(stop, str):
        found.setdefault(keys.REQUEST_STOP_SEQUENCES, [stop])
    elif isinstance(stop, (list, tuple)):
        found.setdefault(keys.REQUEST_STOP_SEQUENCES, [str(item) for item in stop])
    choices = next((source[name] for name in _CHOICES if source.get(name) is not None), None)
    if type(choices) is int and choices != 1:
        found.setdefault(keys.REQUEST_CHOICE_COUNT, choices)
    effort = source.get("reasoning_effort")
    if effort is None and isinstance(reasoning := source.get("reasoning"), Mapping):
        effort = reasoning.get("effort")
    if isinstance(effort, str):
        found.setdefault(keys.REQUEST_REASONING_LEVEL, effort)
    if _wants_json(source):
        found.setdefault(keys.OUTPUT_TYPE, "json")


def _wants_json(source: Mapping[str, Any]) -> bool:
    wanted = source.get("response_format")
    if wanted is None and isinstance(text := source.get("text"), Mapping):
        wanted = text.get("format")
    if isinstance(wanted, Mapping):
        return wanted.get("type") not in {None, "text"}
    kind = source.get("responseMimeType") or source.get("response_mime_type")
    return isinstance(wanted, type) or kind == "application/json" or source.get("format") == "json"


def output_limit(settings: Mapping[str, Any]) -> int | None:
    """The most output tokens that the answer may have, all its choices together, whatever it is called; ``None`` for no
    limit, or none in sight.
    """
    sources = _sources(settings)
    for source in sources:
        for name in _NUMBERS[keys.REQUEST_MAX_TOKENS]:
            limit = source.get(name)
            if limit is not None and _is_number(limit):
                return int(limit) * _choices(sources) if 0 < limit < _MOST else None
    return None


def _choices(sources: Iterable[Mapping[str, Any]]) -> int:
    """How many answers are made; ``best_of`` are made and billed, and ``n`` of them given."""
    counts = [source.get(name) for source in sources for name in (*_CHOICES, "best_of")]
    return max((count for count in counts if type(count) is int), default=1) or 1


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value - value == 0


def server_attributes(url: Any) -> dict[str, Any]:
    """``server.address`` and ``server.port`` of a URL, with the port of its scheme; empty for what is no address."""
    return dict(_server(url if isinstance(url, str) else str(url))) if url else {}


@lru_cache(maxsize=256)
def _server(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return {}
    if not host:
        return {}
    return {keys.SERVER_ADDRESS: host} if port is None else {keys.SERVER_ADDRESS: host, keys.SERVER_PORT: port}


def provider_speaking_openai(url: Any, model: str) -> str:
    """Whom a client asks that speaks OpenAI's language, in the conventions' words: who answers at its address if that is
    known, else the maker of the model, else OpenAI.
    """
    return _answering(str(url) if url else "", model)


@lru_cache(maxsize=1024)
def _answering(url: str, model: str) -> str:
    behind = provider_behind("openai", server_attributes(url).get(keys.SERVER_ADDRESS))
    return behind if behind != "openai" else maker_of_model(model) or behind


# --- the hash of a prompt -----------------------------------------------------------------------------------------------


def prompt_hash(messages: Any, tools: Any = None, response_format: Any = None) -> str:
    """A short hash of everything that the model sees: texts, pictures, tool calls and what they gave, tools, the format
    of the answer. Two calls with the same hash asked the same.

    ``messages`` come in any shape that ``messages.input_messages`` understands, so that all frameworks and the wire hash
    alike. The ids of tool calls, which every answer has new ones of, are left out. Never raises.
    """
    return prompt_marks(messages, tools, response_format).prompt_hash


class Offered(dict[str, Any]):
    """The definition of a tool that is offered again and again: what ``prompt_marks`` hashes of it is encoded once.

    For definitions that do not change, in any shape that is understood without it. Otherwise it is the mapping it was made of.
    """

    __slots__ = ("encoded",)

    def __init__(self, definition: Mapping[str, Any]) -> None:
        super().__init__(definition)
        self.encoded = _encoded(_offered(definition))
        """What is hashed of it."""


_offers: Remembered[Offered] = Remembered()


def offered(tool: Any, name: Any, description: Any, parameters: Any) -> Offered:
    """What a model is told of a framework's tool. It is kept as long as the tool is there and has the same to say."""
    found = _offers.of(tool)
    if (
        found is None
        or found["parameters"] is not parameters
        or found["description"] is not description
        or found["name"] is not name
    ):
        found = Offered({"name": name, "description": description, "parameters": parameters})
        _offers.keep(tool, found)
    return found


class PromptMarks(NamedTuple):
    """What prompts are compared by: the fields of a ``ModelRequest``."""

    prompt_hash: str
    """The hash of everything that the model sees, the same in every process."""
    newest_mark: int | None
    """The hash of the newest two messages, or parts of one, in this process; ``None`` for an unreadable prompt."""
    messages: int
    """How many messages there are."""


def model_request(
    model: str,
    provider: str,
    settings: Mapping[str, Any],
    messages: Any,
    tools: Any = None,
    response_format: Any = None,
    *,
    prompt: Callable[[], Any],
    service_tier: str | None = None,
) -> ModelRequest:
    """What is known of a model call before it is made.

    ``settings`` are those of the request, whichever client or provider names them, and the next three all that the model
    is given to read, see ``prompt_marks``. ``prompt`` returns the same as it is counted, see ``ModelRequest``.
    ``service_tier`` is what is asked for elsewhere than in the settings.
    """
    marks = prompt_marks(messages, tools, response_format)
    return ModelRequest(
        model,
        provider,
        prompt=prompt,
        max_output_tokens=output_limit(settings),
        prompt_hash=marks.prompt_hash,
        newest_mark=marks.newest_mark,
        messages=marks.messages,
        service_tier=service_tier or tier_from(settings),
    )


_said: Remembered[tuple[str, bytes]] = Remembered()
"""Of messages that are nothing but a text: that text, and what is hashed of it."""


def prompt_marks(messages: Any, tools: Any = None, response_format: Any = None) -> PromptMarks:
    """``prompt_hash``, and what tells whether a conversation has come to something new. Never raises."""
    digest = hashlib.blake2b(digest_size=8)
    count, newest, before = 0, b"", b""
    try:
        for item in listed(messages):
            count += 1
            known = _said.of(item)
            if known is not None and getattr(item, "content", None) is known[0]:
                newest, before = known[1], newest
                digest.update(newest)
                continue
            said = plain_text(item)
            for piece in _pieces(item) if said is None else (said,):
                newest, before = _encoded(piece), newest
                digest.update(newest)
            if said is not None:
                _said.keep(item, (said[1], newest))
        if (
            tools is not None
            and type(tools) is not list
            and (isinstance(tools, (str, Mapping)) or not isinstance(tools, Iterable))
        ):
            tools = ()
        for tool in tools or ():
            digest.update(tool.encoded if type(tool) is Offered else _encoded(_offered(tool)))
        if response_format is not None:
            digest.update(_encoded(("format", response_format)))
    except Exception:  # noqa: BLE001 - foreign objects may do anything when they are read
        digest.update(b"unreadable")
        return PromptMarks(digest.hexdigest(), None, 0)
    return PromptMarks(digest.hexdigest(), hash((before, newest)), count)


def _pieces(item: Any) -> Iterable[tuple[str, Any]]:
    """What is hashed of a message that is more than a text, one by one."""
    if type(item) is dict:
        pieces = _exchanged(item)
        if pieces is not None:
            return pieces
    whole = message(item)
    role = whole["role"]
    return [(role, _seen(part)) for part in whole["parts"] or [{}]]


def _exchanged(item: dict[str, Any]) -> list[tuple[str, Any]] | None:
    """The same of calls of tools and of their results in the two shapes that adapters hand on, in a third of the time;
    ``None`` where there is more to read.
    """
    kind, fields = item.get("type"), len(item)
    if kind is None:
        parts, role = item.get("parts"), item.get("role")
        if fields != 2 or type(parts) is not list or not parts or type(role) is not str or not role:
            return None
        said_by, pieces = role_name(role), []
        for part in parts:
            seen = _seen_at_once(part) if type(part) is dict else None
            if seen is None:
                return None
            pieces.append((said_by, seen))
        return pieces
    if "role" in item or "content" in item:
        return None
    if kind == "function_call" and type(item.get("arguments")) is str and "function" not in item:
        return [("assistant", ("call", item.get("name"), _structure(item["arguments"])))]
    if kind == "function_call_output" and type(item.get("output")) is str and "response" not in item:
        return [("tool", ("result", item["output"]))]
    return None


def _seen_at_once(part: dict[str, Any]) -> Any:
    """``_seen`` of a part that has all that it should have, and nothing else; ``None`` for any other."""
    kind, fields = part.get("type"), len(part)
    if kind == "tool_call" and fields == 4 and part.get("arguments") is not None and "id" in part and "name" in part:
        return ("call", part["name"], _structure(part["arguments"]))
    if kind == "tool_call_response" and fields == 3 and type(part.get("response")) is str and "id" in part:
        return ("result", part["response"])
    return part["content"] if kind == "text" and fields == 2 and type(part.get("content")) is str else None


def _seen(part: Mapping[str, Any]) -> Any:
    kind = part.get("type")
    if kind == "text":
        return part.get("content")
    if kind == "tool_call":
        return ("call", part.get("name"), _structure(part.get("arguments")))
    if kind == "tool_call_response":
        return ("result", part.get("response"))
    return {name: value for name, value in part.items() if name not in {"id", "index"} and value is not None}


def _structure(arguments: Any) -> Any:
    """Arguments as a structure: some clients hold them as text."""
    if isinstance(arguments, str):
        if arguments == "{}":  # a tool without parameters, as many are
            return {}
        try:
            return msgspec.json.decode(arguments)
        except ValueError:
            return arguments
    return arguments


def _offered(tool: Any) -> Any:
    if type(tool) is not dict and not isinstance(tool, Mapping):
        return ("tool", getattr(tool, "name", None), getattr(tool, "description", None))
    inner = tool.get("function")
    tool = inner if isinstance(inner, Mapping) else tool
    parameters = next((tool[name] for name in ("parameters", "input_schema", "inputSchema") if tool.get(name)), None)
    name = tool.get("name")
    return ("tool", name, tool.get("description"), parameters) if name else ("tool", tool)


def _encoded(value: Any) -> bytes:
    try:
        return _encode(value)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        # Half a surrogate pair, a key that is no text, or a cycle.
        return repr(value).encode("utf-8", "backslashreplace")


def _described(value: Any) -> str:
    kind = value if isinstance(value, type) else type(value)
    return f"<{kind.__module__}.{kind.__qualname__}>"


_encode = msgspec.json.Encoder(enc_hook=_described, order="sorted").encode
