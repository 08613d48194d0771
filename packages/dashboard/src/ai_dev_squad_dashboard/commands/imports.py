"""``ai-dev-squad import``: what another product has exported, into a store that no dashboard has open."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ai_dev_squad_dashboard.commands import CommandError, say, show_json, told
from ai_dev_squad_dashboard.commands.places import add_place, place_of
from ai_dev_squad_dashboard.store_url import without_password

__all__ = ["register"]

_SOURCES = {
    "langfuse": "observations, traces and scores: blob storage exports (Parquet, JSON, JSONL) or answers of the API",
    "langsmith": "runs and feedback: bulk exports (Parquet) or answers of the API (JSON, JSONL)",
    "phoenix": "spans and annotations: saved dataframes (Parquet) or answers of the API (JSON)",
    "openllmetry": "OTLP in JSON, as a Collector's file exporter writes it",
}


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "import",
        help="read what Langfuse, LangSmith, Phoenix or OpenLLMetry has exported",
        description="Store what another product has exported, and compare traces, spans, tokens and cost with what that product "
        "says itself. An import that is started again goes on where it was. Exit code 1: something differs, or was left out.",
    )
    parser.add_argument(
        "source", choices=tuple(_SOURCES), help="; ".join(f"{name}: {is_}" for name, is_ in _SOURCES.items())
    )
    parser.add_argument("file", nargs="+", type=Path, help="files, or directories of them")
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="say what was done as JSON")
    parser.set_defaults(run=told(_run))


def _run(options: argparse.Namespace) -> int:
    from ai_dev_squad import get_settings
    from ai_dev_squad_dashboard.commands.stores import opened
    from ai_dev_squad_dashboard.imported.importing import import_files
    from ai_dev_squad_dashboard.imported.records import UnreadableFileError
    from ai_dev_squad_dashboard.ingest.pricing import Prices

    files, place = list(_files(options.file)), place_of(options)
    with opened(place, must_exist=False) as store:
        try:
            found = import_files(
                options.source,
                files,
                store,
                prices=Prices(get_settings().prices_file),
                progress=lambda text: say(text, error=True),
            )
        except UnreadableFileError as error:
            raise CommandError(
                f"{error}; what stands before it is stored, and the import can be started again"
            ) from None
    if options.json:
        show_json(_plain(found))
    else:
        _tell(found, without_password(str(place)))
    return 1 if found.differences or found.skipped else 0


def _files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [file for file in sorted(path.rglob("*")) if file.is_file() and _is_export(file)]
            if not inside:
                raise CommandError(f"no .parquet, .json, .jsonl or .gz file in {str(path)!r}")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise CommandError(f"there is nothing at {str(path)!r}; name the files of the export, or their directory")
    return found


def _is_export(path: Path) -> bool:
    return path.suffix in {".parquet", ".json", ".jsonl", ".ndjson", ".gz"}


def _plain(found: Any) -> dict[str, Any]:
    return {
        "new_spans": found.new_spans,
        "known_spans": found.known_spans,
        "repeated": found.repeated,
        "priced_here": found.priced_here,
        "skipped": dict(found.skipped),
        "source": vars(found.source),
        "here": vars(found.here),
        "differences": [str(each) for each in found.differences],
    }


def _tell(found: Any, place: str) -> None:
    for reason, count in found.skipped.most_common():
        say(f"{count:,} left out: {reason}", error=True)
    say(f"{found.new_spans:,} spans stored in {place}, {found.known_spans:,} were there already")
    if found.repeated:
        say(f"{found.repeated:,} records came again and count once")
    if found.priced_here:
        say(f"{found.priced_here:,} model calls without a cost in the source are priced here")
    here = found.here
    say(f"{here.traces:,} traces, {here.spans:,} spans, {here.tokens:,} tokens, {here.cost_usd:.6f} USD")
    if found.source.marks:
        say(f"{here.marks:,} {'mark' if here.marks == 1 else 'marks'}, whose scores add up to {here.scores:,.10g}")
    if found.differences:
        say("not the same as in the source: " + "; ".join(map(str, found.differences)), error=True)
    else:
        say("the same as in the source")
