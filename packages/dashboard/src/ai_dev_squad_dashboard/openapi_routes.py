"""What the description of the routes cannot read from the code: texts, the guide's answers, OTLP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .alerts import MEASURES
from .store.figures import FIGURE_NAMES

__all__ = [
    "ACTING",
    "BODIES",
    "GUIDE",
    "LAB",
    "OTHERS",
    "QUERIES",
    "RESPONSES",
    "SENDING",
]

RESPONSES: Final[Mapping[int, str]] = {
    400: "The address asks for something impossible; the message says what is allowed.",
    401: "A token or a login is required.",
    403: "This credential may not, or a page of another site asked.",
    404: "What the address names is not there.",
    413: "The body is too large; send smaller batches.",
    414: "The address is too long.",
    415: "The encoding is not understood.",
    429: "Too much at once; come again after `Retry-After` seconds.",
    500: "The dashboard failed; its log says why.",
    503: "The store does not answer now; come again.",
}

_TEXTS: Final = {"type": "array", "items": {"type": "string"}}
_MONEY_BY: Final = {"type": "object", "additionalProperties": {"type": "number"}}
_COUNT: Final = {"type": "integer"}
_USD: Final = {"type": "number"}
_MAYBE: Final = {"type": ["number", "null"]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(**properties: Any) -> dict[str, Any]:
    return {"type": "array", "items": _object(**properties)}


_FRAMEWORK: Final = {"type": ["string", "null"]}

GUIDE: Final[Mapping[str, tuple[str, str, Mapping[str, Any]]]] = {
    "/api/metrics": (
        "Totals of model calls, by model and over time.",
        "24h",
        _object(
            total_cost_usd=_USD,
            total_tokens=_COUNT,
            total_requests=_COUNT,
            avg_response_time_ms=_USD,
            cost_by_model=_MONEY_BY,
            usage_over_time=_list(
                timestamp_ms=_COUNT, framework=_FRAMEWORK, requests=_COUNT, errors=_COUNT, tokens=_COUNT, cost_usd=_USD
            ),
            unpriced_requests=_COUNT,
            p95_response_time_ms=_MAYBE,
        ),
    ),
    "/api/cost-analysis": (
        "Cost by each key and over time, what caching saved, and which prices are unknown.",
        "7d",
        _object(
            total_cost_usd=_USD,
            cache_saving_usd=_USD,
            cost_by_model=_MONEY_BY,
            cost_by_provider=_MONEY_BY,
            cost_by_agent=_MONEY_BY,
            cost_by_framework=_MONEY_BY,
            cost_by_session=_MONEY_BY,
            cost_over_time=_list(timestamp_ms=_COUNT, framework=_FRAMEWORK, cost_usd=_USD),
            unknown_prices=_list(provider=_FRAMEWORK, model=_FRAMEWORK, calls=_COUNT, reason=_FRAMEWORK),
        ),
    ),
    "/api/parity-matrix": (
        "The frameworks' real runs side by side, and under `lab` the lab's matrix; `show`, `verdict`, `text`, `run` and `observer` choose of it.",
        "7d",
        _object(
            frameworks={
                "type": "object",
                "additionalProperties": _object(
                    requests=_COUNT,
                    errors=_COUNT,
                    input_tokens=_COUNT,
                    output_tokens=_COUNT,
                    cost_usd=_USD,
                    p50_ms=_MAYBE,
                    p95_ms=_MAYBE,
                ),
            },
            lab={"$ref": "#/components/schemas/Lab"},
        ),
    ),
}

LAB: Final = ("show", "verdict", "text", "pin", "run", "observer")
"""Arguments that choose of the lab's matrix."""

OTHERS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "/api/access": (
        "Who asks, and who is logged in: everybody for whoever administers, else the sessions of the same person.",
        {
            "application/json": {
                "schema": _object(
                    name={"type": "string"},
                    role={"enum": ["look", "act", "administer"]},
                    sessions=_list(
                        name={"type": "string"},
                        person={"type": "string"},
                        opened_us=_COUNT,
                        expires_us=_COUNT,
                        address={"type": "string"},
                        browser={"type": "string"},
                        is_own={"type": "boolean"},
                    ),
                )
            }
        },
    ),
    "/api/find": (
        "What an id names: traces, spans, sessions and users, exact ones first. `q` is the id, or the beginning of one.",
        {
            "application/json": {
                "schema": _object(
                    found=_list(
                        url={"type": "string"},
                        what=_object(
                            kind={"enum": ["trace", "span", "session", "user"]},
                            id={"type": "string"},
                            trace_id={"type": ["string", "null"]},
                            name={"type": "string"},
                            start_us=_COUNT,
                            exact={"type": "boolean"},
                        ),
                    )
                )
            }
        },
    ),
    "/api/traces/<trace_id>/export": (
        "A whole trace with everything that was captured, as a file.",
        {
            "application/json": {
                "schema": _object(
                    trace={"type": "object"},
                    spans={"type": "array", "items": {"type": "object"}},
                    logs={"type": "array", "items": {"type": "object"}},
                    running={"type": "array", "items": {"type": "object"}},
                )
            }
        },
    ),
    "/api/export/<kind>": (
        "Every span or log line with everything that was captured, as a file.",
        {
            kind: {"schema": {"type": "string"}}
            for kind in ("application/jsonl", "text/csv", "application/vnd.apache.parquet")
        },
    ),
    "/api/openapi.json": ("This description.", {"application/json": {"schema": {"type": "object"}}}),
    "/api/parity-matrix.<kind>": (
        "The lab's matrix as a file, chosen from as on its page.",
        {
            "application/json": {"schema": {"$ref": "#/components/schemas/Lab"}},
            **{kind: {"schema": {"type": "string"}} for kind in ("text/csv", "text/markdown", "text/html")},
        },
    ),
}
"""Routes for programs that are neither a page nor the guide's."""

_DELETION: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Deletion"}}}

_SQL_ANSWER: Final = {
    "application/json": {
        "schema": _object(
            columns=_list(name={"type": "string"}, type={"type": "string"}),
            rows={"type": "array", "items": {"type": "array"}},
            truncated={"type": "boolean"},
            took_ms=_USD,
        )
    },
    "text/csv": {"schema": {"type": "string"}},
    "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
}

_NAMED: Final = {"application/json": {"schema": _object(name={"type": "string"})}}
_TESTED: Final = {
    "application/json": {"schema": _object(sent={"type": "boolean"}, problem={"type": ["string", "null"]})}
}

BODIES: Final[Mapping[tuple[str, str], Mapping[str, Any]]] = {
    ("put", "/api/alerts/rules/<rule>"): {
        "type": "object",
        "description": "A rule as in the file of rules, without its name.",
        "properties": {
            "measure": {"enum": [*MEASURES]},
            "of": {"enum": ["calls", "runs", "tools", "agents", "spans"]},
            "over": {"type": "string", "examples": ["5m"]},
            "above": {"type": "number"},
            "below": {"type": "number"},
            "where": {"type": "object"},
            "by": {"type": "array", "items": {"enum": [*FIGURE_NAMES]}},
            "notify": _TEXTS,
            "severity": {"enum": ["info", "warning", "critical"]},
            "min_count": {"type": "integer", "minimum": 1},
            "rearm": {"type": "string"},
            "repeat": {"type": "string"},
            "resolved": {"type": "boolean"},
            "note": {"type": "string", "maxLength": 2000},
        },
        "required": ["measure"],
    }
}
"""What is sent, as JSON, to a route that acts: (method, path) → schema."""

ACTING: Final[Mapping[str, Mapping[str, tuple[str, Mapping[str, Any]]]]] = {
    "/api/feedback": {
        "post": (
            'Keep what somebody thinks of a run: `{"trace_id": "…", "span_id": "…", "name": "helpful", "score": 1, "label": "good", "comment": "…"}`.',
            {"application/json": {"schema": {"$ref": "#/components/schemas/Mark"}}},
        )
    },
    "/api/sql": {
        "post": (
            'Answer one SELECT over the views, sent as `{"sql": "…"}`; `format` or `Accept` choose a file instead.',
            _SQL_ANSWER,
        )
    },
    "/api/traces/<trace_id>": {"delete": ("Delete a run, for good.", _DELETION)},
    "/api/users/<user_id>": {"delete": ("Delete all that is stored of a user, for good.", _DELETION)},
    "/api/sessions/<session_id>": {"delete": ("Delete a session with all of its runs, for good.", _DELETION)},
    "/api/alerts/rules/<rule>": {
        "put": ("Make a rule of alerts, or change one that was made here.", _NAMED),
        "delete": ("Delete a rule of alerts that was made here.", _NAMED),
    },
    "/api/alerts/receivers/<receiver>/test": {
        "post": ("Send a receiver of alerts a test, and wait for its answer.", _TESTED)
    },
}
"""Routes that change something: path → method → what it does and answers. They need the right to act."""

QUERIES: Final[Mapping[str, tuple[str, ...]]] = {"/api/find": ("q",)}
"""The arguments that these routes understand, by their paths."""

_STATUS: Final = {
    "type": "object",
    "description": "`google.rpc.Status`, in the encoding of the request.",
    "properties": {"code": _COUNT, "message": {"type": "string"}},
    "required": ["code", "message"],
}


def _sending(signal: str, field: str) -> dict[str, Any]:
    return {
        "post": {
            "operationId": f"send_{signal}",
            "summary": f"Take {signal} over OTLP/HTTP; answered once they are on disk.",
            "tags": ["otlp"],
            "parameters": [
                {
                    "name": "Content-Encoding",
                    "in": "header",
                    "description": "How the body is compressed.",
                    "schema": {"enum": ["gzip", "deflate", "identity"]},
                }
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {field: {"type": "array", "items": {"type": "object"}}},
                        }
                    },
                    "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
                },
            },
            "responses": {
                "200": {
                    "description": "Everything was taken, or `partialSuccess` says what was not.",
                    "content": {
                        "application/json": {
                            "schema": {"type": "object", "properties": {"partialSuccess": {"type": "object"}}}
                        },
                        "application/x-protobuf": {"schema": {}},
                    },
                },
                **{
                    str(status): {
                        "description": RESPONSES[status],
                        "content": {"application/json": {"schema": _STATUS}, "application/x-protobuf": {"schema": {}}},
                    }
                    for status in (400, 413, 415, 429, 503)
                },
                **{
                    str(status): {
                        "description": RESPONSES[status],
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                    }
                    for status in (401, 403, 500)
                },
            },
        }
    }


SENDING: Final[Mapping[str, dict[str, Any]]] = {
    "/v1/traces": _sending("traces", "resourceSpans"),
    "/v1/logs": _sending("logs", "resourceLogs"),
    "/v1/metrics": _sending("metrics", "resourceMetrics"),
}
