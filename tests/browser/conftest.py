"""A real browser in front of a real server: the dashboard in a process of its own, over sample data.

``SCREENSHOTS=1`` makes the tests renew the pictures of the documentation.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
BUDGETS = "team=1/day,everything=40/month,coder=0.5/week?agent=coder"
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE_OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
}

# A busy machine is no fault of a page.
expect.set_options(timeout=20_000)

CHECKED: set[Page] = set()
"""Pages that axe has looked at."""


def wait_until_awake(page: Page) -> None:
    """Until its scripts have taken hold a page's buttons and keys do nothing, and what is clicked may move away under the pointer."""
    if page.locator("head script[src*='js/main.js']").count():
        expect(page.locator("html")).to_have_attribute("data-ready", "on")


def wakeful(navigate: Callable[..., Response | None], page: Page) -> Callable[..., Response | None]:
    """``page.goto`` or ``page.reload`` that ends when the page is awake."""

    def go(*arguments: Any, **more: Any) -> Response | None:
        response = navigate(*arguments, **more)
        wait_until_awake(page)
        return response

    return go


class Served:
    """A dashboard that runs."""

    def __init__(self, directory: Path, *options: str) -> None:
        # What the tests' own process has in its environment is not the dashboard's business.
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("DASHBOARD_", "OTEL_"))}
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("served.py")), str(directory), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        self.output: list[str] = []
        self.url = ""
        for line in self.process.stdout:
            self.output.append(line)
            found = re.search(r"http://[\w.:]+", line)
            if found:
                self.url = found.group().rstrip("/")
                break
        if not self.url:
            raise RuntimeError("the dashboard did not start:\n" + "".join(self.output))
        # A full pipe would stop it.
        self._reader = threading.Thread(target=lambda: self.output.extend(self.process.stdout), daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """End it and wait."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Callable[..., Served]]:
    """Starts further dashboards: ``served("--empty")``. All end with the tests."""
    started: list[Served] = []

    def start(*options: str) -> Served:
        started.append(Served(tmp_path_factory.mktemp("dashboard"), *options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="session")
def dashboard(served) -> str:
    """The address of a dashboard over the sample."""
    return served("--budgets", BUDGETS).url


@pytest.fixture(scope="session")
def empty_dashboard(served) -> str:
    """The address of a dashboard that nobody has sent anything."""
    return served("--empty").url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: the one that ``CHROMIUM`` names, else Debian's."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture
def browse(browser) -> Iterator[Callable[..., Page]]:
    """Opens pages: ``browse(scheme="dark", width=360, scripts=False)``. What they complained of fails the test."""
    complaints: list[str] = []
    contexts = []

    def hear(message: ConsoleMessage) -> None:
        # An expected refusal, such as a page that is not there, is a line of the console as well.
        expected = "Failed to load resource" in message.text
        # axe writes styles into the page, which the page's policy refuses, as it should.
        expected |= message.page in CHECKED and "inline style" in message.text
        if message.type == "error" and not expected:
            complaints.append(message.text)

    def open_page(*, scheme="light", width=1440, height=900, scripts=True, zone="Europe/Berlin", **more) -> Page:
        context = browser.new_context(
            color_scheme=scheme,
            viewport={"width": width, "height": height},
            java_script_enabled=scripts,
            timezone_id=zone,
            reduced_motion="reduce",
            **more,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        if scripts:
            page.goto, page.reload = wakeful(page.goto, page), wakeful(page.reload, page)
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        pages = list(context.pages)
        context.close()
        # Only now: what axe was refused may be told as late as this.
        CHECKED.difference_update(pages)
    assert complaints == []


@pytest.fixture
def page(browse) -> Page:
    """A page as most people have it: light, 1440 wide."""
    return browse()


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    """Waits until an expression in the page is true: ``until(page, "window.scrollY == 800")``.

    Asked from outside, time and again: a condition that the page polls itself is code from a string, and while it is loading the
    page's Content-Security-Policy may refuse that.
    """

    def wait(page: Page, expression: str, *, pause_ms: int = 50, most: int = 400) -> None:
        for _ in range(most):
            if page.evaluate(expression):
                return
            page.wait_for_timeout(pause_ms)
        pytest.fail(f"{expression} has not become true on {page.url}")

    return wait


@pytest.fixture(scope="session")
def awake() -> Callable[[Page], None]:
    """Waits until the page's scripts have taken hold, after a click that led to another page: ``awake(page)``."""
    return wait_until_awake


@pytest.fixture(scope="session")
def violations() -> Callable[..., list[str]]:
    """What axe finds on a page: rule, and the first elements that break it. ``violations(page, "color-contrast")``: one rule."""
    axe = Axe()

    def run(page: Page, *rules: str) -> list[str]:
        CHECKED.add(page)
        options = {**AXE_OPTIONS, "runOnly": {"type": "rule", "values": list(rules)}} if rules else AXE_OPTIONS
        found = axe.run(page, options=options).response["violations"]
        return [
            f"{item['id']}: {item['help']}: {'; '.join(node['html'][:160] for node in item['nodes'][:3])}"
            for item in found
        ]

    return run


@pytest.fixture
def shoot() -> Callable[..., None]:
    """Renews a picture of the documentation, where ``SCREENSHOTS`` asks for it: ``shoot(page, "dashboard-overview")``."""

    def save(page: Page, name: str, **options) -> None:
        if os.environ.get("SCREENSHOTS"):
            IMAGES.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=IMAGES / f"{name}.png", animations="disabled", **options)

    return save
