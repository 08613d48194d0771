"""Users and errors, as people read them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect


def test_what_a_user_cost_leads_to_their_runs(page: Page, dashboard: str):
    """The dearest user stands first, the others by what they are sorted by, tenants instead of them, and each leads on."""
    page.goto(f"{dashboard}/users?range=7d")
    body = page.locator("main tbody tr")
    expect(body.first).to_contain_text("ada@example.com")
    page.get_by_role("link", name="Sessions", exact=True).and_(page.locator("thead a")).click()
    expect(page.get_by_role("columnheader", name="Sessions")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("navigation", name="Put together by").get_by_role("link", name="tenant").click()
    expect(body.filter(has_text="globex")).to_have_count(1)
    body.filter(has_text="acme").get_by_role("link", name="Traces").click()
    expect(page).to_have_url(re.compile(r"/traces\?range=7d&label=tenant%3Aacme"))
    expect(page.locator("#filter-label-0, #filter-label-1").filter(has_text="acme")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_users_and_errors_are_accessible_and_fit(browse, violations, dashboard: str, scheme, width):
    """With rows, and where there is nothing."""
    page = browse(scheme=scheme, width=width)
    for path in ("/users?range=7d", "/errors?range=7d", "/users?range=15m&model=none", "/errors?range=15m&model=none"):
        page.goto(dashboard + path)
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
