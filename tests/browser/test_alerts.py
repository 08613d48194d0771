"""The page of alerts in a browser: rules, who is told, what was told, and acting on them."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

RULES = """
[[receiver]]
name = "gone"
type = "webhook"
url = "http://127.0.0.1:9/hooks/T0SECRET?key=s3cret"
group = "0s"

[[receiver]]
name = "mail"
type = "email"
host = "127.0.0.1"
port = 9
tls = "none"
sender = "squad@example.org"
to = ["ops@example.org"]
quiet = { from = "00:00", to = "23:59:59" }

[[rule]]
name = "Dear agents"
measure = "cost_usd"
over = "1d"
above = 0.01
by = ["agent"]
notify = ["gone", "mail"]
severity = "critical"
note = "https://wiki.example.org/dear"

[[rule]]
name = "Silence"
measure = "silence"
over = "7d"
"""


@pytest.fixture(scope="module")
def alerts(served, tmp_path_factory) -> str:
    """The address of a dashboard with rules, some of which hold."""
    path = tmp_path_factory.mktemp("alerts") / "alerts.toml"
    path.write_text(RULES, encoding="utf-8")
    return served("--alerts", str(path)).url


def test_a_rule_that_holds_is_seen_with_whom_it_could_not_tell(alerts, page, violations, shoot):
    """What holds and for whom, which receiver fails and why, and what waits for it; no secret of an address."""
    page.goto(f"{alerts}/alerts")
    failing = page.locator("tbody tr", has=page.get_by_role("button", name="Test the receiver gone"))
    for _ in range(100):
        if failing.locator(".badge.bad").count():
            break
        page.wait_for_timeout(100)
        page.reload()
    expect(page.locator("tbody tr", has_text="Dear agents").first).to_contain_text("holds for")
    expect(failing).to_contain_text("cannot be reached")
    expect(failing).to_contain_text("http://127.0.0.1:9/…")
    assert "s3cret" not in page.content()
    assert "T0SECRET" not in page.content()
    assert violations(page) == []
    shoot(page, "dashboard-alerts", full_page=True)


def test_a_rule_is_made_and_deleted_on_the_page(alerts, page):
    """Two clicks from anywhere: the page, and the button below the form."""
    page.goto(f"{alerts}/")
    page.get_by_role("link", name="Alerts").click()
    form = page.locator(".alert-form")
    form.get_by_label("Name").fill("Busy")
    form.get_by_label("Measure").select_option("count")
    form.get_by_label("Threshold").fill("many")
    form.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("the threshold 'many' is no number; write one like 5 or 0.25")
    expect(form.get_by_label("Name")).to_have_value("Busy")

    form.get_by_label("Threshold").fill("3")
    form.get_by_role("button").click()
    row = page.locator("tbody tr", has_text="Busy").first
    expect(row).to_contain_text("count of calls above 3 in 1h")
    row.get_by_role("button", name="Delete the rule Busy").click()
    expect(page.get_by_role("button", name="Delete the rule Busy")).to_have_count(0)


def test_a_receiver_is_tested_from_the_page(alerts, page):
    """The button says what came of it."""
    page.goto(f"{alerts}/alerts")
    page.get_by_role("button", name="Test the receiver mail").click()
    expect(page.locator("tbody tr", has_text="ops@example.org")).to_contain_text("127.0.0.1:9 cannot be reached")


def test_without_rules_the_page_says_how_to_begin(dashboard, page):
    """A command and a receiver to copy."""
    page.goto(f"{dashboard}/alerts")
    expect(page.get_by_text("There is no rule yet")).to_be_visible()
    expect(page.get_by_text("ai-dev-squad dashboard --alerts alerts.toml")).to_be_visible()
