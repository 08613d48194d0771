"""The lab's matrix on its page: verdicts, figures, filters, history and exports, from files as the lab writes them."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard.app import create_app, running
from ai_dev_squad_dashboard.lab.differences import LabDifference, LabShare
from ai_dev_squad_dashboard.lab.figures import Figure, figures, lowest, shifted
from ai_dev_squad_dashboard.lab.history import LabChange
from ai_dev_squad_dashboard.lab.table import Lab, LabColumn, LabEntry, LabRow, RunInfo
from ai_dev_squad_dashboard.lab_results import LabInterval, LabMeasure, LabOutcome
from ai_dev_squad_dashboard.page import NotFoundError
from ai_dev_squad_dashboard.query import Query, QueryError
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.views.parity import lab, providers

sys.path.insert(0, str(Path(__file__).parent))

import parity_files

PASSED = {"passes": 3, "adapter can't": 0, "framework can't": 0, "not installed": 0, "fails": 0}


@pytest.fixture
def logs(tmp_path):
    """A log directory with the results of three runs."""
    parity_files.fill(tmp_path / "logs")
    return tmp_path / "logs"


@pytest.fixture
def client(logs, tmp_path):
    """A browser without a screen, in front of a dashboard that follows the directory."""
    settings = DashboardSettings(logs=(logs,), db=tmp_path / "d")
    app = create_app(settings, store=open_memory_store(), follow=False)
    yield app.test_client()
    running(app).close()


def see(logs, text=""):
    """The matrix that a URL shows."""
    args = [tuple(part.split("=", 1)) for part in text.split("&") if part]
    return lab.build((logs,), Query.parse(args))


def measure(median, low=None, high=None, unit="ms", repeats=5):
    """A measured quantity."""
    interval = None if low is None else LabInterval(low, high)
    return LabMeasure(median, (median,) * repeats, unit, interval)


def test_without_results_there_is_only_where_they_would_be(tmp_path):
    """Neither the directory nor a file in it need exist."""
    nothing = {"passes": 0, "adapter can't": 0, "framework can't": 0, "not installed": 0, "fails": 0}

    assert see(tmp_path) == Lab(
        str(tmp_path / "parity"), None, "capture", (), (), (), 0, nothing, 0, None, (), (), None, (), (), ()
    )


def test_a_pinned_framework_stands_first(tmp_path):
    """Its columns lead, the others keep their order; one that is not shown pins nothing."""
    parity_files.write(tmp_path / "parity" / "parity.json", parity_files.six())

    def columns(query):
        view = see(tmp_path, query)
        return view.pinned, [column.framework for column in view.columns]

    others = ["langgraph", "crewai", "agent_framework", "openai_agents", "pydantic_ai"]
    assert columns("pin=autogen") == ("autogen", ["autogen", *others])
    assert columns("pin=autogen&framework=crewai&framework=autogen") == ("autogen", ["autogen", "crewai"])
    assert columns("pin=autogen&framework=crewai") == (None, ["crewai"])
    assert [(column.version, column.hue) for column in see(tmp_path).columns[3:]] == [
        ("2.68.0", 9),
        ("2.68.0", 10),
        ("2.68.0", 11),
    ]


def test_a_run_is_rows_of_scenarios_and_columns_of_frameworks(tmp_path):
    """Names, versions, verdicts and totals of a run as the lab wrote it, here with one cell for each framework."""
    run = parity_files.real()
    run["repeat"], run["cells"] = 1, [cell for cell in run["cells"] if cell["scenario"] == "plain_call"]
    for number, cell in enumerate(run["cells"]):
        cell["measures"] = {"tokens": {"median": 100.0 + number, "values": [100.0 + number], "unit": "tokens"}}
    parity_files.write(tmp_path / "parity" / "parity.json", run)

    view = see(tmp_path, "show=tokens")

    def entry(tokens, *, is_lowest):
        share = round(100 * tokens / 102, 2)
        shown = Figure(tokens, tokens, tokens, "tokens", 1, is_lowest, share, share, share)
        return LabEntry("passes", "", None, "", 14, (), {"tokens": shown})

    def column(framework, hue, version, total):
        return LabColumn(framework, "ours", hue, version, run["versions"][framework], {**PASSED, "passes": 1}, total)

    info = next(one for one in run["scenarios"] if one["name"] == "plain_call")
    assert view == Lab(
        directory=str(tmp_path / "parity"),
        run=RunInfo(
            id="2026-11-22T18:22:50Z",
            created_us=1_795_371_770_000_000,
            observer="ours",
            model_server="scripted",
            repeat=1,
            machine={"system": "Linux-6.18-x86_64-with-glibc2.36", "cores": "2", "python": "3.11.7"},
        ),
        show="tokens",
        measures=("tokens", "calls"),
        columns=(
            column("langgraph", 1, "1.2.22", 100.0),
            column("crewai", 2, "1.15.30", 101.0),
            column("autogen", 3, "0.7.5", 102.0),
        ),
        rows=(
            LabRow(
                "plain_call",
                "Plain call",
                info["purpose"],
                (entry(100.0, is_lowest=True), entry(101.0, is_lowest=False), entry(102.0, is_lowest=False)),
                equal=False,
            ),
        ),
        scenarios=1,
        verdicts={**PASSED},
        summed=1,
        unit="tokens",
        differences=(
            LabDifference(
                "tokens",
                "Tokens",
                added=True,
                scenarios=1,
                shares=(
                    LabShare(100.0, "100", 98.04, 1),
                    LabShare(101.0, "101", 99.02, 0),
                    LabShare(102.0, "102", 100.0, 0),
                ),
            ),
        ),
        frameworks=("langgraph", "crewai", "autogen"),
        pinned=None,
        observers=("ours",),
        history=view.history,
        problems=(),
    )
    assert [(past.id, past.shown, past.changes) for past in view.history] == [("2026-11-22T18:22:50Z", True, ())]


def test_each_verdict_has_its_reason_and_only_web_addresses_are_sources(logs):
    """A source that would run a script is none."""
    view = see(logs)

    found = {
        (row.name, column.framework): (cell.verdict, cell.reason, cell.source, cell.failed_checks)
        for row in view.rows
        for column, cell in zip(view.columns, row.cells, strict=True)
        if cell.verdict != "passes"
    }
    assert found == {
        ("handoff", "crewai"): ("framework can't", "CrewAI has no handoff", "https://docs.crewai.com/concepts", ()),
        ("plain_call", "autogen"): ("adapter can't", "the adapter does not see it", None, ()),
        ("tool_call", "crewai"): (
            "fails",
            "calls: model calls by how they ended: {'ok': 1} captured, {'ok': 2} true",
            None,
            ("calls",),
        ),
    }
    assert view.verdicts == {"passes": 6, "adapter can't": 1, "framework can't": 1, "not installed": 0, "fails": 1}


@pytest.mark.parametrize(
    "text, rows, columns",
    [
        ("verdict=fails", ["tool_call"], ["langgraph", "crewai", "autogen"]),
        ("verdict=fails&framework=langgraph", [], ["langgraph"]),
        ("text=NO HANDOFF", ["handoff"], ["langgraph", "crewai", "autogen"]),
        ("text=nothing of that kind", [], ["langgraph", "crewai", "autogen"]),
        ("framework=autogen&framework=crewai", ["handoff", "plain_call", "tool_call"], ["crewai", "autogen"]),
        ("framework=other", ["handoff", "plain_call", "tool_call"], []),
    ],
)
def test_filters_leave_rows_and_columns_out(logs, text, rows, columns):
    """Verdicts and words choose scenarios, of the frameworks that are shown."""
    view = see(logs, text)

    assert [row.name for row in view.rows] == rows
    assert [column.framework for column in view.columns] == columns


def test_totals_are_of_what_every_column_passes(logs):
    """A framework that cannot do something needs nothing for it, and that is not compared."""
    everyone = see(logs, "show=tokens")
    two = see(logs, "show=tokens&framework=langgraph&framework=autogen")

    assert (everyone.summed, [column.total for column in everyone.columns]) == (0, [None, None, None])
    assert (two.summed, [column.total for column in two.columns]) == (2, [572.0, 572.0])


def test_rows_are_equal_where_nothing_but_chance_can_differ(tmp_path):
    """Passing alike is equal, and so is the same number of tokens; a note of one, a failure and times are not."""
    run = parity_files.real()
    parity_files.lose_a_call(parity_files.cell(run, "tool_call", "crewai"))
    parity_files.write(tmp_path / "parity" / "parity.json", run)

    assert {
        show: [row.name for row in see(tmp_path, f"show={show}").rows if row.equal]
        for show in ("capture", "tokens", "latency")
    } == {"capture": ["plain_call"], "tokens": ["plain_call"], "latency": []}


def test_what_differs_is_added_up_over_what_every_framework_passes(tmp_path):
    """Measures that are the same everywhere are not told; what a framework fails counts for nobody."""
    run = parity_files.real()
    parity_files.lose_a_call(parity_files.cell(run, "tool_call", "crewai"))
    for framework, tokens in (("langgraph", 100.0), ("crewai", 150.0), ("autogen", 100.0)):
        measures = parity_files.cell(run, "plain_call", framework)["measures"]
        measures["tokens"] = {"median": tokens, "values": [tokens] * 5, "unit": "tokens"}
    parity_files.write(tmp_path / "parity" / "parity.json", run)

    found = {one.name: one for one in see(tmp_path).differences}
    assert list(found) == ["wall", "framework", "observation", "tokens", "memory", "import"]
    handoff = parity_files.cell(run, "handoff", "langgraph")["measures"]["tokens"]["median"]
    assert (found["tokens"].scenarios, found["tokens"].added) == (2, True)
    assert [(one.value, one.lowest_in) for one in found["tokens"].shares] == [
        (100 + handoff, 0), (150 + handoff, 0), (100 + handoff, 0),
    ]  # fmt: skip


def test_another_instrumentation_stands_beside_ours(logs):
    """Each framework's columns are neighbours, and what the other lost is its own failure."""
    view = see(logs, "observer=openinference")

    assert [(column.framework, column.observer) for column in view.columns] == [
        ("langgraph", "ours"),
        ("langgraph", "openinference"),
        ("crewai", "ours"),
        ("crewai", "openinference"),
        ("autogen", "ours"),
        ("autogen", "openinference"),
    ]
    assert [cell.verdict for cell in view.rows[0].cells] == [
        "passes", "fails", "framework can't", "passes", "passes", "passes",
    ]  # fmt: skip
    assert view.observers == ("ours", "openinference")


def test_an_earlier_run_is_shown_by_its_id(logs):
    """The history marks which one is shown; an id that is not there is told, and so is an unknown view."""
    view = see(logs, "run=2026-11-21T08:00:00Z")

    assert view.run.id == "2026-11-21T08:00:00Z"
    assert [(past.id, past.shown) for past in view.history] == [
        ("2026-11-22T18:22:50Z", False),
        ("2026-11-22T09:00:00Z-openinference", False),
        ("2026-11-21T08:00:00Z", True),
    ]
    with pytest.raises(NotFoundError, match="there is no run 'never' of the lab; choose one of the list"):
        see(logs, "run=never")
    with pytest.raises(QueryError, match="show='speed' is unknown; use one of capture, tokens"):
        see(logs, "show=speed")


def test_the_history_tells_what_changed_and_nothing_that_may_be_chance(logs):
    """Verdicts, versions and exact counts; of what varies only what no repeat contradicts, against a run of the same kind."""
    newest, peer, oldest = see(logs).history

    assert newest.changes == (
        LabChange("verdict", "handoff", "crewai", "verdict", "passes", "framework can't", better=False),
        LabChange("verdict", "plain_call", "langgraph", "verdict", "fails", "passes", better=True),
        LabChange("verdict", "plain_call", "autogen", "verdict", "passes", "adapter can't", better=False),
        LabChange("verdict", "tool_call", "crewai", "verdict", "passes", "fails", better=False),
        LabChange("version", None, "crewai", "crewai", "1.15.29", "1.15.30", better=None),
        LabChange("measure", "handoff", "autogen", "Framework overhead", "1.46 s", "48.8 ms", better=True),
        LabChange("measure", "tool_call", "crewai", "Tokens", "307", "138", better=True),
    )
    assert (newest.compared_with_us, newest.more_changes) == (oldest.created_us, 0)
    assert (peer.compared_with_us, oldest.compared_with_us) == (None, None)


def test_times_of_another_machine_are_not_compared(logs):
    """What the same program takes elsewhere says nothing about the program."""
    run = parity_files.verdicts()
    run["machine"]["cores"] = 64
    parity_files.write(logs / "parity" / "parity.json", run)
    parity_files.write(logs / "parity" / "history" / "2026-11-22T18-22-50Z.json", run)

    assert [change.what for change in see(logs).history[0].changes if change.kind == "measure"] == ["Tokens"]


def test_there_is_no_winner_where_intervals_overlap():
    """The smallest median is lowest only if its interval ends before all others begin, with repeats enough on each side."""
    apart = {0: measure(10, 9, 12), 1: measure(20, 13, 30), 2: measure(40, 20, 50)}
    touching = {0: measure(10, 9, 13), 1: measure(20, 13, 30)}

    assert lowest(apart) == 0
    assert lowest(touching) is None
    assert lowest({0: measure(10)}) is None
    assert lowest({0: measure(10), 1: measure(20, repeats=2)}) is None
    assert lowest({0: measure(2, unit="calls", repeats=1), 1: measure(3, unit="calls", repeats=1)}) == 0
    assert lowest({0: measure(2, unit="calls"), 1: measure(2, unit="calls")}) is None


def test_who_fails_is_never_lowest():
    """A program that gave up early has needed little."""
    failed = LabOutcome("s", "a", "fails", measures={"tokens": measure(1, unit="tokens")})
    passed = [LabOutcome("s", name, "passes", measures={"tokens": measure(9, unit="tokens")}) for name in "bc"]

    assert [one["tokens"].lowest for one in figures([failed, *passed])] == [False, False, False]


amounts = st.floats(0, 1e9, allow_nan=False)


@given(st.lists(st.tuples(amounts, amounts, amounts), min_size=1, max_size=6))
def test_bars_stay_in_their_picture_and_one_at_most_is_lowest(triples):
    """Whatever was measured, lengths are 0 to 100 and in order, and the lowest one is below all others."""
    measures = [measure(*(ordered[1], ordered[0], ordered[2])) for ordered in map(sorted, triples)]
    cells = [LabOutcome("s", str(at), "passes", measures={"wall": one}) for at, one in enumerate(measures)]

    shown = [one["wall"] for one in figures(cells)]

    assert all(0 <= one.left <= one.length <= one.right <= 100 for one in shown)
    best = [one for one in shown if one.lowest]
    assert len(best) <= 1
    assert all(one.high < other.low for one in best for other in shown if other is not one)


def test_a_measure_changed_only_beyond_doubt():
    """By more than a tenth, with intervals apart and repeats enough; counts are exact."""
    assert shifted(measure(10, 9, 11), measure(20, 15, 30))
    assert not shifted(measure(10, 9, 16), measure(20, 15, 30))
    assert not shifted(measure(100), measure(101))
    assert not shifted(measure(10, repeats=1), measure(20, repeats=1))
    assert shifted(measure(2, unit="calls", repeats=1), measure(3, unit="calls", repeats=1))
    assert not shifted(measure(2, unit="calls"), measure(2, unit="ms"))


def test_the_guides_answer_keeps_its_key_and_carries_the_lab(client):
    """Whoever wrote against the guide reads `frameworks` as before."""
    answer = client.get("/api/parity-matrix?show=cost&framework=crewai").json

    assert list(answer) == ["frameworks", "lab"]
    assert answer["frameworks"] == {}
    assert (answer["lab"]["show"], [column["framework"] for column in answer["lab"]["columns"]]) == ("cost", ["crewai"])


def test_an_export_is_what_the_page_shows(client):
    """JSON is the matrix after the filters, as a download with the run's moment in its name."""
    answer = client.get("/api/parity-matrix.json?verdict=fails")

    assert answer.headers["Content-Disposition"] == 'attachment; filename="parity-22-Nov-182250.json"'
    assert answer.json == client.get("/api/parity-matrix?verdict=fails").json["lab"]


def test_csv_has_a_line_for_each_cell_and_no_formulas(logs, client):
    """Every measure has its median and its interval; a text that a spreadsheet would calculate is text."""
    run = parity_files.verdicts()
    parity_files.cell(run, "tool_call", "crewai")["reason"] = "=HYPERLINK(1)"
    parity_files.write(logs / "parity" / "parity.json", run)

    lines = list(csv.DictReader(io.StringIO(client.get("/api/parity-matrix.csv").text)))

    assert [(line["scenario"], line["framework"], line["verdict"]) for line in lines[-3:]] == [
        ("tool_call", "langgraph", "passes"),
        ("tool_call", "crewai", "fails"),
        ("tool_call", "autogen", "passes"),
    ]
    assert (lines[-2]["reason"], lines[-2]["failed_checks"], lines[-2]["tokens"]) == (
        "'=HYPERLINK(1)",
        "calls",
        "138.0",
    )
    assert math.isclose(float(lines[0]["wall_ms_low"]), 10.674269, abs_tol=1e-3)
    assert (lines[1]["verdict"], lines[1]["wall_ms"]) == ("framework can't", "")


def test_markdown_has_a_table_for_each_view_and_the_reasons(logs, client):
    """A verdict has a sign and a word, an interval stands beside its median, and text cannot leave its cell."""
    run = parity_files.verdicts()
    parity_files.cell(run, "tool_call", "crewai")["reason"] = "a | b\n# <b>"
    parity_files.write(logs / "parity" / "parity.json", run)

    text = client.get("/api/parity-matrix.md").text

    assert text.startswith(
        "# Parity matrix\n\nRun of 22 Nov 18:22:50 UTC, scripted model, 5 repeats. "
        "9 cells: 6 pass, 1 adapter can't, 1 framework can't, 1 fail.\n\n"
    )
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Verdicts", "## Wall time", "## Framework overhead", "## Observed, against unobserved", "## Model calls", "## Tokens",
        "## Cost", "## Peak memory", "## Import time", "## Reasons and notes",
    ]  # fmt: skip
    assert "| Handoff | ✓ passes | ○ framework can't | ✓ passes |" in text
    assert "| Tool call | 38.2 ms (31.7 ms to 69.1 ms) | 159.3 ms (43.7 ms to 174.2 ms) |" in text
    assert "- Tool call on crewai 1.15.30: fails. a \\| b↵\\# \\<b\\>" in text


def test_the_html_file_needs_nothing_else(client):
    """Its styles are in it; no script, no picture and no other file is asked for, and what a program printed does nothing."""
    text = client.get("/api/parity-matrix.html").text

    assert "--accent:" in text
    assert "Tool call" in text
    for loading in ("<script", "<link", "src=", "@import", "url("):
        assert loading not in text


def test_an_export_that_is_not_there_names_what_is(client, tmp_path):
    """Another kind, or no run of the lab yet."""
    assert client.get("/api/parity-matrix.pdf").json == {
        "error": {
            "status": 404,
            "title": "Not found",
            "message": "the matrix cannot be had as 'pdf'; use json, csv, md, html",
        }
    }
    settings = DashboardSettings(logs=(tmp_path / "none",), db=tmp_path / "e")
    app = create_app(settings, store=open_memory_store(), follow=False)
    answer = app.test_client().get("/api/parity-matrix.csv")
    running(app).close()
    assert (answer.status_code, answer.json["error"]["message"]) == (
        404,
        "the lab has not run yet; `ai-dev-squad parity run` does",
    )


def test_the_page_says_what_it_shows_in_words(client):
    """Verdicts are words beside their signs, and every view answers."""
    shown = client.get("/parity-matrix").text

    for word in ("passes", "adapter can&#39;t", "framework can&#39;t", "fails"):
        assert f"</svg>{word}</span>" in shown
    for show in ("tokens", "cost", "latency", "overhead"):
        assert client.get(f"/parity-matrix?show={show}").status_code == 200
    assert json.loads(client.get("/api/parity?tab=runs").text)["lab"] is None


def test_a_table_of_providers_is_what_the_file_says(client):
    """Two cells for each framework, in the order of the file; only web addresses are sources."""
    answer = client.get("/api/parity?tab=providers").json["providers"]

    assert [name for name, _ in answer["frameworks"]] == ["langgraph", "autogen"]
    shown = [
        (row["title"], [cell and (cell["verdict"], cell["reason"], cell["source"]) for cell in row["cells"]])
        for row in answer["rows"]
    ]
    passes, cannot = ("passes", "", None), ("framework can't", "no such client", "https://example.org/clients")
    assert shown == [
        ("OpenAI", [passes, passes, passes, passes]),
        (
            "Amazon Bedrock",
            [("not installed", "pip install boto3", None), ("fails", "<i>0 cached", None), cannot, cannot],
        ),
    ]
    assert answer["verdicts"] == {**PASSED, "passes": 4, "framework can't": 2, "not installed": 1, "fails": 1}
    page = client.get("/parity-matrix?tab=providers").text
    assert "&lt;i&gt;0 cached" in page
    assert "<i>0 cached" not in page


def test_without_a_table_of_providers_there_is_its_command(tmp_path):
    """And a file that is none is named with the cure."""
    assert providers.build((tmp_path,)) == providers.Providers(None, (), (), {}, ())
    (tmp_path / "parity").mkdir()
    (tmp_path / "parity" / "providers.json").write_text("[]")
    (problem,) = providers.build((tmp_path,)).problems
    assert problem.message.startswith("is no result of the lab")
