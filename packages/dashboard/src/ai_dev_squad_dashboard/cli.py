"""The command ``ai-dev-squad``.

Further commands are found through the entry point group ``ai_dev_squad.commands``: each value is a function
``register(subparsers)`` that adds a parser with ``set_defaults(run=handler)``. The handler takes the parsed arguments and
returns an exit code, or nothing for 0. It raises ``CommandError`` for whatever a user can put right.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from ai_dev_squad_dashboard.commands import CommandError

__all__ = ["main", "make_parser"]

_BUILT_IN = {
    "dashboard": "dashboard",
    "receive": "receive",
    "ingest": "ingest",
    "ship": "ship",
    "export": "export",
    "delete": "delete",
    "doctor": "doctor",
    "logs": "logs",
    "costs": "costs",
    "alerts": "alerts",
    "token": "access",
    "password": "access",
    "people": "people",
}
"""Each command's module in ``commands``."""
_GROUP = "ai_dev_squad.commands"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0 fine, 1 it could not be done, 2 it was asked wrongly."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    parser = make_parser(given)
    options = parser.parse_args(given)
    try:
        return int(options.run(options) or 0)
    except CommandError as error:
        return _failed(str(error), error.code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not try to flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if not isinstance(error, (OSError, ValueError, *_expected())) or os.environ.get("AI_DEV_SQUAD_DEBUG"):
            raise
        return _failed(str(error), 1)


def make_parser(given: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of all commands; only of the one that ``given`` begins with, when that is one of ours."""
    parser = argparse.ArgumentParser(
        prog="ai-dev-squad", description="See what your AI agents do and cost: live, offline, from journals and OTLP."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the versions and exit")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    asked = given[0] if given and given[0] in _BUILT_IN else None
    for module in dict.fromkeys(_BUILT_IN.values() if asked is None else [_BUILT_IN[asked]]):
        import_module(f"ai_dev_squad_dashboard.commands.{module}").register(subparsers)
    if asked is None:
        _register_others(subparsers)
    return parser


def _register_others(subparsers: Any) -> None:
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=_GROUP), key=lambda point: point.name):
        try:
            register: Callable[[Any], None] = point.load()
            register(subparsers)
        except Exception as error:  # noqa: BLE001 - a broken package must not take the other commands away
            print(f"ai-dev-squad: the commands of {point.value} are left out: {error}", file=sys.stderr)  # noqa: T201


def _expected() -> tuple[type[Exception], ...]:
    """Errors whose message is meant for people; only of modules that were needed, so that none is imported for this."""
    homes = {
        "StoreError": "ai_dev_squad_dashboard.store.base",
        "OutboxError": "ai_dev_squad_dashboard.alerts.outbox",
        "ServerError": "ai_dev_squad_dashboard.server",
        "GrpcUnavailable": "ai_dev_squad_dashboard.ingest.otlp_grpc",
    }
    return tuple(getattr(sys.modules[home], name) for name, home in homes.items() if home in sys.modules)


def _failed(message: str, code: int) -> int:
    print(f"ai-dev-squad: {message}", file=sys.stderr)  # noqa: T201
    return code


class _Version(argparse.Action):
    def __call__(self, *_: Any) -> None:
        from ai_dev_squad_dashboard.commands.versions import installed

        names = ("ai-dev-squad-dashboard", "ai-dev-squad")
        print(", ".join(f"{name} {installed(name) or '(not installed)'}" for name in names))  # noqa: T201
        sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
