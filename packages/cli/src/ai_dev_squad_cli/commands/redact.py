"""``ai-dev-squad redact``: a copy of journals to show to others, without secrets, or without content."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ai_dev_squad_cli.reading import add_paths, all_lines
from ai_dev_squad_cli.terminal import CommandError, log_paths, say

if TYPE_CHECKING:
    from ai_dev_squad.redaction import Redactor
    from ai_dev_squad.schema import JournalLine

__all__ = ["cleaned", "register"]


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "redact",
        help="copy journals without secrets",
        description="Write the lines of journals anew, as they may be shown: secrets replaced, and content left out where that is "
        "asked for. Journals themselves stay as they are.",
    )
    add_paths(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to (default: standard output)")
    parser.add_argument(
        "--no-content", action="store_true", help="leave out prompts, answers, arguments, results, retrieved documents"
    )
    parser.add_argument(
        "--pattern", action="append", default=[], metavar="REGEX", help="also replace what matches; repeatable"
    )
    parser.add_argument(
        "--drop-key", action="append", default=[], metavar="NAME", help="also leave out this key; repeatable"
    )
    parser.add_argument("--emails", action="store_true", help="also replace e-mail addresses")
    parser.add_argument("--cards", action="store_true", help="also replace card numbers")
    parser.add_argument("--json", action="store_true", help="say what was done as JSON, on standard error")
    parser.set_defaults(run=_run)


def cleaned(line: JournalLine, redactor: Redactor, *, content: bool = True) -> JournalLine:
    """The line as it may be shown. Ids, times and figures stay: runs can be read from it as before."""
    import msgspec

    from ai_dev_squad.schema import ErrorInfo

    metadata, error = line.metadata, line.error
    if metadata and not content:
        metadata = {key: value for key, value in metadata.items() if key not in _content_keys()}
    text = redactor.text
    return msgspec.structs.replace(
        line,
        message=text(line.message),
        name=None if line.name is None else text(line.name),
        metadata=redactor.value(metadata) if metadata else metadata,
        error=None
        if error is None
        else ErrorInfo(
            type=text(error.type),
            message=text(error.message),
            stacktrace=None if error.stacktrace is None else text(error.stacktrace),
        ),
        **{
            field: None if (value := getattr(line, field)) is None else text(value)
            for field in ("session_id", "correlation_id", "agent_id", "framework")
        },
    )


def _content_keys() -> frozenset[str]:
    from ai_dev_squad import attributes as keys

    return frozenset(
        {
            keys.INPUT_MESSAGES,
            keys.OUTPUT_MESSAGES,
            keys.SYSTEM_INSTRUCTIONS,
            keys.TOOL_CALL_ARGUMENTS,
            keys.TOOL_CALL_RESULT,
            keys.TOOL_DEFINITIONS,
            keys.RETRIEVAL_QUERY_TEXT,
            keys.RETRIEVAL_DOCUMENTS,
            "crewai.task.description",
            "crewai.task.output",
        }
    )


def _run(options: argparse.Namespace) -> None:
    import msgspec

    from ai_dev_squad.redaction import Redactor

    paths = log_paths(options.path)
    redactor = Redactor(
        patterns=options.pattern, drop_keys=options.drop_key, emails=options.emails, cards=options.cards,
        max_string=10_000_000, max_items=100_000, max_depth=100, max_total=100_000_000,
    )  # fmt: skip
    lines: Iterable[JournalLine] = all_lines(paths)
    encode = msgspec.json.Encoder().encode
    written = changed = 0
    with _output(options.output, paths) as output:
        for line in lines:
            before, after = encode(line), encode(cleaned(line, redactor, content=not options.no_content))
            output.write(after + b"\n")
            written, changed = written + 1, changed + (before != after)
    if options.json:
        say(msgspec.json.encode({"lines": written, "changed": changed}).decode(), error=True)
    else:
        say(f"{written} lines written, {changed} of them changed", error=True)


@contextmanager
def _output(path: Path | None, sources: list[Path]) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdout.buffer
        return
    if path.exists():
        raise CommandError(f"{str(path)!r} is there already; name a new file, or delete it first")
    if any(path.resolve().parent == source.resolve() for source in sources) and path.suffix == ".jsonl":
        raise CommandError(f"{str(path)!r} would be a journal among those that are read; write it to another directory")
    with path.open("xb") as file:
        yield file
