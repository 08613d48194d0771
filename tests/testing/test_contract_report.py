"""Whoever runs the contract is told how far an adapter holds it, and what it lacks."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ai_dev_squad_testing import AdapterContract, ContractError, ContractReport, run_contract
from ai_dev_squad_testing.contract_rules import count_tests

ADAPTER = '''
    """A framework that is a function; its adapter emits nothing."""
    import pytest
    from ai_dev_squad_testing import AdapterContract

    class TestNothing(AdapterContract):
        framework = "nothing"
        lacks = {
            "arun": "no event loop", "astream": "no event loop", "with_tool": "it is tiny", "two_agents": "it is tiny",
            "in_parallel": "it is tiny", "observe_as": "it is tiny",
        }

        def observe(self, program):
            return program

        unobserve = observe

        def asking(self, base_url, *, streaming=False, model="gpt-4o-mini"):
            return lambda question: "Paris"

        def run(self, program, question):
            return program(question)

        def test_something_of_its_own(self):
            """It is not counted."""

        @pytest.mark.xfail(strict=True, reason="it must be observed first")
        def test_one_setting_switches_everything_off(self, serve):
            """The server is never asked."""
            super().test_one_setting_switches_everything_off(serve)
'''
TOTAL = count_tests(AdapterContract, AdapterContract)


def written(folder: Path, text: str) -> Path:
    """A test module."""
    file = folder / "test_nothing.py"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return file


def test_a_report_counts_what_holds_and_names_the_rest(tmp_path, capfd):
    """What passes, what the framework lacks, what is expected to fail, what fails and what was left out; then in a line."""
    chosen = "never_observed or two_agents_are_told_apart or observing_twice or one_setting or something_of_its_own"
    options = ("-k", chosen, "-p", "no:cacheprovider", "-o", "addopts=")

    (report,) = run_contract(written(tmp_path, ADAPTER), options=options)

    lacks = {
        **dict.fromkeys(("arun", "astream"), "no event loop"),
        **dict.fromkeys(("with_tool", "two_agents", "in_parallel", "observe_as"), "it is tiny"),
    }
    assert report == ContractReport(
        adapter="test_nothing.py::TestNothing",
        framework="nothing",
        total=TOTAL,
        passed=1,
        lacks=lacks,
        not_yet={"one_setting_switches_everything_off": "it must be observed first"},
        failed=("observing_twice_is_observing_once",),
        not_run=TOTAL - 4,
    )
    assert not report.holds
    line = (
        f"contract 1 of {TOTAL}; lacks: arun, astream (no event loop), with_tool, two_agents, in_parallel, observe_as (it is tiny); "
        "not yet: one_setting_switches_everything_off (it must be observed first); "
        f"failed: observing_twice_is_observing_once; not run: {TOTAL - 4}"
    )
    assert str(report) == line
    assert f"nothing: {line}" in capfd.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "changes, holds",
    [
        pytest.param({}, True, id="all pass"),
        pytest.param({"passed": 1, "lacks": {"stream": "answers come whole"}}, True, id="something lacks"),
        pytest.param({"passed": 2, "not_yet": {"a_failing_tool": "hidden"}}, True, id="something is expected to fail"),
        pytest.param({"passed": 2, "failed": ("a_failing_tool",)}, False, id="something fails"),
        pytest.param({"passed": 2, "not_run": 1}, False, id="something was left out"),
    ],
)
def test_the_contract_holds_when_nothing_fails_and_nothing_is_left_out(changes, holds):
    """What lacks or is expected to fail says so with a reason, and is no breach."""
    assert ContractReport(**{"adapter": "a", "framework": "f", "total": 3, "passed": 3, **changes}).holds is holds


def test_the_contract_counts_each_set_of_parameters():
    """The total is what pytest collects of a class that changes nothing."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    module = "from ai_dev_squad_testing import AdapterContract\n\nclass TestMine(AdapterContract):\n    pass\n"

    printed = subprocess.run([*command, written(Path(), module)], capture_output=True, text=True, check=True).stdout

    assert sum("::TestMine::" in line for line in printed.splitlines()) == TOTAL


def test_files_without_an_adapter_are_refused(tmp_path):
    """A run that proves nothing is no report."""
    file = written(tmp_path, 'def test_mine():\n    """Nothing."""\n')

    with pytest.raises(
        ContractError, match=r"no contract was run in .*test_nothing\.py \(pytest ended with 0\): a class"
    ):
        run_contract(file, options=("-p", "no:cacheprovider", "-o", "addopts="))
