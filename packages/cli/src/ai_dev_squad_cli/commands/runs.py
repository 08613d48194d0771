"""``ai-dev-squad runs``: the newest runs in journals."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ai_dev_squad_cli.reading import SHORT, add_paths, runs_of, since_us
from ai_dev_squad_cli.tables import STATUS_STYLES, add_looks, cell, count, dollars, milliseconds, opened, show_table
from ai_dev_squad_cli.terminal import CommandError, say, show_json

if TYPE_CHECKING:
    from ai_dev_squad.runs import Run

__all__ = ["register", "summary"]

_HEAD = ("run", "started", "name", "framework", "session", "status", "ms", "calls", "tokens", "cost $", "errors")
_FIGURES = ("ms", "calls", "tokens", "cost $", "errors")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "runs", help="list the newest runs", description="List runs in journals, the newest first."
    )
    add_paths(parser)
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
    wanted = [
        (field, value) for field in ("status", "task", "framework") if (value := getattr(options, field)) is not None
    ]
    first_us = since_us(options)
    found = [
        run
        for run in runs_of(options.path)
        if run.started.timestamp() * 1e6 >= first_us
        and all(getattr(run, field) == value for field, value in wanted)
        and options.session in {None, run.session_id}
    ]
    newest = found[::-1][: options.limit or None]
    if options.json:
        show_json({"runs": [summary(run) for run in newest], "of": len(found)})
        return
    if not newest:
        say("No runs.")
        return
    with opened(options) as console:
        show_table(console, _HEAD, [_row(run) for run in newest], _FIGURES)
        if len(newest) < len(found):
            console.print(f"{len(newest)} of {len(found)}; --limit 0 lists all")


def _row(run: Run) -> list[Any]:
    errors = len(run.errors)
    return [
        cell(run.trace_id[:SHORT], "yellow"),
        run.started.strftime("%Y-%m-%d %H:%M:%S"),
        cell(run.first.name),
        cell(run.framework or ""),
        cell(run.session_id or ""),
        cell(run.status, STATUS_STYLES.get(run.status, "")),
        milliseconds(run.duration_ms),
        count(len(run.calls)),
        count(run.input_tokens + run.output_tokens),
        dollars(run.cost_usd) + ("+?" if run.unpriced_calls else ""),
        cell(errors or "", "red"),
    ]
