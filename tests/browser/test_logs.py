"""The page of logs in a browser: tail, filters, details."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from ai_dev_squad import configure_logging, flush


@pytest.fixture(scope="module")
def alone(served):
    """A dashboard that nobody else writes to."""
    return served("--empty")


@pytest.fixture
def say(alone):
    """Writes a line to the journal that the dashboard follows."""
    logger = configure_logging(log_dir=str(alone.directory / "logs"))

    def write(*messages):
        for message in messages:
            logger.log_custom_event({"n": 1}, message)
        assert flush()

    return write


def test_new_lines_appear_at_the_top(alone, say, page, shoot):
    """The tail shows what a program says when it says it, also as the very first line."""
    page.goto(f"{alone.url}/logs")
    expect(page.locator("#live")).to_have_text("Live")
    page.evaluate("window.sameDocument = true")
    say("hello from the program")
    expect(page.locator(".line .line-text").first).to_have_text("hello from the program")
    say("and again")
    expect(page.locator(".line .line-text").first).to_have_text("and again")

    assert page.evaluate("window.sameDocument") is True
    expect(page.locator(".empty")).to_have_count(0)


def test_lines_wait_for_somebody_who_reads(alone, say, page, until):
    """Further down new lines wait behind a button that counts them, and come when it is pressed."""
    say(*(f"old {number}" for number in range(60)))
    page.goto(f"{alone.url}/logs")
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator(".line .line-text").first).to_have_text("old 59")
    page.evaluate("window.scrollTo(0, 800)")
    until(page, "window.scrollY == 800")
    say("one more", "and another")
    expect(page.locator("#log-new button")).to_have_text("2 new lines")
    expect(page.locator(".line .line-text").first).to_have_text("old 59")

    page.locator("#log-new button").click()
    expect(page.locator(".line .line-text").first).to_have_text("and another")
    expect(page.locator("#log-new")).to_be_hidden()


def test_an_open_line_holds_the_tail(alone, say, page):
    """While a line's details are open nothing moves."""
    say("look at me")
    page.goto(f"{alone.url}/logs")
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator(".line .line-text").first).to_have_text("look at me")
    page.locator(".line summary").first.click()
    expect(page.locator(".line-body").first).to_be_visible()
    say("a newcomer")

    expect(page.locator("#log-new button")).to_have_text("1 new line")
    expect(page.locator(".line .line-text").first).to_have_text("look at me")


def test_hostile_lines_of_the_tail_do_nothing(alone, say, page):
    """Markup that arrives live is text as well."""
    page.goto(f"{alone.url}/logs")
    expect(page.locator("#live")).to_have_text("Live")
    say("<img src=x onerror='window.hacked = 1'><script>window.hacked = 1</script>")

    expect(page.locator(".line .line-text").first).to_contain_text("<img src=x onerror='window.hacked = 1'>")
    assert page.evaluate("window.hacked") is None


def test_filters_stand_in_the_address(dashboard, page, shoot):
    """Level, type of event and words narrow the lines, and each choice keeps the others."""
    page.goto(f"{dashboard}/logs")
    shoot(page, "dashboard-logs")
    page.get_by_role("navigation", name="Least grave level").get_by_role("link", name="Error").click()
    expect(page).to_have_url(f"{dashboard}/logs?level=ERROR")
    assert set(page.locator(".line .line-level").all_inner_texts()) == {"ERROR", "CRITICAL"}
    page.locator("#filter-event summary").click()
    page.get_by_role("link", name="tool.result").click()
    expect(page).to_have_url(f"{dashboard}/logs?level=ERROR&event=tool.result")
    assert set(page.locator(".line .line-event").all_inner_texts()) == {"tool.result"}
    page.get_by_placeholder("Words in a message or type").fill("run_tests")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{dashboard}/logs?level=ERROR&event=tool.result&q=run_tests")
    expect(page.locator(".line")).to_have_count(1)


def test_a_line_leads_to_its_trace(dashboard, page):
    """The sign at the end of a line opens the trace at that span."""
    page.goto(f"{dashboard}/logs?level=ERROR&q=run_tests")
    page.get_by_role("link", name="Trace of this line").click()

    expect(page.locator("body")).to_have_attribute("data-page", "trace")


def test_older_lines_are_a_page_further(dashboard, page):
    """The link at the end leads to older lines, which are not live, and back."""
    page.goto(f"{dashboard}/logs?range=7d")
    page.get_by_role("link", name="Older lines").click()
    expect(page.locator("#live")).to_have_text("Not live")
    expect(page.locator(".line").first).to_be_visible()
    page.get_by_role("link", name="Back to the newest").click()
    expect(page.locator("#live")).to_have_text("Live")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360])
def test_everybody_can_use_it(dashboard, browse, violations, width, scheme):
    """Axe finds nothing with a line open, and nothing is wider than the screen."""
    page = browse(scheme=scheme, width=width)
    page.goto(f"{dashboard}/logs?range=7d")
    expect(page.locator("#live")).to_have_text("Live")
    page.locator(".line summary").nth(2).click()
    expect(page.locator(".line-body").nth(2)).to_be_visible()

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_empty_log_teaches_the_next_step(served, browse, violations):
    """Nothing there yet: the page says how lines come in, and axe finds nothing."""
    page = browse()
    page.goto(f"{served('--empty').url}/logs?range=30d")

    expect(page.locator(".empty")).to_contain_text("/v1/traces")
    assert violations(page) == []
