"""``ai-dev-squad diff RUN RUN``: what two runs took, and where their operations part."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from ai_dev_squad_cli.commands.runs import summary
from ai_dev_squad_cli.commands.show import tree
from ai_dev_squad_cli.elsewhere import add_dashboard
from ai_dev_squad_cli.reading import SHORT, add_paths, add_run, finder
from ai_dev_squad_cli.tables import add_looks, cell, opened, show_table
from ai_dev_squad_cli.terminal import show_json

if TYPE_CHECKING:
    from ai_dev_squad.runs import Run

__all__ = ["register"]

_MEASURES = (
    "status",
    "duration_ms",
    "calls",
    "tools",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "unpriced_calls",
    "errors",
)
_STYLES = {"-": "red", "+": "green", " ": "dim"}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "diff",
        help="compare two runs",
        description="Say what two runs took and where their operations differ. The exit code is 1 when these differ.",
    )
    add_run(parser, "old")
    add_run(parser, "new")
    add_paths(parser)
    add_dashboard(parser)
    add_looks(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    find = finder(options)
    old, new = find(options.old), find(options.new)
    summaries = summary(old), summary(new)
    operations = list(_operations(old, new))
    differ = any(mark != " " for mark, _ in operations)
    if options.json:
        show_json(
            {
                "old": summaries[0],
                "new": summaries[1],
                "operations": [{"change": _WORDS[mark], "operation": text} for mark, text in operations],
            }
        )
        return int(differ)
    with opened(options) as console:
        head = ("", old.trace_id[:SHORT], new.trace_id[:SHORT], "change")
        show_table(console, head, [_measure(name, *summaries) for name in _MEASURES], head[1:])
        console.print()
        for mark, text in operations:
            console.print(cell(f"{mark} {text}", _STYLES[mark]))
    return int(differ)


_WORDS = {"-": "removed", "+": "added", " ": "same"}


def _operations(old: Run, new: Run) -> Iterator[tuple[str, str]]:
    """The operations of both, in the order of their trees: what they are, and how they ended where that is not well."""
    before, after = _texts(old), _texts(new)
    for tag, first, last, start, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from ((" ", text) for text in before[first:last])
            continue
        yield from (("-", text) for text in before[first:last])
        yield from (("+", text) for text in after[start:end])


def _texts(run: Run) -> list[str]:
    return [
        f"{'  ' * (len(lead) // 3)}{step.operation} {step.name}{'' if step.status == 'ok' else f': {step.status}'}"
        for lead, step, _ in tree(run)
    ]


def _measure(name: str, old: dict[str, Any], new: dict[str, Any]) -> list[Any]:
    before, after = old[name], new[name]
    change = ""
    if isinstance(before, (int, float)) and isinstance(after, (int, float)) and before != after:
        change = f"{(after - before) / before:+.0%}" if before else "new"
    return [name, _shown(before), _shown(after), change]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.6f}" if value < 10 else f"{value:,.0f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
