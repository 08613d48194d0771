"""The pages of sessions in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect


def test_from_the_list_to_what_was_said(dashboard, page, shoot):
    """A click on a session shows its turns, each with question and answer, and leads on to the trace."""
    page.goto(f"{dashboard}/sessions")
    shoot(page, "dashboard-sessions")
    page.get_by_role("link", name="pair-programming").click()

    expect(page.locator("h1")).to_have_text("pair-programming")
    expect(page.locator(".turn")).to_have_count(5)
    expect(page.locator("#turn-2 .said-text").first).to_have_text("Question 2: what does the module do?")
    shoot(page, "dashboard-session")
    page.locator("#turn-2 h2 a").click()
    expect(page.locator("h1")).to_contain_text("assistant")


def test_a_search_narrows_the_list_and_stands_in_the_address(dashboard, page):
    """Words find sessions by id; the address can be shared."""
    page.goto(f"{dashboard}/sessions")
    page.get_by_placeholder("Session or run").fill("pair")
    page.keyboard.press("Enter")

    expect(page).to_have_url(f"{dashboard}/sessions?q=pair")
    expect(page.locator(".sessions tbody tr")).to_have_count(1)


def test_hostile_sessions_do_nothing(dashboard, page):
    """A session whose name and texts are markup is read like any other."""
    page.goto(f"{dashboard}/sessions?limit=500")
    page.get_by_role("link", name="<script>").click()
    expect(page.locator("h1")).to_contain_text("<script>window.hacked = 1</script>")

    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360])
@pytest.mark.parametrize("path", ["/sessions", "/sessions/pair-programming", "/sessions/approval-7"])
def test_everybody_can_use_it(dashboard, browse, violations, path, width, scheme):
    """Axe finds nothing, and nothing is wider than the screen."""
    page = browse(scheme=scheme, width=width)
    page.goto(dashboard + path)

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_pages_are_whole_without_scripts(dashboard, browse):
    """Turns and texts are there without JavaScript."""
    page = browse(scripts=False)
    page.goto(f"{dashboard}/sessions/pair-programming")

    expect(page.locator(".said-text")).to_have_count(10)
