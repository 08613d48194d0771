"""Tables in a terminal: coloured where that is wanted, through a pager where there is somebody to page."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ai_dev_squad_cli.terminal import wants_colour

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["STATUS_STYLES", "add_looks", "cell", "count", "dollars", "milliseconds", "opened", "show_table"]

STATUS_STYLES = {"ok": "green", "error": "bold red", "open": "cyan", "interrupted": "yellow", "cancelled": "yellow"}
_WIDE = 10_000
"""Columns where nobody looks: a file or another program wants whole lines."""


def add_looks(parser: Any) -> None:
    """The options that all commands have which print tables."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour (default: auto)")
    parser.add_argument("--no-pager", action="store_true", help="print at once, also what is longer than the screen")


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Console]:
    """What to print on: a pager on a terminal (``PAGER``), unless all of it fits or none is wanted."""
    from rich.console import Console

    colour = wants_colour(options.color)
    on_terminal = sys.stdout.isatty()
    console = Console(
        force_terminal=colour,
        no_color=not colour,
        color_system="standard" if colour else None,
        width=None if on_terminal else _WIDE,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    if options.no_pager or not on_terminal or os.environ.get("TERM") == "dumb":
        yield console
        return
    # What fits the screen is printed, colours pass, and the screen is left as it is: as git has it.
    os.environ.setdefault("LESS", "FRX")
    with console.pager(styles=colour):
        yield console


def cell(text: object, style: str = "") -> Text:
    """A text, with everything that a terminal would obey spelled out."""
    from rich.text import Text

    from ai_dev_squad.events.console import safe_text

    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # a screen takes the stream's place
    return Text(safe_text(str(text)).encode(encoding, "backslashreplace").decode(encoding), style=style)


def show_table(
    console: Console, head: Sequence[str], rows: Sequence[Sequence[Text | str]], figures: Sequence[str] = ()
) -> None:
    """Columns under their names; those that ``figures`` names stand to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in head:
        table.add_column(name, justify="right" if name in figures else "left", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*row)
    console.print(table, crop=False, soft_wrap=not sys.stdout.isatty())


def count(number: int | None) -> str:
    """A number of things; nothing for what is unknown."""
    return "" if number is None else f"{number:,}"


def dollars(usd: float | None) -> str:
    """An amount; ``?`` for what is unknown."""
    return "?" if usd is None else f"{usd:,.6f}"


def milliseconds(ms: float | None) -> str:
    """A duration; nothing while there is none."""
    return "" if ms is None else f"{ms:,.0f}"
