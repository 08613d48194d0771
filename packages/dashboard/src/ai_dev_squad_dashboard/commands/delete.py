"""``ai-dev-squad delete``: a run, a session or a user, out of a store and out of journals, for good."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ai_dev_squad_dashboard.commands import CommandError, log_paths, say, told
from ai_dev_squad_dashboard.commands.places import add_place, place_of
from ai_dev_squad_dashboard.store_url import without_password

if TYPE_CHECKING:
    from ai_dev_squad_dashboard.alerts.outbox import Outbox
    from ai_dev_squad_dashboard.settings import DashboardSettings

__all__ = ["register"]

KINDS = ("trace", "session", "user")
Alerts: TypeAlias = "Callable[[], AbstractContextManager[Outbox | None]]"
"""Opens what alerts keep; ``None`` where nothing is kept."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "delete",
        help="delete a run, a session or a user from a store and from journals",
        description="Delete what was recorded of a run, a session or a user, for good: from a store that no dashboard has open, or from one "
        "that runs, and with --journal from the journals' files as well, while programs go on writing them.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--trace", metavar="ID", help="a run, by its trace id")
    what.add_argument("--session", metavar="ID", help="a session, with all of its runs")
    what.add_argument("--user", metavar="ID", help="a user, with all runs that were for them")
    goal = parser.add_mutually_exclusive_group()
    add_place(goal)
    goal.add_argument("--url", help="a running dashboard, such as http://127.0.0.1:8080")
    goal.add_argument("--no-store", action="store_true", help="only the journals")
    parser.add_argument("--token", help="an act token for --url (better: AI_DEV_SQUAD_TOKEN)")
    parser.add_argument(
        "--journal", nargs="*", metavar="PATH", help="also journals: files, or directories of them (default: logs)"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=told(_run))


def _run(options: argparse.Namespace) -> None:
    kind, name = next((kind, name) for kind in KINDS if (name := getattr(options, kind)))
    if options.no_store and options.journal is None:
        raise CommandError("--no-store leaves nothing to delete from; add --journal", 2)
    if options.url:
        _confirm(options, f"the {kind} {name} from {options.url}")
        _ask(options, kind, name)
    elif not options.no_store:
        _from_store(options, kind, name)
    else:
        _confirm(options, f"the {kind} {name} from journals")
    if options.journal is not None:
        _from_journals(options, kind, name)


def _from_store(options: argparse.Namespace, kind: Any, name: str) -> None:
    from ai_dev_squad_dashboard.commands.stores import opened
    from ai_dev_squad_dashboard.settings import DashboardSettings
    from ai_dev_squad_dashboard.store.deletions import Subject

    place = place_of(options)
    if isinstance(place, Path):
        alerts = partial(_alerts_beside, place)
    else:
        alerts = partial(_alerts_of, DashboardSettings.from_environment())
    shown = without_password(str(place))
    subject = Subject(kind, name.lower() if kind == "trace" else name)
    with opened(place, must_exist=True) as store:
        extent = store.extent(subject)
        told = _told(alerts, kind, name)
        if extent.is_nothing and not told:
            say(f"nothing is stored of the {kind} {name} in {shown}", error=True)
            if options.journal is None:
                raise CommandError("nothing was deleted")
            _confirm(options, f"the {kind} {name} from journals")
        else:
            _confirm(
                options,
                f"{_amount(extent.traces, extent.spans, extent.logs)}{', and what was told of it,' if told else ''} from {shown}",
            )
        # Also where nothing is: what the journals have of it must not come in later.
        done = store.delete(subject, by="the command line", at_us=time.time_ns() // 1000)
        store.compact()
        say(f"{_amount(done.traces, done.spans, done.logs)} deleted from {shown}")
        if told:
            say(f"{_many(_forget_told(alerts, kind, name), 'alert')} about it deleted")


def _told(alerts: Alerts, kind: str, name: str) -> bool:
    """Whether alerts are about it."""
    from ai_dev_squad_dashboard.store.figures import FIGURE_NAMES

    with alerts() as outbox:
        return outbox is not None and kind in FIGURE_NAMES and outbox.mentions(kind, name)


def _forget_told(alerts: Alerts, kind: str, name: str) -> int:
    with alerts() as outbox:
        return 0 if outbox is None else outbox.forget(kind, name)


@contextmanager
def _alerts_of(settings: DashboardSettings) -> Iterator[Outbox | None]:
    """What alerts of a store keep that several dashboards may show: together in a Redis, or beside the file of one of them."""
    from ai_dev_squad_dashboard.sharing import shared_state

    shared = shared_state(settings.redis)
    if shared is None:
        with _alerts_beside(settings.db) as outbox:
            yield outbox
        return

    from ai_dev_squad_dashboard.alerts.outbox import OutboxError
    from ai_dev_squad_dashboard.alerts.shared_outbox import SharedOutbox

    try:
        together = SharedOutbox(shared, lambda: False)
        try:
            together.refresh()  # what cannot be asked must not pass for nothing
            yield together
        finally:
            together.close()
    except OutboxError as error:
        raise CommandError(str(error)) from error
    finally:
        shared.close()


@contextmanager
def _alerts_beside(db: Path) -> Iterator[Outbox | None]:
    """What alerts keep beside a store that no dashboard has open."""
    from ai_dev_squad_dashboard.alerts.outbox import Outbox, OutboxError, file_beside

    if not file_beside(db).exists():
        yield None
        return
    try:
        outbox = Outbox(file_beside(db))
        try:
            yield outbox
        finally:
            outbox.close()
    except OutboxError as error:
        raise CommandError(str(error)) from error


def _from_journals(options: argparse.Namespace, kind: str, name: str) -> None:
    from ai_dev_squad.events.finder import JournalFinder
    from ai_dev_squad.events.removal import remove_from_journals

    journals = JournalFinder(log_paths(options.journal)).find().journals
    removed = remove_from_journals(journals, **{f"{kind}_ids": (name,)})
    say(
        f"{_many(removed.lines, 'line')} taken out of {_many(removed.files, 'file')} of {_many(len(journals), 'journal')}"
    )


def _ask(options: argparse.Namespace, kind: str, name: str) -> None:
    """Let the dashboard that runs do it."""
    from ai_dev_squad_cli.asking import asked
    from ai_dev_squad_dashboard.addresses import session_url

    path = session_url(name).replace("/sessions/", f"/api/{kind}s/", 1)
    done = asked(options.url, path, method="DELETE", token=options.token, kind="act")
    say(f"{_amount(done['traces'], done['spans'], done['logs'])} deleted from {options.url}")


def _amount(traces: int, spans: int, logs: int) -> str:
    return f"{_many(traces, 'run')}, {_many(spans, 'operation')} and {_many(logs, 'log line')}"


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _confirm(options: argparse.Namespace, what: str) -> None:
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"this would delete {what}, for good; add --yes", 2)
    if input(f"Delete {what}, for good? Type yes: ").strip().lower() != "yes":
        raise CommandError("nothing was deleted")
