"""The pages that compare us with peers, and the tables of the benchmarks, say what was measured and nothing else."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
RESULTS = sorted((ROOT / "benchmarks/results").glob("*.json"))


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program."""
    monkeypatch.syspath_prepend(str(ROOT / "tools/comparison"))
    return importlib.import_module("pages")


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What prints a benchmark's table."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("report")


def kept(theirs: float, ours: float) -> dict[str, Any]:
    """What a benchmark with a row of each would have found."""
    rows = [{"variant": "ours", "ms": ours}, {"variant": "Tracer", "ms": theirs}]
    return {"columns": {"variant": "", "ms": ".1f"}, "rows": rows, "versions": {"tracer": "1.2", "other": "3"}}


def test_every_page_is_what_the_script_makes_of_the_results(pages: ModuleType) -> None:
    """The committed pages are those of `python tools/comparison/pages.py`."""
    assert pages.out_of_date() == []


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in RESULTS])
def test_the_page_of_the_benchmarks_shows_the_kept_results(report: ModuleType, path: Path) -> None:
    """The newest result of each benchmark that the page has is there to the digit, with its targets and versions."""
    page = (ROOT / "docs/explanation/benchmarks.md").read_text(encoding="utf-8")
    day = json.loads(path.read_text(encoding="utf-8"))
    later = [json.loads(other.read_text(encoding="utf-8")) for other in RESULTS if other > path]
    newest = [name for name, each in day.items() if isinstance(each, dict) and not any(name in more for more in later)]
    shown = [report.Report.read(day[name]) for name in newest if not name.startswith("parity_")]
    assert [each.title for each in shown if each.markdown(check=True).strip() not in page] == []


@pytest.mark.parametrize(
    "theirs, ours, is_more_better, ahead",
    [
        (10.0, 20.0, False, "theirs"),
        (20.0, 10.0, False, "ours"),
        (10.0, 20.0, True, "ours"),
        (20.0, 10.0, True, "theirs"),
        (100.0, 96.0, False, "alike"),
        (0.0, 0.0, False, "alike"),
    ],
)
def test_who_is_ahead_is_what_the_figures_say(
    pages: ModuleType, theirs: float, ours: float, is_more_better: bool, ahead: str
) -> None:
    """The better figure is ahead, whoever's it is; one within a run's own scatter is nobody's."""
    measure = pages.Measure("A run: ms", "runs", "ms", ("ours",), ("{name}",), is_more_better)
    peer = pages.Peer("tracer", "Tracer", ("Tracer",), ("tracer",), "It traces.", ())
    results = {"runs": pages.Kept("2026-11-30", "a machine", kept(theirs, ours))}

    assert pages.figure(measure, peer, results) == pages.Figure(
        "A run: ms", f"{theirs:.1f}", f"{ours:.1f}", "2026-11-30", ahead
    )
    assert list(pages.versions(peer, results)) == ["- tracer 1.2, 2026-11-30"]


def test_what_nobody_measured_has_no_figure(pages: ModuleType) -> None:
    """A benchmark without a row of the peer says nothing of it."""
    measure = pages.Measure("A run: ms", "runs", "ms", ("ours",), ("{name}",))
    peer = pages.Peer("quiet", "Quiet", ("Quiet",), ("quiet",), "It is quiet.", ())
    results = {"runs": pages.Kept("2026-11-30", "a machine", kept(1.0, 2.0))}

    assert pages.figure(measure, peer, results) is None


def test_where_a_peer_is_ahead_stands_first(pages: ModuleType) -> None:
    """A reader learns what the other has before what ours has, on every page."""
    headings = {
        path.name: [line for line in text.splitlines() if line.startswith("## ")]
        for path, text in pages.makers().items()
    }
    assert {name: found[1] for name, found in headings.items()} == dict.fromkeys(headings, "## Where ours is ahead")
    assert [name for name, found in headings.items() if not found[0].endswith(" ahead")] == []
