"""What commands read: the journals that are meant, and the runs in them, found by the beginning of an id."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_dev_squad_cli.elsewhere import dashboard_of
from ai_dev_squad_cli.terminal import CommandError, log_paths, moment_us

if TYPE_CHECKING:
    from ai_dev_squad.runs import Run, Runs
    from ai_dev_squad.schema import JournalLine

__all__ = ["SHORT", "add_paths", "add_run", "all_lines", "find_run", "finder", "no_journal", "runs_of", "since_us"]

SHORT = 8
"""Characters of an id that are shown. Any beginning that is of one run alone is understood."""


def add_paths(parser: Any) -> None:
    """The argument that names journals."""
    parser.add_argument("path", nargs="*", help="journal directories or files (default: AI_DEV_SQUAD_LOG_DIR or logs)")


def add_run(parser: Any, name: str = "run_id") -> None:
    """An argument that names a run, which a shell can complete."""
    argument = parser.add_argument(
        name, metavar="RUN", help="the beginning of a run's id; last for the newest, failed for the newest that failed"
    )
    argument.completer = _complete_run


def all_lines(paths: Sequence[Path]) -> Iterator[JournalLine]:
    """The lines of the journals in directories, or in files, oldest file first. Raises ``CommandError`` when there are none."""
    from ai_dev_squad.events.finder import JournalFinder
    from ai_dev_squad.events.reader import read_journal

    directories = [path for path in paths if not path.is_file()]
    journals = [path for path in paths if path.is_file()] + list(JournalFinder(directories).find().journals)
    if not journals:
        raise no_journal(paths)
    for journal in journals:
        yield from read_journal(journal)


def runs_of(paths: Sequence[str]) -> Runs:
    """The runs in the journals that are meant."""
    from ai_dev_squad.runs import runs_in

    return runs_in(all_lines(log_paths(paths)))


def find_run(runs: Runs, name: str) -> Run:
    """The run that is meant. Raises ``CommandError`` when there is none, or several."""
    if name in {"last", "failed"}:
        newest = [run for run in runs if name == "last" or run.status == "error"]
        if not newest:
            raise CommandError("no run failed here" if name == "failed" else "there is no run here")
        return newest[-1]
    found = runs.matching(name)
    if not found:
        raise CommandError(f"no run here has an id that begins with {name!r}; `ai-dev-squad runs` lists them")
    if len(found) > 1:
        shown = ", ".join(trace_id[: max(SHORT, len(name) + 2)] for trace_id in sorted(found)[:5])
        raise CommandError(f"{len(found)} runs have an id that begins with {name!r}: {shown}; type more of it")
    run = runs.get(found[0])
    assert run is not None
    return run


def finder(options: argparse.Namespace) -> Callable[[str], Run]:
    """What finds a run by a name of it: in the journals that are meant, or on the dashboard."""
    dashboard = dashboard_of(options)
    return partial(find_run, runs_of(options.path)) if dashboard is None else dashboard.find_run


def since_us(options: argparse.Namespace) -> int:
    """The moment from which on things count, in microseconds since 1970."""
    return 0 if options.since is None else moment_us(options.since)


def no_journal(paths: Sequence[Path]) -> CommandError:
    """The error that says that there is nothing to read."""
    places = ", ".join(map(str, paths))
    return CommandError(
        f"no journal in {places}; run an observed program first, or name the directory it writes to (its setting log_dir)"
    )


def _complete_run(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    try:
        return sorted(runs_of(getattr(parsed_args, "path", None) or ()).matching(prefix))
    except (CommandError, OSError):
        return []
