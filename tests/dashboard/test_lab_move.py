"""Moving from one framework to another, told from the cells of one run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ai_dev_squad_dashboard.formats import NONE
from ai_dev_squad_dashboard.lab_report import move, move_markdown
from ai_dev_squad_dashboard.lab_results import LabResult, load


def cell(verdict: str, **more: object) -> dict:
    """What a cell found."""
    return {"verdict": verdict, **more}


def took(calls: float, tokens: float, cost: float, wall: float) -> dict:
    """The measures of one run."""
    values = {"calls": (calls, "calls"), "tokens": (tokens, "tokens"), "cost": (cost, "USD"), "wall": (wall, "ms")}
    return {name: {"median": value, "values": [value], "unit": unit} for name, (value, unit) in values.items()}


def result() -> LabResult:
    """Four scenarios on AutoGen and on Agent Framework: both pass twice, one has no counterpart, one was not run before."""
    cells = {
        ("ask", "autogen"): cell("passes", measures=took(1, 100, 0.001, 10)),
        ("ask", "agent_framework"): cell("passes", measures=took(1, 150, 0.002, 5), note="It | asks *twice*."),
        ("tell", "autogen"): cell("passes", measures=took(2, 50, 0, 20)),
        ("tell", "agent_framework"): cell("passes", measures=took(2, 50, 0, 20)),
        ("stop", "autogen"): cell("passes", measures=took(1, 10, 0.001, 1)),
        ("stop", "agent_framework"): cell("framework can't", reason="it waits_on", source="https://example.org/a_b"),
        ("new", "agent_framework"): cell("passes", measures=took(1, 10, 0.001, 1)),
    }
    programs = {"autogen": "import a\nrun()\n", "agent_framework": "import b\nrun()\n"}
    return msgspec.convert(
        {
            "version": 1,
            "created": "2026-11-22T18:22:50Z",
            "versions": {"autogen": {"autogen-agentchat": "0.7.5", "openai": "3.0"}, "agent_framework": {}},
            "scenarios": [
                {"name": name, "title": name.title(), "programs": programs} for name in ("ask", "tell", "stop", "new")
            ],
            "cells": [
                {"scenario": name, "framework": framework, **found} for (name, framework), found in cells.items()
            ],
        },
        LabResult,
    )


PAGE = """\
# AutoGen 0.7.5 → Agent Framework

2 of 4 scenarios pass on both.

| Measure | Scenarios | AutoGen 0.7.5 | Agent Framework | Change |
| --- | --: | --: | --: | --: |
| Model calls | 2 | 3 | 3 | none |
| Tokens | 2 | 150 | 200 | +33 % |
| Cost | 2 | $0.0010 | $0.0020 | +100 % |
| Wall time | 2 | 30.0 ms | 25.0 ms | not clear |

| Scenario | Before | After | Lines | Model calls | Tokens | Cost | Wall time |
| --- | --- | --- | --: | --: | --: | --: | --: |
| Ask | ✓ passes | ✓ passes | LINES | 1 | 100 → 150 | $0.0010 → $0.0020 | 10.0 ms → 5.0 ms |
| Tell | ✓ passes | ✓ passes | LINES | 2 | 50 | $0 | 20.0 ms |
| Stop | ✓ passes | ○ framework can't | LINES | NONE | NONE | NONE | NONE |
| New | not run | ✓ passes | LINES | NONE | NONE | NONE | NONE |

## What has no counterpart

- Stop: it waits\\_on https://example.org/a_b

## What is done otherwise

- Ask: It \\| asks \\*twice\\*.
""".replace("NONE", NONE).replace("LINES", "\N{MINUS SIGN}1 +1")


def test_a_move_is_told_scenario_by_scenario():
    """Sums over what both pass, each scenario's numbers, what is not there any more with its source, and what is done otherwise."""
    assert move_markdown(move(result(), "autogen", "agent_framework")) == PAGE


def test_a_program_changes_line_by_line():
    """The difference is of the sources that were run."""
    row = move(result(), "autogen", "agent_framework").rows[0]

    assert row.difference == "--- before\n+++ after\n@@ -1,2 +1,2 @@\n-import a\n+import b\n run()\n"


def walls(*of: tuple[float, float, float]) -> LabResult:
    """A scenario for each pair of wall times: the old one, the new one, and how far the intervals reach on both sides."""

    def wall(median: float, reach: float) -> dict:
        interval = {"low": median - reach, "high": median + reach}
        return {"wall": {"median": median, "values": [median] * 3, "unit": "ms", "interval": interval}}

    cells = [
        {"scenario": str(at), "framework": framework, **cell("passes", measures=wall(median, reach))}
        for at, (old, new, reach) in enumerate(of)
        for framework, median in (("autogen", old), ("crewai", new))
    ]
    scenarios = [{"name": str(at)} for at in range(len(of))]
    return msgspec.convert(
        {"version": 1, "created": "2026-11-22T18:22:50Z", "scenarios": scenarios, "cells": cells}, LabResult
    )


@pytest.mark.parametrize(
    "of, words",
    [
        ([(10, 20, 1), (10, 20, 1)], "+100 %"),
        ([(20, 10, 1)], "\N{MINUS SIGN}50 %"),
        ([(10, 20, 1), (10, 12, 5)], "+60 %"),
        ([(10, 20, 1), (10, 12, 8)], "not clear"),
        ([(10, 10, 1)], "none"),
    ],
)
def test_a_sum_of_times_changed_only_where_chance_cannot_have_made_it(of, words):
    """The intervals of the sums have to stay apart: their deviations add up as squares, those of cells apart from one another."""
    (total,) = move(walls(*of), "autogen", "crewai").totals

    assert total.words == words


def test_a_move_there_and_back_is_the_same_move():
    """Before and after change places, nothing else."""
    there, back = (move(result(), *pair) for pair in (("autogen", "agent_framework"), ("agent_framework", "autogen")))

    assert [(one.name, one.before, one.after) for one in there.totals] == [
        (one.name, one.after, one.before) for one in back.totals
    ]
    assert [row.name for row in back.without_counterpart] == ["new"]
    assert move(result(), "autogen", "autogen").without_counterpart == ()


def test_what_the_run_has_no_cells_of_names_the_cure():
    """The framework, those that there are, and how to run it."""
    with pytest.raises(
        ValueError, match="no cells of 'crewai', only of autogen, agent_framework; `ai-dev-squad parity run"
    ):
        move(result(), "autogen", "crewai")


def test_a_real_run_is_moved_within():
    """The file that the lab wrote: each measure of each scenario that passes on both."""
    real = load(Path(__file__).with_name("data") / "parity.json")

    found = move(real, "langgraph", "autogen")

    assert [row.passes for row in found.rows] == [True, True, True]
    assert [(one.name, one.scenarios) for one in found.totals] == [
        ("calls", 3),
        ("tokens", 3),
        ("cost", 3),
        ("wall", 3),
    ]
    assert all("ChatOpenAI" in row.programs[0] for row in found.rows)
