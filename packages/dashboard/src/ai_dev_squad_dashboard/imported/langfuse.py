"""Langfuse: observations, traces and scores as its API, its pages and its blob storage export write them.

Names are camelCase in the API and snake_case in exports; both are read. What a trace says (user, session, tags) stands in the
trace's own record, or in each observation of the newer export. Fields: https://langfuse.com/docs/api-and-data-platform.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ai_dev_squad_dashboard.ingest.otlp_shapes import Attributes, Origin, Span, to_json

from .langfuse_scores import is_score, tell_score
from .records import Record
from .told import (
    Claim,
    Context,
    Judged,
    Source,
    Told,
    Untellable,
    end_of,
    moment_ns,
    money,
    number,
    object_of,
    parsed,
    seconds_until,
    settings_of,
    span_id,
    text,
    trace_id,
    without_nothing,
)

__all__ = ["LANGFUSE"]

_SCOPE: Final = "langfuse"
_WITH_TOKENS: Final = frozenset({"GENERATION", "EMBEDDING"})
_SETTINGS: Final = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
}
_OF_SCORES: Final = (
    "trace_id", "observation_id", "start_time", "data_type", "string_value", "config_id", "author_user_id", "created_at",
)  # fmt: skip
_PLAIN: Final = ("name", "value", "source", "comment", "timestamp")
_TOTALS: Final = frozenset({"total", "total_tokens"})


def _field(record: Record, name: str) -> Any:
    """A field by its name in exports, or as the API writes it."""
    value = record.get(name)
    if value is None:
        head, *rest = name.split("_")
        value = record.get(head + "".join(word.capitalize() for word in rest))
    return value


def _as_score(record: Record) -> Record | None:
    """A score with its fields named as in exports; ``None`` for what is none."""
    named = {name: _field(record, name) for name in _OF_SCORES} | {name: record.get(name) for name in _PLAIN}
    found = {name: value for name, value in named.items() if value is not None}
    return found if is_score(found) else None


def _is_trace(record: Record) -> bool:
    return (
        _as_score(record) is None
        and _field(record, "trace_id") is None
        and _field(record, "start_time") is None
        and "timestamp" in record
    )


def _note(record: Record, context: Context) -> None:
    if _is_trace(record):
        context.traces[str(record.get("id"))] = {
            name: value for name, value in record.items() if name not in ("observations", "scores")
        }


def _tell(record: Record, context: Context) -> Iterator[Told | Judged]:
    given = _as_score(record)
    if given is not None:
        yield from tell_score(given)
        return
    if _is_trace(record):
        for each in (*(parsed(record.get("observations")) or ()), *(parsed(record.get("scores")) or ())):
            if isinstance(each, dict):
                yield from _tell({"traceId": record.get("id"), **each}, context)
        return
    trace = _field(record, "trace_id")
    started = moment_ns(_field(record, "start_time"))
    if trace is None or record.get("id") is None or started is None:
        raise Untellable("no observation of Langfuse: id, trace_id or start_time is missing, or is none")
    of_trace = context.traces.get(str(trace), {})
    context.told.add(str(trace))
    kind = str(record.get("type") or "SPAN").upper()
    usage, costs = _amounts(_field(record, "usage_details")), _amounts(_field(record, "cost_details"))
    cost = _cost(record, costs)
    attributes: dict[str, Any] = {
        **_of_trace(record, of_trace),
        "langfuse.observation.type": kind.lower(),
        "langfuse.observation.input": record.get("input"),
        "langfuse.observation.output": record.get("output"),
        "gen_ai.request.model": text(_field(record, "provided_model_name") or record.get("model")),
        "langfuse.observation.prompt.name": text(_field(record, "prompt_name")),
        "langfuse.observation.level": text(record.get("level")),
    }
    if kind in _WITH_TOKENS:
        attributes["langfuse.observation.usage_details"] = to_json(usage or _older_usage(record)).decode()
        attributes["gen_ai.usage.cost.amount"] = cost
        first = _field(record, "completion_start_time")
        attributes["gen_ai.response.time_to_first_chunk"] = seconds_until(first, started)
        attributes |= settings_of(object_of(_field(record, "model_parameters")), _SETTINGS)
    elif kind == "TOOL":
        attributes["gen_ai.tool.name"] = text(record.get("name"))
        attributes["gen_ai.tool.call.arguments"], attributes["gen_ai.tool.call.result"] = (
            record.get("input"),
            record.get("output"),
        )
    elif kind == "AGENT":
        attributes["gen_ai.agent.name"] = text(record.get("name"))
    metadata = object_of(record.get("metadata"))
    attributes |= {f"langfuse.observation.metadata.{name}": value for name, value in metadata.items()}
    yield _told(record, str(trace), started, without_nothing(attributes), Claim(_tokens(record, usage), cost))


def _told(record: Record, trace: str, started: int, attributes: Attributes, claim: Claim) -> Told:
    is_event = str(record.get("type")).upper() == "EVENT"  # which has no end
    ended = end_of(_field(record, "end_time"), started, {} if is_event else attributes)
    span = Span(
        trace_id(trace),
        span_id(record["id"]),
        span_id(_field(record, "parent_observation_id")),
        text(record.get("name")) or "observation",
        1,
        started,
        ended,
        attributes,
        [],
        [],
        record.get("level") == "ERROR",
        text(_field(record, "status_message")) or "",
    )
    return Told(_origin(record), span, claim)


def _left(context: Context, spans: Mapping[str, Mapping[str, bool]]) -> Iterator[Told]:
    """A trace that has no observation is what was asked and answered, and nothing else is known of it."""
    for identity, record in context.traces.items():
        started = moment_ns(record.get("timestamp"))
        if identity in context.told or started is None:
            continue
        latency = money(record.get("latency")) or 0.0
        attributes = {
            **_of_trace(record, record),
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": text(record.get("name")),
            "gen_ai.input.messages": record.get("input"),
            "gen_ai.output.messages": record.get("output"),
        }
        name = text(record.get("name")) or "trace"
        # A trace is at most as long as a year, whatever is stated.
        ended = started + int(min(latency, 366 * 86_400.0) * 1e9)
        span = Span(
            trace_id(identity), span_id(f"trace {identity}"), "", name, 1, started, ended,
            without_nothing(attributes), [], [], False, "",
        )  # fmt: skip
        yield Told(_origin(record), span, Claim())


def _origin(record: Record) -> Origin:
    resource = without_nothing(
        {
            "deployment.environment.name": text(record.get("environment")),
            "service.version": text(record.get("release")),
        }
    )
    return Origin(resource, _SCOPE)


def _of_trace(record: Record, trace: Record) -> dict[str, Any]:
    def said(name: str) -> Any:
        return _field(record, name) or _field(trace, name)

    return {
        "session.id": text(said("session_id")),
        "user.id": text(said("user_id")),
        "langfuse.trace.name": text(_field(record, "trace_name") or trace.get("name")),
        "langfuse.trace.tags": parsed(said("tags")) or None,
        **{f"langfuse.trace.metadata.{name}": value for name, value in object_of(trace.get("metadata")).items()},
    }


def _amounts(given: Any) -> dict[str, float | int]:
    """A map of amounts, also where a table has it as JSON, or as a list of pairs."""
    found = parsed(given)
    if isinstance(found, dict) and set(found) == {"key", "value"} and isinstance(found["key"], list):
        found = dict(zip(found["key"], found["value"], strict=False))
    if not isinstance(found, dict):
        return {}
    counts = {str(name): money(value) for name, value in found.items()}
    return {name: int(value) if value == int(value) else value for name, value in counts.items() if value is not None}


def _older_usage(record: Record) -> dict[str, int]:
    """What the API said before there were details."""
    older = record.get("usage")
    usage: Record = older if isinstance(older, dict) else {}
    asked = number(usage.get("input", usage.get("promptTokens", record.get("promptTokens"))))
    said = number(usage.get("output", usage.get("completionTokens", record.get("completionTokens"))))
    return {name: value for name, value in (("input", asked), ("output", said)) if value is not None}


def _tokens(record: Record, usage: dict[str, float | int]) -> int | None:
    """The product's own total, where it states one."""
    counts = usage or _older_usage(record)
    total = next((value for name, value in counts.items() if name in _TOTALS), None)
    if total is None:
        parts = [value for name, value in counts.items() if name not in _TOTALS]
        total = sum(parts) if parts else None
    return None if total is None else int(total)


def _cost(record: Record, costs: dict[str, float | int]) -> float | None:
    """Exports write 0 where no price was known, so only an amount, or a map of them, is a cost."""
    total = money(_field(record, "total_cost"))
    if total is None:
        total = money(_field(record, "calculated_total_cost"))
    if not total:
        total = costs.get("total", sum(costs.values()) if costs else None)
    return total


LANGFUSE: Final = Source("Langfuse", _tell, _note, _left)
