"""The dashboard's own health in a browser."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def test_health_shows_the_parts_and_where_to_send_to(dashboard, page, shoot):
    """Ingest, queue, drops, size and age; the store's facts and the versions."""
    page.goto(f"{dashboard}/health")

    assert page.locator(".tile h2").all_inner_texts() == ["Ingest", "Waiting", "Dropped", "Store", "Newest span"]
    expect(page.locator(".facts")).to_contain_text("DuckDB")
    expect(page.locator(".facts")).to_contain_text("ai-dev-squad-dashboard")
    expect(page.locator("#tile-size .tile-value")).to_have_text(re.compile(r"[1-9]\d*\.\d MiB"))
    shoot(page, "dashboard-health")


def test_health_has_no_filters(dashboard, page):
    """The span of time and the filters would change nothing here, so they are not shown."""
    page.goto(f"{dashboard}/health")

    assert page.locator(".filters, .range").count() == 0
