"""An OTLP span becomes a row of the store: pure functions, one span at a time.

What a span is, and what it says, is read in the names of OpenTelemetry's GenAI conventions and in our own; other
instrumentations' names are told in these by ``ai_dev_squad.genai.foreign``. Which of several spans of the same model call counts is decided
afterwards, see ``counting``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai.foreign import canonical, framework_of, name_of, operation_of, provider_of, status_of_failed
from ai_dev_squad.genai.foreign_events import CONTENT_EVENTS, content_in
from ai_dev_squad.genai.foreign_names import COST, OPERATIONS
from ai_dev_squad.genai.stated import Implausible, usage_of, usd
from ai_dev_squad.runs import MODEL_OPERATIONS
from ai_dev_squad.schema import Cost, Status, Usage
from ai_dev_squad_dashboard.store.rows import SpanRow

from .carried import carried
from .content import parsed, searched_text
from .excerpts import answer_in, question_in
from .labels import labels_of
from .otlp_shapes import Attributes, Event, Origin, Span, to_json
from .plausible import time_doubt
from .pricing import Prices, input_share, saving

__all__ = ["rejection", "span_row", "translated"]

_LONGEST_NAME = 256
_LONGEST_MESSAGE = 4096

_CONTENT = (keys.INPUT_MESSAGES, keys.OUTPUT_MESSAGES)
_CONTENT_OF = {
    "execute_tool": (keys.TOOL_CALL_ARGUMENTS, keys.TOOL_CALL_RESULT),
    "retrieval": (keys.RETRIEVAL_QUERY_TEXT, keys.RETRIEVAL_DOCUMENTS),
}
_CONTENT_KEYS = frozenset(
    {
        *_CONTENT,
        *_CONTENT_OF["execute_tool"],
        *_CONTENT_OF["retrieval"],
        keys.SYSTEM_INSTRUCTIONS,
        keys.TOOL_DEFINITIONS,
    }
)


def _places(source: str, target: str) -> tuple[tuple[str, str, str | None], ...]:
    """Where in the details what an operation was given and gave stands, and the one or two attributes that it is read from."""
    return (
        ("input", source, None if source == keys.INPUT_MESSAGES else keys.INPUT_MESSAGES),
        ("output", target, None if target == keys.OUTPUT_MESSAGES else keys.OUTPUT_MESSAGES),
        ("system", keys.SYSTEM_INSTRUCTIONS, None),
        ("tools", keys.TOOL_DEFINITIONS, None),
    )


_ANY_PLACES = _places(*_CONTENT)
_PLACES = {operation: _places(*names) for operation, names in _CONTENT_OF.items()}

_STATUSES: frozenset[Status] = frozenset(
    {"ok", "error", "interrupted", "cancelled", "handoff", "closed_early", "abandoned"}
)


def rejection(span: Span, now_us: int) -> str | None:
    """Why the span cannot be stored; ``None`` for one that can."""
    if not span.trace_id:
        return "a trace id is not 16 bytes, or all zero"
    if not span.span_id:
        return "a span id is not 8 bytes, or all zero"
    if span.start_ns <= 0 or span.end_ns <= 0:
        return "a span has no start or no end time"
    return time_doubt(span.start_ns // 1000, span.end_ns // 1000, now_us)


_FINE: tuple[Status, None, None] = ("ok", None, None)
_NO_USAGE = Usage(source="missing")


class _Call(NamedTuple):
    """What only a model call has."""

    provider: str | None
    model: str | None
    usage: Usage
    cost: Cost
    saved: float | None
    share: Callable[[], float | None] | None
    """Tells which share of the cost is for the input; see ``input_share``."""


def span_row(span: Span, origin: Origin, now_us: int, prices: Prices) -> SpanRow:
    """The row of a span that ``rejection`` lets through. ``now_us`` is the time of arrival."""
    return translated(span, origin, now_us, prices)[0]


def translated(span: Span, origin: Origin, now_us: int, prices: Prices) -> tuple[SpanRow, str | None]:
    """As ``span_row``, and the provider's id of the answer when it is a model call that has one."""
    given = span.attributes
    above = None if span.parent_span_id in {"", span.span_id} else span.parent_span_id  # nothing is above itself
    own = given.get(keys.FRAMEWORK)
    if own is not None:
        values = shown = given
        kind = given.get(keys.OPERATION_NAME)
        operation = OPERATIONS.get(kind, "other") if type(kind) is str else "other"
        framework = _name(own)
        agent = _name(given.get(keys.AGENT_ID)) or _name(given.get(keys.GEN_AI_AGENT_NAME))
        session = _name(given.get(keys.SESSION_ID))
        user = _name(given.get(keys.USER_ID) or given.get("user.id") or given.get("enduser.id"))
    else:
        values, shown = canonical(given, span.name)
        operation = operation_of(given, values, scope=origin.scope, span_name=span.name, is_root=above is None)
        framework = framework_of(origin.scope, given)
        agent = _name(values.get(keys.GEN_AI_AGENT_NAME)) or _name(values.get(keys.AGENT_ID))
        session = _name(values.get(keys.CONVERSATION_ID))
        user = _name(values.get(keys.USER_ID))
        told = [(event.name, event.attributes) for event in span.events if event.name in CONTENT_EVENTS]
        if told:
            values = {**content_in(told, operation), **values}
    start_us = span.start_ns // 1000
    status, error_type, error_message = _outcome(span) if span.failed or keys.OPERATION_STATUS in given else _FINE
    provider = model = cost = saved = first_chunk = share = None
    usage = _NO_USAGE
    if operation in MODEL_OPERATIONS:
        provider, model, usage, cost, saved, share = _call(values, start_us / 1e6, prices)
        first_chunk = values.get(keys.RESPONSE_TIME_TO_FIRST_CHUNK)
        first_chunk = int(first_chunk * 1e6) if type(first_chunk) is float and 0 <= first_chunk < 1e6 else None
    name = name_of(span.name, operation, values)
    if operation == "invoke_agent" and agent is None:
        agent = name
    details, text, said = _details(span, origin, values, shown, operation)
    asked = answered = None
    if said and (cost is not None or above is None):
        asked, answered = question_in(said.get("input")), answer_in(said.get("output"))
    read = carried(said, usage.input_tokens, cost.usd, share) if said and cost and share else ()
    # In the order of its fields: with their names it would take more than twice as long, and there are thousands a second.
    row = SpanRow(
        span.trace_id,
        span.span_id,
        above,
        start_us,
        int((span.end_ns - span.start_ns) / 1000)
        if span.end_ns < span.start_ns
        else (span.end_ns - span.start_ns) // 1000,
        name,
        operation,
        status,
        framework,
        origin.service,
        session or (_name(values.get(keys.CONVERSATION_ID)) if own is not None else None),
        user,
        labels_of(given, origin.resource),
        agent,
        _name(values.get(keys.TOOL_NAME)) if operation == "execute_tool" else None,
        provider,
        model,
        error_type,
        error_message,
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        usage.cache_write_input_tokens,
        usage.reasoning_output_tokens,
        None if cost is None else usage.source,
        None if cost is None else cost.usd,
        None if cost is None else cost.price,
        None if cost is None else cost.price_date,
        None if cost is None else cost.price_source,
        None if cost is None or cost.usd is not None else cost.reason,
        saved,
        first_chunk,
        "otlp",
        origin.scope[:_LONGEST_NAME] or None,
        now_us,
        details,
        text,
        _name(given.get(keys.TASK_LABEL)),
        _resumed(span) if span.links else None,
        origin.version,
        asked,
        answered,
        read,
    )
    return row, None if cost is None else _name(values.get(keys.RESPONSE_ID))


def _resumed(span: Span) -> str | None:
    return (
        next((link.trace_id for link in span.links if link.attributes.get(keys.LINK_TYPE) == "resumes"), None) or None
    )


def _name(value: Any) -> str | None:
    """A name out of an attribute: text of a bounded length. Blanks are none: nobody could see or click them."""
    if type(value) is str:
        return (value if len(value) <= _LONGEST_NAME else value[:_LONGEST_NAME]) if value.strip() else None
    return None if value is None or isinstance(value, (bytes, list, dict)) else str(value)[:_LONGEST_NAME]


# --- how it ended -------------------------------------------------------------------------------------------------------


def _outcome(span: Span) -> tuple[Status, str | None, str | None]:
    given = span.attributes
    kind = _name(given.get(keys.ERROR_TYPE))
    message = span.message
    if kind is None or not message:
        for event in span.events:
            if event.name == "exception":
                kind = kind or _name(event.attributes.get("exception.type"))
                message = message or str(event.attributes.get("exception.message") or "")
    said = given.get(keys.OPERATION_STATUS)
    if type(said) is str and said in _STATUSES:
        status: Status = said
    elif not span.failed:
        return _FINE
    else:
        status = status_of_failed(kind)
    if status == "error" and kind is None:
        kind = "_OTHER"
    return status, kind, message[:_LONGEST_MESSAGE] or None


# --- model calls --------------------------------------------------------------------------------------------------------


def _call(values: Attributes, at_s: float, prices: Prices) -> _Call:
    answered, asked = _name(values.get(keys.RESPONSE_MODEL)), _name(values.get(keys.REQUEST_MODEL))
    model = answered or asked
    provider = provider_of(values.get(keys.PROVIDER_NAME) or values.get(keys.LLM_PROVIDER))
    cost = _stated_cost(values)
    saved = share = None
    try:
        usage = usage_of(values)
    except Implausible as error:
        usage = _NO_USAGE
        cost = cost or Cost(usd=None, reason=str(error))
    if model is not None:
        tier = values.get("openai.response.service_tier") or values.get("gen_ai.openai.response.service_tier")
        price = prices.find(
            provider,
            asked or model,
            at_s,
            tier=tier if type(tier) is str else None,
            answered=answered,
            address=_name(values.get(keys.SERVER_ADDRESS)),
        )
        share = partial(input_share, price, usage)
        if cost is None:
            cost = price.cost(usage)
        if usage.cache_read_input_tokens:
            saved = saving(price, usage)
    elif cost is None:
        cost = Cost(usd=None, reason="the span does not name the model")
    return _Call(provider, model, usage, cost, saved, share)


def _stated_cost(values: Attributes) -> Cost | None:
    """The cost that came with the span: as our own core writes it, or as other senders do."""
    if (amount := usd(values.get(keys.COST_USD))) is not None:
        return Cost(
            usd=amount,
            price=_name(values.get(keys.COST_PRICE)),
            price_date=_name(values.get(keys.COST_PRICE_DATE)),
            price_source=_name(values.get(keys.COST_PRICE_SOURCE)) or "sender",
        )
    if (amount := usd(values.get(COST))) is None:
        return None
    currency = values.get("gen_ai.usage.cost.currency", "USD")
    if currency != "USD":
        return Cost(usd=None, reason=f"the sender states the cost in {str(currency)[:16]}, not in USD")
    source = "provider" if values.get("gen_ai.usage.cost.source") == "provider" else "sender"
    return Cost(usd=amount, price_source=source)


# --- everything else ----------------------------------------------------------------------------------------------------


def _details(
    span: Span, origin: Origin, values: Attributes, shown: Attributes, operation: str
) -> tuple[bytes, str | None, dict[str, Any]]:
    if shown is span.attributes and not _CONTENT_KEYS.isdisjoint(shown):
        shown = {name: value for name, value in shown.items() if name not in _CONTENT_KEYS}
    document: dict[str, Any] = {"attributes": shown}
    said: dict[str, Any] = {}
    text = None if shown is values is span.attributes else _content(document, values, operation, said)
    events = (
        span.events
        if values is span.attributes
        else [event for event in span.events if event.name not in CONTENT_EVENTS]
    )
    if events:
        _events(document, events)
    if span.links:
        document["links"] = [
            {
                "trace_id": link.trace_id,
                "span_id": link.span_id,
                "type": link.attributes.get(keys.LINK_TYPE),
                "attributes": link.attributes,
            }
            for link in span.links
        ]
    if origin.resource:
        document["resource"] = origin.resource_json
    return to_json(document), text, said


def _content(document: dict[str, Any], values: Attributes, operation: str, said: dict[str, Any]) -> str | None:
    """The text that is searched; ``said`` gets what was put in and what came out, as it can be read."""
    readable = []
    arguments = None
    for place, key, other in _PLACES.get(operation, _ANY_PLACES):
        value = values.get(key)
        if value is None and other is not None:
            value = values.get(other)
        if value is not None:
            document[place], said[place] = parsed(value)
            if place == "input" and operation == "execute_tool":
                arguments = said[place]
            else:
                readable.append(said[place])
    return searched_text(readable, arguments)


def _events(document: dict[str, Any], events: list[Event]) -> None:
    listed = []
    for event in events:
        attributes = event.attributes
        stack = attributes.get("exception.stacktrace")
        if type(stack) is str and "stacktrace" not in document:
            document["stacktrace"] = stack
            attributes = {name: value for name, value in attributes.items() if name != "exception.stacktrace"}
        listed.append({"name": event.name, "time_us": event.time_ns // 1000, "attributes": attributes})
    document["events"] = listed
