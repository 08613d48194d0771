"""How a span of ours begins and ends: attributes made clean, the outcome written, and no failure of it passed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, StatusCode

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai.errors import classify, error_text, error_type, exception_name, stack_trace
from ai_dev_squad.guard import report
from ai_dev_squad.redaction_assignments import labelled
from ai_dev_squad.redaction_names import secret_kind
from ai_dev_squad.tracing.identity import start_identity

if TYPE_CHECKING:
    from ai_dev_squad.tracing.manager import TraceManager

__all__ = ["clean_attributes", "finish", "open_span"]


def open_span(
    manager: TraceManager,
    name: str,
    attributes: Mapping[str, Any] | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    links: Sequence[Link] | None = (),
    context: Context | None = None,
    start_time: int | None = None,
) -> Span:
    """Start a span; a failing sampler or span processor costs the span, not the caller."""
    if not manager.recording:
        return manager.start_span(name, context, kind)
    try:
        clean = clean_attributes(attributes, manager.redact, by_name=manager.redacts) if attributes else None
        return manager.start_span(
            name, context=context, kind=kind, attributes=clean, links=links, start_time=start_time
        )
    except Exception as failure:  # noqa: BLE001 - observing never raises into the user's program
        report("starting a span", failure)
        return start_identity(name, context)


def finish(span: Span, error: BaseException | None, redact: Callable[[str], str]) -> None:
    """End ``span``; ``error`` is what ended its block. Never raises."""
    try:
        if error is not None and span.is_recording():
            _write_outcome(span, error, redact)
    except Exception as failure:  # noqa: BLE001 - observing never raises into the user's program
        report("recording an exception", failure)
    finally:
        try:
            span.end()
        except Exception as failure:  # noqa: BLE001 - a foreign span processor may raise
            report("ending a span", failure)


def _write_outcome(span: Span, error: BaseException, redact: Callable[[str], str]) -> None:
    status = classify(error)
    if status != "error":
        if status != "ok":
            span.set_attribute(keys.OPERATION_STATUS, status)
        return
    message = error_text(error, redact)
    span.set_attribute(keys.ERROR_TYPE, error_type(error))
    span.set_status(StatusCode.ERROR, message or exception_name(type(error)))
    if not _already_recorded(span, error):
        span.add_event(
            "exception",
            {
                "exception.type": exception_name(type(error)),
                "exception.message": message,
                "exception.stacktrace": stack_trace(error, redact),
            },
        )


def _already_recorded(span: Span, error: BaseException) -> bool:
    """Whether the block itself called ``span.record_exception`` before it let the exception go."""
    return any(
        event.name == "exception"
        and str((event.attributes or {}).get("exception.type", "")).endswith(type(error).__qualname__)
        for event in getattr(span, "events", ())
    )


def clean_attributes(
    attributes: Mapping[str, Any], redact: Callable[[str], str], *, by_name: bool = False
) -> dict[str, Any]:
    """Attributes as OpenTelemetry allows them: text redacted, ``None`` left out, other objects as redacted text.

    ``by_name`` has a text replaced whole whose attribute's name marks a secret, such as ``api_key``.
    """
    clean: dict[str, Any] = {}
    for key, value in attributes.items():
        if isinstance(value, (bool, int, float)):
            clean[str(key)] = value
        elif value is not None:
            said = redact(value) if isinstance(value, str) else _clean_value(value, redact)
            kind = secret_kind(str(key)) if by_name else None
            clean[str(key)] = said if kind is None else labelled(kind, said)
    return clean


def _clean_value(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, (list, tuple)):
        kinds = {type(item) for item in value}
        if kinds <= {bool} or kinds <= {int} or kinds <= {float}:
            return value
        return [item for item in (_text(item, redact) for item in value) if item is not None]
    return _text(value, redact)


def _text(value: Any, redact: Callable[[str], str]) -> str | None:
    if value is None:
        return None
    try:
        return redact(str(value))
    except Exception:  # noqa: BLE001 - a user's __str__ may do anything
        return f"<{type(value).__name__}>"
