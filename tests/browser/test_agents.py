"""Agents and tools, and the frameworks side by side, in a browser."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def test_agents_and_tools_show_calls_success_and_latency(dashboard, page, shoot):
    """A tool's row has its calls, its failures, and a histogram that says the same in words."""
    page.goto(f"{dashboard}/agents")
    row = page.get_by_role("region", name="Tools as a table").locator("tbody tr").filter(has_text="read_file")

    expect(row).to_contain_text(re.compile(r"9\d\.\d % \d+ failed"))
    assert re.match(
        r"Latency of read_file: half at most [\d.]+ ms, 95 % at most",
        row.get_by_role("img").get_attribute("aria-label"),
    )
    assert row.locator("svg rect").count() > 3
    shoot(page, "dashboard-agents")


def test_the_tables_are_ordered_by_their_heads(dashboard, page):
    """A head is a link that orders both tables, and says so to who cannot see the arrow."""
    page.goto(f"{dashboard}/agents")
    page.get_by_role("region", name="Agents as a table").get_by_role("link", name="p95").click()

    expect(page).to_have_url(re.compile(r"order=p95"))
    expect(page.get_by_role("region", name="Tools as a table").locator("th[aria-sort=descending]")).to_contain_text(
        "p95"
    )
    names = page.get_by_role("region", name="Tools as a table").locator("tbody th").all_inner_texts()
    assert names[0] == "run_tests"


def test_an_agent_leads_to_its_traces(dashboard, page):
    """The name is a link to the runs, with the span of time and the filters."""
    page.goto(f"{dashboard}/agents?range=7d")
    page.get_by_role("region", name="Agents as a table").get_by_role("link", name="reviewer").click()

    expect(page).to_have_url(re.compile(r"/traces\?range=7d&agent=reviewer"))


def test_the_frameworks_stand_side_by_side(dashboard, page, shoot):
    """One column each in its own colour; nothing is called best, because their work may have been different."""
    page.goto(f"{dashboard}/parity-matrix?tab=runs")
    matrix = page.get_by_role("region", name="Frameworks side by side")

    assert [text.strip() for text in matrix.locator("thead th").all_inner_texts()] == [
        "autogen", "crewai", "langgraph", "openai-agents",
    ]  # fmt: skip
    expect(matrix.locator("tr").filter(has_text="A run, p50")).to_have_count(1)
    expect(matrix.locator(".best")).to_have_count(0)
    expect(page.get_by_role("region", name="Workflows side by side").locator("tbody tr").first).to_contain_text("runs")
    shoot(page, "dashboard-parity-runs")
