"""``ai-dev-squad show RUN``: a run as a tree, with what each operation took."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ai_dev_squad_cli.commands.runs import summary
from ai_dev_squad_cli.elsewhere import add_dashboard
from ai_dev_squad_cli.reading import add_paths, add_run, finder
from ai_dev_squad_cli.tables import STATUS_STYLES, add_looks, cell, count, dollars, milliseconds, opened, show_table
from ai_dev_squad_cli.terminal import show_json

if TYPE_CHECKING:
    from ai_dev_squad.runs import Run, Step

__all__ = ["headline", "register", "tree"]


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "show",
        help="show a run as a tree",
        description="Show the operations of a run with their time, tokens and cost.",
    )
    add_run(parser)
    add_paths(parser)
    add_dashboard(parser)
    parser.add_argument("--depth", type=int, metavar="N", help="no deeper than N levels (default: all)")
    add_looks(parser)
    parser.set_defaults(run=_run)


def tree(run: Run, depth: int | None = None) -> Iterator[tuple[str, Step, int]]:
    """The operations in the order of the tree: the lines that lead to each, the operation, and how many below it are left out.

    Where a damaged journal says that operations are in one another, each stands once.
    """
    below = run.children()
    seen: set[str] = set()
    for root in (*below.get(None, ()), *run.steps):
        waiting = [("", "", root)]
        while waiting:
            lead, branch, step = waiting.pop()
            if step.span_id in seen:
                continue
            seen.add(step.span_id)
            children = below.get(step.span_id, [])
            if depth is not None and len(lead + branch) // 3 + 1 >= depth:
                yield lead + branch, step, _mark_below(below, step, seen)
                continue
            yield lead + branch, step, 0
            further = lead + {"├─ ": "│  ", "└─ ": "   ", "": ""}[branch]
            waiting += [(further, "└─ " if child is children[-1] else "├─ ", child) for child in reversed(children)]


def _mark_below(below: Mapping[str | None, Sequence[Step]], step: Step, seen: set[str]) -> int:
    """Count what is below an operation as seen. Returns how many."""
    before, waiting = len(seen), [step]
    while waiting:
        waiting += [child for child in below.get(waiting.pop().span_id, ()) if child.span_id not in seen]
        seen.update(each.span_id for each in waiting)
    return len(seen) - before


def _run(options: argparse.Namespace) -> None:
    run = finder(options)(options.run_id)
    if options.json:
        show_json({**summary(run), "steps": run.steps})
        return
    with opened(options) as console:
        console.print(cell(headline(run), "bold"))
        head = ("operation", "status", "ms", "in", "out", "cost $", "")
        rows = [_row(lead, step, left_out) for lead, step, left_out in tree(run, options.depth)]
        show_table(console, head, rows, ("ms", "in", "out", "cost $"))
        for step in run.errors:
            if step.error is not None:
                console.print(cell(f"{step.operation} {step.name}: {step.error.type}: {step.error.message}", "red"))


def headline(run: Run) -> str:
    """A run in one line."""
    unpriced = f", {run.unpriced_calls} calls unpriced" if run.unpriced_calls else ""
    parts = [
        f"{run.first.name}: {run.status}",
        run.started.strftime("%Y-%m-%d %H:%M:%S UTC"),
        f"{milliseconds(run.duration_ms)} ms" if run.duration_ms is not None else "",
        f"{len(run.calls)} calls",
        f"{run.input_tokens:,} in, {run.output_tokens:,} out",
        f"${run.cost_usd:.6f}{unpriced}",
        f"session {run.session_id}" if run.session_id else "",
        f"goes on with {run.resumes}" if run.resumes else "",
        run.trace_id,
    ]
    return " · ".join(part for part in parts if part)


def _row(lead: str, step: Step, left_out: int) -> list[Any]:
    name = cell("").append(cell(lead + step.operation, "dim")).append(cell(f" {step.name}"))
    if left_out:
        name.append(cell(f" (+{left_out})", "dim"))
    notes = [step.error.type if step.error else "", "estimated" if step.usage.source == "estimated" else ""]
    is_over = step.is_call and step.status != "open"
    return [
        name,
        cell(step.status, STATUS_STYLES.get(step.status, "")),
        milliseconds(step.duration_ms),
        count(step.usage.input_tokens),
        count(step.usage.output_tokens),
        dollars(step.cost_usd) if is_over else "",
        cell(", ".join(note for note in notes if note), "red" if step.error else "dim"),
    ]
