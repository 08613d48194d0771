"""Live updates in a browser: what a program writes appears without a reload, and what the reader is at stays."""

from __future__ import annotations

import re
import signal

import pytest
from playwright.sync_api import expect

from ai_dev_squad import Usage, configure_logging, flush, operations, session


@pytest.fixture(scope="module")
def alone(served):
    """A dashboard that nobody else writes to."""
    return served("--empty")


@pytest.fixture
def program(alone):
    """A program beside the dashboard: what it observes goes to the journal that the dashboard follows."""
    logger = configure_logging(log_dir=str(alone.directory / "logs"))

    def run(name="gpt-4o-mini", *, conversation="talk", says=None):
        with session(conversation):
            if says:
                logger.log_custom_event({"n": 1}, says)
            else:
                request = operations.ModelRequest(name, "openai")
                call = operations.start(operations.CHAT, name, framework="langgraph", request=request)
                call.usage = Usage(input_tokens=1000, output_tokens=100, source="provider")
                call.stop()
        assert flush()

    return run


def marked(page):
    """Remember this document, to know it again."""
    page.evaluate("window.sameDocument = true")


def test_what_a_program_does_appears_without_a_reload(alone, program, page):
    """A model call is on the open list of sessions as soon as it has been made, in the very same document."""
    page.goto(f"{alone.url}/sessions")
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator(".empty-title")).to_have_text("No sessions here yet")
    marked(page)
    program(conversation="first-talk")

    expect(page.get_by_role("link", name="first-talk")).to_be_visible()
    assert page.evaluate("window.sameDocument") is True


def test_every_kind_of_page_follows(alone, program, page):
    """Overview, traces, one session and health change as well when something new comes in."""
    program(conversation="followed")
    for path, selector in (
        ("/", "#view"),
        ("/traces", "#view"),
        ("/sessions/followed", ".turn"),
        ("/agents?range=1h", "#view"),
    ):
        page.goto(alone.url + path)
        expect(page.locator("#live")).to_have_text("Live")
        marked(page)
        before = page.locator(selector).all_inner_texts()
        program(conversation="followed")
        expect(page.locator(selector)).not_to_have_text(before)
        assert page.evaluate("window.sameDocument") is True


def test_focus_scroll_open_parts_and_typed_words_stay(alone, program, page):
    """An update takes nothing away from somebody who is in the middle of something."""
    program(conversation="kept")
    page.set_viewport_size({"width": 1440, "height": 200})
    page.goto(f"{alone.url}/sessions")
    expect(page.locator("#live")).to_have_text("Live")
    search = page.get_by_role("searchbox", name=re.compile("session"))
    search.fill("half a wo")
    link = page.get_by_role("link", name="kept", exact=True)
    link.focus()
    page.evaluate("window.scrollTo(0, 60)")
    program(conversation="newcomer")

    expect(page.get_by_role("link", name="newcomer")).to_be_attached()
    expect(link).to_be_focused()
    expect(search).to_have_value("half a wo")
    assert page.evaluate("Math.round(window.scrollY)") == 60


def test_marked_text_stays_marked_until_it_is_let_go(alone, program, page):
    """While text is marked the page waits; afterwards it shows what is there now."""
    page.goto(f"{alone.url}/sessions")
    expect(page.locator("#live")).to_have_text("Live")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#view h1'))")
    program(conversation="while-marked")
    page.wait_for_timeout(1_000)  # five rounds of the dashboard
    assert page.evaluate("getSelection().toString()") == "Sessions"
    expect(page.get_by_role("link", name="while-marked")).to_have_count(0)

    page.evaluate("getSelection().removeAllRanges()")
    expect(page.get_by_role("link", name="while-marked")).to_be_visible()


def test_updates_pause_and_go_on(alone, program, page):
    """Paused, nothing changes; resumed, everything that came meanwhile is there."""
    page.goto(f"{alone.url}/sessions")
    expect(page.locator("#live")).to_have_text("Live")
    page.get_by_role("button", name="Pause updates").click()
    expect(page.locator("#live")).to_have_text("Paused")
    program(conversation="during-the-pause")
    page.wait_for_timeout(1_000)
    expect(page.get_by_role("link", name="during-the-pause")).to_have_count(0)

    page.get_by_role("button", name="Resume updates").click()
    expect(page.get_by_role("link", name="during-the-pause")).to_be_visible()
    expect(page.locator("#live")).to_have_text("Live")


def test_a_hidden_tab_lets_go_of_its_connection(alone, program, page):
    """A tab that nobody sees pauses by itself and catches up when it is looked at again."""
    page.goto(f"{alone.url}/sessions")
    expect(page.locator("#live")).to_have_text("Live")
    hide = "hidden => {Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))}"
    page.evaluate(hide, arg=True)
    expect(page.locator("#live")).to_have_text("Paused")
    program(conversation="unseen")
    page.evaluate(hide, arg=False)

    expect(page.get_by_role("link", name="unseen")).to_be_visible()


def test_without_sockets_the_page_is_fetched_now_and_then(alone, program, page):
    """Where no live connection comes about, the page polls, says so, and still changes without a reload."""
    page.route("**/socket.io/**", lambda route: route.abort())
    page.route_web_socket("**/socket.io/**", lambda socket: socket.close(code=1011))
    page.goto(f"{alone.url}/sessions")
    expect(page.locator("#live")).to_have_text("Live, by polling", timeout=30_000)
    marked(page)
    program(conversation="polled")

    expect(page.get_by_role("link", name="polled")).to_be_visible(timeout=20_000)
    assert page.evaluate("window.sameDocument") is True


def test_the_past_is_not_live(alone, page):
    """A span of time that is over says that nothing changes there, and offers nothing to pause."""
    page.goto(f"{alone.url}/sessions?from=2026-01-01&to=2026-01-02")

    expect(page.locator("#live")).to_have_text("Not live")
    expect(page.locator("#live-toggle")).to_be_hidden()


def test_a_dashboard_that_is_gone_is_told(served, page):
    """When the server does not answer any more, the sign says that the page is trying again, and the page stays."""
    gone = served("--empty")
    page.goto(f"{gone.url}/sessions")
    expect(page.locator("#live")).to_have_text("Live")
    gone.process.send_signal(signal.SIGKILL)

    expect(page.locator("#live")).to_have_text("Reconnecting")
    expect(page.locator("h1")).to_have_text("Sessions")
