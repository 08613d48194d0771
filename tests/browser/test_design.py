"""What all pages share: themes, widths, keyboard, filters, and that everybody can read them."""

from __future__ import annotations

import re
import time

import pytest
import requests
from playwright.sync_api import expect

PAGES = ("/", "/costs", "/agents", "/parity-matrix", "/parity-matrix?tab=runs", "/alerts", "/health", "/nowhere")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_accessible_in_both_themes(dashboard, browse, violations, path):
    """Nothing is found by axe in the light, no colour too weak in the dark, and nothing on the way there complains."""
    page = browse()
    page.goto(dashboard + path)
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, "color-contrast") == []


@pytest.mark.parametrize("path", PAGES)
def test_a_narrow_page_is_accessible_and_does_not_scroll_sideways(dashboard, browse, violations, until, path):
    """Wide tables scroll within their cards; the page itself stays as wide as the screen."""
    page = browse(width=360, height=780)
    page.goto(dashboard + path)
    assert violations(page) == []

    for width in (360, 640, 900, 1100):
        page.set_viewport_size({"width": width, "height": 780})
        # A chart is drawn anew an instant after its place has another width.
        until(page, f"document.documentElement.scrollWidth === {width}")


ROWS = """() => {
    const found = [];
    for (const grid of document.querySelectorAll(".grid, .tiles, .sql-page, .trace-summary, .trace-body")) {
        const cards = [...grid.querySelectorAll(":scope > *, :scope > div > .card:only-child")].filter((one) => one.matches(".card, .tile, .tree-pane, .span-pane, .sql-main"));
        const rows = Map.groupBy(cards, (card) => Math.round(card.getBoundingClientRect().top));
        for (const row of rows.values()) {
            const boxes = row.map((card) => card.getBoundingClientRect());
            const low = Math.max(...boxes.map((box) => box.bottom)), high = Math.min(...boxes.map((box) => box.bottom));
            const right = Math.max(...boxes.map((box) => box.right)), edge = grid.getBoundingClientRect().right;
            if (low - high > 200 || edge - right > 2) found.push([grid.className, Math.round(low - high), Math.round(edge - right)]);
        }
    }
    return found;
}"""
"""Rows of cards that end unevenly or before the edge of the page: holes."""


@pytest.mark.parametrize("width", [1440, 390])
def test_no_row_of_cards_has_a_hole(dashboard, browse, width):
    """Cards beside each other end together, and the last one reaches the edge, wide as narrow; what scrolls keeps its tree in view."""
    page = browse(width=width, height=900)
    rows = [
        page.request.get(f"{dashboard}/api/traces?{which}&limit=1").json()["rows"][0]
        for which in ("status=error", "name=analyst")
    ]
    runs = [f"/traces/{row['trace_id']}" for row in rows]
    for path in (
        "/",
        "/costs",
        "/costs?by=tool",
        "/health",
        "/alerts",
        "/sql",
        "/history?by=tool&name=read_file",
        *runs,
    ):
        page.goto(dashboard + path)
        assert (path, page.evaluate(ROWS)) == (path, [])


@pytest.mark.parametrize("path", ["/", "/costs", "/health"])
def test_nothing_there_leaves_no_hole_either(empty_dashboard, browse, path):
    """The same where cards only say that they are empty."""
    page = browse(width=1440, height=900)
    page.goto(empty_dashboard + path)
    assert page.evaluate(ROWS) == []


def test_narrow_filters_stand_in_two_columns_and_units_beside_their_fields(dashboard, browse):
    """At 390 pixels every control is half as wide as the page, and no unit is far from its number."""
    page = browse(width=390, height=900)
    page.goto(f"{dashboard}/traces")
    widths = page.evaluate(
        "[...document.querySelectorAll('.narrow > label, .narrow > details')].map((one) => Math.round(one.getBoundingClientRect().width))"
    )
    assert (len(widths), max(widths) - min(widths)) == (6, 0)
    page.locator("#least summary").click()
    gaps = page.evaluate(
        "[...document.querySelectorAll('.least[open] label')].map((one) => { const range = document.createRange(); range.selectNodeContents(one.firstElementChild);"
        " return one.lastElementChild.getBoundingClientRect().left - range.getBoundingClientRect().right; })"
    )
    assert len(gaps) == 6
    assert max(gaps) < 80


@pytest.mark.parametrize("width", [1440, 390])
def test_an_open_menu_of_the_list_stays_on_the_page(dashboard, browse, width):
    """At least, Marks: all of their fields can be seen and reached."""
    page = browse(width=width, height=900)
    page.goto(f"{dashboard}/traces")
    for menu in ("#least", "#marking"):
        page.locator(f"{menu} summary").click()
        box = page.locator(f"{menu} .menu-body").bounding_box()
        assert (menu, box["x"] >= 0, box["x"] + box["width"] <= width) == (menu, True, True)
        page.locator(f"{menu} summary").click()


@pytest.mark.parametrize("path", PAGES[:-1])
def test_an_empty_page_teaches_the_next_step(empty_dashboard, page, violations, path):
    """Without data there is something to do, and nothing that looks like a number."""
    page.goto(empty_dashboard + path)

    assert page.locator(".empty-next").first.inner_text() != ""
    assert violations(page) == []


def test_a_page_says_the_same_without_scripts(dashboard, browse):
    """Numbers, tables, filters and explanations are the server's; scripts add charts and the reader's own time."""
    page = browse(scripts=False)
    page.goto(f"{dashboard}/costs?by=framework")

    expect(page.locator("#tile-cost .tile-value")).to_contain_text("$")
    expect(page.locator("main table").nth(1)).to_contain_text("langgraph")
    page.locator("#filter-framework summary").click()
    page.locator("#filter-framework").get_by_role("link", name="crewai").click()
    expect(page).to_have_url(re.compile("by=framework&framework=crewai$"))
    expect(page.locator("main table").nth(1)).not_to_contain_text("langgraph")


def test_the_theme_is_chosen_and_kept(dashboard, page):
    """Like the system, light, dark: the choice is there again on the next page, before anything is drawn."""
    page.goto(dashboard)
    ground = "getComputedStyle(document.body).color"
    light = page.evaluate(ground)

    button = page.locator("#theme")
    button.click()
    expect(button).to_have_attribute("aria-label", "Theme: light")
    button.click()
    expect(button).to_have_attribute("aria-label", "Theme: dark")
    assert page.evaluate(ground) != light
    page.goto(f"{dashboard}/costs")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.locator("#theme").click()
    expect(page.locator("#theme")).to_have_attribute("aria-label", "Theme: like the system")
    assert page.evaluate(ground) == light


def test_a_filter_is_in_the_url_and_goes_along(dashboard, page):
    """A view can be shared by its address, and the next page looks at the same."""
    page.goto(dashboard)
    everything = page.locator("#tile-requests .tile-value").inner_text()

    page.locator("#filter-framework summary").click()
    page.locator("#filter-framework").get_by_role("link", name="autogen").click()
    expect(page).to_have_url(re.compile(r"\?framework=autogen$"))
    expect(page.locator("#filter-framework summary")).to_contain_text("autogen")
    some = page.locator("#tile-requests .tile-value").inner_text()
    assert some != everything
    page.get_by_role("link", name="Costs", exact=True).click()
    expect(page).to_have_url(re.compile(r"/costs\?framework=autogen$"))
    page.get_by_role("link", name="Remove the filter on framework").click()
    expect(page).to_have_url(re.compile("/costs$"))


def test_a_long_list_of_names_can_be_searched(dashboard, page):
    """Only the names that have the text in them are left."""
    page.goto(dashboard)
    page.locator("#filter-agent summary").click()
    find = page.locator("#filter-agent .menu-find")
    expect(find).to_be_focused()
    find.fill("REVIEW")

    assert page.locator("#filter-agent .options li:visible").all_inner_texts() == ["reviewer"]


def test_a_custom_span_of_time_is_asked_for_in_the_readers_zone(dashboard, page):
    """What the reader writes by the clock of Berlin is UTC in the address, and is shown by that clock again."""
    page.goto(dashboard)
    page.locator("#range-custom summary").click()
    page.locator("#range-custom [name=from]").fill("2026-07-01T10:00:00")
    page.locator("#range-custom [name=to]").fill("2026-07-01T12:30:00")
    page.get_by_role("button", name="Show").click()

    expect(page).to_have_url(re.compile("from=2026-07-01T08%3A00%3A00Z&to=2026-07-01T10%3A30%3A00Z"))
    expect(page.locator("#range-custom summary")).to_have_text("01 Jul, 10:00 \u2013 01 Jul, 12:30")
    expect(page.locator(".page-head .sub")).to_contain_text("01 Jul, 10:00 to 01 Jul, 12:30")
    assert page.locator(".page-head time").first.get_attribute("title") == "2026-07-01T08:00:00.000Z (UTC)"


def test_a_custom_span_of_time_goes_back_as_it_came(dashboard, page):
    """In the night when clocks are set back both ends are 02:30 to who lives in Berlin, and an hour apart."""
    night = "from=2024-10-27T00:30:00Z&to=2024-10-27T01:30:00Z"
    page.goto(f"{dashboard}/traces?{night}")
    page.locator("#range-custom summary").click()
    assert [page.locator(f"#range-custom [name={name}]").input_value() for name in ("from", "to")] == [
        "2024-10-27T02:30",
        "2024-10-27T02:30",
    ]
    page.get_by_role("button", name="Show").click()

    expect(page).to_have_url(re.compile(night.replace(":", "%3A") + "$"))


def test_paper_is_white(dashboard, browse):
    """Who reads in the dark prints dark on white, over the whole width, and without what only a screen can do."""
    page = browse(scheme="dark")
    page.goto(f"{dashboard}/costs")
    page.emulate_media(media="print")
    look = page.evaluate("""() => {
        const style = getComputedStyle(document.body);
        const hidden = [...document.querySelectorAll(".side, .bar, .filters")].every((one) => !one.checkVisibility());
        return [style.backgroundColor, style.color, document.getElementById("view").getBoundingClientRect().left, hidden];
    }""")

    assert look == ["rgb(255, 255, 255)", "rgb(22, 26, 32)", 0, True]


def test_everything_is_reached_by_keyboard(dashboard, page):
    """The first key leads past the navigation; menus open and close without a mouse."""
    page.goto(dashboard)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "view"

    page.locator("#filter-model summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#filter-model .menu-body")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#filter-model .menu-body")).to_be_hidden()
    expect(page.locator("#filter-model summary")).to_be_focused()


def test_a_number_explains_itself(dashboard, page):
    """The small button tells what is in the number and what is not, and closes by Escape."""
    page.goto(dashboard)
    page.get_by_role("button", name="What Cost means").click()
    expect(page.locator("#why-cost")).to_be_visible()
    expect(page.locator("#why-cost")).to_contain_text("An unknown price counts as unknown, never as 0.")
    page.keyboard.press("Escape")
    expect(page.locator("#why-cost")).to_be_hidden()


def test_hostile_names_are_only_names(dashboard, page):
    """Markup in the names of agents, tools and runs is shown, and does nothing."""
    for path in PAGES:
        page.goto(dashboard + path)
    page.goto(f"{dashboard}/agents")

    expect(page.get_by_role("link", name="<script>window.hacked")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, main i, main script").count() == 0


NAMES = ("x" * 300, "٣" * 300, "🚀" * 150, "AgentNameWithoutAnyPlaceToBreakWhatsoever" * 3)


@pytest.fixture(scope="module")
def endless(served) -> tuple[str, list[str]]:
    """A dashboard whose senders call everything by endless words, of Latin letters, of Arabic ones and of pictures; and its runs."""
    url, now = served("--empty", "--budgets", "team=1/day").url, time.time_ns()
    spans, traces = [], []
    for number, name in enumerate(NAMES):
        trace = f"{number + 1:032x}"
        traces.append(trace)
        for place, (kind, given) in enumerate(
            (("invoke_agent", "agent"), ("execute_tool", "tool"), ("chat", "request"))
        ):
            says = {"gen_ai.operation.name": kind, f"gen_ai.{given}.{'model' if kind == 'chat' else 'name'}": name}
            says |= {"session.id": name, "user.id": name, "error.type": name, "gen_ai.provider.name": "openai"}
            spans.append({
                "traceId": trace, "spanId": f"{number * 3 + place + 1:016x}", "name": name, "status": {"code": 2, "message": name * 3},
                **({"parentSpanId": f"{number * 3 + 1:016x}"} if place else {}),
                "startTimeUnixNano": str(now - 60_000_000_000), "endTimeUnixNano": str(now - 1_000_000_000),
                "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in says.items()]
                + [{"key": "gen_ai.usage.input_tokens", "value": {"intValue": str(10 ** (3 * number))}}],
            })  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": NAMES[0]}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
    assert requests.post(f"{url}/v1/traces", json=body, timeout=30).status_code == 200
    return url, traces


@pytest.mark.parametrize("width, height", [(390, 780), (1440, 900)])
def test_endless_names_make_no_page_wider(endless, browse, until, width, height):
    """However long one word is, a page stays as wide as the screen."""
    url, traces = endless
    page = browse(width=width, height=height)
    several = "&".join(f"t={trace}" for trace in traces)
    paths = [
        "/",
        "/traces",
        "/sessions",
        "/users",
        "/errors",
        "/costs",
        "/costs?by=session",
        "/agents",
        "/logs",
        "/health",
        "/alerts",
    ]
    paths += [f"/traces/{trace}{rest}" for trace in traces[:2] for rest in ("", "/story")]
    for path in [*paths, f"/compare?{several}", f"/delete?kind=trace&id={traces[0]}"]:
        page.goto(url + path)
        until(page, f"document.documentElement.scrollWidth === {width}")


def test_nothing_stands_inline_and_all_files_keep_for_ever(dashboard, page):
    """No style and no script in the page itself, and each file's address changes with the files."""
    page.goto(dashboard)
    expect(page.locator("#cost-chart canvas")).to_be_visible()
    loaded = page.evaluate("performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname)")
    files = [path for path in loaded if path.startswith("/static/")]

    served = page.request.get(dashboard).text()
    assert re.findall(r"<[^>]* style=|<style|<script(?![^>]* src=)|<[^>]* on\w+=", served) == []
    assert {path.split("/")[2] for path in files} == {files[0].split("/")[2]}
    assert re.fullmatch(r"v-[0-9a-f]{10}", files[0].split("/")[2])
