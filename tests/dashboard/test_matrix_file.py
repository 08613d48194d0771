"""Reading what the lab left: whole, bounded, each run once, and what is wrong told with its cure."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard import lab_results
from ai_dev_squad_dashboard.lab_results import LabMeasure, LabOutcome
from ai_dev_squad_dashboard.matrix_file import FileProblem, read_result, read_summaries

sys.path.insert(0, str(Path(__file__).parent))

import parity_files


def only_problem(directory):
    """The one file below a log directory that cannot be shown."""
    runs, problems = read_summaries([directory])
    assert runs == ()
    return problems


def test_a_run_is_read_whole_and_its_summary_light(tmp_path):
    """The summary has verdicts and measures; programs, trees and calls are read when a run is opened."""
    run = parity_files.real()
    run["cells"] = [parity_files.cell(run, "plain_call", "crewai")]
    run["cells"][0]["measures"] = {"calls": {"median": 1.0, "values": [1.0], "unit": "calls"}}
    parity_files.write(tmp_path / "parity" / "parity.json", run)

    (summary,), problems = read_summaries([tmp_path])
    whole = read_result(summary)

    assert problems == ()
    assert summary.cells == (
        LabOutcome("plain_call", "crewai", "passes", "", {"calls": LabMeasure(1.0, (1.0,), "calls")}),
    )
    assert (summary.path, summary.id) == (str(tmp_path / "parity" / "parity.json"), "2026-11-22T18:22:50Z")
    assert msgspec.to_builtins(whole.cells[0].tree)[0]["operation"] == run["cells"][0]["tree"][0]["operation"]
    assert {one.name: one.programs for one in whole.scenarios} == {
        one["name"]: one["programs"] for one in run["scenarios"]
    }


def test_runs_come_newest_first_and_each_once(tmp_path):
    """The newest run is in the history too; another log directory counts as well."""
    parity_files.fill(tmp_path / "a")
    other = {**parity_files.real(), "created": "2026-11-23T00:00:00+00:00"}
    parity_files.write(tmp_path / "b" / "parity" / "parity-nightly.json", other)

    runs, problems = read_summaries([tmp_path / "a", tmp_path / "b", tmp_path / "missing"])

    assert [run.id for run in runs] == [
        "2026-11-23T00:00:00+00:00",
        "2026-11-22T18:22:50Z",
        "2026-11-22T09:00:00Z-openinference",
        "2026-11-21T08:00:00Z",
    ]
    assert problems == ()


def test_a_file_is_read_again_when_it_is_another(tmp_path):
    """And only then: the same file is the same object."""
    path = tmp_path / "parity" / "parity.json"
    parity_files.write(path, parity_files.real())
    first = read_result(read_summaries([tmp_path])[0][0])
    assert read_result(read_summaries([tmp_path])[0][0]) is first

    parity_files.write(path, parity_files.earlier())

    assert read_summaries([tmp_path])[0][0].created == "2026-11-21T08:00:00Z"


def test_a_run_that_goes_away_is_a_problem(tmp_path):
    """Between the list and the look, somebody may tidy up."""
    path = tmp_path / "parity" / "parity.json"
    parity_files.write(path, parity_files.real())
    (summary,), _ = read_summaries([tmp_path])
    path.unlink()

    assert read_result(summary) == FileProblem(str(path), "is gone; run the lab again")


@pytest.mark.parametrize(
    "content, message",
    [
        (
            b"",
            "is no result of the lab (Input data was truncated); remove it, and `ai-dev-squad parity run` writes a new one",
        ),
        (
            b"[]",
            "is no result of the lab (Expected `object`, got `array`); remove it, and `ai-dev-squad parity run` writes a new one",
        ),
        (b'{"version": 2}', "is of version 2, this dashboard reads 1; update ai-dev-squad-dashboard"),
        (
            b'{"version": 1, "created": "yesterday"}',
            "was created at 'yesterday', which is no moment; run the lab again",
        ),
    ],
)
def test_what_is_no_result_is_told_with_the_cure(tmp_path, content, message):
    """The page shows the others, and this message."""
    path = tmp_path / "parity" / "parity.json"
    path.parent.mkdir()
    path.write_bytes(content)

    assert only_problem(tmp_path) == (FileProblem(str(path), message),)


def test_what_is_too_large_or_no_file_is_not_opened(tmp_path, monkeypatch):
    """A file beyond the limit is not read, and a pipe would never end."""
    path = tmp_path / "parity" / "parity.json"
    path.parent.mkdir()
    os.mkfifo(path)
    again = "`ai-dev-squad parity run` writes a new one"
    assert only_problem(tmp_path) == (FileProblem(str(path), f"is no file; remove it, and {again}"),)

    path.unlink()
    parity_files.write(path, parity_files.real())
    monkeypatch.setattr(lab_results, "MAX_BYTES", 10)
    assert only_problem(tmp_path) == (FileProblem(str(path), f"has 0 MiB, at most 0 are read; remove it, and {again}"),)


def test_a_tree_without_end_is_refused(tmp_path):
    """Nesting beyond what can be read is no result."""
    run = parity_files.real()
    path = tmp_path / "parity" / "parity.json"
    parity_files.write(path, run)
    deep = '{"operation": "a", "name": "", "status": "", "span_id": "", "start_ms": 0, "duration_ms": 0, "children": ['
    text = path.read_text().replace('"tree": [', '"tree": [' + deep * 3000 + "]}" * 3000 + ", ", 1)
    path.write_text(text)

    runs, _ = read_summaries([tmp_path])

    problem = read_result(runs[0]) if runs else only_problem(tmp_path)[0]
    assert isinstance(problem, FileProblem)
    assert problem.message.startswith("is no result of the lab (")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_stands_in_a_file_is_an_answer(tmp_path_factory, content):
    """A run or a problem, never an exception."""
    directory = tmp_path_factory.mktemp("any")
    (directory / "parity").mkdir()
    (directory / "parity" / "parity.json").write_bytes(content)

    runs, problems = read_summaries([directory])

    assert len(runs) + len(problems) == 1
