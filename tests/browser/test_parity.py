"""The parity matrix in a browser: open a cell, switch views, filter, export, look back."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect


def rows(page: Page) -> Locator:
    """The scenarios that are shown."""
    return page.get_by_role("region", name="Scenarios by framework").locator("tbody th a")


def test_the_matrix_says_what_passes_and_what_does_not(dashboard, page, shoot):
    """Scenarios are rows, frameworks are columns with their versions, and a verdict is a word."""
    page.goto(f"{dashboard}/parity-matrix")
    matrix = page.get_by_role("region", name="Scenarios by framework")

    assert [text.split("\n")[0].strip() for text in matrix.locator("thead th").all_inner_texts()] == [
        "Scenario", "langgraph 1.2.22", "crewai 1.15.30", "autogen 0.7.5",
    ]  # fmt: skip
    expect(rows(page)).to_have_text(["Handoff", "Plain call", "Tool call"])
    expect(matrix.locator("tbody td .open")).to_have_text(
        [
            "passes", "framework can't", "passes",
            "passes", "passes", "adapter can't",
            "passes", "fails", "passes",
        ]
    )  # fmt: skip
    expect(matrix.locator("tfoot td").nth(1)).to_contain_text("1 fails")
    shoot(page, "dashboard-parity")


def test_a_green_matrix_leads_with_what_differs(browse, violations, dashboard):
    """What the tasks took comes first, and what is equal is one line, which opens without scripts."""
    page = browse(scripts=False)
    page.goto(f"{dashboard}/parity-matrix?run=2026-11-21T08:00:00Z&framework=crewai&framework=autogen")

    expect(page.locator("#view .card h2")).to_have_text(["What differs", "Captured as it was", "Runs and what changed"])
    differs = page.get_by_role("region", name="What differs by framework")
    expect(differs.locator("tbody th a")).to_have_text(
        ["Wall time", "Framework overhead", "Observed, against unobserved", "Peak memory", "Import time"]
    )
    expect(rows(page).filter(visible=True)).to_have_text(["Handoff"])
    page.get_by_text("2 scenarios are equal on every framework: all of them pass").click()
    expect(rows(page).filter(visible=True)).to_have_text(["Handoff", "Plain call", "Tool call"])
    differs.get_by_role("link", name="Wall time").click()
    expect(page).to_have_url(re.compile("show=latency"))
    wide = browse(scheme="dark", width=390)
    wide.goto(f"{dashboard}/parity-matrix?run=2026-11-21T08:00:00Z&framework=crewai&framework=autogen")
    wide.locator("#alike summary").click()
    assert violations(wide) == []
    assert wide.evaluate("document.documentElement.scrollWidth") == 390


def test_a_cell_opens_to_programs_trees_and_evidence(dashboard, page, shoot):
    """The framework of the cell stands first; its lost call is beside the truth, and what it printed is only text."""
    page.goto(f"{dashboard}/parity-matrix")
    page.get_by_role("link", name="Tool call on crewai: fails").click()

    expect(page).to_have_url(re.compile(r"/parity-matrix/tool_call\?framework=crewai$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Tool call")
    columns = page.locator(".program-column h3")
    expect(columns).to_have_text(["crewai", "langgraph", "autogen"])
    expect(page.locator(".program-column").first.locator(".own .c-own").first).to_have_text("LLM")
    tree = page.get_by_role("region", name="Span trees side by side").locator("tbody tr").filter(has_text="look_up")
    expect(tree.locator("td", has_text="look_up")).to_have_count(3)
    calls = page.get_by_role("region", name="Model calls on crewai")
    expect(calls.locator("tbody tr").last).to_contain_text("not captured")
    expect(page.get_by_role("region", name="Checks by framework")).to_contain_text("one call is missing")
    assert page.evaluate("window.hacked") is None
    shoot(page, "dashboard-parity-scenario")

    page.get_by_role("link", name="The scenario before").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Plain call")
    page.get_by_role("link", name="Parity matrix").last.click()
    expect(page).to_have_url(f"{dashboard}/parity-matrix")


def test_views_switch_and_stay_in_the_address(dashboard, page):
    """Numbers have units and intervals; “lowest” stands where no interval reaches it and nowhere else."""
    page.goto(f"{dashboard}/parity-matrix?framework=langgraph&framework=crewai")
    page.get_by_role("link", name="Overhead", exact=True).click()

    expect(page).to_have_url(re.compile("show=overhead$"))
    matrix = page.get_by_role("region", name="Scenarios by framework")
    plain = matrix.locator("tbody tr").filter(has_text="Plain call")
    expect(plain.locator("td").first).to_contain_text("16.0 ms")
    expect(plain.locator("td").first).to_contain_text("3.1 ms to 46.8 ms")
    expect(plain.locator("td").first.locator(".best")).to_have_text(["lowest"])
    expect(matrix.locator("tbody tr").filter(has_text="Tool call").locator(".best")).to_have_count(0)
    for view, unit in (("Tokens", "230"), ("Cost", "$"), ("Latency", " ms")):
        page.get_by_role("link", name=view, exact=True).click()
        expect(plain.locator("td").first).to_contain_text(unit)


def test_filters_leave_out_and_can_be_taken_back(dashboard, page):
    """By verdict, by framework and by words, together and each in the address."""
    page.goto(f"{dashboard}/parity-matrix")
    verdicts = page.get_by_role("navigation", name="Verdict")
    verdicts.get_by_role("link", name="fails").click()
    expect(rows(page)).to_have_text(["Tool call"])
    page.get_by_role("navigation", name="Framework").get_by_role("link", name="autogen").click()
    expect(page.get_by_text("No scenario is left over")).to_be_visible()
    page.get_by_role("link", name="Remove the filters").click()

    page.get_by_placeholder("Filter scenarios").fill("hands over")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?text=hands\+over$"))
    expect(rows(page)).to_have_text(["Handoff"])


def test_every_export_is_a_file(dashboard, page):
    """The menu has four kinds, all of what is shown, and the HTML file stands alone."""
    page.goto(f"{dashboard}/parity-matrix?verdict=fails")
    files = {}
    for kind in ("JSON", "CSV", "Markdown", "One HTML file"):
        page.locator("#lab-export summary").click()
        with page.expect_download() as download:
            page.get_by_role("link", name=kind, exact=True).click()
        files[download.value.suggested_filename.rpartition(".")[2]] = download.value.path()
        page.keyboard.press("Escape")

    assert [row["name"] for row in json.loads(files["json"].read_bytes())["rows"]] == ["tool_call"]
    assert len(files["csv"].read_text().splitlines()) == 4
    assert "| Tool call | ✓ passes | ✗ fails | ✓ passes |" in files["md"].read_text()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    alone = files["html"].rename(files["html"].with_suffix(".html"))
    page.goto(alone.as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text("Parity matrix")
    assert page.evaluate("getComputedStyle(document.querySelector('.card')).borderRadius") == "8px"
    assert page.evaluate("getComputedStyle(document.querySelector('.lab td')).overflowWrap") == "anywhere"
    providers = page.get_by_role("region", name="Providers")
    expect(providers.locator("tbody th").first).to_contain_text("OpenAI")
    assert asked == [alone.as_uri()]


def test_earlier_runs_tell_what_changed(dashboard, page):
    """From the list of runs to a cell that changed, and to the matrix as it was."""
    page.goto(f"{dashboard}/parity-matrix")
    history = page.locator(".lab-history")
    expect(history.locator("li[aria-current] .changes").first.locator("li")).to_have_text(
        [
            re.compile("handoff on crewai:\\s+passes → framework can't"),
            re.compile("plain_call on langgraph:\\s+fails → passes"),
            re.compile("plain_call on autogen:\\s+passes → adapter can't"),
            re.compile("tool_call on crewai:\\s+passes → fails"),
        ]
    )
    history.get_by_text("3 other changes").click()
    expect(history).to_contain_text("crewai: crewai 1.15.29 → 1.15.30")

    history.locator("ol > li").last.get_by_role("link").first.click()
    expect(page.get_by_text("This is an earlier run.")).to_be_visible()
    page.get_by_role("link", name="Plain call on langgraph: fails").click()
    expect(page).to_have_url(re.compile(r"run=2026-11-21T08%3A00%3A00Z&framework=langgraph$"))
    expect(page.get_by_role("region", name="Verdicts over runs").locator("tr[aria-current]")).to_contain_text("fails")


def test_another_instrumentation_comes_beside(dashboard, page):
    """One click puts its columns next to ours."""
    page.goto(f"{dashboard}/parity-matrix")
    page.get_by_role("link", name="Beside OpenInference").click()

    heads = page.get_by_role("region", name="Scenarios by framework").locator("thead th")
    expect(heads).to_have_count(7)
    expect(heads.nth(2)).to_contain_text("seen by OpenInference")


def test_the_matrix_is_walked_by_keyboard(dashboard, page, awake):
    """By j to the next scenario, and by ] from scenario to scenario."""
    page.goto(f"{dashboard}/parity-matrix")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Plain call", exact=True)).to_be_focused()
    page.get_by_role("link", name="Plain call", exact=True).press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Plain call")
    awake(page)
    page.keyboard.press("]")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tool call")


def test_everything_is_there_without_scripts(dashboard, browse):
    """Views, filters and cells are links; the filter is a form."""
    page = browse(scripts=False)
    page.goto(f"{dashboard}/parity-matrix?show=tokens")
    page.get_by_placeholder("Filter scenarios").fill("tool")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("show=tokens&text=tool$"))
    page.get_by_role("link", name="Tool call", exact=True).click()
    expect(page.locator(".program-column")).to_have_count(3)
    page.get_by_role("link", name="Put autogen first").click()
    expect(page.locator(".program-column h3").first).to_have_text("autogen")


def test_an_empty_lab_teaches_its_command(empty_dashboard, page):
    """Until the lab has run there is what to run, and the way to the real runs."""
    page.goto(f"{empty_dashboard}/parity-matrix")

    expect(page.locator(".empty pre")).to_contain_text("ai-dev-squad parity run")
    page.locator(".empty").get_by_role("link", name="Your runs").click()
    expect(page.get_by_text("No framework has run in this span of time")).to_be_visible()


@pytest.mark.parametrize("path", ["?show=overhead&observer=openinference", "/tool_call?framework=crewai"])
@pytest.mark.parametrize("width", [1440, 360])
def test_views_and_open_cells_are_accessible(dashboard, browse, violations, path, width):
    """Nothing is found by axe, in the dark no colour is too weak, and nothing makes the page wider than the screen."""
    page = browse(width=width, height=800)
    page.goto(f"{dashboard}/parity-matrix{path}")

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.emulate_media(color_scheme="dark")
    assert violations(page, "color-contrast") == []


def test_providers_are_a_table_of_frameworks(dashboard, page, shoot):
    """Plain and streamed are one line where they agree and two where they don't; what is missing says what to install."""
    page.goto(f"{dashboard}/parity-matrix")
    page.get_by_role("link", name="Providers").click()

    expect(page).to_have_url(re.compile(r"/parity-matrix\?tab=providers$"))
    table = page.get_by_role("region", name="Providers by framework")
    assert [text.strip() for text in table.locator("thead th").all_inner_texts()] == [
        "Provider",
        "langgraph",
        "autogen",
    ]
    ways = table.locator("tbody .way")
    assert [" ".join(text.split()) for text in ways.all_inner_texts()] == [
        "passes plain and streamed", "passes plain and streamed",
        "not installed plain", "fails streamed", "framework can't plain and streamed",
    ]  # fmt: skip
    expect(table.locator("tbody tr").first).to_contain_text("1,200 in (1,024 cached), 160 out (64 reasoning) · $0.0002")
    expect(table.locator(".reason")).to_have_text(["pip install boto3", "<i>0 cached", "no such client"])
    expect(table.get_by_role("link", name="no such client")).to_have_attribute("href", "https://example.org/clients")
    shoot(page, "dashboard-parity-providers")


def test_your_runs_of_one_task_stand_side_by_side(browse, violations, dashboard: str):
    """A task, or names that are the same work, are chosen on the page, without scripts; what is missing is said."""
    page = browse(scripts=False, width=390)
    page.goto(f"{dashboard}/parity-matrix?tab=runs")
    page.get_by_role("link", name="slow-search").click()
    expect(page.locator(".spreads thead th")).to_have_count(4)
    expect(page.locator(".same-foot")).to_contain_text("A median's interval takes 6 runs that succeeded")
    page.goto(f"{dashboard}/parity-matrix?tab=runs")
    page.get_by_text("Choose by name").click()
    page.get_by_role("checkbox", name="DevSquad").check()
    page.get_by_role("button", name="Side by side").click()
    expect(page.locator(".same-foot")).to_contain_text("tasks: different work costs differently")
    wide = browse(scheme="dark")
    wide.goto(page.url)
    assert violations(wide) == []


@pytest.fixture(scope="module")
def six(served) -> str:
    """The address of a dashboard whose lab has run on six frameworks."""
    return served("--six").url


def test_six_columns_are_chosen_and_pinned_by_keyboard(browse, violations, six):
    """With more than a few frameworks they fold into a menu: each can be left out, and one put first, where it stays."""
    page = browse(width=1024)
    page.goto(f"{six}/parity-matrix")
    heads = page.get_by_role("region", name="Scenarios by framework").locator("table").first.locator("thead .key")
    expect(heads).to_have_text(["langgraph", "crewai", "autogen", "agent_framework", "openai_agents", "pydantic_ai"])

    menu = page.locator("#lab-frameworks")
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Pin pydantic_ai").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?pin=pydantic_ai$"))
    expect(heads).to_have_text(["pydantic_ai", "langgraph", "crewai", "autogen", "agent_framework", "openai_agents"])
    expect(menu.locator("summary")).to_have_text("All 6 frameworks, pydantic_ai first")
    before = heads.first.bounding_box()
    region = page.get_by_role("region", name="Scenarios by framework")
    region.evaluate("element => element.scrollLeft = 9999")
    assert region.evaluate("element => element.scrollLeft") > 100
    assert heads.first.bounding_box() == before

    if menu.get_attribute("open") is None:
        menu.locator("summary").click()
    menu.get_by_role("link", name="crewai", exact=True).click()
    expect(heads).to_have_text(["pydantic_ai", "langgraph", "autogen", "agent_framework", "openai_agents"])
    expect(menu.locator("summary")).to_have_text("5 of 6 frameworks, pydantic_ai first")
    assert violations(page) == []


@pytest.mark.parametrize(
    "width, scheme, view", [(360, "light", ""), (390, "dark", "?show=overhead&pin=autogen"), (1440, "dark", "")]
)
def test_six_columns_are_read_on_any_page(browse, violations, six, width, scheme, view):
    """Nothing is wider than the page; on a narrow one a line is its frameworks, named, one below the other, and still a table."""
    page = browse(scheme=scheme, width=width)
    page.goto(f"{six}/parity-matrix{view}")
    line = page.get_by_role("row").filter(has_text="Plain call")
    expect(line.get_by_role("cell")).to_have_count(6)

    boxes = [cell.bounding_box() for cell in line.get_by_role("cell").all()]
    assert len({round(box["y"]) for box in boxes}) == (1 if width == 1440 else 6)
    assert all(box["x"] + box["width"] <= width for box in boxes)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert violations(page) == []


def test_a_move_is_three_keys_from_anywhere(browse, violations, six):
    """The matrix, the pair that a maker proposes, a scenario: by keyboard, and each is an address."""
    page = browse()
    page.goto(f"{six}/")
    page.get_by_role("link", name="Parity matrix").focus()
    page.keyboard.press("Enter")
    form = page.get_by_role("form", name="Move between frameworks")
    expect(form.get_by_label("Moving from")).to_have_value("autogen")
    form.get_by_role("button", name="Show").focus()
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/parity-matrix/frameworks/move\?before=autogen&after=agent_framework$"))
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"AutoGen\s+→ to\s+Agent Framework"))
    expect(page.locator(".move-totals tbody th").first).to_have_text(re.compile("Model calls"))
    rows = page.get_by_role("region", name="Each scenario on both frameworks")
    rows.get_by_role("link", name="Tool call").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"scenario=tool_call.*#programs$"))
    expect(page.get_by_role("heading", name="Tool call: the programs")).to_be_in_viewport()
    expect(page.locator(".program-column h3")).to_have_text([re.compile("AutoGen"), re.compile("Agent Framework")])
    page.get_by_role("link", name="The way back").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"Agent Framework\s+→ to\s+AutoGen"))
    assert violations(page) == []


@pytest.mark.parametrize("width, scheme", [(390, "dark"), (1440, "light")])
def test_a_move_is_read_on_any_page_without_scripts(browse, violations, six, width, scheme):
    """Nothing is wider than the page; two programs stand side by side where there is room, else one below the other."""
    page = browse(width=width, scheme=scheme, scripts=False)
    page.goto(f"{six}/parity-matrix")
    form = page.get_by_role("form", name="Move between frameworks")
    form.locator("select[name=before]").select_option("langgraph")
    form.locator("select[name=after]").select_option("crewai")
    form.get_by_role("button", name="Show").click()

    expect(page.get_by_role("heading", name="What has no counterpart")).to_be_visible()
    expect(page.locator(".move-list").first.locator("a[href^=https]")).to_have_attribute(
        "href", "https://docs.crewai.com/concepts"
    )
    columns = [column.bounding_box() for column in page.locator(".program-column").all()]
    assert len({round(box["y"]) for box in columns}) == (1 if width == 1440 else 2)
    assert all(box["x"] + box["width"] <= width for box in columns)
    scripted = browse(width=width, scheme=scheme)
    scripted.goto(page.url)
    assert scripted.evaluate("document.documentElement.scrollWidth") == width
    assert violations(scripted) == []
