"""A run of the parity lab as a file for people: one HTML file, Markdown, or CSV. What the dashboard's page exports, too.

Everything that a program or a model said is escaped.
"""

from __future__ import annotations

from ai_dev_squad_dashboard.lab.export import as_csv, as_html, as_markdown
from ai_dev_squad_dashboard.lab.move import LabMove, LabMoveRow, LabTotal, move
from ai_dev_squad_dashboard.lab.move import as_markdown as move_markdown
from ai_dev_squad_dashboard.lab.table import tabulate
from ai_dev_squad_dashboard.lab_results import LabProviders, LabResult

__all__ = ["LabMove", "LabMoveRow", "LabTotal", "csv_table", "markdown", "move", "move_markdown", "standalone"]


def standalone(result: LabResult, providers: LabProviders | None = None) -> str:
    """One HTML file that loads nothing and needs no script: verdicts, measures, evidence and programs, and the table of providers."""
    return as_html(tabulate([result]), [result], providers)


def markdown(result: LabResult) -> str:
    """A Markdown page: a table of verdicts, one for each measure, and the reasons."""
    return as_markdown(tabulate([result]))


def csv_table(result: LabResult) -> str:
    """One line for each cell, with every measure's median and its 95 % interval. Lines end as RFC 4180 has it."""
    return as_csv(tabulate([result]))
