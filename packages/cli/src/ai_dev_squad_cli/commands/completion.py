"""``ai-dev-squad completion``: what a shell needs to complete commands, options and the ids of runs."""

from __future__ import annotations

import argparse
from typing import Any

from ai_dev_squad_cli.terminal import say

__all__ = ["register"]

_HOW = """\
bash: ai-dev-squad completion bash >> ~/.bash_completion
zsh:  ai-dev-squad completion zsh > a file _ai-dev-squad in a directory of $fpath
fish: ai-dev-squad completion fish > ~/.config/fish/completions/ai-dev-squad.fish"""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "completion",
        help="complete commands in a shell",
        description="Print the script that completes commands, options and the ids of runs.",
        epilog=_HOW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from argcomplete.shell_integration import shellcode

    say(shellcode(["ai-dev-squad"], shell=options.shell))
