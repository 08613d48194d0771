"""What the arguments of addresses mean, for the description of the routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .store.deletions import KINDS
from .views import agents, compare, costs, errors, history, marked, overview, sessions, traces, users

__all__ = ["FILTER_TEXTS", "PARAMETERS", "PATH_ARGUMENTS"]

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


def _some(most: int) -> Mapping[str, Any]:
    return {"type": "integer", "minimum": 1, "maximum": most, "default": 100}


# By name, or by page and name where pages mean different things by it.
PARAMETERS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "cursor": ("Where a list goes on: `next` of the page before.", _TEXT),
    "before": ("Where the history goes on: `next` of the page before.", {"type": "integer", "minimum": 1}),
    "limit": ("Rows of a page.", {"type": "integer", "minimum": 1, "maximum": 500}),
    "agents.limit": ("Agents, and tools.", _some(agents.MOST)),
    "costs.limit": ("Rows of what costs are put together by; all days come anyway.", _some(costs.MOST)),
    "errors.limit": ("Groups.", _some(errors.MOST)),
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
    "mark": ("Only traces with a mark of this label; `any` for whatever mark.", _TEXT),
    "min_score": ("Only traces with a mark of at least this score.", {"type": "number"}),
    "max_score": ("Only traces with a mark of at most this score.", {"type": "number"}),
    "note": ("`1`: only traces with a mark that has a note.", _TEXT),
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
    "trace.cursor": ("Rows from this place in the tree on: `next` of the answer before.", _TEXT),
    "places": ("Just the rows at these places in the tree, separated by commas; at most 500.", {"type": "string"}),
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
    "marks_by": ("What marks are put together by.", {"enum": [*marked.BY], "default": "model"}),
    "good": ("The newest label that makes a run a good one.", _TEXT),
    "good_score": ("The score from which on a run is a good one; stands before `good`.", {"type": "number"}),
    "costs.by": ("What costs are put together by.", {"enum": [*costs.BY], "default": "model"}),
    "history.by": ("What has the name.", {"enum": [*history.BY], "default": "tool"}),
    "history.name": ("The name; what has none when absent.", _TEXT),
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
    "pin": ("The framework whose column stands first.", _TEXT),
    "parity_move.before": ("The framework that is moved from; one that has a successor in the run when absent.", _TEXT),
    "parity_move.after": ("The framework that is moved to.", _TEXT),
    "parity_move.scenario": ("The scenario whose programs are told; the first when absent.", _TEXT),
    "run": ("A run of the lab, by its id; the newest when absent.", _TEXT),
    "observer": (
        "Also the newest run through this instrumentation; repeat it for several.",
        {"type": "array", "items": {"type": "string"}},
    ),
    "time_range": ("The guide's name for `range`.", {"enum": ["15m", "1h", "24h", "7d", "30d"]}),
    "frameworks": ("The guide's way to filter: names separated by commas.", _TEXT),
}
