"""Hostile content on every page: what an attacker wrote is shown, and does nothing."""

from __future__ import annotations

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

import ai_dev_squad_dashboard
from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, OpenRow, SpanRow

# The export of the parity matrix is a file to keep: our own styles are in it, and its content is looked at by a test below.
TEMPLATES = sorted(
    path
    for path in (Path(ai_dev_squad_dashboard.__file__).parent / "templates").glob("*.html")
    if path.name != "lab_export.html"
)
MARKUP = '<script>alert(1)</script><img src=x onerror=alert(1)>"\' autofocus onfocus=alert(1) x="</main></style>{{7*7}}'
TRICKS = "\x1b]0;title\x07\x1b[31mred\u202egpj.exe\u200b\U000e0068\U000e0069\x00\ud83d"
HOSTILE = MARKUP + TRICKS.encode("utf-8", "replace").decode() + "javascript:alert(1)"
TRACE, SPAN, CHILD, TOOL = "ab" * 16, "cd" * 8, "ce" * 8, "cf" * 8
OTHER = "ef" * 16
ACTIVE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f\ud800-\udfff]"
)


def hostile_rows() -> Batch:
    """A run in which every text that somebody else may choose is hostile, one of them of a megabyte."""
    now_us = int(time.time() * 1_000_000)
    start_us = now_us - 60_000_000
    words = dict.fromkeys(("framework", "service", "session_id", "agent"), HOSTILE)
    message = [{"role": HOSTILE, "parts": [{"type": "text", "content": HOSTILE + "x" * 1_000_000}]}]
    details = json.dumps(
        {
            "attributes": {HOSTILE: HOSTILE},
            "input": message,
            "output": message,
            "system": [{"type": "text", "content": HOSTILE}],
            "tools": [{"type": "function", "name": HOSTILE, "description": HOSTILE}],
            "events": [{"name": HOSTILE, "time_us": start_us, "attributes": {HOSTILE: HOSTILE}}],
            "links": [{"trace_id": TRACE, "span_id": CHILD, "type": HOSTILE, "attributes": {HOSTILE: HOSTILE}}],
            "resource": {HOSTILE: HOSTILE},
            "metadata": {HOSTILE: HOSTILE},
            "stacktrace": HOSTILE,
        }
    ).encode()
    failed = {"status": "error", "error_type": HOSTILE, "error_message": HOSTILE, "details": details}
    return Batch(
        spans=[
            SpanRow(TRACE, SPAN, None, start_us, 9_000_000, HOSTILE, "invoke_agent", **words, **failed),
            SpanRow(
                *(TRACE, CHILD, SPAN, start_us + 1000, 5_000_000, HOSTILE, "chat"),
                **{**words, **failed},
                provider=HOSTILE,
                model=HOSTILE,
                input_tokens=10,
                output_tokens=5,
                usage_source="provider",
                cost_reason=HOSTILE,
                instrumentation=HOSTILE,
                text=HOSTILE,
            ),
            SpanRow(
                OTHER,
                SPAN,
                None,
                start_us,
                9_000_000,
                HOSTILE,
                "invoke_agent",
                **words,
                **failed,
                task=HOSTILE,
                version=HOSTILE,
            ),
            SpanRow(TRACE, TOOL, SPAN, start_us + 2000, 1000, HOSTILE, "execute_tool", **words, **failed, tool=HOSTILE),
        ],
        logs=[LogRow(start_us, "ERROR", HOSTILE, HOSTILE, **words, trace_id=TRACE, span_id=SPAN, details=details)],
        opened=[OpenRow("12" * 16, "34" * 8, None, now_us - 1000, HOSTILE, "invoke_agent", HOSTILE, HOSTILE, HOSTILE)],
    )


def hostile_matrix() -> str:
    """A result of the lab in which every text but the names of scenarios and frameworks is hostile."""
    matrix = json.loads((Path(__file__).parent / "data" / "parity.json").read_text(encoding="utf-8"))
    for scenario in matrix["scenarios"]:
        scenario.update(title=HOSTILE, purpose=HOSTILE, spec=HOSTILE)
        scenario["programs"] = dict.fromkeys(scenario["programs"], HOSTILE)
    for cell in matrix["cells"]:
        cell.update(reason=HOSTILE, source=f"javascript:{HOSTILE}", note=HOSTILE, output=HOSTILE)
        for check in cell["checks"]:
            check.update(captured=HOSTILE, truth=HOSTILE, detail=HOSTILE)
        for node in cell["tree"]:
            node.update(operation=HOSTILE, name=HOSTILE)
    matrix["machine"] = {HOSTILE: HOSTILE}
    return json.dumps(matrix)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A dashboard over hostile rows and a hostile result of the lab."""
    store = open_memory_store()
    store.write(hostile_rows())
    directory = tmp_path_factory.mktemp("db")
    (directory / "parity").mkdir()
    (directory / "parity" / "parity.json").write_text(hostile_matrix(), encoding="utf-8")
    app = create_app(DashboardSettings(db=directory / "d.duckdb", logs=(directory,)), store=store, follow=False)
    yield app
    running(app).close()


class Markup(HTMLParser):
    """Collects what a strict policy would refuse, and anything that an attacker may have added."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        if tag == "script" and not (names.get("src") or "").startswith("/static/"):
            self.found.append("inline script")
        if tag in {"style", "iframe", "object", "embed", "base", "meta"} and names.get("http-equiv"):
            self.found.append(tag)
        if tag == "img" and not (names.get("src") or "").startswith(("/static/", "data:image/svg+xml")):
            self.found.append(f"picture from {names.get('src')}")
        for name, value in attrs:
            # What a form sends back has to be what was typed.
            if name != "value":
                self.handle_data(value or "")
            if name.startswith("on") or name == "style":
                self.found.append(f"{tag} {name}={value}")
            if name in {"href", "src", "action", "formaction", "xlink:href"} and not re.match(
                r"/(?!/)|#|\?|data:image/svg", value or "/"
            ):
                self.found.append(f"{tag} {name}={value}")

    def handle_data(self, data):
        self.found += [f"U+{ord(character):04X} in {data[:60]!r}" for character in ACTIVE.findall(data)[:3]]


def pages(app):
    """The paths of every page, with the arguments that the hostile rows gave."""
    adapter = app.url_map.bind("localhost")
    values = {"trace_id": TRACE, "span_id": CHILD, "session_id": HOSTILE, "scenario": "plain_call"}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(("pages.", "api.")):
            yield rule.endpoint, adapter.build(rule.endpoint, {name: values[name] for name in rule.arguments})


def test_hostile_content_is_shown_inert_on_every_page(app):
    """No page gains a script, a style, a handler, a picture or a link from content, and none carries what hides or reorders text."""
    client = app.test_client()
    found = {}
    shown = set()
    for endpoint, path in pages(app):
        if not endpoint.startswith("pages."):
            continue
        query = f"?t={TRACE}&t={OTHER}&span={CHILD}" if endpoint in {"pages.compare", "pages.trace"} else ""
        answer = client.get(path + query, headers={"Accept": "text/html"})
        assert answer.status_code == 200, (path, answer.text[:2000])
        parser = Markup()
        parser.feed(answer.text)
        if parser.found:
            found[endpoint] = parser.found[:5]
        if "&lt;script&gt;" in answer.text:
            shown.add(endpoint)
        assert len(answer.data) < 2_000_000, (endpoint, len(answer.data))

    assert found == {}
    assert shown >= {"pages.trace", "pages.traces", "pages.logs", "pages.sessions"}


def test_a_matrix_that_is_kept_as_a_file_is_as_safe(app):
    """The export has our styles and a policy in it, and nothing of what others wrote has a way to act; it is downloaded, not shown."""
    answer = app.test_client().get("/api/parity-matrix.html")
    policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    assert answer.text.count(policy) == 1
    text = re.sub(r"<style>.*?</style>", "", answer.text.replace(policy, ""), count=1, flags=re.DOTALL)
    parser = Markup()
    parser.feed(text)
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert parser.found == []
    assert "&lt;script&gt;" in text
    assert "<style" not in text


def test_the_data_stays_what_it_was(app):
    """The JSON is data: it is sent as such, and no browser takes it for a page."""
    client = app.test_client()
    for endpoint, path in pages(app):
        if endpoint.startswith("api."):
            query = f"?t={TRACE}&t={OTHER}" if endpoint == "api.compare" else ""
            answer = client.get(path + query, headers={"Accept": "text/html"})
            assert (endpoint, answer.status_code, answer.mimetype) == (endpoint, 200, "application/json")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_have_nothing_inline_and_trust_nothing(path):
    """No template has an inline script, style or handler, switches escaping off, or leaves an attribute without quotes."""
    text = path.read_text(encoding="utf-8")
    assert (
        re.findall(
            r"<script(?![^>]*\bsrc=)[^>]*>|<style|<[a-z][^<>]*\s(?:style|on[a-z]+)=|\|\s*safe\b|autoescape false", text
        )
        == []
    )
    assert re.findall(r"<[a-z][^>]*\s[a-z-]+=\{\{", text) == []


def test_an_address_shows_nothing_hostile_either(app):
    """What stands in the URL comes back as safe as what stands in the store, in pages and in errors."""
    client = app.test_client()
    for path in ("/traces", "/logs", "/sessions", "/", "/no/such/page"):
        answer = client.get(path, query_string={"text": HOSTILE, "agent": HOSTILE, "range": "7d"})
        parser = Markup()
        parser.feed(answer.text)
        assert (path, parser.found[:5]) == (path, [])
    answer = client.get("/", query_string={"range": HOSTILE}, headers={"Accept": "text/html"})
    assert (answer.status_code, "<script>alert" in answer.text) == (400, False)
