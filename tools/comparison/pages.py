"""Write a page for each peer, of what benchmarks have measured: `python tools/comparison/pages.py`.

The figures are those in benchmarks/results/, of the newest day that has them. `nox -s bench -- --keep` measures anew. With --check
nothing is written; what is out of date is named, and the exit code is 1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers import MEASURES, PEERS, UNTRIED, Measure, Peer  # beside this file

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ROOT / "docs" / "explanation"
ALIKE = 0.05
"""Differences below this share are called none: a run differs from the next by as much."""


@dataclass(frozen=True)
class Kept:
    """What a benchmark found, and on which day and machine."""

    date: str
    machine: str
    report: dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One answer: theirs, ours, and who is ahead."""

    question: str
    theirs: str
    ours: str
    date: str
    ahead: str


def newest(folder: Path = RESULTS) -> dict[str, Kept]:
    """The newest result of each benchmark."""
    found: dict[str, Kept] = {}
    for path in sorted(folder.glob("*.json")):
        day = json.loads(path.read_text(encoding="utf-8"))
        found |= {name: Kept(day["date"], day["machine"], each) for name, each in day.items() if isinstance(each, dict)}
    return found


def _row(report: dict[str, Any], wanted: tuple[str, ...]) -> dict[str, Any] | None:
    """The row that begins with these cells."""
    keys = list(report["columns"])[: len(wanted)]
    return next((row for row in report["rows"] if tuple(row.get(key) for key in keys) == wanted), None)


def figure(measure: Measure, peer: Peer, results: dict[str, Kept]) -> Figure | None:
    """What was measured of a peer and of ours; ``None`` where one of both was not."""
    kept = results.get(measure.benchmark)
    if kept is None:
        return None
    ours = _row(kept.report, measure.ours)
    found = (_row(kept.report, tuple(cell.format(name=name) for cell in measure.theirs)) for name in peer.names)
    theirs = next(filter(None, found), None)
    if ours is None or theirs is None:
        return None
    mine, other = ours[measure.column], theirs[measure.column]
    if abs(mine - other) <= ALIKE * max(mine, other):
        ahead = "alike"
    else:
        ahead = "ours" if (mine > other) == measure.is_more_better else "theirs"
    style = kept.report["columns"][measure.column]
    return Figure(measure.question, format(other, style), format(mine, style), kept.date, ahead)


def versions(peer: Peer, results: dict[str, Kept]) -> Iterator[str]:
    """Which releases were measured, and when."""
    days: dict[str, set[str]] = {}
    for kept in results.values():
        for name, version in kept.report["versions"].items():
            if name.startswith(peer.distributions):
                days.setdefault(f"{name} {version}", set()).add(kept.date)
    yield from (f"- {release}, {', '.join(sorted(measured))}" for release, measured in sorted(days.items()))


def page(peer: Peer, results: dict[str, Kept]) -> str:
    """The Markdown of a peer's page."""
    is_two = " and " in peer.title
    figures = [found for measure in MEASURES if (found := figure(measure, peer, results))]
    lines = [
        "<!-- Made by `python tools/comparison/pages.py` of benchmarks/results/. Change those, not this. -->",
        f"# Compared with {peer.title}",
        "",
        (
            f"For whoever chooses between AI Dev Squad and {peer.title}, or uses both: what to take which for, by figures of one run on one "
            f"machine, and what was not measured. {peer.what}"
        ),
        "",
        f"## Where {peer.title} {'are' if is_two else 'is'} ahead",
        "",
        *(f"- {'They have' if is_two else 'It has'} {what} ([source]({source}))." for what, source in peer.ahead),
        *(f"- {each.question}: {each.theirs}, ours {each.ours}." for each in figures if each.ahead == "theirs"),
        f"- {'They are older, and have' if is_two else 'It is older, and has'} met more production systems than ours.",
        "",
        "## Where ours is ahead",
        "",
        *(f"- {each.question}: {each.ours}, theirs {each.theirs}." for each in figures if each.ahead == "ours"),
        (
            "- A budget that refuses a model call in the process, before it is made; we found none in theirs, as of 2026-11-22 "
            "([how it works](../how-to/set-a-budget.md))."
        ),
        *_store(peer),
        "",
        "## What was measured",
        "",
        *_measured(peer, figures, results),
        *_not_measured(peer, results),
        "## Use both",
        "",
        (
            "Spans of ours follow the OpenTelemetry GenAI conventions, so they go to whatever takes OTLP "
            "([export traces](../how-to/export-traces.md)), and our dashboard [takes OTLP of others](../how-to/send-otlp.md). Switch one of "
            "two instrumentations of the same framework off, or tokens are there twice. [Why another one](why-another.md) has what users "
            "reported, and all limits of ours."
        ),
    ]
    return "\n".join(lines) + "\n"


def _store(peer: Peer) -> Iterator[str]:
    if peer.store:
        yield (
            f"- Spans are kept in one file on your machine, without an account or a container; theirs are kept in {peer.store}, as of "
            "2026-11-22 ([what a file gives up](beyond-one-machine.md))."
        )


def _measured(peer: Peer, figures: list[Figure], results: dict[str, Kept]) -> Iterator[str]:
    if not figures:
        yield f"Nothing: no benchmark of ours has a row of {peer.title} yet, so no figure here is for or against it."
        yield ""
        return
    yield "One program, both in the same run, side by side; less is better unless it is spans a second or cells that pass."
    yield f"Differences below {ALIKE:.0%} are called none. [All tables](benchmarks.md), with how each was measured; the"
    yield "[parity lab](parity.md#peers) says how peers are scored; its rows are of our choice, and ours is made to pass them."
    yield ""
    yield "| What | Theirs | Ours | Ahead | Measured |"
    yield "| --- | --: | --: | --- | --- |"
    for each in figures:
        yield f"| {each.question} | {each.theirs} | {each.ours} | {each.ahead} | {each.date} |"
    yield ""
    yield "Releases of theirs that were measured:"
    yield ""
    yield from versions(peer, results)
    yield ""
    machines = {results[measure.benchmark].machine for measure in MEASURES if figure(measure, peer, results)}
    yield f"Machine: {'; '.join(sorted(machines))}."
    yield ""


def _not_measured(peer: Peer, results: dict[str, Kept]) -> Iterator[str]:
    compared = {measure.benchmark for measure in MEASURES if figure(measure, peer, results)}
    missing = [what for benchmark, what in UNTRIED if benchmark not in compared]
    if missing:
        yield "## Not measured"
        yield ""
        yield from (f"- {what}" for what in missing)
        yield ""


def makers() -> dict[Path, str]:
    """Every page, and its text."""
    results = newest()
    return {PAGES / f"compared-with-{peer.slug}.md": page(peer, results) for peer in PEERS}


def out_of_date() -> list[str]:
    """The pages whose committed text differs from what the results say."""
    pages = makers().items()
    return [path.name for path, text in pages if not path.exists() or path.read_text(encoding="utf-8") != text]


def main() -> int:
    """Write the pages, or with --check say which are out of date."""
    stale = out_of_date()
    print(*stale, sep="\n")
    if "--check" in sys.argv[1:]:
        return bool(stale)
    for path, text in makers().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
