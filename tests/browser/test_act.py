"""What people do on the pages beside looking, in a browser: take away, delete."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def own(served) -> str:
    """A dashboard in which things may be deleted."""
    return served().url


def test_a_table_is_taken_away_from_its_page(dashboard, page):
    """The menu names the page's tables; a click on a format is a file with all that matches."""
    page.goto(f"{dashboard}/sessions?range=30d")
    page.locator("#downloads summary").click()
    with page.expect_download() as started:
        page.locator(".download-list a").first.click()

    assert started.value.suggested_filename == "sessions-rows.csv"
    lines = started.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("session_id,")
    assert len(lines) > 50


@pytest.mark.parametrize("width", [1440, 390])
def test_the_menu_opens_within_the_screen(dashboard, browse, width):
    """Wherever its button is: in a list, on a run, on one of its operations, in a session."""
    page = browse(width=width)
    runs = page.request.get(f"{dashboard}/api/traces?range=7d").json()["rows"]
    run = next(run for run in runs if run["root_span_id"])
    path = f"/traces/{run['trace_id']}"
    for where in ("/traces", path, f"{path}/spans/{run['root_span_id']}", "/sessions/pair-programming"):
        page.goto(dashboard + where)
        page.locator("#downloads summary").click()
        box = page.locator("#downloads .menu-body").bounding_box()
        assert (where, box["x"] >= 0, box["x"] + box["width"] <= width) == (where, True, True)


def test_a_session_is_deleted_in_three_clicks(own, page):
    """From the session to what would go, to its deletion; afterwards it is not there, and only how much went is."""
    page.goto(f"{own}/sessions/pair-programming")
    page.get_by_role("link", name="Delete…").click()
    expect(page.locator("h2").first).to_contain_text("Delete the session pair-programming?")
    expect(page.locator(".delete-card .facts")).to_contain_text("5 runs")
    page.get_by_role("button", name="Delete for good").click()

    expect(page.get_by_role("status").filter(has_text="Deleted")).to_contain_text("Deleted: 5 runs")
    assert page.goto(f"{own}/sessions/pair-programming").status == 404


def test_a_question_in_sql_is_answered_by_a_table(dashboard, page):
    """From an example to its answer, and a question that is refused says why."""
    page.goto(f"{dashboard}/sql")
    page.get_by_role("link", name="The slowest tools").click()
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".sql-answer thead th").first).to_have_text("tool")
    page.get_by_label("Question").fill("DROP TABLE spans")
    page.get_by_role("button", name="Ask", exact=True).click()

    expect(page.get_by_role("alert")).to_contain_text("only SELECT is answered")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360])
@pytest.mark.parametrize("path", ["/delete?kind=session&id=pair-programming", "/sql"])
def test_everybody_can_use_it(dashboard, browse, violations, path, width, scheme):
    """Axe finds nothing, and nothing is wider than the screen."""
    page = browse(scheme=scheme, width=width)
    page.goto(dashboard + path)

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
