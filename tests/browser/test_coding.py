"""Coding agents, as people read them."""

from __future__ import annotations

import importlib.util
import json
import re
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def told(served) -> str:
    """The address of a dashboard to which coding agents have sent what they do."""
    sample = Path(__file__).parent.parent / "dashboard" / "coding_sample.py"
    spec = importlib.util.spec_from_file_location("coding_sample", sample)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    url = served("--empty").url
    for path, body in module.requests(time.time_ns()):
        request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer) == {}
    return str(url)


def test_an_agent_leads_to_its_people_and_a_session_to_its_prompts(browse, told: str):
    """The dearest agent narrows the page, and its session opens with what was asked."""
    page = browse()
    page.goto(f"{told}/coding")
    page.get_by_role("link", name="Claude Code").click()
    expect(page).to_have_url(re.compile(r"framework=claude-code"))
    expect(page.get_by_role("region", name="By person as a table").locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="c2", exact=True).click()
    expect(page.locator("main")).to_contain_text("Mend the dates")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_coding_agents_are_accessible_and_fit(browse, violations, told: str, scheme, width):
    """With agents, and where there is nothing."""
    page = browse(scheme=scheme, width=width)
    for path in ("/coding", "/coding?show=tokens&provider=openai", "/coding?range=15m"):
        page.goto(told + path)
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
