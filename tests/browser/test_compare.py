"""Two runs side by side, as people see them."""

from __future__ import annotations

import hashlib

from playwright.sync_api import Page, expect


def compared(dashboard: str, left: str, right: str) -> str:
    """The address of a comparison of two runs of the sample."""
    a, b = (hashlib.sha256(key.encode()).hexdigest()[:32] for key in (left, right))
    return f"{dashboard}/compare?a={a}&b={b}"


def test_runs_of_two_frameworks_are_laid_side_by_side(page: Page, dashboard: str):
    """Turns of agents are pairs; what only one run did is marked; the tree is a click away, and so is the other order."""
    page.goto(compared(dashboard, "everyday-3", "everyday-4"))
    rows = page.locator(".compared tbody tr")
    expect(rows).to_have_count(10)
    expect(page.locator("tr[data-verdict=right-only]")).to_have_count(2)
    expect(page.locator("tr[data-verdict=status]")).to_contain_text("error, not ok")
    page.get_by_role("link", name="Swap").click()
    expect(page.locator("tr[data-verdict=left-only]")).to_have_count(2)
    page.get_by_role("link", name="Tree").click()
    expect(page.get_by_role("link", name="Tree")).to_have_attribute("aria-current", "true")


def test_an_operation_leads_to_itself_in_its_run(page: Page, dashboard: str):
    """A name in the comparison opens the trace with that operation selected."""
    page.goto(compared(dashboard, "everyday-3", "everyday-4"))
    page.locator("tr[data-verdict=status]").get_by_role("link", name="read_file").last.click()
    expect(page.locator("#span-name")).to_have_text("read_file")
    expect(page.locator(".span-error")).to_be_visible()


def test_one_run_asks_for_the_other(page: Page, dashboard: str):
    """From a run, Compare leads to a form that has it already."""
    run = hashlib.sha256(b"failed").hexdigest()[:32]
    page.goto(f"{dashboard}/traces/{run}")
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page.get_by_label("First trace")).to_have_value(run)
    page.get_by_label("Second trace").fill(run)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("Both did the same.")).to_be_visible()
