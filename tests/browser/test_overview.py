"""The overview in a browser: tiles, charts, the feed, and that it changes by itself."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timedelta, timezone

import pytest
from playwright.sync_api import expect


def test_the_overview_shows_what_runs_cost_and_how_they_went(dashboard, page, shoot):
    """Seven numbers against the period before, two charts, the feed, budgets and three tables."""
    page.goto(dashboard)

    tiles = page.locator(".tile h2").all_inner_texts()
    assert tiles == ["Cost", "Tokens", "Model calls", "Error rate", "Latency of model calls"]
    assert page.locator("#tile-latency dt").all_inner_texts() == ["p50", "p95", "p99"]
    expect(page.locator("#tile-cost .change")).to_have_text(re.compile(r"[▲▼]"))
    expect(page.locator("#tile-cost .note a")).to_have_text(re.compile(r"\d+ calls without a price"))
    assert page.locator("main h2").all_inner_texts()[5:] == [
        "Cost over time", "Tokens over time", "Now", "Budgets", "What stands out", "Agents", "Tools", "Models",
    ]  # fmt: skip
    expect(page.locator(".plot canvas")).to_have_count(2)
    assert page.locator(".feed .badge.run").count() == 3
    assert page.locator(".budget-head strong").all_inner_texts()[:3] == ["team", "everything", "coder"]
    shoot(page, "dashboard-overview")


def test_the_overview_in_the_dark_and_on_a_phone(dashboard, browse, shoot):
    """The same page is drawn in both themes, and its charts with it."""
    pixel = "(canvas) => Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).reduce((a, b) => a + b, 0)"
    sums = []
    for name, scheme, width in (("", "light", 1440), ("dark", "dark", 1440), ("narrow", "light", 360)):
        page = browse(scheme=scheme, width=width)
        page.goto(dashboard)
        sums.append(page.locator("#cost-chart canvas").evaluate(pixel))
        if name:
            shoot(page, f"dashboard-overview-{name}")

    assert len(set(sums)) == 3


def test_a_chart_tells_a_step_and_its_parts(dashboard, page):
    """Under the pointer stand the moment, each framework and their sum; away from the chart it is gone."""
    page.goto(f"{dashboard}/?range=1h")
    over = page.locator("#tokens-chart .u-over")
    values = page.locator("#tokens-chart tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('td')].reduce((sum, cell) => sum + Number(cell.dataset.value), 0))"
    )
    place = values.index(max(values))
    box = over.bounding_box()
    page.mouse.move(box["x"] + box["width"] * (place + 0.4) / len(values), box["y"] + box["height"] / 2)

    tip = page.locator("#tokens-chart .tip")
    expect(tip).to_be_visible()
    assert f"{int(max(values)):,}" in tip.inner_text()
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()


def test_dragging_across_a_chart_looks_at_that_part(dashboard, page):
    """The span of time under the pointer becomes the page's, and its address says so."""
    page.goto(f"{dashboard}/?range=1h&framework=langgraph")
    box = page.locator("#cost-chart .u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20, steps=4)
    page.mouse.up()

    expect(page).to_have_url(re.compile(r"\?framework=langgraph&from=.*&to=.*"))
    expect(page.locator("#range-custom summary")).to_have_attribute("aria-current", "true")


@pytest.mark.parametrize(
    "zone, words",
    [
        ("UTC", r"\d\d \w{3,4} \d{4}"),
        ("America/Los_Angeles", r"\d\d \w{3,4}, 1[67]:00 . \d\d \w{3,4}, 1[67]:00"),
        ("Asia/Kolkata", r"\d\d \w{3,4}, 05:30 . \d\d \w{3,4}, 05:30"),
    ],
)
def test_a_day_of_a_chart_says_when_it_begins_where_the_reader_is(dashboard, browse, zone, words):
    """Days are those of UTC; to who lives elsewhere the bar is not that day."""
    page = browse(zone=zone)
    newest = page.request.get(f"{dashboard}/api/traces?range=7d&limit=1").json()["rows"][0]["start_us"]
    begin = datetime.fromtimestamp(newest / 1e6, timezone.utc) - timedelta(days=60)
    page.goto(f"{dashboard}/?from={begin:%Y-%m-%dT%H:%M:%SZ}")
    plot = page.locator("#tokens-chart .u-over")
    box = plot.bounding_box()
    plot.hover(position={"x": box["width"] - 4, "y": 20})

    expect(page.locator("#tokens-chart .tip caption")).to_have_text(re.compile(f"^{words}$"))


def test_a_chart_is_a_table_too(dashboard, page):
    """By keyboard the numbers of the chart open as a table, with the reader's own times."""
    page.goto(f"{dashboard}/?range=24h")
    page.locator("#cost-chart summary").focus()
    page.keyboard.press("Enter")

    table = page.get_by_role("region", name="Cost over time as a table")
    expect(table).to_be_visible()
    assert table.locator("thead th").all_inner_texts()[0] == "From"
    assert re.fullmatch(r"\d\d \w{3,4}, \d\d:\d\d:00", table.locator("tbody time").first.inner_text())


def test_a_chart_follows_the_width_of_its_card(dashboard, page):
    """A narrower window draws a narrower chart."""
    page.goto(dashboard)
    canvas = page.locator("#cost-chart canvas")
    expect(canvas).to_be_visible()
    wide = canvas.evaluate("(canvas) => canvas.clientWidth")
    page.set_viewport_size({"width": 600, "height": 900})

    expect(canvas).not_to_have_js_property("clientWidth", wide)
    assert page.evaluate("document.documentElement.scrollWidth") == 600
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(canvas).to_have_js_property("clientWidth", wide)


def test_the_order_of_the_tables_is_chosen(dashboard, page):
    """Slowest is ordered by p95, and the choice is in the address."""
    page.goto(dashboard)
    page.get_by_role("link", name="Slowest").click()

    expect(page).to_have_url(re.compile("rank=p95"))
    expect(page.get_by_role("link", name="Slowest")).to_have_attribute("aria-current", "true")
    assert page.locator("#top-tool").locator("xpath=../..").locator("tbody th").first.inner_text() == "run_tests"


def test_the_overview_changes_by_itself(served, browse):
    """A span that is sent appears without reloading, and the chart is drawn again."""
    dashboard = served("--empty").url
    page = browse()
    page.goto(dashboard)
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    expect(page.locator("#tile-requests .tile-value")).to_have_text("0")
    page.evaluate("window.same = true")

    page.request.post(
        f"{dashboard}/v1/traces", data=json.dumps(_request()), headers={"Content-Type": "application/json"}
    )

    expect(page.locator("#tile-requests .tile-value")).to_have_text("1")
    expect(page.locator("#cost-chart .plot canvas")).to_be_visible()
    assert page.evaluate("window.same") is True


def _request():
    """One model call of a root span, as an OTLP request."""
    end = time.time_ns()
    facts = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.provider.name": "openai",
    }
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in facts.items()]
    attributes += [
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "100000"}},
        {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "2000"}},
    ]
    span = {
        "traceId": "0123456789abcdef0123456789abcdef",
        "spanId": "0123456789abcdef",
        "name": "chat gpt-4o",
        "kind": 3,
        "startTimeUnixNano": str(end - 2_000_000_000),
        "endTimeUnixNano": str(end),
        "attributes": attributes,
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
