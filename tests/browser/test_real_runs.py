"""Every page, on what was captured from real runs: the dev squad on LangGraph, CrewAI and AutoGen, content included.

``data/squads.jsonl`` is the journal of ``ai-dev-squad-demo`` with ``AI_DEV_SQUAD_CAPTURE_CONTENT=1`` (langgraph 1.2.22, crewai 1.15.30,
autogen-agentchat 0.7.5). The model server billed each squad 10 calls, 6,279 tokens in and 597 out.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

RECORDED = Path(__file__).with_name("data") / "squads.jsonl"
FRAMEWORKS = ("langgraph", "crewai", "autogen")


def recorded(*, ended: datetime) -> str:
    """The journal as if its last run had just ended."""
    lines = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    moments = [datetime.fromisoformat(line["timestamp"]) for line in lines]
    later = ended - max(moments)
    for line, moment in zip(lines, moments, strict=True):
        line["timestamp"] = (moment + later).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture(scope="module")
def runs(served) -> str:
    """A dashboard that follows the recorded journal."""
    running = served("--empty")
    logs = running.directory / "logs"
    logs.mkdir(exist_ok=True)
    now = datetime.now(timezone.utc)
    (logs / "ai_dev_squad.jsonl").write_text(recorded(ended=now - timedelta(seconds=5)), encoding="utf-8")
    return running.url


def test_the_overview_adds_up_to_what_was_billed(page: Page, runs: str):
    """Thirty calls and 20,628 tokens, of three frameworks, appear without a reload."""
    page.goto(f"{runs}/?range=1h")
    expect(page.locator("#view")).to_contain_text("20,628")
    expect(page.locator("#view")).to_contain_text("18,837 in, 1,791 out")
    expect(page.locator("#view")).to_contain_text("$0.0124")
    for framework in FRAMEWORKS:
        expect(page.locator("#view")).to_contain_text(framework)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_run_is_read_from_its_tree_to_its_words(page: Page, runs: str, framework: str):
    """From the list to the run: its failed tool first, then the reviewer's conversation, as the model server had it."""
    page.goto(f"{runs}/traces?range=1h&framework={framework}&status=failed_step")
    page.locator("#view tbody a[href*='/traces/']").first.click()
    expect(page.locator("#span-pane")).to_contain_text("FileNotFoundError")
    expect(page.locator("#span-pane")).to_contain_text("truncate.py")
    page.locator("[role=treeitem]", has_text="gpt-4o").first.click()
    expect(page.locator("#span-pane")).to_contain_text("You are the planner")
    expect(page.locator("#span-pane")).to_contain_text("slugify")


def test_two_frameworks_stand_side_by_side(page: Page, runs: str):
    """The same squad on CrewAI and AutoGen: ten calls each, the same tokens, aligned."""
    page.goto(f"{runs}/traces?range=1h")
    for framework in ("crewai", "autogen"):
        page.locator("#view tbody tr", has_text=framework).locator("input[type=checkbox]").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    row = page.locator("#view tr", has_text="Input tokens").first
    expect(row).to_contain_text(re.compile(r"6,279\s+6,279\s+same"))
    expect(page.locator("#view")).to_contain_text("planner")


@pytest.mark.parametrize(
    "address,said",
    [
        ("/sessions?range=1h", "squad-crewai"),
        ("/logs?range=1h&level=INFO&q=coder", "coder"),
        ("/costs?range=1h", "o4-mini"),
        ("/agents?range=1h", "read_file"),
        ("/parity-matrix?range=1h&tab=runs", "autogen"),
        ("/health", "ai_dev_squad.jsonl"),
    ],
)
def test_every_other_page_has_the_same_runs(page: Page, runs: str, address: str, said: str):
    """Sessions, logs, costs, agents, the frameworks beside one another, and health."""
    page.goto(runs + address)
    expect(page.locator("#view")).to_contain_text(said)


def test_a_session_tells_its_turns(page: Page, runs: str):
    """The LangGraph squad waited for a person and was resumed: one conversation, two turns, one cost."""
    page.goto(f"{runs}/sessions/squad")
    expect(page.locator("#view")).to_contain_text("waits for a person")
    expect(page.locator("#view")).to_contain_text("$0.0041")
