"""Tools for what no other tool answers: SQL, and what is known of frameworks side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ai_dev_squad_dashboard.store.sql_answers import MAX_SQL
from ai_dev_squad_dashboard.store.sql_views import VIEWS

from . import shapes
from .answer import Answer, Rows, moment, pick
from .parameters import FILTERS, TIME, arguments, chosen, text, whole
from .sources import Source, path_of
from .tool import Tool

__all__ = ["TOOLS"]


def _query(source: Source, asked: Mapping[str, Any]) -> Answer:
    link = path_of("sql")
    if not asked.get("sql"):
        record = source.page("sql")
        views = [
            {
                "view": view["name"],
                "a_row_is": view["about"],
                "columns": {column["name"]: column["about"] for column in view["columns"]},
            }
            for view in record["views"]
        ]
        facts = {**pick(record, "max_rows max_seconds"), "examples": record["examples"]}
        return Answer(link, facts, Rows("views", views, len(views)))
    record = source.sql(asked["sql"])
    names = [column["name"] for column in record["columns"]]
    limit = asked.get("limit", 100)
    # Rows as lists: each name once, and two columns may have the same.
    facts = {"columns": names, "types": [column["type"] for column in record["columns"]]}
    total = None if record["truncated"] else len(record["rows"])
    more = "put what is wanted into the question: WHERE, GROUP BY, ORDER BY, LIMIT"
    return Answer(link, facts, Rows("rows", record["rows"][:limit], total, more))


def _parity(source: Source, asked: Mapping[str, Any]) -> Answer:
    if asked.get("scenario"):
        return _scenario(source, asked)
    given = arguments(asked, (*TIME, *FILTERS, "tab", "show", "verdict", "text", "run"))
    record = source.page("parity", given)
    link = path_of("parity", given)
    if record["tab"] == "runs":
        return _real_runs(record["runs"], link)
    if record["tab"] == "providers":
        return _providers(record["providers"], link)
    lab = record["lab"]
    columns = [f"{each['framework']} by {each['observer']}" for each in lab["columns"]]
    facts = {
        "run": lab["run"]
        and {**pick(lab["run"], "id observer model_server repeat"), "made": moment(lab["run"]["created_us"])},
        "nothing_here_yet": None
        if lab["run"]
        else f"no results below {lab['directory']}: run `ai-dev-squad parity run`",
        "frameworks": [pick(each, "framework observer version verdicts total") for each in lab["columns"]],
        "verdicts": lab["verdicts"],
        "show": lab["show"],
    }
    rows = [
        {
            **pick(row, "name>scenario purpose equal"),
            **{column: _cell(cell) for column, cell in zip(columns, row["cells"], strict=True)},
        }
        for row in lab["rows"]
    ]
    return Answer(link, facts, Rows("scenarios", rows, len(rows), "`scenario` shows one of them with its evidence"))


def _cell(cell: Mapping[str, Any] | None) -> dict[str, Any] | str:
    if cell is None:
        return "was not run"
    measured = {name: each["median"] for name, each in cell["figures"].items()}
    return {**pick(cell, "verdict reason note failed_checks"), "measured": measured}


def _real_runs(runs: Mapping[str, Any], link: str) -> Answer:
    names = [column["framework"] for column in runs["columns"]]
    facts = {
        "frameworks": [{"framework": each["framework"], **shapes.totals(each["totals"])} for each in runs["columns"]],
        "tasks": runs["tasks"][:20],
    }
    measures = [
        {**pick(each, "section name unit"), **dict(zip(names, each["values"], strict=True))}
        for each in runs["measures"]
    ]
    return Answer(link, facts, Rows("measures", measures, len(measures)))


def _providers(table: Mapping[str, Any], link: str) -> Answer:
    names = [f"{name}{streamed}" for name, _ in table["frameworks"] for streamed in ("", " streamed")]
    rows = [
        {
            **pick(row, "title>provider wire model"),
            **{name: cell and pick(cell, "verdict reason") for name, cell in zip(names, row["cells"], strict=True)},
        }
        for row in table["rows"]
    ]
    facts = {"made": moment(table["created_us"]), "verdicts": table["verdicts"]}
    return Answer(link, facts, Rows("providers", rows, len(rows)))


def _scenario(source: Source, asked: Mapping[str, Any]) -> Answer:
    given = arguments(asked, ("run", "framework"))
    record = source.page("parity_scenario", given, scenario=asked["scenario"])
    columns = [
        {
            **pick(each, "framework observer version coverage"),
            "cell": _cell(each["cell"]),
            "stored_traces": [trace["trace_id"] for trace in each["traces"] if trace["stored"]],
        }
        for each in record["columns"]
    ]
    names = [f"{each['framework']} by {each['observer']}" for each in record["columns"]]
    facts = {**pick(record, "name>scenario title purpose"), "frameworks": columns}
    checks = [{"check": row["name"], **dict(zip(names, row["checks"], strict=True))} for row in record["checks"]]
    link = path_of("parity_scenario", given, scenario=asked["scenario"])
    return Answer(link, facts, Rows("checks", checks, len(checks)))


TOOLS: Final = (
    Tool(
        "query",
        "Ask in SQL",
        "One SELECT (DuckDB's language) over read-only views: "
        f"{', '.join(VIEWS)}. Without `sql` it tells the views, their columns and examples: ask that first. At most 10 seconds.",
        {
            "sql": {"type": "string", "maxLength": MAX_SQL, "description": "The question: a single SELECT."},
            "limit": whole("How many rows of the answer.", 1, 500, 100),
        },
        _query,
    ),
    Tool(
        "parity",
        "Compare frameworks",
        "Frameworks side by side: what the parity lab executed on each (`lab`), each provider through real clients (`providers`), or "
        "your real runs (`runs`). With `scenario` one scenario of the lab with its evidence.",
        {
            "tab": chosen("What is compared.", "lab", "providers", "runs", default="lab"),
            "show": chosen("Which numbers of the lab.", "capture", "tokens", "cost", "latency", "overhead"),
            "verdict": chosen(
                "Only scenarios with this verdict.",
                "passes",
                "adapter can't",
                "framework can't",
                "not installed",
                "fails",
            ),
            "text": text("Only scenarios with these words."),
            "run": text("A run of the lab, by its id; the newest when absent."),
            "scenario": text("A scenario, by its name.", pattern="^[A-Za-z0-9_-]+$"),
            **TIME,
            **FILTERS,
        },
        _parity,
    ),
)
