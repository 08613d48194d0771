"""The reference page of routes, socket events and keys is what the code says."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from ai_dev_squad_dashboard.keyboard import SHORTCUTS
from ai_dev_squad_dashboard.openapi import describe

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def reference(monkeypatch):
    """The program that writes the page."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("reference_http")


def test_the_committed_page_is_up_to_date(reference):
    """``python tools/generate_reference.py`` would write the page that is there."""
    assert (ROOT / "docs" / "reference" / "http-api.md").read_text(encoding="utf-8") == reference.http_page()


def test_every_route_every_key_and_every_event_is_on_the_page(reference):
    """Nothing that programs or people can use is left out."""
    page = reference.http_page()

    for path, item in describe()["paths"].items():
        for method in item:
            assert f"`{method.upper()} {path}`" in page
    for shortcut in SHORTCUTS:
        assert shortcut.does in page
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "packages/dashboard/src/ai_dev_squad_dashboard").glob("live*.py")
    )
    sent = set(re.findall(r'"(metrics_update|view_update|log_lines|running)"', source))
    assert sent == {"metrics_update", "view_update", "log_lines", "running"}
    for event in (*sent, "connect", "subscribe", "unsubscribe"):
        assert f"| `{event}` |" in page


def test_links_within_the_page_lead_somewhere(reference):
    """Every link to a shape has its heading."""
    page = reference.http_page()
    headings = {heading.lower() for heading in re.findall(r"^### (\w+)$", page, re.MULTILINE)}

    assert set(re.findall(r"\]\(#(\w+)\)", page)) <= headings
