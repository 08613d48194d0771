"""Figures of the spans that arrived after a number: grouped by the engine, so that Python sees few rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ai_dev_squad_dashboard.store.figures import (
    COLUMNS,
    FIGURE_NAMES,
    MOST_US,
    MOST_USD,
    NANO,
    Figure,
    FigureName,
    Kind,
)
from ai_dev_squad_dashboard.store.percentiles import BINS_PER_OCTAVE

from .client import Client
from .numbering import settled_number
from .schema import UNTIMED

__all__ = ["figures", "newest_span"]

_KINDS: Final = (
    f"{Kind.SPAN:d} + if(parent_span_id IS NULL, {Kind.RUN:d}, 0) + if(usage_source IS NOT NULL, {Kind.CALL:d}, 0) "
    f"+ multiIf(operation = 'execute_tool', {Kind.TOOL:d}, operation = 'invoke_agent', {Kind.AGENT:d}, 0)"
)
_FIRST_BIN: Final = (
    "multiIf(first_chunk_us IS NULL OR first_chunk_us < 0, NULL, first_chunk_us > 1, "
    f"toInt32(ceil({BINS_PER_OCTAVE} * log2(first_chunk_us))), 0)"
)


def newest_span(client: Client, known: int, settled_s: float, at_most: int | None) -> int:
    """The number of the newest span; asked from one that is known, so that few rows are looked at."""
    settled = f" AND seq <= {settled_number(settled_s)}" if settled_s else ""
    if at_most is not None:
        following = f"SELECT seq FROM spans WHERE seq > {int(known)}{settled} ORDER BY seq LIMIT {int(at_most)}"
        if newest := client.number(f"SELECT max(seq) FROM ({following})"):
            return newest
    newest = client.number(f"SELECT max(seq) FROM spans WHERE seq >= {int(known)}{settled}")
    # What was known may be newer than what is settled, or be gone.
    return newest or min(known, client.number("SELECT max(seq) FROM spans"))


def figures(
    client: Client,
    after: int,
    until: int,
    *,
    by: Sequence[FigureName],
    step_us: int,
    now_us: int,
    since_us: int | None,
    latency: bool,
) -> Sequence[Figure]:
    """The spans numbered above ``after`` and up to ``until``, put together."""
    # A stated start and duration may be anything; and a clock that is ahead must not put off what is known now.
    end = f"least(least(start_us, {MOST_US}) + least(greatest(duration_us, 0), {MOST_US}), {int(now_us)})"
    names = ", ".join(
        f"{COLUMNS[name] if name in by and name in COLUMNS else 'NULL'} AS f_{name}" for name in FIGURE_NAMES
    )
    since = "" if since_us is None else f" AND {end} >= {int(since_us)}"
    number = f"if(bin = {UNTIMED}, NULL, bin)" if latency else "NULL"
    first = _FIRST_BIN if latency else "NULL"
    keys = ", ".join(f"f_{name}" for name in FIGURE_NAMES)
    nano = f"toInt64(floor(least(ifNull(cost_usd, 0), {MOST_USD}) * {NANO} + 0.5))"
    rows = client.ask(
        f"SELECT {_KINDS} AS f_kinds, intDiv({end}, {int(step_us)}) * {int(step_us)} AS f_at, {names}, count(), "
        f"countIf(status = 'error'), sum({nano}), ifNull(sum(input_tokens), 0), ifNull(sum(output_tokens), 0), "
        f"sum(greatest(duration_us, 0)), {number} AS f_bin, 0.0, {first} AS f_first, "
        "countIf(usage_source IS NOT NULL AND cost_usd IS NULL), ifNull(sum(cache_read_tokens), 0), ifNull(sum(cache_write_tokens), 0), "
        f"ifNull(sum(reasoning_tokens), 0) FROM spans WHERE seq > {int(after)} AND seq <= {int(until)}{since} "
        f"GROUP BY f_kinds, f_at, {keys}, f_bin, f_first"
    )
    return [Figure(*row) for row in rows]
