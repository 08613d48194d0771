"""What one journal line is.

``LogEvent`` is the event a program writes by hand. ``JournalLine`` is the line as it stands in the file and the
one record that every sink receives: flat, absent fields left out, encoded by msgspec in one C call per batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum, IntEnum
from typing import Any, Literal

import msgspec

__all__ = [
    "SCHEMA_VERSION",
    "Cost",
    "ErrorInfo",
    "EventType",
    "JournalLine",
    "Link",
    "LogEvent",
    "LogLevel",
    "Status",
    "Usage",
    "UsageSource",
    "json_schema",
    "register_event_type",
    "registered_event_types",
    "resolve_event_type",
    "utc_now",
]

SCHEMA_VERSION = 1
"""The version of the journal line. It rises only when an old reader could misread a new line."""

UsageSource = Literal["provider", "estimated", "missing"]
"""Where token counts come from: the provider's answer, our own count, or nowhere (then the counts are ``None``)."""

Status = Literal["ok", "error", "interrupted", "cancelled", "handoff", "closed_early", "abandoned"]
"""How an operation ended."""


class EventType(str, Enum):
    """The built-in event types. ``register_event_type`` adds more."""

    AGENT_START = "agent.start"
    AGENT_STOP = "agent.stop"
    AGENT_INTERRUPT = "agent.interrupt"
    AGENT_RESUME = "agent.resume"
    AGENT_HANDOFF = "agent.handoff"
    AGENT_LOOP = "agent.loop"
    TASK_START = "task.start"
    TASK_COMPLETE = "task.complete"
    TASK_FAIL = "task.fail"
    TOOL_CALL = "tool.call"
    TOOL_RESULT = "tool.result"
    SAFETY_VIOLATION = "safety.violation"
    LLM_REQUEST = "llm.request"
    LLM_RESPONSE = "llm.response"
    VCS_COMMIT = "vcs.commit"
    PERFORMANCE_METRIC = "performance.metric"
    SYSTEM_ERROR = "system.error"
    BUDGET_ALERT = "budget.alert"
    BUDGET_EXCEEDED = "budget.exceeded"
    BUDGET_STORE = "budget.store"
    TELEMETRY_DROPPED = "telemetry.dropped"
    WIRE_COVERAGE = "wire.coverage"
    CUSTOM_EVENT = "custom.event"

    # Lines that are kept in memory hold members; printed, they look like those that were read back.
    __str__ = str.__str__


class LogLevel(IntEnum):
    """Severity, numbered like the standard ``logging`` levels. The journal carries the name."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Tokens of one model call.

    ``input_tokens`` includes cached, audio and image tokens, ``output_tokens`` includes reasoning, audio and image tokens
    (OpenTelemetry GenAI conventions); the other fields are subsets, never added on top. ``None`` means unknown.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_read_audio_input_tokens: int | None = None
    """Of ``cache_read_input_tokens``, those that are audio; where nobody says how many, as many as there must be."""
    cache_write_input_tokens: int | None = None
    cache_write_1h_input_tokens: int | None = None
    """Of ``cache_write_input_tokens``, those that the cache keeps for an hour, which some providers sell dearer."""
    reasoning_output_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    web_searches: int | None = None
    """Searches of the web that the provider made for this call and bills by the piece, beside the tokens."""
    file_searches: int | None = None
    """The same of files that the user keeps with the provider."""
    audio_input_seconds: int | None = None
    """Sound that was given and that the provider bills by its length, beside the tokens."""
    source: UsageSource


class Cost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one model call cost, and which price says so. ``usd`` is ``None`` when no price is known."""

    usd: float | None
    price: str | None = None
    """The price used, as ``provider/model``."""
    price_date: str | None = None
    """The day (ISO) the price was read from its source."""
    price_source: str | None = None
    """``genai-prices``, ``user``, ``provider`` (sent with the answer), ``local``, or ``cache_hit``."""
    reason: str | None = None
    """Why ``usd`` is ``None``."""


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What went wrong: a low-cardinality ``type`` (OpenTelemetry ``error.type``) and the redacted text."""

    type: str
    message: str = ""
    stacktrace: str | None = None
    """Redacted; only where the error arose, not on the operations it passed through."""


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A span this one refers to without being its child, such as the run that a resume continues."""

    trace_id: str
    span_id: str
    type: str | None = None


class JournalLine(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False, tag_field="schema", tag=SCHEMA_VERSION):
    """One line of the journal. ``duration_ms`` is in milliseconds; ``timestamp`` is aware UTC, microseconds."""

    timestamp: datetime
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
    event_type: str
    message: str
    session_id: str | None = None
    correlation_id: str | None = None
    agent_id: str | None = None
    framework: str | None = None
    name: str | None = None
    operation: str | None = None
    status: Status | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    duration_ms: float | None = None
    usage: Usage | None = None
    cost: Cost | None = None
    error: ErrorInfo | None = None
    links: list[Link] | None = None
    metadata: dict[str, Any] | None = None


@dataclass
class LogEvent:
    """An event written by hand. The last fields tie it to a span; leave them out and the current span is used."""

    event_type: EventType | str
    timestamp: datetime
    level: LogLevel
    message: str
    session_id: str | None = None
    correlation_id: str | None = None
    agent_id: str | None = None
    framework: str | None = None
    metadata: dict[str, Any] | None = None
    trace_id: str | None = None
    span_id: str | None = None
    duration_ms: float | None = None


_registered: dict[str, EventType | str] = {member.value: member for member in EventType}


def register_event_type(name: str) -> str:
    """Make ``name`` an allowed event type, such as ``"deploy.finished"``. Registering twice is harmless.

    Raises ``ValueError`` unless the name is dotted lower case.
    """
    parts = str(name).split(".")
    if len(parts) < 2 or not all(part.isidentifier() and part == part.lower() for part in parts):
        raise ValueError(
            f"event type {name!r} is not dotted lower case; write it like 'deploy.finished' (letters, digits, '_')"
        )
    _registered.setdefault(name, name)
    return name


def registered_event_types() -> tuple[str, ...]:
    """Every allowed event type, sorted."""
    return tuple(sorted(_registered))


def resolve_event_type(value: EventType | str) -> str:
    """The event type's string. Raises ``ValueError`` for one that was never registered."""
    known = _registered.get(value) if isinstance(value, str) else None  # type: ignore[redundant-expr]
    if known is None:
        raise ValueError(
            f"unknown event type {value!r}; allowed: {', '.join(registered_event_types())}; "
            f"for your own, call register_event_type({value!r}) first"
        )
    return known.value if isinstance(known, EventType) else known


def utc_now() -> datetime:
    """The current time, aware UTC."""
    return datetime.now(timezone.utc)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of one journal line, generated from ``JournalLine``."""
    schema = msgspec.json.schema(JournalLine)
    # msgspec says so only where it also checks for an offset, and a reader forgives a missing one.
    schema["$defs"]["JournalLine"]["properties"]["timestamp"]["format"] = "date-time"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"AI Dev Squad journal line, schema {SCHEMA_VERSION}",
        **schema,
    }
