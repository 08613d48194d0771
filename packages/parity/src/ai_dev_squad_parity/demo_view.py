"""What the demo shows, built from journal lines alone: the tree of spans, cost tables, budgets, captured against true."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

import ai_dev_squad
from ai_dev_squad import JournalLine
from ai_dev_squad_testing.model_server import Truth

__all__ = ["budget_table", "cost_table", "run_tree", "token_cells", "truth_table", "usd"]

_MARKS = {
    "ok": ("✓", "green"),
    "error": ("✗", "red"),
    "interrupted": ("‖", "yellow"),
    "handoff": ("→", "cyan"),
    "cancelled": ("⊘", "yellow"),
    "closed_early": ("⊘", "yellow"),
    "abandoned": ("?", "red"),
}
_WHAT = {
    "invoke_workflow": "graph",
    "invoke_agent": "agent",
    "task": "node",
    "execute_tool": "tool",
    "chat": "model",
    "retrieval": "retrieval",
}


def run_tree(lines: Sequence[JournalLine]) -> Iterator[Tree]:
    """A tree for each run, in the order they began; a resumed run names the run it continues."""
    ended = [line for line in lines if line.status is not None]
    spans = {line.span_id for line in ended}
    below: dict[str | None, list[JournalLine]] = defaultdict(list)
    for line in sorted(ended, key=_began):
        below[line.parent_span_id if line.parent_span_id in spans else None].append(line)
    for root in below[None]:
        tree = Tree(_label(root), guide_style="dim")
        _grow(tree, root, below)
        yield tree


def _began(line: JournalLine) -> float:
    return (line.timestamp - timedelta(milliseconds=line.duration_ms or 0)).timestamp()


def _grow(tree: Tree, line: JournalLine, below: dict[str | None, list[JournalLine]]) -> None:
    for child in below[line.span_id]:
        _grow(tree.add(_label(child)), child, below)


def _label(line: JournalLine) -> Text:
    mark, style = _MARKS[line.status or "ok"]
    label = Text.assemble(
        (f"{mark} ", style),
        (f"{_WHAT.get(line.operation or '', line.operation)} ", "dim"),
        (line.name or "", "bold"),
        (f"  {line.duration_ms:,.1f} ms", "dim"),
    )
    if line.usage is not None:
        label.append(f"  {line.usage.input_tokens} → {line.usage.output_tokens} tokens", "blue")
        if line.usage.cache_read_input_tokens:
            label.append(f" ({line.usage.cache_read_input_tokens} cached)", "dim")
    if line.cost is not None:
        label.append(f"  {usd(line.cost.usd)}", "magenta")
    if line.status not in {"ok", "error"}:
        label.append(f"  {line.status}", style)
    if line.error is not None:
        label.append(f"  {line.error.type}: {line.error.message}", "red")
    if line.links:
        label.append(f"  continues {line.links[0].trace_id[:8]}…", "yellow")
    return label


def usd(amount: float | None) -> str:
    """An amount, as the tables show it."""
    return "price unknown" if amount is None else f"${amount:.6f}"


def cost_table(lines: Iterable[JournalLine], by: str, title: str) -> Table:
    """Calls, tokens and cost of each agent or model, the dearest first."""
    groups: dict[str, list[JournalLine]] = defaultdict(list)
    for line in lines:
        if line.usage is not None:
            groups[getattr(line, by) or "-"].append(line)
    table = Table(title=f"Cost by {title.lower()}", title_justify="left", title_style="bold")
    table.add_column(title)
    for column in ("Calls", "Input", "Cached", "Output", "Reasoning", "Cost"):
        table.add_column(column, justify="right")
    rows = [(name, calls, _cost(calls)) for name, calls in groups.items()]
    for name, calls, cost in sorted(rows, key=lambda row: -row[2]):
        table.add_row(name, str(len(calls)), *token_cells(calls), usd(cost))
    everything = [line for calls in groups.values() for line in calls]
    table.add_section()
    table.add_row("all", str(len(everything)), *token_cells(everything), usd(_cost(everything)), style="bold")
    return table


_TOKENS = ("input_tokens", "cache_read_input_tokens", "output_tokens", "reasoning_output_tokens")


def token_cells(calls: Iterable[JournalLine]) -> list[str]:
    """Input, cached, output and reasoning tokens of these calls together."""
    return [f"{_tokens(calls, name):,}" for name in _TOKENS]


def _tokens(calls: Iterable[JournalLine], name: str) -> int:
    return sum(getattr(line.usage, name) or 0 for line in calls)


def _cost(calls: Iterable[JournalLine]) -> float:
    return sum(line.cost.usd or 0 for line in calls if line.cost is not None)


def budget_table() -> Table:
    """The state of every budget."""
    table = Table(title="Budgets", title_justify="left", title_style="bold")
    table.add_column("Budget")
    table.add_column("Period")
    for column in ("Limit", "Spent", "Left", "Alerts"):
        table.add_column(column, justify="right")
    for status in ai_dev_squad.get_cost_tracker().budget_manager.status():
        alerts = ", ".join(f"{threshold:.0%}" for threshold in status.alerts_sent) or "-"
        amounts = (status.limit_usd, status.spent_usd, status.remaining_usd)
        name = status.name if status.key is None else f"{status.name} ({status.key[:8]}…)"
        table.add_row(name, status.period, *(usd(amount) for amount in amounts), alerts)
    return table


def truth_table(lines: Iterable[JournalLine], truth: Truth) -> tuple[Table, bool]:
    """What was captured beside what the model server billed, and whether they are equal."""
    calls = [line for line in lines if line.usage is not None]
    billed = truth.totals.billed
    rows = [
        ("model calls answered", len(calls), truth.totals.successful_calls),
        ("input tokens", _tokens(calls, "input_tokens"), billed.input_tokens),
        ("of these cached", _tokens(calls, "cache_read_input_tokens"), billed.cache_read_input_tokens),
        ("output tokens", _tokens(calls, "output_tokens"), billed.output_tokens),
        ("of these reasoning", _tokens(calls, "reasoning_output_tokens"), billed.reasoning_output_tokens),
    ]
    table = Table(title="Captured against true", title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column("Captured", justify="right")
    table.add_column("Billed by the model server", justify="right")
    table.add_column("")
    for what, captured, true in rows:
        same = captured == true
        table.add_row(what, f"{captured:,}", f"{true:,}", "[green]equal[/]" if same else "[red]differs[/]")
    return table, all(captured == true for _, captured, true in rows)
