"""``ai-dev-squad doctor``: what is installed, what is captured, and what would surprise you, each with its cure."""

from __future__ import annotations

import argparse
from typing import Any

from ai_dev_squad_dashboard.commands import say, show_json, told, wants_colour

__all__ = ["register"]

_COLOURS = {"ok": "32", "note": "36", "warning": "33", "problem": "1;31"}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="check what is installed and captured",
        description="Look at packages, settings, the journal and known traps. The exit code is 1 when there is a problem.",
    )
    parser.add_argument(
        "--store",
        metavar="URL",
        help="try a ClickHouse server instead: write and read a few rows in a database of its own, which is dropped afterwards",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour (default: auto)")
    parser.set_defaults(run=told(_run))


def _run(options: argparse.Namespace) -> int:
    from ai_dev_squad_dashboard.commands.doctor_checks import examine

    if options.store is None:
        findings = examine()
    else:
        from ai_dev_squad_dashboard.commands.doctor_store import examine_store

        findings = list(examine_store(options.store))
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
