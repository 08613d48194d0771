"""The lab in a terminal: a line as each cell ends, the matrix, and the evidence of one cell."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence

from ai_dev_squad_dashboard.lab_results import SIGNS, LabCell, LabNode, LabProviderCell, LabProviders, LabResult
from ai_dev_squad_parity.lab.report import MEASURES, frameworks_of, heading, quantity, summary

__all__ = ["Progress", "evidence", "overview", "providers", "say"]


def say(text: str = "", *, error: bool = False) -> None:
    """Print a line, whatever the terminal's encoding."""
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


class Progress:
    """Says how each cell ended, as it ends, with how many are left."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def __call__(self, cell: LabCell) -> None:
        """A cell ended. Cells end in several threads."""
        with self._lock:
            self._done += 1
            width = len(str(self._total))
            wall = cell.measures.get("wall")
            time = f"  {quantity(wall)}" if wall else ""
            way = " streamed" if isinstance(cell, LabProviderCell) and cell.streamed else ""
            say(
                f"[{self._done:>{width}}/{self._total}] {cell.scenario:<22} {cell.framework + way:<9} "
                f"{SIGNS[cell.verdict]} {cell.verdict}{time}"
            )
            if cell.verdict in {"fails", "not installed"}:
                say(f"{'':>{2 * width + 4}}{cell.reason[:300]}")


def overview(matrix: LabResult) -> str:
    """The verdicts as a table, and in words."""
    frameworks = frameworks_of(matrix)
    rows = [["", *(heading(matrix, framework) for framework in frameworks)]]
    for scenario in matrix.scenarios:
        cells = [matrix.cell(scenario.name, framework) for framework in frameworks]
        rows.append([scenario.name, *(f"{SIGNS[cell.verdict]} {cell.verdict}" if cell else "" for cell in cells)])
    return "\n".join([*_columns(rows), "", summary(matrix.cells)])


def providers(table: LabProviders) -> str:
    """The verdicts of a table of providers, plain and streamed, and in words."""
    frameworks = tuple(dict.fromkeys(cell.framework for cell in table.cells))
    ways = [(framework, streamed) for framework in frameworks for streamed in (False, True)]
    rows = [["", *(f"{framework}{', streamed' if streamed else ''}" for framework, streamed in ways)]]
    for provider in table.providers:
        cells = [table.cell(provider.name, framework, streamed=streamed) for framework, streamed in ways]
        rows.append([provider.name, *(f"{SIGNS[cell.verdict]} {cell.verdict}" if cell else "" for cell in cells)])
    return "\n".join([*_columns(rows), "", summary(table.cells)])


def evidence(cell: LabCell, head: str) -> str:
    """A cell's verdict with all that it rests on."""
    lines = [f"{cell.scenario} on {head}: {SIGNS[cell.verdict]} {cell.verdict}"]
    lines += [f"  {text}" for text in (cell.reason, cell.source, cell.note) if text]
    if cell.checks:
        rows = [["", "check", "captured", "truth"]]
        rows += [["✓" if c.ok else "✗", c.name, _short(c.captured), _short(c.truth)] for c in cell.checks]
        lines += ["", "Captured against truth", *_columns(rows)]
        lines += [f"✗ {check.name}: {check.detail}" for check in cell.checks if not check.ok and check.detail]
    if cell.tree:
        lines += ["", "Spans", *(line for node in cell.tree for line in _branch(node, 0))]
    if cell.measures:
        rows = [[MEASURES.get(name, name), quantity(measure)] for name, measure in cell.measures.items()]
        lines += ["", "Measured", *_columns(rows)]
    if cell.trace_ids:
        lines += ["", "Traces", *(f"  {trace}" for trace in cell.trace_ids)]
    if cell.output:
        lines += ["", "What it printed", cell.output]
    return "\n".join(lines)


def _branch(node: LabNode, depth: int) -> Iterator[str]:
    yield f"  {'  ' * depth}{node.operation} {node.name}  {node.status}  {node.duration_ms:.1f} ms"
    for child in node.children:
        yield from _branch(child, depth + 1)


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"
