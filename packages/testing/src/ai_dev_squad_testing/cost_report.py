"""What the model calls of each observed test took: told at the end of a run of pytest, and held against a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ai_dev_squad_testing.gate import Comparison, Limits, Samples, SamplesError, compare, read_samples, save_samples

if TYPE_CHECKING:
    from ai_dev_squad_testing.captured import Captured

__all__ = ["CostSummary", "note_costs"]

_PREFIX = "ai_dev_squad."
_MEASURES = ("cost", "tokens", "calls")
_QUIET = 0.005
"""A change that is not worth a line."""


def note_costs(item: pytest.Item, captured: Captured) -> None:
    """Note on a test what its calls took: on its report, which also a worker of pytest-xdist hands on. What is unknown
    is left out.
    """
    runs = captured.runs
    if not any(run.calls for run in runs):
        return
    values: dict[str, float] = {
        "calls": sum(len(run.calls) for run in runs),
        "tokens": sum(run.input_tokens + run.output_tokens for run in runs),
    }
    if not any(run.unpriced_calls for run in runs):
        values["cost"] = sum(run.cost_usd for run in runs)
    item.user_properties += [(f"{_PREFIX}{name}", value) for name, value in values.items()]


class CostSummary:
    """The costs of a session."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._samples = Samples()
        self._comparison: Comparison | None = None
        baseline = config.getoption("--cost-baseline")
        limit = config.getoption("--cost-limit")
        if limit is not None and baseline is None:
            raise pytest.UsageError(
                "--cost-limit needs --cost-baseline: the file that --cost-save wrote on the main branch"
            )
        self._limits = Limits(effect=_QUIET if limit is None else limit, measures=_MEASURES, exact=True)
        self._baseline: Samples | None = None
        if baseline is not None:
            try:
                self._baseline = read_samples([Path(baseline)])
            except (OSError, SamplesError) as error:
                raise pytest.UsageError(f"--cost-baseline: {error}") from None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test noted, once it has ended."""
        if report.when != "teardown":
            return
        for name, value in report.user_properties:
            if name.startswith(_PREFIX) and isinstance(value, (int, float)):
                self._samples.add(report.nodeid, name.removeprefix(_PREFIX), float(value))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Compare, keep, and fail the session where that was asked."""
        save = self._config.getoption("--cost-save")
        if self._baseline is not None:
            # Only tests that ran are compared: a part of the suite is no regression.
            ran = {task: values for task, values in self._baseline.values.items() if task in self._samples.values}
            self._comparison = compare(Samples(ran), self._samples, self._limits)
        if save:
            save_samples(self._samples, Path(save))
        is_limited = self._config.getoption("--cost-limit") is not None
        if is_limited and self._comparison is not None and self._comparison.worse and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """A line for each test, the dearest first, and what takes more or less than in the baseline."""
        terminalreporter.section("cost of observed tests")
        write = terminalreporter.write_line
        for task, values in sorted(
            self._samples.values.items(), key=lambda each: (-sum(each[1].get("cost", [0.0])), each[0])
        ):
            cost = f"${sum(values['cost']):.6f}" if "cost" in values else "cost unknown"
            write(f"{cost:>14} {sum(values['calls']):6,.0f} calls {sum(values['tokens']):10,.0f} tokens  {task}")
        if not self._samples.values:
            write("no test observed a model call")
        for finding in self._comparison.findings if self._comparison else ():
            if finding.verdict != "same":
                share = f"{abs(finding.growth):.0%}" if finding.old_mean else "something, from nothing"
                word = "more" if finding.growth > 0 else "less"
                what = "costs" if finding.measure == "cost" else f"takes in {finding.measure}"
                write(f"{finding.task} {what} {share} {word} than in the baseline")
