"""A trace as a line of lists, made anew from all of its spans: what speaks for it, what its spans come to, what was said in it.

Whoever makes it later knows as many spans or more, so of several rows the one with the most spans is the newest one, whoever made it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from .client import RAW, Client
from .literals import fixed
from .schema import HOUR_US, TRACE

__all__ = ["LONGEST_IDS", "renew"]

LONGEST_IDS: Final = 2_000
"""Ids in one statement: a server refuses statements of more than 256 KiB."""

# Which span speaks for its trace: a root before all others, then the earliest. Each time that it was spelled it would be planned.
_HEAD: Final = "(parent_span_id IS NOT NULL, start_us, span_id)"
_CALL: Final = "usage_source IS NOT NULL"
_MONEY: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
)
_FIRST: Final = ("framework", "service", "session_id", "user_id", "task", "version")
"""What the first span that has one tells of a trace."""
_OF_ROOT: Final = {"root_span_id": "span_id", "root_start_us": "start_us", "root_duration_us": "duration_us"}
_OF_HEAD: Final = ("name", "operation", "status", "error_type")


_COLUMNS: Final[dict[str, str]] = {
    "start_us": "min(start_us)",
    "end_us": "max(start_us + greatest(duration_us, 0))",
    "last_start_us": "max(start_us)",
    **{name: f"of_root.{place}" for place, name in enumerate(_OF_ROOT, 1)},
    **{name: f"of_head.{place}" for place, name in enumerate(_OF_HEAD, 1)},
    # The function leaves out what is NULL.
    **{name: f"argMin({name}, head)" for name in _FIRST},
    "resumes": "argMin(resumed, head)",
    "labels": "groupUniqArrayArray(pairs)",
    "models": f"arraySort(groupUniqArrayIf(assumeNotNull(model), {_CALL} AND ifNull(model, '') != ''))",
    "asked": "argMinIf(tuple(asked), (parent_span_id IS NOT NULL, start_us, asked), asked IS NOT NULL).1",
    "answered": "argMinIf(tuple(answered), (parent_span_id IS NOT NULL, -start_us - duration_us, start_us, answered), "
    "answered IS NOT NULL).1",
    "failures": "length(arrayFilter(each -> NOT has(groupArrayIf(assumeNotNull(parent_span_id), status = 'error' AND "
    "parent_span_id IS NOT NULL), each), groupArrayIf(span_id, status = 'error')))",
    "spans": "count()",
    "errors": "countIf(status = 'error')",
    "calls": f"countIf({_CALL})",
    "tools": "countIf(operation = 'execute_tool')",
    **{name: f"ifNull(sum({name}), 0)" for name in _MONEY},
    "unpriced": f"countIf({_CALL} AND cost_usd IS NULL)",
    "cache_saving_usd": "ifNull(sum(cache_saving_usd), 0)",
}
_MADE: Final = ", ".join(
    (
        f"argMinIf(({', '.join(f'toNullable({name})' for name in _OF_ROOT.values())}), head, parent_span_id IS NULL) AS of_root",
        f"argMin(({', '.join(_OF_HEAD)}), head) AS of_head",
        *(f"{how} AS t_{name}" for name, how in _COLUMNS.items()),
    )
)
_SHOWN: Final = ", ".join(
    "arrayJoin(hours)" if name == "hour" else name if name == "trace_id" else f"t_{name}" for name in TRACE
)


def renew(client: Client, traces: Collection[bytes], start_us: int, end_us: int) -> None:
    """Make the rows of ``traces`` anew, of which something is stored between these times, from all that is stored of them."""
    ids = list(traces)
    for place in range(0, len(ids), LONGEST_IDS):
        among = f"trace_id IN ({', '.join(map(fixed, ids[place : place + LONGEST_IDS]))})"
        ((known, first, last),) = client.ask(
            f"SELECT count(), min(start_us), max(last_start_us) FROM traces WHERE {among}"
        )
        begin, end = (min(start_us, first), max(end_us, last)) if known else (start_us, end_us)
        # Until it is settled who came first, two rows may be of one span.
        client.do(
            f"INSERT INTO traces ({', '.join(TRACE)}) SELECT {_SHOWN} FROM (SELECT trace_id, "
            f"groupUniqArray(intDiv(start_us, {HOUR_US})) AS hours, {_MADE} FROM (SELECT *, {_HEAD} AS head FROM spans "
            f"WHERE start_us BETWEEN {begin} AND {end} AND {among} ORDER BY arrived_us, batch LIMIT 1 BY trace_id, span_id) "
            "GROUP BY trace_id)",
            settings=RAW,
        )
