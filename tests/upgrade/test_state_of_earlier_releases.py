"""What an earlier release has left on a disk is read by this one: journals, budgets, prices, the dashboard's store."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

import ai_dev_squad
from ai_dev_squad_cli import main
from ai_dev_squad_dashboard.store import Selection, open_store

RELEASES = sorted((Path(__file__).parent / "data").glob("*.tar.gz"), key=str)
ALWAYS = Selection(0, 1 << 60)


@pytest.fixture(params=RELEASES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder as that release has left it; what it said of it stands in ``expected.json``."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def said(left: Path) -> dict[str, Any]:
    """What the release itself said of what it has left."""
    content: dict[str, Any] = json.loads((left / "expected.json").read_text(encoding="utf-8"))
    return content


def summed(store: Path) -> tuple[int, int, int, float, int]:
    """Runs, model calls, tokens, US dollars and failures of a store."""
    opened = open_store(store)
    totals = opened.totals(ALWAYS)
    found = opened.traces(ALWAYS, text="chrysanthemum").rows
    opened.close()
    return totals.runs, totals.calls, totals.input_tokens + totals.output_tokens, round(totals.cost_usd, 9), len(found)


def test_journals_are_read_whole(left: Path, said: dict[str, Any]) -> None:
    """Each line of the rotated, compressed and current files is read, and none is bad."""
    lines = list(ai_dev_squad.read_journal(left / "logs" / "ai_dev_squad.jsonl", strict=True))

    assert len(lines) == said["lines"]
    assert sum(line.event_type == "agent.start" for line in lines) == said["runs"]
    assert sum((line.operation, line.status) == ("execute_tool", "error") for line in lines) == said["failed"]


def test_money_that_was_spent_stays_spent(left: Path, said: dict[str, Any]) -> None:
    """A budget goes on where the release has left it, priced by the price file that it was given."""
    ai_dev_squad.configure(log_dir=left / "logs", prices_file=left / "logs" / "prices.json")
    tracker = ai_dev_squad.get_cost_tracker()
    tracker.budget_manager.set_budget("team", limit_usd=5.0, period="total", on_exceed="stop")
    (budget,) = tracker.budget_manager.status()
    million = ai_dev_squad.Usage(input_tokens=1_000_000, output_tokens=0, source="provider")

    assert (budget.name, budget.limit_usd, budget.spent_usd) == ("team", 5.0, said["spent_usd"])
    assert tracker.price("model", "house", million).usd == 1.0


def test_a_store_is_opened_and_says_what_it_said(
    left: Path, said: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its runs, tokens and cost are those of the journals read anew, and so are the runs in which a word stands."""
    kept = summed(left / "store" / "dashboard.duckdb")
    assert main(["ingest", str(left / "logs"), "--db", str(left / "anew.duckdb")]) == 0
    capsys.readouterr()

    assert kept == summed(left / "anew.duckdb")
    assert kept == (said["runs"], said["runs"], 1_200 * said["runs"], said["spent_usd"], said["runs"])
