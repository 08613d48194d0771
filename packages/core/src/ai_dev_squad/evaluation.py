"""What somebody thinks of a run: a score, a label, a comment, as OpenTelemetry's GenAI conventions name them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from ai_dev_squad import attributes as keys
from ai_dev_squad import spans
from ai_dev_squad.context import current_operation
from ai_dev_squad.guard import report
from ai_dev_squad.runtime import get_logger, get_trace_manager
from ai_dev_squad.schema import LogEvent, LogLevel, register_event_type, utc_now
from ai_dev_squad.tracing.log_events import emit_event
from ai_dev_squad.tracing.manager import SCOPE_NAME

if TYPE_CHECKING:
    from ai_dev_squad.operations import Operation

__all__ = ["EVALUATION_RESULT", "feedback"]

EVALUATION_RESULT: Final = register_event_type("gen_ai.evaluation.result")
"""The event's type, in the journal and in OpenTelemetry."""

_TRACE_ID: Final = re.compile("[0-9a-f]{32}")
_SPAN_ID: Final = re.compile("[0-9a-f]{16}")


def feedback(
    trace_id: str | None = None,
    *,
    name: str = "feedback",
    score: float | None = None,
    label: str | None = None,
    comment: str | None = None,
    span_id: str | None = None,
) -> None:
    """Keep what somebody thinks of a run, or with ``span_id`` of one operation in it: a line in the journal, which the
    dashboard shows, and OpenTelemetry's event ``gen_ai.evaluation.result``.

    The event is a log record of the application's logger provider, where it has made one global; else it stands on the
    operation's span, as long as that is open and exported.

    ``trace_id``: the run's; the one that is under way here when absent. ``name``: what was judged, such as ``helpful``.
    ``score``: a number, whatever its scale; the mean is over equal names. ``label``: a word, such as ``good``.
    ``comment`` is redacted like all that is logged. Raises ``ValueError`` when there is no run, nothing to keep, or
    something that is no id or number.
    """
    operation = current_operation()
    if trace_id is None:
        if operation is None:
            raise ValueError("no run is under way here; give the trace_id of the run that is meant")
        trace_id, span_id = operation.trace_id, span_id or operation.span_id
    _check(trace_id, span_id, score, label, comment)
    given = {
        keys.EVALUATION_NAME: name,
        keys.EVALUATION_SCORE_VALUE: None if score is None else float(score),
        keys.EVALUATION_SCORE_LABEL: label,
        keys.EVALUATION_EXPLANATION: comment,
    }
    told = {key: value for key, value in given.items() if value is not None}
    now = utc_now()
    get_logger().log_event(
        LogEvent(
            event_type=EVALUATION_RESULT,
            timestamp=now,
            level=LogLevel.INFO,
            message=f"{name}: {label or (score if score is not None else comment)}",
            metadata=told,
            trace_id=trace_id,
            span_id=span_id,
        )
    )
    try:
        _tell_opentelemetry(told, operation, trace_id, span_id, round(now.timestamp() * 1_000_000) * 1_000)
    except Exception as error:  # noqa: BLE001 - a processor or exporter of the application's own
        report("telling OpenTelemetry of an evaluation", error)


def _check(trace_id: str, span_id: str | None, score: float | None, label: str | None, comment: str | None) -> None:
    if not _TRACE_ID.fullmatch(trace_id):
        raise ValueError(f"trace_id {trace_id!r} is no trace id; use 32 hexadecimal digits in lower case")
    if span_id is not None and not _SPAN_ID.fullmatch(span_id):
        raise ValueError(f"span_id {span_id!r} is no span id; use 16 hexadecimal digits in lower case")
    if score is None and not label and not comment:
        raise ValueError("there is nothing to keep; give a score, a label or a comment")
    if score is not None and not math.isfinite(score):
        raise ValueError(f"score {score!r} is no finite number; use one such as 1.0")


def _tell_opentelemetry(
    given: dict[str, Any], operation: Operation | None, trace_id: str, span_id: str | None, time_ns: int
) -> None:
    redact = get_trace_manager().redact
    told = {key: redact(value) if isinstance(value, str) else value for key, value in given.items()}
    where = (trace_id, span_id)
    if emit_event(EVALUATION_RESULT, told, where, scope=SCOPE_NAME, time_ns=time_ns):
        return
    if operation is None or operation.trace_id != trace_id or (span_id or operation.span_id) != operation.span_id:
        return
    if span_id is None:
        told[keys.EVALUATION_OF] = "trace"
    spans.add_event(operation, EVALUATION_RESULT, told)
