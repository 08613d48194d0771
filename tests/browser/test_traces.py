"""The list of runs, as people use it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def rows(page: Page):
    """The runs in the list."""
    return page.locator(".runs tbody tr")


def test_narrowing_the_list_counts_at_once_and_stands_in_the_address(page: Page, dashboard: str):
    """Choosing a status reloads without a button; the address has the choice and nothing that is empty."""
    page.goto(f"{dashboard}/traces?range=7d")
    expect(rows(page)).to_have_count(50)
    page.get_by_label("Status").select_option("interrupted")
    expect(rows(page)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/traces\?range=7d&status=interrupted$"))
    page.get_by_role("link", name="Clear").click()
    expect(rows(page)).to_have_count(50)


def test_search_finds_captured_content(page: Page, dashboard: str):
    """The field of the bar searches what was said, and says what the list shows then."""
    page.goto(f"{dashboard}/traces?range=7d")
    page.locator("#search").fill("picture chart")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    expect(page.locator(".found")).to_contain_text("Runs with picture chart in a name, an error or captured content")
    page.goto(f"{dashboard}/traces?range=7d&q=nobodysaidthis")
    expect(page.get_by_text("Nothing matches")).to_be_visible()


def test_older_runs_are_a_page_away(page: Page, dashboard: str):
    """The next page has other runs, and a way back to the newest."""
    page.goto(f"{dashboard}/traces?range=7d")
    first = rows(page).first.get_attribute("id")
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    assert first not in [row.get_attribute("id") for row in rows(page).all()]
    page.get_by_role("link", name="Newest").click()
    expect(page.locator(f"#{first}")).to_be_visible()


def test_a_view_is_saved_under_a_name_and_found_again(page: Page, dashboard: str):
    """It survives a reload, leads to the same address, and can be removed."""
    page.goto(f"{dashboard}/traces?range=7d&status=error")
    page.get_by_text("Saved views").click()
    page.get_by_label("Name of this view").fill("What <b>failed</b>")
    page.keyboard.press("Enter")
    page.goto(f"{dashboard}/traces")
    page.get_by_text("Saved views").click()
    page.get_by_role("link", name="What <b>failed</b>", exact=True).click()
    expect(page).to_have_url(re.compile(r"/traces\?range=7d&status=error$"))
    page.get_by_text("Saved views").click()
    page.get_by_role("button", name="Remove What <b>failed</b>").click()
    expect(page.get_by_role("link", name="What <b>failed</b>", exact=True)).to_have_count(0)


def test_two_chosen_runs_are_compared(page: Page, dashboard: str):
    """The button waits for two, allows no third, and leads to the comparison."""
    page.goto(f"{dashboard}/traces?range=7d")
    boxes = page.locator(".runs input[type=checkbox]")
    button = page.get_by_role("button", name="Compare two")
    expect(button).to_be_disabled()
    boxes.nth(1).check()
    boxes.nth(2).check()
    expect(boxes.nth(3)).to_be_disabled()
    button.click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    expect(page.locator(".compared tbody tr").first).to_be_visible()


def test_the_state_of_a_run_is_a_word(page: Page, dashboard: str):
    """Nobody needs to see colours: errors, interrupts and what runs are named."""
    page.goto(f"{dashboard}/traces?range=7d")
    words = set(page.locator(".cell-status .badge").all_inner_texts())
    assert {"ok", "error", "waits for a person", "running"} <= {word.strip() for word in words}
