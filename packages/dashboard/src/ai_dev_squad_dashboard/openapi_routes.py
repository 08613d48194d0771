"""What the description of the routes cannot read from the code: texts, the guide's answers, OTLP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .alerts import MEASURES
from .store.deletions import KINDS
from .store.figures import FIGURE_NAMES
from .views import agents, compare, costs, errors, overview, sessions, traces, users

__all__ = [
    "ACTING",
    "BODIES",
    "FILTER_TEXTS",
    "GUIDE",
    "LAB",
    "OTHERS",
    "PARAMETERS",
    "PATH_ARGUMENTS",
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

FILTER_TEXTS: Final[Mapping[str, str]] = {
    "session": "Only this session id; repeat it for several.",
    "user": "Only the runs of this user id; repeat it for several.",
    "label": "Only runs with this tag or member of metadata, as `key:value`: `tag:beta`, `tenant:acme`, `environment:prod`; "
    "repeat it for several.",
}

PATH_ARGUMENTS: Final[Mapping[str, str]] = {
    "trace_id": "32 hexadecimal digits.",
    "span_id": "16 hexadecimal digits.",
    "user_id": "The user's id as the program set it.",
    "session_id": "The session's id as the program set it.",
    "scenario": "A scenario of the parity lab, by the name of its folder.",
    "rule": "The name of a rule of alerts.",
    "receiver": "The name of a receiver of alerts.",
    "kind": "`json`, `csv`, `md` (Markdown) or `html` (one file that needs nothing else).",
}

_TEXT: Final = {"type": "string", "maxLength": 500}
_TEXTS: Final = {"type": "array", "items": {"type": "string"}}
_NUMBER: Final = {"type": "number", "minimum": 0}

# By name, or by page and name where pages mean different things by it.
PARAMETERS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "cursor": ("Where a list goes on: `next` of the page before.", _TEXT),
    "before": ("Where the history goes on: `next` of the page before.", {"type": "integer", "minimum": 1}),
    "limit": ("Rows of a page.", {"type": "integer", "minimum": 1, "maximum": 500}),
    "q": ("Words to search for; every one has to occur.", _TEXT),
    "level": (
        "The least grave level to show.",
        {"enum": ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], "default": "DEBUG"},
    ),
    "event": ("Only this type of event; repeat it for several.", _TEXTS),
    "trace": ("Only lines of this trace.", {"type": "string", "maxLength": 500}),
    "status": ("Only traces that ended so; `failed_step`: those in which something failed though they did not.", _TEXT),
    "operation": ("Only traces with such an operation.", _TEXT),
    "tool": ("Only traces that called this tool.", _TEXT),
    "name": ("Only traces of this name.", _TEXT),
    "parity.name": ("Runs of this name are the same work; repeat it for several.", _TEXTS),
    "min_duration_ms": ("Only traces that took at least this long.", _NUMBER),
    "min_cost_usd": ("Only traces that cost at least this much, in USD.", _NUMBER),
    "min_tokens": ("Only traces of at least so many tokens.", _NUMBER),
    "min_calls": ("Only traces with at least so many model calls.", _NUMBER),
    "min_spans": ("Only traces with at least so many spans.", _NUMBER),
    "min_errors": ("Only traces in which at least so many spans failed.", _NUMBER),
    "error_group": ("Only traces with a failure of this group, by its `id` in `/api/errors`.", _TEXT),
    "traces.order": ("What the list is sorted by, the largest first.", {"enum": [*traces.ORDERS], "default": "newest"}),
    "sessions.order": (
        "What the list is sorted by, the largest first.",
        {"enum": [*sessions.ORDERS], "default": "newest"},
    ),
    "users.order": ("What the list is sorted by, the largest first.", {"enum": [*users.ORDERS], "default": "cost"}),
    "users.by": ("A member of metadata whose values stand instead of users: `tenant`, `environment`, `tag`.", _TEXT),
    "errors.order": ("What the groups are sorted by.", {"enum": [*errors.ORDERS], "default": "count"}),
    "kind": ("What kind of thing `id` names.", {"enum": [*KINDS]}),
    "id": ("What would be deleted: a trace id, or the id of a session or a user.", _TEXT),
    "turns": (
        "How many of the newest turns are shown.",
        {"type": "integer", "minimum": 1, "maximum": 5000, "default": 200},
    ),
    "span": ("The span that is shown beside the tree.", _TEXT),
    "t": (
        "A run, by the id of any of its traces; repeat it for up to six. The first is what the others are compared with.",
        _TEXTS,
    ),
    "compare.by": ("What is laid side by side.", {"enum": [*compare.WAYS]}),
    "compare.show": ("Which number stands beside each operation.", {"enum": [*compare.SHOWS], "default": "time"}),
    "rows": (
        "`differ`: only operations that differ, and what they stand below.",
        {"enum": [*compare.ROWS], "default": "all"},
    ),
    "costs.by": ("What costs are put together by.", {"enum": [*costs.BY], "default": "model"}),
    "rank": ("What stands out by.", {"enum": [*overview.RANKS], "default": "cost"}),
    "order": ("What comes first.", {"enum": [*agents.ORDERS], "default": "calls"}),
    "tab": (
        "`lab`: what the lab executed; `providers`: each provider through real clients; `runs`: your real runs.",
        {"enum": ["lab", "providers", "runs"], "default": "lab"},
    ),
    "show": (
        "What is compared.",
        {"enum": ["capture", "tokens", "cost", "latency", "overhead"], "default": "capture"},
    ),
    "verdict": (
        "Only scenarios that have this verdict on some framework.",
        {"enum": ["passes", "adapter can't", "framework can't", "not installed", "fails"]},
    ),
    "text": ("Only scenarios with these words in their names, purposes, reasons and notes.", _TEXT),
    "run": ("A run of the lab, by its id; the newest when absent.", _TEXT),
    "observer": (
        "Also the newest run through this instrumentation; repeat it for several.",
        {"type": "array", "items": {"type": "string"}},
    ),
    "time_range": ("The guide's name for `range`.", {"enum": ["15m", "1h", "24h", "7d", "30d"]}),
    "frameworks": ("The guide's way to filter: names separated by commas.", _TEXT),
}

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

LAB: Final = ("show", "verdict", "text", "run", "observer")
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
