"""Tools about money: where it went, what got dearer, what could be saved, and how budgets stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ai_dev_squad_dashboard.query import Query, QueryError

from . import shapes
from .answer import Answer, Rows, moment, pick
from .parameters import FILTERS, TIME, arguments, chosen, whole
from .sources import RefusedError, Source, path_of
from .tool import Tool

__all__ = ["TOOLS"]

_ASKED: Final = (*TIME, *FILTERS, "by")
_RANGE: Final = "7d"
_STEPS: Final = 31
"""Steps of a timeline that are told."""


def _cost_report(source: Source, asked: Mapping[str, Any]) -> Answer:
    given = arguments(asked, _ASKED)
    record = source.page("costs", given)
    facts: dict[str, Any] = {
        "totals": shapes.totals(record["totals"]),
        "same_time_before": shapes.totals(record["previous"]),
        "by": record["by"],
        "usd_over_time": _over_time(record["chart"]),
        "could_be_saved": [
            pick(each, "kind title action amount_usd confidence reason") for each in record["advice"]["advice"][:8]
        ],
        "unknown_prices": record["unknown_prices"][:10],
    }
    limit = asked.get("limit", 30)
    if record["by"] == "tool":
        tools = [shapes.tool(row) for row in record["tools"]]
        return Answer(path_of("costs", given), facts, Rows("tools", tools[:limit], len(tools)))
    before = _before(source, asked)
    groups = [{**shapes.group(row), **_change(row, before)} for row in record["groups"]]
    if before is not None:
        groups.sort(key=lambda row: -row["dearer_by_usd"])
    more = "list_runs with `order: cost` and a filter shows the dearest runs of one of them"
    return Answer(path_of("costs", given), facts, Rows("groups", groups[:limit], len(groups), more))


def _before(source: Source, asked: Mapping[str, Any]) -> Mapping[Any, Mapping[str, Any]] | None:
    """The groups over the same time just before, by their keys; ``None`` where nobody asks how they changed."""
    if not asked.get("changes"):
        return None
    try:
        selection = Query.parse(arguments(asked, _ASKED), default=_RANGE).selection
    except QueryError as error:
        raise RefusedError(str(error)) from None
    length = selection.end_us - selection.start_us
    if length > selection.start_us:
        raise RefusedError("there is no time before this span of time; choose a range, or give `from` as well as `to`")
    earlier = {
        **asked,
        "range": None,
        "from": moment(selection.start_us - length),
        "to": moment(selection.start_us),
    }
    return {row["key"]: row for row in source.page("costs", arguments(earlier, _ASKED))["groups"]}


def _change(row: Mapping[str, Any], before: Mapping[Any, Mapping[str, Any]] | None) -> dict[str, Any]:
    if before is None:
        return {}
    then = before.get(row["key"], {"cost_usd": 0.0, "calls": 0})
    return {
        "before_usd": then["cost_usd"],
        "before_calls": then["calls"],
        "dearer_by_usd": row["cost_usd"] - then["cost_usd"],
    }


def _over_time(chart: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sum of all series in the newest steps in which there was any."""
    steps = [
        {"from": moment(start), "usd": sum(series["values"][place] or 0.0 for series in chart["series"])}
        for place, start in enumerate(chart["starts"])
    ]
    return [step for step in steps if step["usd"]][-_STEPS:]


def _budgets(source: Source, asked: Mapping[str, Any]) -> Answer:
    given = arguments(asked, tuple(TIME))
    record = source.page("costs", given)
    rows = [
        *({"watched_by": "this dashboard", **shapes.budget(row)} for row in record["budgets"]),
        *({"watched_by": "the program", **shapes.reported_budget(row)} for row in record["reported_budgets"]),
    ]
    return Answer(path_of("costs", given), {}, Rows("budgets", rows, len(rows)))


TOOLS: Final = (
    Tool(
        "cost_report",
        "Report costs",
        "What model calls cost and used in a span of time (7 days unless told), by model, agent, tool and so on, beside the same time "
        "before, with advice on what could be saved. `changes` says of each what it cost before, and puts first what got dearer.",
        {
            **TIME,
            **FILTERS,
            "by": chosen(
                "What costs are put together by.",
                *("model", "provider", "agent", "tool", "framework", "session", "day"),
                default="model",
            ),
            "changes": {"type": "boolean", "description": "Compare each with the same time before; not for tools."},
            "limit": whole("How many groups.", 1, 100, 30),
        },
        _cost_report,
    ),
    Tool(
        "budgets",
        "Look at budgets",
        "How budgets stand: limit, spent, remaining, forecast and state of those that are watched here, and what programs last told of "
        "their own, such as that one refused a call.",
        dict(TIME),
        _budgets,
    ),
)
