"""An event in the log of a coding agent, told as a span: a request to a model, a tool, a prompt.

They so become what they are of any other program: priced, counted once, and in the runs of a session. An event that is sent again is the
same span again. What is what stands in ``coding_agents``.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ai_dev_squad import attributes as keys
from ai_dev_squad_dashboard.store.rows import UNTIMED_US

from .coding_agents import AGENTS, CodingAgent, Role
from .otlp_shapes import Attributes, LogRecord, Origin, Span, to_json
from .plausible import moment_us

__all__ = ["Told", "person_of", "session_of", "told", "understood"]

_EVENTS: Final = {agent.prefix + event: (agent, event) for agent in AGENTS.values() for event in agent.events}
_SERVICES: Final = {service: agent for agent in AGENTS.values() for service in agent.services}
_REQUEST_SPANS: Final = {agent.request_span: agent for agent in AGENTS.values() if agent.request_span}
_PREFIXES: Final = tuple((agent.prefix, agent) for agent in AGENTS.values())

_SESSION: Final = ("session.id", "conversation.id")
_USER: Final = ("user.email", "user.account_uuid", "user.account_id", "user.id", "installation.id")
_TOOL: Final = ("tool_name", "function_name")
_TOOL_CALL: Final = ("tool_use_id", "call_id")
_GIVEN: Final = ("tool_input", "tool_parameters", "arguments", "function_args")
_ERROR_TYPE: Final = ("error_type", "status_code", "http.response.status_code")
_ERROR: Final = ("error", "error.message")
_CONTENT: Final = frozenset({*_GIVEN, "prompt", "output", "request_text", "response_text"})
_REDACTED: Final = frozenset({"", "<REDACTED>", "[REDACTED]"})
_OPERATIONS: Final[Mapping[Role, str]] = {
    "prompt": "invoke_agent",
    "answer": "chat",
    "failure": "chat",
    "tool": "execute_tool",
    "refusal": "execute_tool",
}
_UNKNOWN_NS: Final = UNTIMED_US * 1000


class Told(NamedTuple):
    """What an event of a coding agent is part of, and what it tells."""

    agent: CodingAgent
    session: str | None
    trace_id: str
    span: Span | None
    """``None`` where it only stands in the log."""


def session_of(given: Mapping[str, Any]) -> str | None:
    """The session that an event or a point of a metric names."""
    return _text(given, _SESSION)


def person_of(given: Mapping[str, Any]) -> str | None:
    """Who is at the keyboard: an address of mail where the agent knows it, else an id."""
    return _text(given, _USER)


def told(record: LogRecord, origin: Origin, now_us: int) -> Told | None:
    """What a log record tells of a coding agent; ``None`` for one of any other program."""
    found = _event_of(record, origin)
    if found is None:
        return None
    agent, event = found
    given = record.attributes
    session = session_of(given)
    turn = None if agent.turn is None else _text(given, (agent.turn,))
    run = _digest(agent.name, session, turn) if session or turn else _identity(record, agent, session)
    role = next((rule.role for rule in agent.events.get(event, ()) if rule.holds(given)), None)
    span = None
    if role is not None:
        ended_ns = moment_us(record.time_ns // 1000, now_us) * 1000
        span = _span(record, agent, role, run, session, ended_ns)
    return Told(agent, session, run[:32], span)


def understood(span: Span) -> Span:
    """A span of a coding agent's own tracing, in the names of the conventions; any other as it is.

    A request that is told of by an event too counts once, by the provider's id of the answer. Its tools are told of by events
    alone: they have nothing by which both would be known as one.
    """
    agent = _REQUEST_SPANS.get(span.name)
    if agent is None:
        return span
    given = span.attributes
    says = {**_whose(given, agent, session_of(given)), keys.OPERATION_NAME: "chat", **_answer(given, agent)}
    return span._replace(attributes={**given, **{name: value for name, value in says.items() if value is not None}})


def _whose(given: Attributes, agent: CodingAgent, session: str | None) -> dict[str, Any]:
    return {
        keys.FRAMEWORK: agent.name,
        keys.SESSION_ID: session,
        keys.USER_ID: person_of(given),
        keys.AGENT_ID: _text(given, ("agent.name",)) or agent.name,
    }


def _event_of(record: LogRecord, origin: Origin) -> tuple[CodingAgent, str] | None:
    names = [
        name
        for name in (record.attributes.get("event.name"), record.event_name, record.body)
        if isinstance(name, str) and 0 < len(name) < 100
    ]
    for name in names:
        if name in _EVENTS:
            return _EVENTS[name]
    for name in names:
        for prefix, agent in _PREFIXES:
            if name.startswith(prefix):
                return agent, name[len(prefix) :]
    agent_of_service = _SERVICES.get(origin.service or "")
    return (agent_of_service, names[0]) if agent_of_service and names else None


def _span(record: LogRecord, agent: CodingAgent, role: Role, run: str, session: str | None, ended_ns: int) -> Span:
    given = record.attributes
    root = run[32:48]
    begins = role == "prompt"
    milliseconds = None if begins or role == "refusal" else _number(given.get("duration_ms"))
    if milliseconds is None or (role == "answer" and not agent.times_answers):
        start_ns, end_ns = ended_ns, ended_ns + _UNKNOWN_NS
    else:
        start_ns, end_ns = ended_ns - int(milliseconds * 1_000_000), ended_ns
    if begins and agent.turn is None:
        start_ns = _born_ns(session) or ended_ns
        end_ns = start_ns + _UNKNOWN_NS
    told_of = {
        **_whose(given, agent, session),
        keys.OPERATION_NAME: _OPERATIONS[role],
        **_SAYS[role](given, agent),
    }
    attributes = {name: value for name, value in given.items() if name not in _CONTENT}
    attributes.update((name, value) for name, value in told_of.items() if value is not None)
    failed = told_of.get(keys.ERROR_TYPE) is not None and role != "refusal"
    # All of a run is beneath its prompt. What belongs to no prompt stands by itself.
    placed = agent.turn is None or _text(given, (agent.turn,)) is not None
    return Span(
        trace_id=run[:32],
        span_id=root if begins else _identity(record, agent, session)[:16],
        parent_span_id="" if begins or not placed else root,
        name=str(told_of.get(keys.TOOL_NAME) or told_of.get(keys.REQUEST_MODEL) or agent.name),
        kind=1,
        start_ns=start_ns,
        end_ns=end_ns,
        attributes=attributes,
        events=[],
        links=[],
        failed=failed,
        message=str(_text(given, _ERROR) or "") if failed else "",
    )


def _prompt(given: Attributes, agent: CodingAgent) -> dict[str, Any]:
    prompt = given.get("prompt")
    said = None if not isinstance(prompt, str) or prompt in _REDACTED else prompt
    messages = [{"role": "user", "parts": [{"type": "text", "content": said}]}]
    return {keys.GEN_AI_AGENT_NAME: agent.name, keys.INPUT_MESSAGES: None if said is None else messages}


def _answer(given: Attributes, agent: CodingAgent) -> dict[str, Any]:
    return {
        **_asked(given, agent),
        keys.USAGE_INPUT_TOKENS: _sum(given, agent.input),
        keys.USAGE_OUTPUT_TOKENS: _sum(given, agent.output),
        keys.USAGE_CACHE_READ_INPUT_TOKENS: _sum(given, (agent.cache_read,)),
        keys.USAGE_CACHE_WRITE_INPUT_TOKENS: _sum(given, (agent.cache_write,)),
        keys.USAGE_REASONING_OUTPUT_TOKENS: _sum(given, (agent.reasoning,)),
        keys.COST_USD: _number(given.get("cost_usd")),
    }


def _failure(given: Attributes, agent: CodingAgent) -> dict[str, Any]:
    return {**_asked(given, agent), keys.ERROR_TYPE: _text(given, _ERROR_TYPE) or "_OTHER"}


def _asked(given: Attributes, agent: CodingAgent) -> dict[str, Any]:
    return {
        keys.REQUEST_MODEL: _text(given, ("model",)),
        keys.PROVIDER_NAME: agent.provider or None,
        keys.RESPONSE_ID: _text(given, ("request_id",)),
    }


def _tool(given: Attributes, _: CodingAgent) -> dict[str, Any]:
    failed = str(given.get("success", "true")).lower() == "false"
    return {
        keys.TOOL_NAME: _text(given, _TOOL),
        keys.TOOL_CALL_ID: _text(given, _TOOL_CALL),
        keys.TOOL_CALL_ARGUMENTS: _text(given, _GIVEN),
        keys.TOOL_CALL_RESULT: _text(given, ("output",)),
        keys.ERROR_TYPE: (_text(given, _ERROR_TYPE) or "_OTHER") if failed else None,
    }


def _refusal(given: Attributes, agent: CodingAgent) -> dict[str, Any]:
    return {**_tool(given, agent), keys.OPERATION_STATUS: "cancelled", keys.ERROR_TYPE: "refused"}


_SAYS: Final = {"prompt": _prompt, "answer": _answer, "failure": _failure, "tool": _tool, "refusal": _refusal}


def _text(given: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these that says something; numbers as they are written."""
    for name in names:
        value = given.get(name)
        if isinstance(value, (str, int, float)) and str(value) not in _REDACTED:
            return str(value)
    return None


def _number(value: Any) -> float | None:
    """A number of a sender that writes some as text."""
    try:
        number = float(value) if isinstance(value, (str, int, float)) else -1.0
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 1e12 else None


def _sum(given: Attributes, names: tuple[str, ...]) -> int | None:
    numbers = [number for name in names if name and (number := _number(given.get(name))) is not None]
    return int(sum(numbers)) if numbers else None


def _identity(record: LogRecord, agent: CodingAgent, session: str | None) -> str:
    """The same for the same event, however often it is sent."""
    return _digest(agent.name, session, str(record.time_ns), to_json(sorted(record.attributes.items())).decode())


def _digest(*parts: str | None) -> str:
    return hashlib.sha256("\0".join(part or "" for part in parts).encode("utf-8", "replace")).hexdigest()


def _born_ns(session: str | None) -> int | None:
    """When a session began whose id says so (UUID version 7): one that is taken up again says that it starts again."""
    try:
        number = uuid.UUID(session or "")
    except ValueError:
        return None
    return (number.int >> 80) * 1_000_000 if number.version == 7 else None
