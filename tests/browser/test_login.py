"""Coming in and going out, in a browser: nobody sees anything without a token or a password."""

from __future__ import annotations

import hashlib

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Page, expect

PASSWORD = "correct horse battery staple"
TOKEN = "read-0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def closed(served) -> str:
    """A dashboard that asks who comes."""
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    return served("--read-token", digest, "--password-hash", PasswordHasher().hash(PASSWORD)).url


def test_a_stranger_is_asked_first_and_comes_out_where_he_wanted_to_go(page: Page, closed: str):
    """A page leads to the login, a wrong password to nothing, the right one to the page; logging out closes it again."""
    page.goto(f"{closed}/costs?range=7d")
    expect(page).to_have_title("Log in · AI Dev Squad")
    expect(page.get_by_role("navigation")).to_have_count(0)
    page.locator("#login-user").fill("admin")
    page.locator("#login-password").fill("guessed")
    page.get_by_role("button", name="Log in").first.click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.locator("#login-password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").first.click()
    expect(page).to_have_url(f"{closed}/costs?range=7d")
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    expect(page.locator("#live")).to_have_text("Live")
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{closed}/traces")
    expect(page).to_have_title("Log in · AI Dev Squad")


def test_a_token_opens_as_well(page: Page, closed: str):
    """Who has a read token and no password uses that."""
    page.goto(f"{closed}/")
    page.locator("#login-token").fill(TOKEN)
    page.locator("#login-token").press("Enter")
    expect(page).to_have_url(f"{closed}/")
    expect(page.locator("h1")).to_have_text("Overview")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360])
def test_the_way_in_is_accessible(browse, violations, closed: str, scheme: str, width: int):
    """axe has nothing to say of the login page, and nothing sticks out sideways."""  # noqa: D403 - its name
    page = browse(scheme=scheme, width=width)
    page.goto(f"{closed}/login")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
