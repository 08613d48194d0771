"""Costs, agents, the parity matrix and health in a browser."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def test_costs_are_split_and_shared_by_their_address(dashboard, page, shoot):
    """By agent instead of by model, in the chart and in the table."""
    page.goto(f"{dashboard}/costs")
    expect(page.locator("#table-title")).to_have_text("By model")
    shoot(page, "dashboard-costs", full_page=True)
    page.get_by_role("navigation", name="Split by").get_by_role("link", name="Agent").click()

    expect(page).to_have_url(re.compile(r"/costs\?by=agent$"))
    expect(page.locator("#table-title")).to_have_text("By agent")
    legend = page.locator("#cost-chart .legend li").all_inner_texts()
    rows = page.get_by_role("region", name="Costs by agent").locator("tbody th").all_inner_texts()
    assert legend[0].strip() == rows[0].strip() == "planner"


def test_a_tool_costs_what_models_read_of_it(dashboard, page):
    """Its calls, the model calls that read its results, and an estimate of what that cost, which says that it is one."""
    page.goto(f"{dashboard}/costs?by=tool")
    row = page.get_by_role("region", name="Costs by tool").locator("tbody tr").filter(has_text="≈").first

    expect(row).to_contain_text(re.compile(r"\d+ calls?\s+\d+\s+≈ \$0\.\d+"))
    expect(page.locator("main .card-foot").filter(has_text="An estimate")).to_contain_text(
        "model calls have captured content"
    )
    expect(page.locator("#cost-chart .legend")).to_contain_text("langgraph")


def test_a_budget_says_where_it_ends_and_how_that_is_known(dashboard, page):
    """Spent, forecast, state, and the sentence behind them."""
    page.goto(f"{dashboard}/costs")
    budget = page.locator("#budget-1")

    expect(budget).to_contain_text("team")
    expect(budget.locator(".budget-foot")).to_have_text(re.compile(r"\$[\d.]+ spent, [\d.]+ %\s*forecast \$[\d.]+"))
    budget.get_by_role("button", name="What the budget team means").click()
    expect(budget.locator(".popover")).to_contain_text("In the last 3 hours it was")


def test_an_unknown_price_says_how_to_add_it(dashboard, page):
    """The model, why it has no price, and a file to copy."""
    page.goto(f"{dashboard}/costs")
    card = page.locator("section[aria-labelledby=unknown-prices]")

    expect(card.locator("tbody")).to_contain_text("openai:squad-tuned-7b")
    expect(card.locator("tbody")).to_contain_text("no price is known for openai/squad-tuned-7b")
    expect(card.locator("code").nth(1)).to_contain_text('{"prices": {"')
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card.get_by_role("button", name="Copy the file").click()
    expect(card.get_by_role("button", name="Copied")).to_be_visible()


def test_advice_shows_its_evidence(dashboard, page):
    """Each piece of advice has an amount or says why not, and the numbers that it rests on."""
    page.goto(f"{dashboard}/costs")
    first = page.locator(".advice > li").first

    expect(first.locator(".advice-amount")).to_have_text(re.compile(r"up to \$"))
    first.locator("summary").click()
    assert first.locator(".facts dt").count() >= 2


def test_costs_are_clean_with_everything_open(dashboard, browse, violations):
    """Opened tables, evidence and explanations are accessible as well."""
    page = browse(scheme="dark")
    page.goto(f"{dashboard}/costs")
    page.evaluate("document.querySelectorAll('main details').forEach((one) => (one.open = true))")
    page.locator("#why-cost").evaluate("(popover) => popover.showPopover()")

    assert violations(page) == []
