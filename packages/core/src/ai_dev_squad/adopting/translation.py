"""What a span of somebody else's says, in the words of operations: pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ai_dev_squad import attributes as keys
from ai_dev_squad import kinds
from ai_dev_squad.content import bounded
from ai_dev_squad.genai.foreign import canonical, framework_of, name_of, operation_of, provider_of, status_of_failed
from ai_dev_squad.genai.foreign_names import KINDS
from ai_dev_squad.genai.messages import countable, message
from ai_dev_squad.genai.stated import Implausible, usage_of
from ai_dev_squad.json_depth import is_too_deep
from ai_dev_squad.kinds import TASK, UNKNOWN, Kind, ModelRequest
from ai_dev_squad.schema import ErrorInfo, Status, Usage

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from ai_dev_squad.assembly import Pipeline

__all__ = [
    "Told",
    "answer_of",
    "attributes_of",
    "content_of",
    "is_ours",
    "outcome_of",
    "request_of",
    "session_of",
    "summed",
    "told",
    "usage_told",
]

_OWN_SCOPE = "ai_dev_squad"
_ALWAYS_SAYS = "openinference."
"""How scopes begin whose spans all say what they are, some of them only when they end: the rest is a chain."""

_CALLING = re.compile(
    r"(?<!Engine)(?<!Agent)\.a?(?:stream_)?(?:chat|complete)(?:_with_tools)?$"  # LlamaIndex; its chat engines ask others to
    r"|Generator\.run(?:_async)?$"  # Haystack
)
"""Names of spans that ask a model, and say so only at their end."""

_KINDS: Mapping[str, Kind] = {**kinds.KINDS, "plan": TASK, "guardrail": TASK}

_KEPT = (
    keys.OUTPUT_TYPE,
    keys.WORKFLOW_NAME,
    keys.GEN_AI_AGENT_NAME,
    keys.DATA_SOURCE_ID,
    keys.REQUEST_TEMPERATURE,
    keys.REQUEST_TOP_P,
    keys.REQUEST_TOP_K,
    keys.REQUEST_MAX_TOKENS,
    keys.REQUEST_SEED,
    keys.REQUEST_STOP_SEQUENCES,
    keys.REQUEST_FREQUENCY_PENALTY,
    keys.REQUEST_PRESENCE_PENALTY,
    keys.REQUEST_CHOICE_COUNT,
    keys.REQUEST_REASONING_LEVEL,
    keys.RESPONSE_MODEL,
    keys.RESPONSE_ID,
    keys.RESPONSE_FINISH_REASONS,
    keys.TOOL_TYPE,
    keys.TOOL_CALL_ID,
    keys.RETRIEVAL_TOP_K,
    keys.SERVER_ADDRESS,
    keys.SERVER_PORT,
)
"""What a line takes over of a span. All else stays with the span: it may be what people said."""

_SPOKEN = {keys.INPUT_MESSAGES: "user", keys.OUTPUT_MESSAGES: "assistant"}
_CONTENT = (
    keys.SYSTEM_INSTRUCTIONS,
    keys.TOOL_DEFINITIONS,
    keys.TOOL_CALL_ARGUMENTS,
    keys.TOOL_CALL_RESULT,
    keys.RETRIEVAL_QUERY_TEXT,
    keys.RETRIEVAL_DOCUMENTS,
)

_LONGEST_MESSAGE = 4_096
"""Characters of an error's message that are kept."""

_decode = msgspec.json.Decoder().decode


class Told(NamedTuple):
    """What a span says of itself so far."""

    kind: Kind | None
    """What it is; ``None``: nothing that is observed, or that is not said yet."""
    is_said: bool
    """Whether that is its last word."""
    name: str
    framework: str | None
    scope: str
    """The instrumentation that makes the span."""
    values: Mapping[str, Any]
    """Its attributes, the canonical ones among them."""

    @property
    def model(self) -> str | None:
        """The model that a model call asks, as far as it says so."""
        model = self.values.get(keys.REQUEST_MODEL)
        return model if isinstance(model, str) and model else None


def told(span: ReadableSpan, *, is_root: bool, has_more: bool) -> Told:
    """What ``span`` says. ``has_more``: whether something happens inside, so that it must be something.

    Of an instrumentation whose spans all say what they are, and this one not yet, it is a step that others belong to.
    """
    scope = "" if span.instrumentation_scope is None else span.instrumentation_scope.name
    given = {name: list(value) if type(value) is tuple else value for name, value in (span.attributes or {}).items()}
    values, _ = canonical(given, span.name)
    operation = operation_of(given, values, scope=scope, span_name=span.name, is_root=is_root)
    is_said = operation != "other" or not KINDS.keys().isdisjoint(given)
    if not is_said and has_more and scope.startswith(_ALWAYS_SAYS):
        is_said = True
        operation = "chat" if _CALLING.search(span.name) else "invoke_workflow" if is_root else "task"
    return Told(
        _KINDS.get(operation), is_said, name_of(span.name, operation, values), framework_of(scope, given), scope, values
    )


def is_ours(span: ReadableSpan) -> bool:
    """Whether we have made the span ourselves."""
    scope = span.instrumentation_scope
    return scope is not None and scope.name == _OWN_SCOPE


def request_of(said: Told) -> ModelRequest:
    """What a model call asks for, as its span has it."""
    values = said.values
    asked = values.get(keys.INPUT_MESSAGES)
    address, port = values.get(keys.SERVER_ADDRESS), values.get(keys.SERVER_PORT)
    return ModelRequest(
        model=said.model or _text(values.get(keys.RESPONSE_MODEL)) or UNKNOWN,
        provider=provider_of(values.get(keys.PROVIDER_NAME)) or UNKNOWN,
        prompt=None
        if asked is None
        else lambda: countable(_messages(asked, "user"), values.get(keys.TOOL_DEFINITIONS)),
        server_address=None if not isinstance(address, str) else address if port is None else f"{address}:{port}",
    )


def usage_told(values: Mapping[str, Any]) -> Usage | None:
    """The tokens that a span states; ``None`` for none, or what no call has."""
    try:
        usage = usage_of(values)
    except Implausible:
        return None
    return None if usage.input_tokens is None and usage.output_tokens is None else usage


def attributes_of(said: Told) -> dict[str, Any]:
    """What a line takes over of a span. No content; not redacted yet."""
    found = {key: value for key in _KEPT if (value := said.values.get(key)) is not None}
    found[keys.INSTRUMENTATION] = said.scope
    return found


def content_of(values: Mapping[str, Any], pipeline: Pipeline) -> dict[str, Any]:
    """What was said and done, redacted, where our own settings want content; what the span has of it."""
    if not pipeline.capture_content:
        return {}
    found = {key: _read(value) for key in _CONTENT if (value := values.get(key)) is not None}
    for key, role in _SPOKEN.items():
        value = values.get(key)
        if value is not None:
            found[key] = bounded(_messages(value, role), pipeline.settings.max_messages)
    redacted: dict[str, Any] = pipeline.redactor.value(found)
    return redacted


def answer_of(values: Mapping[str, Any]) -> list[Any]:
    """What was answered, to be counted; empty where the span keeps it to itself."""
    return countable(_messages(values.get(keys.OUTPUT_MESSAGES), "assistant"))


def outcome_of(span: ReadableSpan, pipeline: Pipeline) -> tuple[Status, ErrorInfo | None]:
    """How it ended, and the error that it ended with, redacted."""
    if span.status.is_ok:
        return "ok", None
    said: Mapping[str, Any] = next((event.attributes or {} for event in span.events if event.name == "exception"), {})
    kind = _text((span.attributes or {}).get(keys.ERROR_TYPE)) or _text(said.get("exception.type"))
    status = status_of_failed(kind)
    if status != "error":
        return status, None
    redact = pipeline.redactor.text
    message = _text(said.get("exception.message")) or span.status.description or ""
    if kind is not None and kind.startswith("ai_dev_squad."):
        kind = kind.rpartition(".")[2]  # a refusal, as it is called on the call that it refused
    return status, ErrorInfo(type=kind or "_OTHER", message=redact(message[:_LONGEST_MESSAGE]))


def _messages(value: Any, role: str) -> list[dict[str, Any]]:
    value = _read(value)
    if value is None:
        return []
    return [message(item, role) for item in (value if isinstance(value, list) else [value])]


def _read(value: Any) -> Any:
    """JSON text, as which most of it comes, as what it says."""
    if not isinstance(value, str) or value[:1] not in ("[", "{", '"'):
        return value
    try:
        raw = value.encode()
        return value if is_too_deep(raw) else _decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def session_of(values: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The session and the user that a span names."""
    return _text(values.get(keys.CONVERSATION_ID)), _text(values.get(keys.USER_ID))


def summed(usages: Sequence[Usage]) -> Usage | None:
    """The sum of what several spans of one call state."""
    if len(usages) < 2:
        return usages[0] if usages else None
    counts = {
        name: sum(values)
        for name in Usage.__struct_fields__
        if name != "source" and (values := [n for usage in usages if (n := getattr(usage, name)) is not None])
    }
    return Usage(**counts, source="provider")
