"""``ai-dev-squad ingest``: journals, OTLP files and a Collector's tables into a store, or OTLP files to a dashboard that runs."""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from ai_dev_squad_dashboard.commands import CommandError, say, told
from ai_dev_squad_dashboard.commands.ingest_tables import add_tables, ingest_tables
from ai_dev_squad_dashboard.commands.places import add_place, place_of
from ai_dev_squad_dashboard.store_url import without_password

__all__ = ["register"]

_SIGNALS = {"resourceSpans": "traces", "resourceLogs": "logs", "resourceMetrics": "metrics"}
_SNIFFED = 1 << 16
_LARGEST = 256 << 20


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "ingest",
        help="read journals, OTLP files and a Collector's tables into a store",
        description="Read journals, OTLP files in JSON as the OpenTelemetry Collector's file exporter writes them, and the tables "
        "of its ClickHouse exporter. "
        "What is in the store already is not stored twice.",
    )
    parser.add_argument("path", nargs="*", type=Path, help="journals, OTLP files, or directories of both")
    goal = parser.add_mutually_exclusive_group()
    add_place(goal)
    goal.add_argument("--url", help="a running dashboard to send OTLP files to, such as http://127.0.0.1:8080")
    parser.add_argument("--token", help="an ingest token for --url (better: AI_DEV_SQUAD_TOKEN)")
    add_tables(parser)
    parser.set_defaults(run=told(_run))


@dataclass
class _Files:
    journals: list[Path] = field(default_factory=list)
    otlp: list[Path] = field(default_factory=list)


def _run(options: argparse.Namespace) -> int:
    if options.tables:
        return ingest_tables(options)
    if not options.path:
        raise CommandError("name journals, OTLP files or directories of both, or a table with --from", 2)
    files = _sorted_out(options.path)
    return _send(options, files) if options.url else _store(options, files)


def _sorted_out(paths: list[Path]) -> _Files:
    from ai_dev_squad.events.finder import JournalFinder
    from ai_dev_squad.events.rotation import rotated_files

    files = _Files()
    for path in paths:
        if path.is_dir():
            for journal in JournalFinder([path]).find().journals:
                rotated = rotated_files(journal)
                kind = _kind(journal if journal.exists() else rotated[-1].path)
                (files.otlp if kind == "otlp" else files.journals).append(journal)
            files.otlp += [file for file in sorted(path.rglob("*.json")) if _kind(file) == "otlp"]
        elif path.exists() or rotated_files(path):
            kind = _kind(path) if path.exists() else "journal"
            if kind is None:
                raise CommandError(f"{path} is neither a journal nor OTLP in JSON; its first line says so")
            (files.otlp if kind == "otlp" else files.journals).append(path)
        else:
            raise CommandError(f"there is nothing at {str(path)!r}; name a journal, an OTLP file or a directory")
    if not files.journals and not files.otlp:
        raise CommandError(f"no journal and no OTLP file in {', '.join(map(str, paths))}")
    return files


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _kind(path: Path) -> str | None:
    """``journal``, ``otlp``, or ``None`` for a file that is neither."""
    try:
        with _opened(path) as opened:
            head = opened.read(_SNIFFED)
    except OSError:
        return None
    first = head.lstrip().partition(b"\n")[0]
    if b'"resource' in head and any(f'"{name}"'.encode() in head for name in _SIGNALS):
        return "otlp"
    return "journal" if b'"event_type"' in first or not first else None


def _requests(path: Path) -> Iterator[tuple[str, bytes]]:
    """The requests in a file: one a line, or the whole file."""
    with _opened(path) as opened:
        for number, text in enumerate(opened, 1):
            if not text.strip():
                continue
            signal = _signal(text)
            if signal is None and number == 1:
                # Not one a line: the file is one document, written for people.
                rest = text + opened.read(_LARGEST)
                signal = _signal(rest)
                if signal is not None:
                    yield signal, rest
                    return
            if signal is None:
                raise CommandError(f"{path}, line {number}, is no OTLP in JSON; what stands before it is stored")
            yield signal, text


def _signal(text: bytes) -> str | None:
    try:
        names = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return next((signal for name, signal in _SIGNALS.items() if name in names), None)


def _store(options: argparse.Namespace, files: _Files) -> int:
    from ai_dev_squad_dashboard.commands.stores import opened
    from ai_dev_squad_dashboard.ingest.journal import JournalTail
    from ai_dev_squad_dashboard.ingest.otlp_receive import Receiver
    from ai_dev_squad_dashboard.ingest.queue import IngestQueue

    place = place_of(options)
    with opened(place, must_exist=False) as store:
        queue = IngestQueue(store, max_pending_rows=50_000)
        try:
            tail = JournalTail([path for path in files.journals if not _is_rotated(path)], queue)
            lines = tail.catch_up()
            lines += sum(_read_rotated(path, queue) for path in files.journals if _is_rotated(path))
            receiver = Receiver(queue.submit)
            refused = _receive(files, lambda signal, body: receiver.receive(signal, "json", body).message)
        finally:
            queue.close(60)
        state = queue.state()
        if lines:
            say(f"{lines:,} journal lines read")
        for bad in tail.states():
            if bad.bad_lines or bad.error:
                say(f"{bad.path}: {bad.bad_lines:,} lines skipped; {bad.error or bad.last_bad}", error=True)
        say(
            f"{state.written_spans:,} spans and {state.written_logs:,} log lines stored in {without_password(str(place))}"
        )
        if state.duplicates:
            say(f"{state.duplicates:,} spans were there already")
    return 1 if refused or state.dropped else 0


def _is_rotated(path: Path) -> bool:
    from ai_dev_squad.events.rotation import journals_in

    return path.is_file() and path not in journals_in(path.parent)


def _read_rotated(path: Path, queue: Any) -> int:
    """A rotated file by itself, unless it was read before."""
    import time

    from ai_dev_squad.events.reader import read_journal
    from ai_dev_squad_dashboard.ingest.from_journal import rows
    from ai_dev_squad_dashboard.ingest.journal_source import BATCH_LINES, batch_of

    source = f"file:{path.resolve()}"
    done = int(queue.position(source) or 0)
    found, count = [], 0
    for line in read_journal(path):
        count += 1
        if count <= done:
            continue
        found.append(rows(line, time.time_ns() // 1000))
        if len(found) >= BATCH_LINES:
            queue.submit(batch_of(found, source, str(count))).result()
            found = []
    if found:
        queue.submit(batch_of(found, source, str(count))).result()
    return max(0, count - done)


def _send(options: argparse.Namespace, files: _Files) -> int:
    if files.journals:
        raise CommandError(
            f"{files.journals[0]} is a journal: `ai-dev-squad ship` sends it, a dashboard on this machine reads it with "
            f"--logs {files.journals[0].parent}, and --db stores it while none runs",
            2,
        )
    import os

    token = options.token or os.environ.get("AI_DEV_SQUAD_TOKEN")
    base = options.url.rstrip("/")
    return 1 if _receive(files, lambda signal, body: _post(f"{base}/v1/{signal}", body, token)) else 0


def _receive(files: _Files, take: Callable[[Any, bytes], str]) -> int:
    """Hand over every request of every OTLP file. Returns how many were refused, in part or whole."""
    from ai_dev_squad_dashboard.ingest.otlp_shapes import InvalidRequest

    refused = 0
    for path in files.otlp:
        count = 0
        for signal, body in _requests(path):
            count += 1
            try:
                problem = take(signal, body)
            except InvalidRequest as error:
                problem = str(error)
            if problem:
                refused += 1
                say(f"{path}, request {count}: {problem}", error=True)
        say(f"{path}: {count:,} requests")
    return refused


def _post(url: str, body: bytes, token: str | None) -> str:
    """Send a request; come again when told to. Returns what was not taken."""
    import time

    from ai_dev_squad_dashboard.otlp_post import post

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    while (answer := post(url, body, headers)).verdict == "later":
        time.sleep(answer.retry_after_s or 1)
    if answer.verdict == "forbidden":
        raise CommandError(f"{url} asks for a token; make one with `ai-dev-squad token ingest`, give it as --token")
    if answer.verdict == "away":
        raise CommandError(f"no dashboard answers at {url} ({answer.problem}); start one with `ai-dev-squad dashboard`")
    return answer.problem
