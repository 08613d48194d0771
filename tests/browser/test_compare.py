"""Runs side by side, as people see them."""

from __future__ import annotations

import hashlib

import pytest
from playwright.sync_api import Page, expect


def compared(dashboard: str, *keys: str) -> str:
    """The address of a comparison of runs of the sample."""
    return f"{dashboard}/compare?" + "&".join(f"t={hashlib.sha256(key.encode()).hexdigest()[:32]}" for key in keys)


def test_runs_of_three_frameworks_are_laid_side_by_side(page: Page, dashboard: str):
    """Turns of agents meet; where they part is marked; the tree, what differs, and another first one are a click away."""
    page.goto(compared(dashboard, "everyday-3", "everyday-4", "everyday-5"))
    rows = page.locator(".compared tbody tr")
    expect(rows).to_have_count(12)
    expect(page.locator("tr[data-verdict=missing]")).to_have_count(4)
    expect(page.locator("#parting")).to_contain_text("they part here")
    page.get_by_role("link", name="What differs").click()
    expect(rows).to_have_count(7)
    page.get_by_role("link", name="Tree").click()
    expect(page.get_by_role("link", name="Tree")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Make it A").last.click()
    expect(page.locator(".measures thead a bdi")).to_have_text(["GraphFlow", "dev-squad", "DevSquad"])
    page.get_by_role("link", name="Leave out B").click()
    expect(page.locator(".measures thead a bdi")).to_have_text(["GraphFlow", "DevSquad"])


def test_an_operation_leads_to_itself_in_its_run(page: Page, dashboard: str):
    """A number in the comparison opens the trace with that operation selected."""
    page.goto(compared(dashboard, "everyday-3", "everyday-4"))
    page.locator("#parting").get_by_role("link", name="read_file in B").click()
    expect(page.locator("#span-name")).to_have_text("read_file")
    expect(page.locator(".span-error")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_one_run_is_offered_others(browse, dashboard: str, scripts):
    """From a run, Compare leads to runs that are like it: a tick and a press, also without scripts."""
    page = browse(scripts=scripts)
    run = hashlib.sha256(b"everyday-3").hexdigest()[:32]
    page.goto(f"{dashboard}/traces/{run}")
    page.get_by_role("link", name="Compare", exact=True).click()
    page.locator(".offer", has_text="another framework, near in time").first.get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".compared thead .side-letter")).to_have_text(["A", "B"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_comparison_is_accessible_and_fits(browse, violations, shoot, dashboard: str, scheme, width):
    """Runs side by side, and the forms that ask for them."""
    page = browse(scheme=scheme, width=width)
    for address in (
        f"{dashboard}/compare",
        compared(dashboard, "everyday-3"),
        compared(dashboard, "everyday-0", "everyday-4", "resumed"),
    ):
        page.goto(address)
        assert violations(page) == [], address
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), address
    if (scheme, width) == ("light", 1440):
        shoot(page, "dashboard-compare")
