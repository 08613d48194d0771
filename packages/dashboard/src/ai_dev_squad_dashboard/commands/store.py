"""``ai-dev-squad store copy``: a store as another one, of any engine."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, Final

from ai_dev_squad_dashboard.commands import CommandError, say, told
from ai_dev_squad_dashboard.store_url import is_url, path_of, without_password

__all__ = ["register"]

_EVERY_S: Final = 5.0


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "store",
        help="copy a store to one of another engine",
        description="What is done with whole stores. A store is a file, or a URL such as duckdb:///logs/dashboard.duckdb or "
        "clickhouse://user:password@host:8123/database.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    copy = actions.add_parser(
        "copy",
        help="copy all that a store holds into an empty one",
        description="Copy all that a store holds into an empty one, of the same engine or another, and compare them. Whoever is "
        "interrupted gives the same command again: it goes on where it was. A file must not be open in a dashboard.",
    )
    copy.add_argument("source", metavar="FROM", help="the store that is copied; it is only read")
    copy.add_argument("target", metavar="TO", help="where the copy is made")
    copy.set_defaults(run=told(_copy))


def _copy(options: argparse.Namespace) -> int:
    from ai_dev_squad_dashboard.commands.stores import opened
    from ai_dev_squad_dashboard.store.copying import Copied, copy_store, differences

    source, target = _place(options.source), _place(options.target)
    if source == target:
        raise CommandError(
            f"FROM and TO are the same store, {without_password(str(source))}; name another one to copy to", 2
        )
    said = time.monotonic()

    def tell(done: Copied) -> None:
        nonlocal said
        if time.monotonic() - said >= _EVERY_S:
            said = time.monotonic()
            say(_amount(done), error=True)

    with opened(source, must_exist=True) as first, opened(target, must_exist=False) as second:
        done = copy_store(first, second, _name(source), tell=tell)
        say(f"{_amount(done)} copied{', besides what was there already' if done.resumed else ''}")
        wrong = differences(first, second)
    for each in wrong:
        say(each, error=True)
    if wrong:
        say(
            "the copy differs: something was written to one of the stores, or deleted from one, meanwhile. Give the command again when "
            "nobody writes; for what was deleted, begin anew with an empty store",
            error=True,
        )
        return 1
    say(f"{without_password(str(target))} holds the same rows, tokens and cost of each day")
    return 0


def _place(text: str) -> Path | str:
    """A file as its path, whichever way it is written, so that nobody is missed who names it otherwise the next time."""
    if not is_url(text):
        return Path(text)
    return text if (path := path_of(text)) is None else path


def _name(place: Path | str) -> str:
    return str(place.resolve()) if isinstance(place, Path) else without_password(place)


def _amount(done: Any) -> str:
    return f"{done.spans:,} spans, {done.logs:,} log lines and {done.metrics:,} points of metrics"
