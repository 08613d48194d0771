"""What people come with: the paths of the documentation, walked as they are written there."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

JOBS = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "answer-a-question.md"
TYPED = {"a word": "pytest", "an id": hashlib.sha256(b"failed").hexdigest()[:32]}
STEP = re.compile(
    r"\*\*(?P<named>[^*]+)\*\*( in \*(?P<where>[^*]+)\*)?|\*first of (?P<table>[^*]+)\*|`(?P<typed>[^`]+)`"
)


def jobs() -> list[tuple[str, list[re.Match[str] | None], str]]:
    """The rows of the page's table: the job, the steps of its path, and what is seen at its end."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in JOBS.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ][2:]
    return [(job, [STEP.fullmatch(step) for step in path.split(" → ")], seen) for job, path, seen in rows]


def part(page: Page, name: str) -> Locator:
    """The table, or the row of choices, with this name."""
    region = page.get_by_role("region", name=name, exact=True)
    choices = page.get_by_role("navigation", name=name, exact=True)
    return region.or_(choices).or_(page.get_by_role("table", name=re.compile(f"^{re.escape(name)}, "))).first


def go(page: Page, step: re.Match[str]) -> None:
    """One step of a path."""
    if step["typed"]:
        page.locator("#search").fill(TYPED[step["typed"]])
        page.locator("#search").press("Enter")
    elif step["table"]:
        table = part(page, step["table"])
        table.locator("tbody th a").or_(table.locator("a:not(tbody a, thead a)")).first.click()
    else:
        within = part(page, step["where"]) if step["where"] else page.locator("body")
        name = re.compile(rf"^\s*{re.escape(step['named'])}(\s*↓)?\s*$")
        links = within.get_by_role("link", name=name).or_(within.get_by_role("button", name=name))
        links.or_(within.locator("summary", has_text=name)).filter(visible=True).first.click()


def test_each_job_is_done_in_three_clicks_as_it_is_written(browse, dashboard: str):
    """Every path is walked by its words, without scripts, and ends where the page says."""
    found = jobs()
    assert len(found) >= 20
    page = browse(scripts=False)
    for job, path, seen in found:
        assert 1 <= len(path) <= 3, job
        page.goto(f"{dashboard}/?range=7d")
        for step in path:
            if step is None:
                pytest.fail(f"a step of the path of {job!r} is none that can be walked")
            go(page, step)
        words = page.locator("main, .downloads").get_by_text(seen).or_(page.get_by_label(seen))
        expect(words.filter(visible=True).first, job).to_be_visible()
