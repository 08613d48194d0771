"""``ai-dev-squad runs``: the newest runs in journals, or of a dashboard."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ai_dev_squad_cli.elsewhere import add_dashboard, dashboard_of
from ai_dev_squad_cli.reading import SHORT, add_paths, runs_of, since_us
from ai_dev_squad_cli.tables import STATUS_STYLES, add_looks, cell, count, dollars, milliseconds, opened, show_table
from ai_dev_squad_cli.terminal import CommandError, say, show_json

if TYPE_CHECKING:
    from ai_dev_squad.runs import Run

__all__ = ["register", "summary"]

_HEAD = ("run", "started", "name", "framework", "session", "status", "ms", "calls", "tokens", "cost $", "errors")
_FILTERS = {"status": "status", "session": "session_id", "task": "task", "framework": "framework"}
"""Option → what of a run it is about."""
_FIGURES = ("ms", "calls", "tokens", "cost $", "errors")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "runs",
        help="list the newest runs",
        description="List runs, the newest first: those in journals, or of a dashboard.",
    )
    add_paths(parser)
    add_dashboard(parser)
    parser.add_argument("-n", "--limit", type=int, default=20, help="how many (default: 20); 0 for all")
    parser.add_argument("--since", metavar="TIME", help="only those that started since: 30m, 24h, 7d, or a date")
    parser.add_argument("--status", help="only those that ended so: ok, error, open, interrupted, cancelled, …")
    parser.add_argument("--session", help="only those of this session")
    parser.add_argument("--task", help="only those of the task with this label")
    parser.add_argument("--framework", help="only those of this framework")
    add_looks(parser)
    parser.set_defaults(run=_run)


def summary(run: Run) -> dict[str, Any]:
    """A run in figures, as JSON has it. Money is in US dollars, times are in milliseconds."""
    return {
        "trace_id": run.trace_id,
        "name": run.first.name,
        "started": run.started,
        "framework": run.framework,
        "session_id": run.session_id,
        "task": run.task,
        "status": run.status,
        "duration_ms": run.duration_ms,
        "calls": len(run.calls),
        "tools": len(run.tools),
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost_usd": run.cost_usd,
        "unpriced_calls": run.unpriced_calls,
        "errors": len(run.errors),
        "resumes": run.resumes,
    }


def _run(options: argparse.Namespace) -> None:
    if options.limit < 0:
        raise CommandError(f"--limit {options.limit} is negative; use 0 or more", 2)
    dashboard = dashboard_of(options)
    if dashboard is None:
        newest, total = _journaled(options)
    else:
        filters = {name: getattr(options, name) for name in _FILTERS}
        newest, total = dashboard.summaries(since_us(options), options.limit, **filters)
    if options.json:
        show_json({"runs": newest, "of": total})
        return
    if not newest:
        say("No runs.")
        return
    with opened(options) as console:
        show_table(console, _HEAD, [_row(run) for run in newest], _FIGURES)
        if total is not None and len(newest) < total:
            console.print(f"{len(newest)} of {total}; --limit 0 lists all")


def _journaled(options: argparse.Namespace) -> tuple[list[dict[str, Any]], int | None]:
    wanted = [(_FILTERS[name], value) for name in _FILTERS if (value := getattr(options, name)) is not None]
    first_us = since_us(options)
    found = [
        run
        for run in runs_of(options.path)
        if run.started.timestamp() * 1e6 >= first_us and all(getattr(run, field) == value for field, value in wanted)
    ]
    return [summary(run) for run in found[::-1][: options.limit or None]], len(found)


def _row(run: dict[str, Any]) -> list[Any]:
    return [
        cell(run["trace_id"][:SHORT], "yellow"),
        run["started"].strftime("%Y-%m-%d %H:%M:%S"),
        cell(run["name"]),
        cell(run["framework"] or ""),
        cell(run["session_id"] or ""),
        cell(run["status"], STATUS_STYLES.get(run["status"], "")),
        milliseconds(run["duration_ms"]),
        count(run["calls"]),
        count(run["input_tokens"] + run["output_tokens"]),
        dollars(run["cost_usd"]) + ("+?" if run["unpriced_calls"] else ""),
        cell(run["errors"] or "", "red"),
    ]
