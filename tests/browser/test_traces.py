"""The list of runs, as people use it."""

from __future__ import annotations

import re

import pytest
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
    expect(page.locator(".found")).to_contain_text(
        "Runs with picture chart in names, errors and captured content. Searched: the content of "
    )
    expect(page.locator(".found")).to_contain_text("answers included")
    page.get_by_role("link", name="Look in the log lines").click()
    expect(page).to_have_url(re.compile(r"/logs\?range=7d&q=picture\+chart|/logs\?q=picture\+chart&range=7d"))
    page.goto(f"{dashboard}/traces?range=7d&q=nobodysaidthis")
    expect(page.get_by_text("Nothing matches")).to_be_visible()


def test_an_id_opens_what_it_names_from_any_page_without_scripts_too(browse, dashboard: str):
    """Pasted into the search box, as it stands on a page or in capitals, with scripts and without."""
    page = browse(scripts=False)
    page.goto(f"{dashboard}/traces?range=7d")
    name = rows(page).first.get_attribute("id").removeprefix("trace-")
    for path, text in (("/costs", name[:8]), ("/health", name.upper())):
        page.goto(dashboard + path)
        page.locator("#search").fill(text)
        page.locator("#search").press("Enter")
        expect(page).to_have_url(re.compile(f"/traces/{name}"))


def test_a_key_leads_to_the_search_box_where_a_page_has_a_field_of_its_own(page: Page, dashboard: str):
    """F is the box of every page, and what is typed there are words."""
    page.goto(f"{dashboard}/logs")
    page.keyboard.press("f")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("gf")
    expect(page.locator("#search")).to_have_value("gf")


def test_the_list_is_sorted_by_its_heads_without_scripts_too(browse, dashboard: str):
    """The dearest run stands first, the head says so to everybody, and the list says how many there are in all."""
    page = browse(scripts=False)
    page.goto(f"{dashboard}/traces?range=7d")
    page.locator(".runs thead").get_by_role("link", name="Cost").click()
    expect(page).to_have_url(re.compile(r"order=cost"))
    expect(page.get_by_role("columnheader", name="Cost")).to_have_attribute("aria-sort", "descending")
    costs = [
        float(text.split()[0].lstrip("$")) for text in page.locator(".cell-cost").all_inner_texts() if text[:1] == "$"
    ]
    assert costs == sorted(costs, reverse=True)
    expect(page.locator(".list-foot .pager")).to_contain_text(re.compile(r"^50 of 1\d\d runs"))


def test_runs_are_told_apart_and_narrowed_by_what_they_show(page: Page, dashboard: str):
    """A row has what was asked, the model and the user; a user, a tenant and a failed step narrow the list, and are taken back."""
    page.goto(f"{dashboard}/traces?range=7d&status=failed_step&min_errors=1")
    expect(rows(page).first).to_contain_text("step failed")
    expect(page.locator(".chips")).to_contain_text("a step failed")
    expect(page.locator(".said").first).to_be_visible()
    page.get_by_label("Remove the filter on status").click()
    expect(page).to_have_url(re.compile(r"min_errors=1$"))
    page.locator("#filter-user summary").click()
    page.locator("#filter-user").get_by_role("link", name="grace").click()
    expect(rows(page).first.locator(".cell-session")).to_contain_text("grace")
    page.get_by_text("Tenant", exact=True).click()
    page.get_by_role("link", name="acme").click()
    expect(page.get_by_text("Nothing matches")).to_be_visible()


def test_an_error_leads_from_the_overview_to_its_runs_in_three_clicks(page: Page, dashboard: str):
    """The tile of errors, the group, and the run."""
    page.goto(f"{dashboard}/?range=7d")
    page.locator("#tile-errors").get_by_role("link", name="What fails").click()
    group = page.locator(".errors tbody tr").filter(has_text="TimeoutExpired")
    expect(group).to_contain_text("timed out after # seconds")
    group.get_by_role("link", name="TimeoutExpired").click()
    expect(rows(page)).to_have_count(1)
    expect(page.locator(".chips")).to_contain_text("TimeoutExpired in run_tests")
    page.goto(f"{dashboard}/?range=7d")
    page.locator("#tile-errors").get_by_role("link", name=re.compile("failed")).click()
    expect(page).to_have_url(re.compile("status=error"))
    assert {text.strip() for text in page.locator(".cell-status .badge").all_inner_texts()} == {"error"}


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


def test_chosen_runs_are_compared(page: Page, dashboard: str):
    """The button waits for two, allows six, says why there is no seventh, and leads to the comparison."""
    page.goto(f"{dashboard}/traces?range=7d")
    boxes = page.locator(".runs input[type=checkbox]")
    button = page.get_by_role("button", name="Compare", exact=True)
    expect(button).to_be_disabled()
    for place in range(1, 7):
        boxes.nth(place).check()
    expect(boxes.nth(7)).to_be_disabled()
    expect(boxes.nth(7)).to_have_attribute("title", "At most 6 runs can be compared: take one out first")
    expect(page.locator("[data-chosen]")).to_have_text("6 chosen: that is the most that can be laid side by side.")
    for place in range(4, 7):
        boxes.nth(place).uncheck()
    expect(boxes.nth(7)).to_be_enabled()
    button.click()
    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    expect(page.locator(".compared thead .side-letter")).to_have_text(["A", "B", "C"])


def test_the_state_of_a_run_is_a_word(page: Page, dashboard: str):
    """Nobody needs to see colours: errors, interrupts and what runs are named."""
    page.goto(f"{dashboard}/traces?range=7d")
    words = set(page.locator(".cell-status .badge").all_inner_texts())
    assert {"ok", "error", "waits for a person", "running"} <= {word.strip() for word in words}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360])
def test_the_list_is_accessible_and_fits(browse, violations, shoot, dashboard: str, scheme, width):
    """With runs, with a search that finds none, and with the saved views open."""
    page = browse(scheme=scheme, width=width)
    for path in ("/traces?range=7d&q=nobodysaidthis", "/traces?range=7d"):
        page.goto(dashboard + path)
        page.get_by_text("Saved views").click()
        assert violations(page) == [], path
        page.keyboard.press("Escape")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
    if (scheme, width) == ("light", 1440):
        shoot(page, "dashboard-traces")


def test_an_empty_list_teaches_the_next_step(page: Page, empty_dashboard: str):
    """How to observe an agent, ready to be copied."""
    page.goto(f"{empty_dashboard}/traces")
    expect(page.get_by_text("No runs in this span of time")).to_be_visible()
    expect(page.get_by_role("button", name="Copy the code")).to_be_visible()
