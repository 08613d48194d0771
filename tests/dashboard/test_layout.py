"""What stands around every page, and the files that it loads."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

import ai_dev_squad_dashboard
from ai_dev_squad_dashboard.app import create_app, running
from ai_dev_squad_dashboard.formats import moment
from ai_dev_squad_dashboard.layout import Filter, Option, change, filters
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.static_files import StaticFiles, attach
from ai_dev_squad_dashboard.store import StoreError, open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch, SpanRow
from ai_dev_squad_dashboard.views import PAGES

STATIC = Path(ai_dev_squad_dashboard.__file__).parent / "static"
NOW = 1_763_812_800_000_000


@pytest.fixture
def folder(tmp_path):
    """A static folder of two files."""
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "a.css").write_text("a {}")
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "a.js").write_text("export {};")
    return tmp_path


@pytest.fixture
def app(tmp_path):
    """The application over an empty store."""
    made = create_app(DashboardSettings(logs=(tmp_path,), db=tmp_path / "db"), store=open_memory_store(), follow=False)
    yield made
    running(made).close()


def test_what_has_no_framework_goes_by_its_service(app):
    """In the list of sessions, on a session's own page, in the charts and the list of the overview; what has neither is unknown."""
    now = int(time.time() * 1_000_000)
    call = {"operation": "chat", "usage_source": "provider", "cost_usd": 1.0, "input_tokens": 1, "output_tokens": 1}
    rows = [("1", "langgraph", "squad"), ("2", None, "billing-bot"), ("3", None, None)]
    running(app).store.write(Batch(spans=[
        SpanRow(digit * 32, digit * 16, None, now - 9_000_000, 5, "run", framework=framework, service=service,
                session_id=f"session-{digit}", **call) for digit, framework, service in rows
    ]))  # fmt: skip
    client = app.test_client()
    keys = {series["key"] for series in client.get("/api/overview").json["cost"]["series"]}
    assert keys == {"langgraph", "billing-bot", None}
    shown = re.compile(r'<span class="key"><span class="swatch hue-\d+" aria-hidden="true"></span>([^<]+)</span>')
    assert set(shown.findall(client.get("/sessions").text)) == {"langgraph", "billing-bot", "(unknown)"}
    assert shown.findall(client.get("/sessions/session-2").text) == ["billing-bot"]
    hues = dict(re.findall(r'swatch (hue-\d+)" aria-hidden="true"></span>(billing-bot)<', client.get("/").text))
    assert list(hues.values()) == ["billing-bot"]


def test_moments_that_follow_closely_have_milliseconds():
    """Those of runs, operations and lines; a day is told without."""
    assert "22 Nov 12:00:00.007<" in moment(NOW + 7_900, "exact")
    assert "22 Nov 12:00:00.000<" in moment(NOW, "time")
    assert "22 Nov 12:00:00<" in moment(NOW + 7_900)


def test_a_file_is_kept_for_ever_under_the_version_of_all_files(folder):
    """The address changes with any file; an older one still answers, and is not kept."""
    app = Flask(__name__, static_folder=str(folder), static_url_path="/static")
    files = attach(app)
    client = app.test_client()
    url = files.url("css/a.css")

    def answer(address):
        with client.get(address) as response:
            return response.status_code, response.headers.get("Cache-Control")

    assert re.fullmatch(r"/static/v-[0-9a-f]{10}/css/a.css", url)
    assert {
        "now": answer(url),
        "earlier": answer("/static/v-0123456789/css/a.css"),
        "plain": answer("/static/css/a.css"),
        "gone": answer(url.replace("a.css", "b.css"))[0],
        "outside": answer(url.replace("css/a.css", "../conftest.py"))[0],
    } == {
        "now": (200, "public, max-age=31536000, immutable"),
        "earlier": (200, "no-cache, max-age=0"),
        "plain": (200, "no-cache, max-age=0"),
        "gone": 404,
        "outside": 404,
    }


def test_a_changed_file_changes_the_version(folder):
    """Also when only its name changed."""
    before = StaticFiles(folder).version
    (folder / "css" / "a.css").rename(folder / "css" / "b.css")

    assert StaticFiles(folder).version != before


def test_a_missing_file_is_an_error_of_the_template_with_the_cure(folder):
    """A page that names a file which is not there is wrong where it is made, not where it is looked at."""
    files = StaticFiles(folder)

    with pytest.raises(LookupError, match=r"no static file 'css/none.css'"):
        files.url("css/none.css")
    with pytest.raises(LookupError, match=r"run `python packages/dashboard/frontend/build.py`"):
        files.url("vendor/uplot.js")


def test_modules_are_short_and_import_only_what_is_there():
    """Each module has at most 300 lines, and every relative import leads to a file."""
    modules = sorted((STATIC / "js").rglob("*.js"))
    lengths = {path.name: len(path.read_text().splitlines()) for path in modules}
    imports = [
        (path, name)
        for path in modules
        for name in re.findall(r"""\b(?:from|import)\s*\(?\s*["'](\.{1,2}/[^"'$`]+)["']""", path.read_text())
    ]

    assert {name: length for name, length in lengths.items() if length > 300} == {}
    assert [(path.name, name) for path, name in imports if not (path.parent / name).is_file()] == []
    assert ("chart.js", "../vendor/uplot.js") in [(path.name, name) for path, name in imports]


def test_pages_load_nothing_from_elsewhere():
    """Neither templates nor scripts nor styles name another host: the dashboard works without a network."""
    files = [*(STATIC / "js").rglob("*.js"), *(STATIC / "css").glob("*.css"), *STATIC.parent.glob("templates/*.html")]
    foreign = [
        (path.name, found)
        for path in files
        for found in re.findall(r"""(?:src|href|from|import|url)[\s=("'(]+(?:https?:)?//[^\s"')]+""", path.read_text())
    ]

    assert foreign == []


def test_no_template_and_no_script_writes_markup_or_style_into_the_page():
    """The policy forbids inline scripts and styles; text becomes markup in the server's escaping templates only."""
    inline = r"<script(?![^>]*\ssrc=)|<style|<[a-z][^>]*\sstyle=|<[a-z][^>]*\son[a-z]+="
    templates = {path.name: re.findall(inline, path.read_text()) for path in STATIC.parent.glob("templates/*.html")}
    # A file to keep, which is downloaded and never a page of the dashboard: our own styles are in it.
    assert templates.pop("lab_export.html") == ["<style"]
    scripts = {
        path.name: re.findall(
            r"\beval\(|new Function|insertAdjacentHTML|document\.write|outerHTML\s*=", path.read_text()
        )
        for path in (STATIC / "js").rglob("*.js")
    }

    assert {name: found for name, found in {**templates, **scripts}.items() if found} == {}


def test_every_page_has_its_place_in_the_navigation_and_the_span_of_time_goes_along(app):
    """A page knows where it is, and its links keep what was chosen."""
    html = app.test_client().get("/costs?range=7d&framework=crewai&by=agent").text
    navigation = html.partition('aria-label="Pages"')[2].partition("</nav>")[0]

    links = re.findall(r'<a href="([^"]+)"( aria-current="page")?', navigation)
    carried = "?range=7d&amp;framework=crewai"
    assert links == [
        (page.path + carried, ' aria-current="page"' if page.name == "costs" else "")
        for page in PAGES
        if page.navigation
    ]


def test_a_problem_is_a_page_in_the_same_frame(app):
    """Also an address that is not there has the navigation, and says what to do."""
    response = app.test_client().get("/nowhere", headers={"Accept": "text/html"})

    assert response.status_code == 404
    assert 'aria-label="Pages"' in response.text
    assert "Go to the overview" in response.text


@pytest.fixture
def site():
    """A site over one span of CrewAI's coder."""
    store = open_memory_store()
    row = SpanRow("a" * 32, "b" * 16, None, NOW - 1, 1, "n", "invoke_agent", framework="crewai", agent="coder")
    store.write(Batch(spans=[row]))
    yield Site(store, None, DashboardSettings(), sources=tuple)  # type: ignore[arg-type]
    store.close()


def test_filters_offer_what_there_is_and_keep_what_was_chosen(site):
    """Each choice is an address; a value that this span of time does not have can still be removed."""
    query = Query.parse([("framework", "gone"), ("by", "x")], clock=lambda: NOW / 1e6)

    assert filters(site, query, "/p") == (
        Filter(
            "framework",
            "framework",
            (
                Option("gone", True, "/p?by=x"),
                Option("crewai", False, "/p?by=x&framework=gone&framework=crewai"),
            ),
            (Option("gone", True, "/p?by=x"),),
            "/p?by=x",
        ),
        Filter("model", "model", (), (), "/p?framework=gone&by=x"),
        Filter("agent", "agent", (), (), "/p?framework=gone&by=x"),
    )


class Silent:
    """A store that does not answer."""

    def facets(self, selection):
        """Fail."""
        raise StoreError("closed")


def test_filters_without_an_answer_of_the_store_are_empty(site):
    """The page tells what is wrong; its layout must not fail before."""
    silent = replace(site, store=Silent())

    assert [(one.name, one.options) for one in filters(silent, Query.parse([]), "/")] == [
        ("framework", ()),
        ("model", ()),
        ("agent", ()),
    ]


def test_a_change_needs_something_to_compare_with():
    """From nothing there is no share, and an unknown number has no change."""
    assert [change(3, 2), change(1, 2), change(1, 0), change(None, 2), change(1, None)] == [0.5, -0.5, None, None, None]


def test_a_budget_that_cannot_be_read_is_told_at_the_start(tmp_path):
    """And not when somebody opens a page."""
    with pytest.raises(ValueError, match="budget 'a=b/day' has the limit 'b'"):
        create_app(
            DashboardSettings(logs=(tmp_path,), db=tmp_path / "db", budgets=("a=b/day",)),
            store=open_memory_store(),
            follow=False,
        )
