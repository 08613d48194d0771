"""Costs, agents, the parity matrix and health in a browser."""

from __future__ import annotations

import re
import time

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
    """Its calls, the tokens that model calls read of its results, and an estimate of what that cost, which says that it is one."""
    page.goto(f"{dashboard}/costs?by=tool")
    row = page.get_by_role("region", name="Costs by tool").locator("tbody tr").filter(has_text="≈").first

    expect(row).to_contain_text(re.compile(r"\d+\s+≈ \$0\.\d+"))
    expect(page.locator("main .card-foot").filter(has_text="Read is an estimate")).to_contain_text(
        "model calls have captured content"
    )
    expect(page.locator("#cost-chart .legend")).to_contain_text("langgraph")


def test_a_tool_costs_what_it_asks_of_models_itself(dashboard, page):
    """Calls beneath a tool, and beneath a tool that it called: in the table, and on the page of the tool over time."""
    now = time.time_ns() - 60 * 10**9

    def span(number, parent, name, **attributes):
        given = [
            {"key": key, "value": {"doubleValue" if isinstance(value, float) else "stringValue": value}}
            for key, value in attributes.items()
        ]
        return {
            "traceId": f"{77:032x}", "spanId": f"{number:016x}", "parentSpanId": f"{parent:016x}" if parent else "", "name": name,
            "startTimeUnixNano": str(now + number * 10**6), "endTimeUnixNano": str(now + 10**9), "attributes": given,
        }  # fmt: skip

    def tool(name):
        return {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}

    def chat(usd):
        return {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.cost": usd}

    spans = [
        span(1, 0, "research", **tool("research")), span(2, 1, "m", **chat(0.25)), span(3, 1, "look up", **tool("look up")),
        span(4, 3, "m", **chat(0.5)),
    ]  # fmt: skip
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    assert page.request.post(f"{dashboard}/v1/traces", data=body).ok

    page.goto(f"{dashboard}/costs?by=tool")
    row = page.get_by_role("region", name="Costs by tool").locator("tbody tr").filter(has_text="research")
    expect(row).to_contain_text(re.compile(r"research\s+1\s+0\s+2 · \$0\.750\s+1 · \$0\.250\s+\S\s+\S\s+\$0\.750"))
    row.get_by_role("link", name="Over time").click()
    expect(page.locator("#tile-made")).to_contain_text("$0.750")
    expect(page.locator("#tile-made")).to_contain_text("2 calls, $0.250 without tools that it called")
    expect(page.locator("#cost-chart .legend")).to_contain_text("its model calls")


def test_marks_stand_beside_cost(dashboard, page, violations):
    """What was thought of runs, as their programs told it by OTLP; what a good one costs; and from there to the runs."""
    rows = page.request.get(f"{dashboard}/api/traces?framework=crewai&limit=20").json()["rows"]
    events = []
    for place, row in enumerate(rows):
        given = {"name": {"stringValue": "helpful"}, "score.value": {"intValue": 1 - place % 2},
                 "score.label": {"stringValue": ("good", "bad")[place % 2]}}  # fmt: skip
        attributes = [{"key": f"gen_ai.evaluation.{key}", "value": value} for key, value in given.items()]
        events.append({"traceId": row["trace_id"], "timeUnixNano": str(time.time_ns()), "eventName": "gen_ai.evaluation.result", "attributes": attributes})  # fmt: skip
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": events}]}]}
    assert page.request.post(f"{dashboard}/v1/logs", data=body).ok
    page.goto(f"{dashboard}/costs?marks_by=framework")
    row = page.get_by_role("region", name="Marks by framework").locator("tbody tr").filter(has_text="crewai")

    expect(row).to_contain_text(
        re.compile(r"crewai\s+helpful\s+20\s+0\.5\s+\[0\.3, 0\.7\]\s+bad 50 %\s*good 50 %\s+\$[\d.]+")
    )
    expect(row).to_contain_text(re.compile(r"10\s+\$[\d.]+\s+\$[\d.]+ to \$[\d.]+"))
    assert violations(page) == []
    page.locator(".good-form input[name=good_score]").fill("2")
    page.locator(".good-form button").click()
    expect(row).to_contain_text("too few")
    row.get_by_role("link", name="crewai").click()
    page.locator("#marking summary").click()
    page.get_by_label("Score at most").fill("0.5")
    page.get_by_label("Score at most").press("Enter")
    expect(page.locator(".chips")).to_contain_text("Score at most 0.5")
    expect(page.locator(".list-foot .pager")).to_contain_text("10 runs")


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
