"""The pytest plugin: fixtures for tests of agents, and a line that says how far an adapter or an engine holds its contract.

pytest loads it by itself wherever ai-dev-squad-testing is installed. A test run that uses none of it imports nothing of ours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ai_dev_squad_testing.captured import Captured
    from ai_dev_squad_testing.cassette import Cassette
    from ai_dev_squad_testing.contract_report import Tally
    from ai_dev_squad_testing.model_server import ModelServer

__all__ = ["cassette", "isolated_runtime", "model_server", "observed", "observed_runs", "scripted_model"]


@pytest.fixture
def isolated_runtime() -> Iterator[None]:
    """Nothing is configured, observed or reported when the test begins, and again when it has ended.

    Failures of the observing itself raise, which in production are logged once and go no further.
    """
    from ai_dev_squad import guard
    from ai_dev_squad_testing.captured import reset

    reset()
    before = guard.set_strict(True)
    yield
    guard.set_strict(before)
    reset()


@pytest.fixture
def observed_runs(request: pytest.FixtureRequest) -> Iterator[Captured]:
    """All that is observed in the test, spans included; the test fails if an operation is still open at its end."""
    from ai_dev_squad_testing.cost_report import note_costs
    from ai_dev_squad_testing.fixtures import whole_runs

    with whole_runs() as captured:
        yield captured
        note_costs(request.node, captured)


@pytest.fixture
def observed(observed_runs: Captured) -> Captured:
    """``observed_runs`` by its short name: ``assert observed.calls == 2``."""
    return observed_runs


@pytest.fixture
def scripted_model() -> Iterator[Callable[..., ModelServer]]:
    """``scripted_model(reply("Ship it."), ...)`` starts a model server that plays these steps.

    The test fails if a request came that no step answers, or a step was never asked for.
    """
    from ai_dev_squad_testing.fixtures import serving

    started: list[ModelServer] = []
    with serving() as serve:

        def start(*steps: Any) -> ModelServer:
            started.append(serve(*steps))
            return started[-1]

        yield start
    wrong = [
        text
        for server in started
        for text in (
            *(f"unexpected request: {call.error}" for call in server.truth.unexpected),
            *(f"never asked for: {step}" for step in server.truth.steps_left),
        )
    ]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


@pytest.fixture
def model_server(scripted_model: Callable[..., ModelServer]) -> Callable[..., ModelServer]:
    """``scripted_model`` by the name of what it starts."""
    return scripted_model


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """What real providers answered when ``pytest --record`` ran this test, given back without a network.

    It stands in ``cassettes/`` beside the test. The test fails if something else is asked for, or less.
    """
    from ai_dev_squad_testing.fixtures import cassette_file
    from ai_dev_squad_testing.recording import use_cassette

    file, cure = cassette_file(request.path, request.node.nodeid), f'pytest --record "{request.node.nodeid}"'
    try:
        with use_cassette(file, record=request.config.getoption("--record"), cure=cure) as used:
            yield used
    except (AssertionError, FileNotFoundError, ValueError) as error:
        pytest.fail(str(error), pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--contract-report``, ``--record``, and what says of each test what it cost."""
    add = parser.getgroup("ai-dev-squad").addoption
    add("--contract-report", metavar="FILE", help="write how far each adapter or engine holds its contract, as JSON")
    add(
        "--record",
        action="store_true",
        help="ask real providers in tests that use `cassette`, and record their answers",
    )
    add("--cost-report", action="store_true", help="say what the model calls of each observed test took")
    add("--cost-baseline", metavar="FILE", help="say what tests take more than in this file (implies --cost-report)")
    add("--cost-save", metavar="FILE", help="keep what tests take as such a file")
    add(
        "--cost-limit", type=float, metavar="SHARE", help="fail when a test takes this much more, such as 0.1 for 10 %%"
    )  # fmt: skip


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note on a contract test's report whose it is: a worker of pytest-xdist hands on reports and no items."""
    report = yield
    # Whoever inherits the contract has imported it; nobody else pays for it.
    if not sys.modules.keys().isdisjoint(("ai_dev_squad_testing.contract", "ai_dev_squad_testing.store_contract")):
        from ai_dev_squad_testing.contract_report import note

        note(item, report)
    return report


def pytest_configure(config: pytest.Config) -> None:
    """Count contract tests, and costs where that is asked, in the process that prints the summary."""
    config.pluginmanager.register(_ContractSummary(config))
    wanted = ("--cost-report", "--cost-baseline", "--cost-save", "--cost-limit")
    # A worker of pytest-xdist hands its reports on; the process that prints them sums up.
    if not hasattr(config, "workerinput") and any(config.getoption(name) not in {None, False} for name in wanted):
        from ai_dev_squad_testing.cost_report import CostSummary

        config.pluginmanager.register(CostSummary(config))


class _ContractSummary:
    """The reports of the session."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._tally: Tally | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count contract tests, and those only."""
        if hasattr(report, "contract_test"):
            if self._tally is None:
                from ai_dev_squad_testing.contract_report import Tally

                self._tally = Tally()
            self._tally.add(report)

    def pytest_sessionfinish(self) -> None:
        """Write the file that was asked for."""
        file = self._config.getoption("--contract-report")
        if file and self._tally is not None:
            self._tally.write(Path(file))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """One line for each adapter and engine."""
        if self._tally is not None:
            terminalreporter.section("contracts")
            for report in self._tally.reports():
                terminalreporter.write_line(f"{report.framework}: {report}")
