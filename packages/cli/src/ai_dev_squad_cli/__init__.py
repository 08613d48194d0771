"""The command ``ai-dev-squad``, and what the packages that add commands to it share.

A package adds a command through the entry point group ``ai_dev_squad.commands``: the entry point has the command's
name, and its value is a function ``register(subparsers)`` that adds a parser with ``set_defaults(run=handler)``. The
handler takes the parsed arguments and returns an exit code, or nothing for 0. It raises ``CommandError`` for whatever a
user can put right. What a command needs is imported in its handler: the help imports the modules of all of them.

Where a command of this package has the same name, ``register`` is called after it was added, and finds its parser in
``subparsers.choices``: it may add options, and set another handler.
"""

from __future__ import annotations

from ai_dev_squad_cli.main import main, make_parser
from ai_dev_squad_cli.terminal import CommandError, log_paths, moment_us, say, show_json, table, wants_colour

__all__ = ["CommandError", "log_paths", "main", "make_parser", "moment_us", "say", "show_json", "table", "wants_colour"]
