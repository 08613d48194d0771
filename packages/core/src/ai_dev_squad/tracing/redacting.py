"""Redacts a span on its way out, also one that another library made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from ai_dev_squad.redaction_assignments import labelled
from ai_dev_squad.redaction_names import secret_kind
from ai_dev_squad.tracing.own_span import OwnSpan

__all__ = ["redacted"]


def redacted(span: ReadableSpan, redact: Callable[[str], str]) -> ReadableSpan:
    """``span`` itself if there was nothing to redact, else a copy of it without the secrets."""
    if isinstance(span, OwnSpan) and not span.touched:
        return span  # an operation's attributes were redacted when they were made
    # Every access to these properties makes a new object.
    old_attributes, old_events = span.attributes, span.events
    attributes = _values(old_attributes, redact)
    events = [_event(event, redact) for event in old_events]
    description = span.status.description
    text = redact(description) if description else description
    if (
        attributes is old_attributes
        and text == description
        and all(new is old for new, old in zip(events, old_events, strict=True))
    ):
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=events,
        links=span.links,
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=span.status if text == description else Status(span.status.status_code, text),
        start_time=span.start_time,
        end_time=span.end_time,
    )


def _event(event: Event, redact: Callable[[str], str]) -> Event:
    old_attributes = event.attributes
    attributes = _values(old_attributes, redact)
    return event if attributes is old_attributes else Event(event.name, attributes, event.timestamp)


def _values(attributes: Mapping[str, Any] | None, redact: Callable[[str], str]) -> Mapping[str, Any] | None:
    changed: dict[str, Any] = {}
    for key, value in (attributes or {}).items():
        kind = secret_kind(key)
        clean = _value(value, redact) if kind is None else labelled(kind, value)
        if clean != value:
            changed[key] = clean
    return {**(attributes or {}), **changed} if changed else attributes


def _value(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, (list, tuple)):
        return type(value)([_value(item, redact) for item in value])
    if isinstance(value, Mapping):
        return {key: _value(item, redact) for key, item in value.items()}
    return value
