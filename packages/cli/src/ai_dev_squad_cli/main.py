"""The command ``ai-dev-squad``: which commands there are, and what becomes of what they raise."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from ai_dev_squad_cli.terminal import CommandError

__all__ = ["main", "make_parser"]

_BUILT_IN: Mapping[str, str] = {
    name: name for name in ("tail live runs show diff costs budgets logs replay redact doctor completion".split())
}
"""Each command's module in ``commands``."""
_GROUP = "ai_dev_squad.commands"
_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(
        "alerts dashboard delete export ingest mcp password people receive ship store token".split(),
        "ai-dev-squad-dashboard",
    ),
    "adapter": "ai-dev-squad-testing",
    "gate": "ai-dev-squad-testing",
    "parity": "'ai-dev-squad-parity[demo]'",
}
"""Commands of other packages, and what to install for them."""

Register = Callable[[Any], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0 fine, 1 it could not be done, 2 it was asked wrongly."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _open_what_is_closed()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    debugging = bool(os.environ.get("AI_DEV_SQUAD_DEBUG"))
    try:
        parser = make_parser(given)
        if "_ARGCOMPLETE" in os.environ:
            _complete(parser)
        options = parser.parse_args(given)
        return int(options.run(options) or 0)
    except CommandError as error:
        if debugging and error.__cause__ is not None:
            raise
        return _failed(str(error), error.code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not try to flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError) as error:
        if debugging:
            raise
        return _failed(str(error), 1)


def _open_what_is_closed() -> None:
    """Where output or errors are closed (``>&-``), Python has ``None`` for them, and everybody's ``print`` goes nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process lives


def make_parser(given: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of all commands; only of the one that ``given`` begins with, when there is one of that name."""
    parser = _Parser(
        prog="ai-dev-squad", description="See what your AI agents do and cost: live, offline, from journals and OTLP."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the versions and exit")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    points = _entry_points()
    asked = given[0] if given and (given[0] in _BUILT_IN or any(point.name == given[0] for point in points)) else None
    for module in dict.fromkeys(
        _BUILT_IN.values() if asked is None else [_BUILT_IN[asked]] if asked in _BUILT_IN else []
    ):
        import_module(f"ai_dev_squad_cli.commands.{module}").register(subparsers)
    for where, register in _registered([point for point in points if asked in {None, point.name}]):
        try:
            register(subparsers)
        except Exception as error:  # noqa: BLE001 - a broken package must not take the other commands away
            _left_out(where, error)
    _refuse_missing(given, subparsers.choices)
    return parser


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks what could come next. Does not return."""
    import argcomplete

    argcomplete.autocomplete(parser)


def _entry_points() -> list[Any]:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=_GROUP), key=lambda point: str(point.name))


def _registered(points: Sequence[Any]) -> Iterator[tuple[str, Register]]:
    """What adds the commands of these entry points, each once: one function may add several commands."""
    seen: set[str] = set()
    for point in points:
        if point.value in seen:
            continue
        seen.add(point.value)
        try:
            register = point.load()
        except Exception as error:  # noqa: BLE001 - as above
            _left_out(point.value, error)
            continue
        yield point.value, register


def _left_out(where: str, error: Exception) -> None:
    print(f"ai-dev-squad: the commands of {where} are left out: {error}", file=sys.stderr)  # noqa: T201


def _refuse_missing(given: Sequence[str], known: Mapping[str, Any]) -> None:
    """Raise ``CommandError`` for a command of a package that is not installed."""
    if given and given[0] in _ELSEWHERE and given[0] not in known:
        raise CommandError(
            f"the command {given[0]!r} comes with another package; install it: pip install {_ELSEWHERE[given[0]]}", 2
        )


def _failed(message: str, code: int) -> int:
    print(f"ai-dev-squad: {message}", file=sys.stderr)  # noqa: T201
    return code


class _Parser(argparse.ArgumentParser):
    """Takes several files after options as well as before them: ``show last --json logs``. Before 3.13 argparse by
    itself does not.
    """

    _is_mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse has it."""
        takes_many = any(action.nargs == "*" and not action.option_strings for action in self._actions)
        if self._is_mixing or not takes_many:
            return super().parse_known_args(args, namespace)
        self._is_mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_mixing = False


class _Version(argparse.Action):
    def __call__(self, *_: Any) -> None:
        from importlib.metadata import distributions

        found = {str(one.metadata["Name"]): one.version for one in distributions()}
        ours = sorted(name for name in found if name.startswith("ai-dev-squad"))
        print(", ".join(f"{name} {found[name]}" for name in ours))  # noqa: T201
        sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
