"""Agents and tools, and the frameworks side by side, in a browser."""

from __future__ import annotations

import re

import pytest
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


def test_a_tool_leads_to_how_it_went_over_time(dashboard, page):
    """Latency, calls and failures in charts, the same as numbers, and as a file."""
    page.goto(f"{dashboard}/agents?range=7d")
    tools = page.get_by_role("region", name="Tools as a table")
    tools.locator("tr").filter(has_text="run_tests").get_by_role("link", name="Over time").click()

    expect(page).to_have_url(re.compile(r"/history\?by=tool&name=run_tests&range=7d"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Tool run_tests")
    for chart in ("latency-chart", "calls-chart"):
        expect(page.locator(f"#{chart} canvas")).to_have_count(1)
    expect(page.locator("#latency-chart .legend")).to_have_text(re.compile(r"p50\s*p95"))
    steps = page.get_by_role("region", name="Steps as a table").locator("tbody tr")
    expect(steps.first.locator("td").nth(3)).to_have_text(re.compile(r"\d (s|ms|µs)|\d m"))
    page.locator("#downloads summary").click()
    with page.expect_download() as download:
        page.locator("#downloads tr").filter(has_text="Steps").get_by_role("link").first.click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "start_us,calls,errors,p50_us,p95_us,cost_usd,unpriced_calls,input_tokens,output_tokens"
    assert len(lines) == 1 + steps.count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_a_history_is_accessible_and_fits(browse, violations, dashboard, scheme, width):
    """A model with money, a tool without, and a name that nothing has."""
    page = browse(scheme=scheme, width=width)
    for path in ("by=model&name=gpt-4o&range=7d", "by=tool&name=run_tests", "by=agent&name=nobody"):
        page.goto(f"{dashboard}/history?{path}")
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path


def test_the_frameworks_stand_side_by_side(dashboard, page, shoot):
    """One column each in its own colour; nothing is called best, because their work may have been different."""
    page.goto(f"{dashboard}/parity-matrix?tab=runs")
    matrix = page.get_by_role("region", name="Frameworks side by side")

    assert [text.strip() for text in matrix.locator("thead th").all_inner_texts()] == [
        "autogen", "crewai", "langgraph", "openai_agents",
    ]  # fmt: skip
    expect(matrix.locator("tr").filter(has_text="A run, p50")).to_have_count(1)
    expect(matrix.locator(".best")).to_have_count(0)
    expect(page.get_by_role("region", name="Workflows side by side").locator("tbody tr").first).to_contain_text("runs")
    shoot(page, "dashboard-parity-runs")
