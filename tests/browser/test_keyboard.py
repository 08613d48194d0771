"""Everything by keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from ai_dev_squad_dashboard.keyboard import SHORTCUTS
from ai_dev_squad_dashboard.views import PAGES


def focused_row(page):
    """The text of what has the focus."""
    return page.evaluate("document.activeElement.closest('tr, [data-row]')?.innerText.split('\\n')[0]")


def test_rows_are_walked_and_opened(dashboard, page):
    """J and k move along the rows, Enter opens one; at both ends they stay."""
    page.goto(f"{dashboard}/sessions")
    rows = page.locator(".sessions tbody th > a").all_inner_texts()
    for key, expected in (("k", rows[-1]), ("j", rows[-1]), ("k", rows[-2])):
        page.keyboard.press(key)
        expect(page.locator(":focus")).to_have_text(expected)
    page.goto(f"{dashboard}/sessions?q=pair")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_have_text("pair-programming")


@pytest.mark.parametrize("target", [page for page in PAGES if page.key], ids=lambda page: page.name)
def test_g_and_a_letter_lead_to_a_page(dashboard, page, target):
    """Each page of the navigation has its letter."""
    page.goto(f"{dashboard}/sessions" if target.name != "sessions" else f"{dashboard}/logs")
    page.keyboard.press("g")
    page.keyboard.press(target.key)

    expect(page.locator("body")).to_have_attribute("data-page", target.name)


def test_the_slash_goes_to_the_search_and_escape_leaves_it(dashboard, page):
    """The page's own search comes before that of the layout; keys typed there are words."""
    page.goto(f"{dashboard}/logs")
    page.keyboard.press("/")
    field = page.get_by_placeholder("Words in a message or type")
    expect(field).to_be_focused()
    page.keyboard.type("gsjk?")
    expect(field).to_have_value("gsjk?")
    expect(page.locator("body")).to_have_attribute("data-page", "logs")
    page.keyboard.press("Escape")
    expect(field).not_to_be_focused()


def test_the_help_shows_every_key(dashboard, page, violations, shoot):
    """? opens the table of all keys and Escape closes it; the focus comes back; axe finds nothing."""
    page.goto(f"{dashboard}/sessions")
    page.locator(".sessions tbody a").first.focus()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_be_visible()
    assert sorted(dialog.locator("dd").all_inner_texts()) == sorted(shortcut.does for shortcut in SHORTCUTS)
    assert violations(page) == []
    shoot(page, "dashboard-keyboard")
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page.locator("body")).to_have_attribute("data-page", "sessions")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator(".sessions tbody a").first).to_be_focused()


def test_the_help_is_behind_a_button_as_well(dashboard, browse, violations):
    """On a phone the button opens the same dialog."""
    page = browse(width=360, scheme="dark")
    page.goto(f"{dashboard}/sessions")
    page.locator("#help-open").click()

    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_single_keys_can_be_turned_off(dashboard, page):
    """Who speaks to the computer turns single keys off in the help, and the choice is remembered."""
    page.goto(f"{dashboard}/sessions")
    page.keyboard.press("?")
    page.get_by_label("Single keys do this").uncheck()
    page.keyboard.press("Escape")
    for _ in range(2):
        page.keyboard.press("g")
        page.keyboard.press("l")
        page.keyboard.press("j")
        expect(page.locator("body")).to_have_attribute("data-page", "sessions")
        page.reload()
    page.keyboard.press("?")
    expect(page.get_by_label("Single keys do this")).not_to_be_checked()


@pytest.mark.parametrize("modifier", ["Control", "Alt", "Meta"])
def test_keys_of_the_browser_are_left_alone(dashboard, page, modifier):
    """Together with a modifier no key is ours."""
    page.goto(f"{dashboard}/sessions")
    for key in ("j", "t"):
        page.evaluate(
            "([key, modifier]) => document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true, "
            "ctrlKey: modifier === 'Control', altKey: modifier === 'Alt', metaKey: modifier === 'Meta'}))",
            [key, modifier],
        )

    assert page.evaluate("document.activeElement.tagName") == "BODY"
    assert page.evaluate("document.documentElement.dataset.theme ?? 'system'") == "system"


def test_theme_and_pause_have_a_key(dashboard, page):
    """T goes round the themes, p pauses and resumes."""
    page.goto(f"{dashboard}/sessions")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.keyboard.press("p")
    expect(page.locator("#live")).to_have_text("Paused")
    page.keyboard.press("p")
    expect(page.locator("#live")).to_have_text("Live")


def test_brackets_turn_pages(dashboard, page, awake):
    """] leads to the next page of a list, [ back."""
    page.goto(f"{dashboard}/logs?range=7d")
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile("cursor="))
    awake(page)
    page.keyboard.press("[")
    expect(page).to_have_url(f"{dashboard}/logs?range=7d")


def test_lines_of_a_log_open_by_keyboard(dashboard, page):
    """J reaches a line, Enter opens its details."""
    page.goto(f"{dashboard}/logs")
    page.keyboard.press("j")
    page.keyboard.press("Enter")

    expect(page.locator(".line-body").first).to_be_visible()
