"""The page of one run, as people use it."""

from __future__ import annotations

import hashlib
import json
import re
import time
import urllib.request

import pytest
from playwright.sync_api import Page, expect


def trace(dashboard: str, key: str) -> str:
    """The address of a run of the sample."""
    return f"{dashboard}/traces/{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def opened(page: Page, dashboard: str, key: str) -> Page:
    """Go to a run and wait for its tree."""
    page.goto(trace(dashboard, key))
    page.locator("#tree.is-live .tree-row").first.wait_for()
    return page


def selected(page: Page):
    """The row that is selected."""
    return page.locator("#tree .tree-row[aria-selected=true]")


def heading(page: Page):
    """What the details are about."""
    return page.locator("#span-name")


def test_a_failed_run_opens_where_it_failed(page: Page, dashboard: str):
    """The error and its stack trace stand first, without a click."""
    opened(page, dashboard, "failed")
    expect(heading(page)).to_have_text("run_tests")
    expect(selected(page)).to_contain_text("run_tests")
    expect(page.locator(".span-error")).to_contain_text("TimeoutExpired")
    expect(page.locator(".span-error")).to_contain_text('File "/app/squad/tools.py", line 48')


def test_arrows_move_and_fold(page: Page, dashboard: str):
    """Down and up move, left folds and goes to the parent, right unfolds, Enter leads to the details."""
    opened(page, dashboard, "failed")
    tree = page.get_by_role("tree", name="Operations")
    tree.focus()
    page.keyboard.press("Home")
    expect(selected(page)).to_contain_text("DevSquad")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(selected(page)).to_contain_text("code")
    expect(page.locator("#tree .tree-row")).to_have_count(8)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tree .tree-row")).to_have_count(3)
    expect(selected(page)).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tree .tree-row")).to_have_count(8)
    page.keyboard.press("ArrowRight")
    expect(selected(page)).to_contain_text("coder")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(selected(page)).to_contain_text("code")
    expect(heading(page)).to_have_text("code")
    page.keyboard.press("Enter")
    expect(heading(page)).to_be_focused()


def test_keys_go_from_error_to_error(page: Page, dashboard: str):
    """``e`` goes on to the next one and around, ``E`` back, ``j`` and ``k`` row by row as well as ``]`` and ``[``; the address follows."""
    opened(page, dashboard, "failed")
    expect(selected(page)).to_contain_text("run_tests")
    page.keyboard.press("e")
    expect(selected(page)).to_contain_text("DevSquad")
    page.keyboard.press("E")
    expect(selected(page)).to_contain_text("run_tests")
    page.keyboard.press("k")
    expect(heading(page)).to_have_text("gpt-4o-mini")
    page.keyboard.press("]")
    expect(selected(page)).to_contain_text("run_tests")
    page.keyboard.press("[")
    expect(heading(page)).to_have_text("gpt-4o-mini")
    row = selected(page).get_attribute("id").removeprefix("row-")
    expect(page).to_have_url(re.compile(f"span={row}"))
    page.reload()
    expect(heading(page)).to_have_text("gpt-4o-mini")


def test_ten_thousand_operations_stay_few_in_the_document(page: Page, dashboard: str):
    """Only what is on screen is drawn; the end, an error in the middle and folding are a key away."""
    opened(page, dashboard, "long")
    tree = page.get_by_role("tree", name="Operations")
    tree.focus()
    page.keyboard.press("End")
    expect(selected(page)).to_be_in_viewport()
    assert page.locator("#tree .tree-row").count() < 120
    page.keyboard.press("Home")
    expect(selected(page)).to_contain_text("nightly-batch")
    page.keyboard.press("e")
    expect(heading(page)).to_have_text("read_file")
    expect(page.locator(".span-error")).to_contain_text("the file is locked")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tree .tree-row")).to_have_count(1)
    expect(selected(page)).to_contain_text("+9999")


def test_rows_are_fetched_as_they_come_on_screen(page: Page, dashboard: str):
    """A row far down is one request for the rows around it; until it is there, its place is; folding needs no row at all."""
    asked: list[str] = []
    page.on("request", lambda request: "places=" in request.url and asked.append(request.url))
    opened(page, dashboard, "long")
    asked.clear()
    page.locator("#tree").evaluate("tree => (tree.scrollTop = 7000 * 28)")
    expect(page.locator('#tree .tree-row[data-place="7000"] .kind')).to_be_visible()
    # While one scrolls some requests may follow one another; none is for all.
    assert 1 <= len(asked) <= 3
    assert all(url.count("%2C") < 300 for url in asked)
    page.get_by_role("button", name="Fold", exact=True).click()
    page.get_by_role("tree").press("Home")
    page.get_by_role("tree").press("ArrowLeft")
    expect(page.locator("#tree .tree-row")).to_have_count(1)
    expect(selected(page)).to_contain_text("+9999")


def test_without_scripts_the_whole_of_a_long_run_is_reached_by_links(browse, dashboard: str):
    """What tells most comes first, and each gap leads to what is left out there."""
    page = browse(scripts=False)
    page.goto(trace(dashboard, "long"))
    rows = page.locator(".tree-row:not(.tree-more)")
    expect(rows.nth(190)).to_be_attached()
    assert rows.count() < 300
    expect(rows.first).to_contain_text("nightly-batch")
    expect(page.locator('.tree-row .sign[data-status="error"]')).to_have_count(4)
    page.locator(".tree-more").last.click()
    expect(page).to_have_url(re.compile("cursor="))
    page.locator(".tree-more").first.click()
    expect(page).to_have_url(re.compile("cursor=1$"))
    expect(rows.nth(2)).to_contain_text("gpt-4o-mini")
    expect(rows.nth(3)).to_contain_text("read_file")
    page.get_by_role("link", name="What tells most").click()
    expect(rows.first).to_contain_text("nightly-batch")


def test_the_graph_and_the_lists_lead_into_the_tree(page: Page, dashboard: str):
    """An agent, an error and what the run waited for select their operations without a new page."""
    opened(page, dashboard, "failed")
    page.evaluate("window.samePage = true")
    page.locator(".agent-graph a", has_text="planner").click()
    expect(selected(page)).to_contain_text("planner")
    page.locator(".failures a", has_text="read_file").click()
    expect(heading(page)).to_have_text("read_file")
    page.locator(".waits a", has_text="run_tests").click()
    expect(heading(page)).to_have_text("run_tests")
    assert page.evaluate("window.samePage")


def test_a_model_call_is_a_conversation(page: Page, dashboard: str):
    """Roles, reasoning, calls, results, media as placeholders, and the answer marked as such."""
    opened(page, dashboard, "multimodal")
    page.locator("#tree .tree-row", has_text="claude").click()
    panel = page.locator("#span-pane")
    expect(panel.locator(".message")).to_have_count(4)
    expect(panel.locator(".part-media").first).to_contain_text("image · image/png")
    expect(panel.locator(".part-reasoning")).to_contain_text("I should call the tool")
    expect(panel.locator(".part-call").first).to_contain_text("read_chart")
    expect(panel.locator(".message-answer")).to_contain_text("A chart of three years.")
    expect(panel.get_by_text("anthropic/claude-sonnet-4-5")).to_contain_text("genai-prices, 2026-11-01")


def test_an_interrupted_run_and_its_resumption_are_one_page(page: Page, dashboard: str):
    """Two parts with their own heads, figures of both, one tree, and details of the later part from its own trace."""
    opened(page, dashboard, "resumed")
    parts = page.locator(".parts li")
    expect(parts).to_have_count(2)
    expect(parts.first).to_contain_text("waits for a person")
    expect(page.locator("#tile-calls .tile-value")).to_have_text("2")
    expect(page.locator("#tree .tree-row")).to_have_count(5)
    later = page.locator("#tree .tree-row", has=page.locator('.tree-part[title="After 28 m 58 s of waiting"]'))
    later.click()
    expect(heading(page)).to_have_text("approval")
    expect(page.get_by_role("link", name="Own page")).to_have_attribute(
        "href", re.compile(trace("", "resumed") + "/spans/")
    )
    parts.last.get_by_role("link", name="Part 2").click()
    expect(heading(page)).to_have_text("dev-squad")
    expect(page).to_have_url(re.compile(trace("", "interrupted")))


def test_hostile_content_does_nothing(page: Page, dashboard: str):
    """No script of a prompt, a name or a result runs, in whatever operation one looks at."""
    opened(page, dashboard, "hostile")
    for row in page.locator("#tree .tree-row").all():
        row.click()
        page.locator(f'[data-span-panel="{row.get_attribute("id").removeprefix("row-")}"]').wait_for()
        page.evaluate("for (const details of document.querySelectorAll('#span-pane details')) details.open = true")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#view :is(script, img, iframe, style)").count() == 0


def test_the_whole_run_can_be_downloaded(page: Page, dashboard: str):
    """The file has all spans with what was captured."""
    opened(page, dashboard, "failed")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download JSON").click()
    content = json.loads(download.value.path().read_text())
    assert len(content["spans"]) == 8
    assert download.value.suggested_filename == f"trace-{content['trace']['trace_id']}.json"


def test_without_scripts_the_page_tells_the_same(browse, dashboard: str):
    """Rows are links, and the details stand on the page."""
    page = browse(scripts=False)
    page.goto(trace(dashboard, "failed"))
    page.locator(".tree-row", has_text="read_file").click()
    expect(heading(page)).to_have_text("read_file")
    expect(page.locator(".tree-row[aria-selected=true]")).to_contain_text("read_file")


def send(dashboard: str, trace_id: str, span_id: str, parent: str, name: str, operation: str) -> None:
    """Send one finished span of an agent, as any OpenTelemetry program does."""
    now = time.time_ns()
    attributes = [{"key": "gen_ai.operation.name", "value": {"stringValue": operation}}]
    if operation == "chat":
        attributes.append({"key": "gen_ai.request.model", "value": {"stringValue": name}})
    span = {
        "traceId": trace_id,
        "spanId": span_id,
        "parentSpanId": parent,
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(now - 2_000_000_000),
        "endTimeUnixNano": str(now),
        "attributes": attributes,
    }
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "test"}, "spans": [span]}]}]}
    request = urllib.request.Request(
        f"{dashboard}/v1/traces", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


def test_a_loop_is_told_at_the_top_and_marked_in_the_tree(page: Page, dashboard: str):
    """The sentence says what recurs and what that took, and leads to the first of the marked calls."""
    own, at = f"{time.time_ns():032x}", time.time_ns()

    def span(number, parent, name, start, lasts, **attributes):
        return {
            "traceId": own, "spanId": f"{number:016x}", "parentSpanId": parent, "name": name,
            "startTimeUnixNano": str(at + start * 1_000_000), "endTimeUnixNano": str(at + (start + lasts) * 1_000_000),
            "attributes": [{"key": f"gen_ai.{key.replace('__', '.')}", "value": {"stringValue": value}} for key, value in attributes.items()],
        }  # fmt: skip

    spans = [span(1, "", "clerk", 0, 1000, operation__name="invoke_agent", agent__name="clerk")] + [
        span(2 + turn, f"{1:016x}", "look_up", 100 * turn, 50, operation__name="execute_tool", tool__name="look_up",
             tool__call__arguments='{"word": "fig"}', tool__call__result="nothing found")
        for turn in range(6)
    ]  # fmt: skip
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "test"}, "spans": spans}]}]}
    assert page.request.post(f"{dashboard}/v1/traces", data=body).ok
    page.goto(f"{dashboard}/traces/{own}")

    notice = page.locator("[data-loop]")
    expect(notice).to_contain_text("In a loop: look_up, 6 times with the same arguments and results, by clerk.")
    expect(page.locator("#tree.is-live .tree-row").filter(has_text="loop")).to_have_count(6)
    notice.get_by_role("link", name="Show the first").click()
    expect(page.locator("#tree .tree-row[aria-selected=true]")).to_have_attribute("href", re.compile(f"span={2:016x}"))


def test_what_arrives_later_appears_by_itself(page: Page, dashboard: str):
    """A run whose root is missing is completed while one looks at it, and the selection stays."""
    own = f"{time.time_ns():032x}"
    send(dashboard, own, "00000000000000b2", "00000000000000a1", "gpt-4o", "chat")
    page.goto(f"{dashboard}/traces/{own}")
    page.locator("#tree.is-live .tree-row").first.wait_for()
    expect(page.get_by_text("Part of this run has not arrived.")).to_be_visible()
    page.evaluate("window.samePage = true")
    send(dashboard, own, "00000000000000a1", "", "late-root", "invoke_agent")
    expect(page.locator("#tree .tree-row")).to_have_count(2, timeout=15_000)
    expect(page.get_by_text("Part of this run has not arrived.")).to_have_count(0)
    expect(selected(page)).to_contain_text("gpt-4o")
    assert page.evaluate("window.samePage")


def test_new_runs_appear_in_the_list_by_themselves(page: Page, dashboard: str):
    """A run that ends while one looks at the list stands there without a reload."""
    page.goto(f"{dashboard}/traces?range=1h")
    page.locator(".runs tbody tr").first.wait_for()
    page.evaluate("window.samePage = true")
    own = f"{time.time_ns():032x}"
    send(dashboard, own, "00000000000000a1", "", "just-now", "invoke_agent")
    expect(page.locator(f'[id="trace-{own}"]')).to_contain_text("just-now", timeout=15_000)
    assert page.evaluate("window.samePage")


@pytest.mark.parametrize("key", ["failed", "retried", "turn-3", "hostile", "multimodal", "resumed", "partial", "long"])
def test_every_kind_of_run_is_accessible_and_fits(page: Page, violations, dashboard: str, key):
    """Errors, conversations, hostile text, links and ten thousand rows: axe finds nothing, and nothing sticks out sideways."""
    opened(page, dashboard, key)
    if key in {"turn-3", "multimodal", "hostile"}:
        page.locator("#tree .tree-row").nth(1).click()
        page.locator("#span-pane .message").first.wait_for()
    for width in (1440, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="light")
        assert violations(page) == [], width
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), width
        # A scheme changes colours, and nothing else.
        page.emulate_media(color_scheme="dark")
        assert violations(page, "color-contrast") == [], width


def test_pictures_of_a_run(browse, shoot, dashboard: str):
    """What the documentation shows: a run that failed, and a conversation."""
    page = browse(height=1000)
    opened(page, dashboard, "failed")
    expect(page.locator("#span-pane")).to_contain_text("Traceback")
    shoot(page, "dashboard-trace")
    opened(page, dashboard, "turn-3")
    page.locator("#tree .tree-row").nth(1).click()
    expect(page.locator("#span-pane")).to_contain_text("Answer 4")
    shoot(page, "dashboard-conversation")


def test_a_run_is_told_in_one_page(browse, violations, dashboard: str):
    """One press from the trace, without scripts as well, for people who do not read traces."""
    page = browse(scripts=False, width=390)
    page.goto(f"{dashboard}/traces/{hashlib.sha256(b'failed').hexdigest()[:32]}")
    page.get_by_role("link", name="Story", exact=True).click()
    expect(page.locator(".story-lead")).to_contain_text("It failed after 34.80 s of work.")
    expect(page.locator(".story-steps > li")).to_have_count(2)
    dark = browse(scheme="dark")
    dark.goto(page.url)
    assert violations(dark) == []


def test_columns_are_as_wide_as_the_reader_wants(page: Page, dashboard: str):
    """The tree and its time line are widened by keys or dragging, and stay so; a double click is the usual width."""
    page.goto(f"{dashboard}/traces/{hashlib.sha256(b'failed').hexdigest()[:32]}")
    panes, line = (
        page.get_by_role("separator", name="Width of the tree"),
        page.get_by_role("separator", name="Width of the time line"),
    )
    expect(panes).to_have_attribute("aria-valuenow", "60")
    before = page.locator(".tree-pane").bounding_box()["width"]
    panes.press("ArrowRight")
    line.press("ArrowRight")
    page.reload()
    expect(panes).to_have_attribute("aria-valuenow", "62")
    expect(line).to_have_attribute("aria-valuenow", "32")
    assert page.locator(".tree-pane").bounding_box()["width"] > before
    panes.dblclick()
    expect(panes).to_have_attribute("aria-valuenow", "60")


def test_names_are_read_at_any_depth(page: Page, served):
    """In a trace of 1,500 levels the deepest name still has 120 pixels, and says how deep it is."""
    url = served("--empty").url
    now = time.time_ns()
    spans = [
        {
            "traceId": "ab" * 16,
            "spanId": f"{level + 1:016x}",
            "parentSpanId": f"{level:016x}" if level else "",
            "name": f"step number {level} of the recursion",
            "startTimeUnixNano": str(now - 10**9 + level),
            "endTimeUnixNano": str(now - level),
        }
        for level in range(1500)
    ]
    sent = page.request.post(f"{url}/v1/traces", data={"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    assert sent.ok
    page.goto(f"{url}/traces/{'ab' * 16}?span={1500:016x}")
    last = page.locator(".tree-row", has_text="step number 1499 of the recursion")
    expect(last.locator(".tree-depth")).to_have_text("1499")
    assert last.locator(".tree-label").evaluate("label => label.clientWidth") >= 120
