"""``ai-dev-squad logs tail`` and ``grep``: journals on the terminal, without a store."""

from __future__ import annotations

import argparse
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ai_dev_squad_cli.reading import add_paths, all_lines, no_journal
from ai_dev_squad_cli.terminal import CommandError, log_paths, moment_us, say, wants_colour

__all__ = ["register", "register_tail"]

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_POLL_S = 0.2


def register(subparsers: Any) -> None:
    """Add the commands."""
    parser = subparsers.add_parser("logs", help="read journals on the terminal")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    register_tail(commands)
    grep = commands.add_parser(
        "grep", help="search all lines", description="Show the lines in which a regular expression is found."
    )
    grep.add_argument("pattern", help="a regular expression, searched in names, messages, errors and captured content")
    grep.add_argument("-i", "--ignore-case", action="store_true", help="upper and lower case are the same")
    grep.add_argument("--since", metavar="TIME", help="only newer lines: 30m, 24h, 7d, or a date")
    grep.set_defaults(run=_grep)
    _add_filters(grep)


def register_tail(subparsers: Any) -> None:
    """Add ``tail``: it stands by itself, and below ``logs``."""
    tail = subparsers.add_parser("tail", help="show the newest lines", description="Show the newest lines of journals.")
    tail.add_argument("-n", "--lines", type=int, default=20, help="how many lines (default: 20)")
    tail.add_argument("-f", "--follow", action="store_true", help="go on with what is written from now on")
    _add_filters(tail)
    tail.set_defaults(run=_tail)


def _add_filters(command: Any) -> None:
    add_paths(command)
    command.add_argument("--level", type=str.upper, choices=_LEVELS, help="this level and worse")
    for name in ("agent", "session", "framework", "event", "trace"):
        command.add_argument(f"--{name}", help=f"only lines of this {name}")
    command.add_argument("--json", action="store_true", help="print the lines as they are in the journal")
    command.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour (default: auto)")


def _tail(options: argparse.Namespace) -> None:
    if options.lines < 0:
        raise CommandError(f"--lines {options.lines} is negative; use 0 or more", 2)
    wanted, show = _filter(options), _shower(options)
    from ai_dev_squad.events.finder import JournalFinder

    paths = log_paths(options.path)
    finder = JournalFinder(paths)
    journals = finder.find().journals
    if not journals and not options.follow:
        raise no_journal(paths)
    with ExitStack() as opened:
        followers: dict[Path, Any] = {}
        newest: list[Any] = []
        for journal in journals:
            followers[journal], lines = _newest(journal, options.lines, wanted)
            opened.enter_context(followers[journal])
            newest += lines
        newest.sort(key=lambda line: line.timestamp)
        for line in newest[max(0, len(newest) - options.lines) :]:
            show(line)
        if options.follow:
            _follow(finder, followers, wanted, show)


def _follow(
    finder: Any, followers: dict[Path, Any], wanted: Callable[[Any], bool], show: Callable[[Any], None]
) -> None:
    """Show what comes, until interrupted."""
    while True:
        for journal in finder.find().journals:
            if journal not in followers:
                followers[journal] = _follower(journal, 0)
        news = [line for follower in followers.values() for line in follower.read(10_000) if wanted(line)]
        for line in sorted(news, key=lambda line: line.timestamp):
            show(line)
        if not news:
            time.sleep(_POLL_S)


def _newest(journal: Path, count: int, wanted: Callable[[Any], bool]) -> tuple[Any, list[Any]]:
    """A follower that has read the current file, and the newest lines, going back through rotated files as far as needed."""
    from ai_dev_squad.events.reader import read_journal
    from ai_dev_squad.events.rotation import rotated_files

    rotated = rotated_files(journal)
    follower = _follower(journal, rotated[-1].number if rotated else 0)
    found: deque[Any] = deque(maxlen=count)
    while lines := follower.read(10_000):
        found.extend(line for line in lines if wanted(line))
    for file in reversed(rotated):
        if len(found) >= count:
            break
        older = deque((line for line in read_journal(file.path) if wanted(line)), maxlen=count - len(found))
        found.extendleft(reversed(older))
    return follower, list(found)


def _follower(journal: Path, after: int) -> Any:
    from ai_dev_squad.events.follow import JournalFollower, JournalPosition

    return JournalFollower(journal, position=JournalPosition(after=after))


def _grep(options: argparse.Namespace) -> int:
    try:
        pattern = re.compile(options.pattern, re.IGNORECASE if options.ignore_case else 0)
    except re.error as error:
        raise CommandError(
            f"{options.pattern!r} is no regular expression ({error}); quote special characters with \\", 2
        ) from None
    wanted, show = _filter(options), _shower(options)
    since_us = None if options.since is None else moment_us(options.since)
    found = False
    for line in all_lines(log_paths(options.path)):
        if since_us is not None and line.timestamp.timestamp() * 1e6 < since_us:
            continue
        if wanted(line) and any(pattern.search(text) for text in _texts(line)):
            found = True
            show(line)
    return 0 if found else 1


def _texts(line: Any) -> Iterator[str]:
    yield line.message
    yield from (text for text in (line.name, line.event_type, line.trace_id, line.session_id, line.agent_id) if text)
    if line.error is not None:
        yield f"{line.error.type} {line.error.message}"
    if line.metadata:
        import json

        yield json.dumps(line.metadata, ensure_ascii=False)


def _filter(options: argparse.Namespace) -> Callable[[Any], bool]:
    levels = None if options.level is None else set(_LEVELS[_LEVELS.index(options.level) :])
    pairs = (
        ("agent_id", options.agent),
        ("session_id", options.session),
        ("framework", options.framework),
        ("event_type", options.event),
        ("trace_id", options.trace),
    )
    asked = [(field, value) for field, value in pairs if value is not None]

    def wanted(line: Any) -> bool:
        return (levels is None or line.level in levels) and all(getattr(line, field) == value for field, value in asked)

    return wanted


def _shower(options: argparse.Namespace) -> Callable[[Any], None]:
    import msgspec

    from ai_dev_squad.events.console import format_line

    if options.json:
        encode = msgspec.json.Encoder().encode
        return lambda line: say(encode(line).decode())
    colour = wants_colour(options.color)
    return lambda line: say(format_line(line, colour=colour))
