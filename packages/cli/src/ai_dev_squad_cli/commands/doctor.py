"""``ai-dev-squad doctor``: what is installed, what is captured, and what would surprise you, each with its cure."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ai_dev_squad_cli.terminal import say, show_json, wants_colour

if TYPE_CHECKING:
    from ai_dev_squad_cli.doctor_checks import Finding

__all__ = ["register", "show_findings"]

_COLOURS = {"ok": "32", "note": "36", "warning": "33", "problem": "1;31"}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="check what is installed and captured",
        description="Look at packages, settings, the journal and known traps. The exit code is 1 when there is a problem.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour (default: auto)")
    parser.set_defaults(run=_run, looks=())


def _run(options: argparse.Namespace) -> int:
    from ai_dev_squad_cli.doctor_checks import examine

    return show_findings(examine(more=options.looks), options)


def show_findings(findings: Sequence[Finding], options: argparse.Namespace) -> int:
    """Print them as the options ask. Returns the exit code."""
    problems = sum(finding.verdict == "problem" for finding in findings)
    warnings = sum(finding.verdict == "warning" for finding in findings)
    if options.json:
        show_json({"healthy": not problems, "findings": findings})
        return 1 if problems else 0
    colour = wants_colour(options.color)
    for finding in findings:
        verdict = finding.verdict.ljust(7)
        shown = f"\x1b[{_COLOURS[finding.verdict]}m{verdict}\x1b[0m" if colour else verdict
        say(f"{shown}  {finding.area}: {finding.message}")
        if finding.cure:
            say(f"{' ' * 9}→ {finding.cure}")
    say(f"{problems} problems, {warnings} warnings" if problems or warnings else "All is well.")
    return 1 if problems else 0
