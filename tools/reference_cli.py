"""The reference of the command line, from the parsers themselves.

Not argparse's own help: it is worded and wrapped differently by each Python version.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ai_dev_squad_cli import make_parser

__all__ = ["cli_page"]

_INTRODUCTION = """\
# Command line

`ai-dev-squad` comes with the package `ai-dev-squad-cli`, and other packages add commands to it. Exit codes: 0 fine, 1 it
could not be done (`logs grep` found nothing, `doctor` found a problem), 2 it was asked wrongly, 130 it was interrupted.
`ai-dev-squad --version` shows the versions.
"""

_PAGES = ("ai_dev_squad_cli.", "ai_dev_squad_dashboard.")
"""Packages whose commands stand on the page; others have pages of their own."""


def cli_page() -> str:
    """The page in Markdown: every command of the command line itself and of the dashboard, with its arguments."""
    return "\n".join([_INTRODUCTION, *(_section(parser) for parser in _commands(make_parser()))])


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Each command that does something, with its own parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                deeper = list(_commands(child))
                if deeper:
                    yield from deeper
                elif getattr(child.get_default("run"), "__module__", "").startswith(_PAGES):
                    yield child


def _section(parser: argparse.ArgumentParser) -> str:
    shown = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    places = "".join(f" {_name(action)}" for action in shown if not action.option_strings)
    lines = [f"## {parser.prog.removeprefix('ai-dev-squad ')}", "", f"    {parser.prog} [OPTIONS]{places}", ""]
    if parser.description:
        lines += [parser.description, ""]
    if shown:
        lines += ["| Argument | |", "| --- | --- |"]
        lines += [f"| {_spelling(action)} | {_meaning(action)} |" for action in shown]
        lines.append("")
    return "\n".join(lines)


def _spelling(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {_name(action)}"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings) or f"`{_name(action)}`"


def _name(action: argparse.Action) -> str:
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.option_strings:
        return name
    return {"+": f"{name}...", "*": f"[{name}...]", "?": f"[{name}]"}.get(str(action.nargs), name)


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "").replace("|", "\\|")
    if action.choices is not None:
        text += f"; one of {', '.join(f'`{choice}`' for choice in action.choices)}"
    return text + ("; required" if action.required and action.option_strings else "")


if __name__ == "__main__":
    print(cli_page())
