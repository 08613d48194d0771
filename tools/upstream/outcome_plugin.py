"""pytest plugin: write the outcome of every test as one JSON object, ``{node id: outcome}``.

The file's name comes from ``UPSTREAM_OUTCOMES``. Under pytest-xdist the controller sees every report and writes. A test
that fails with the text ``UPSTREAM_NO_SERVER`` has the outcome ``no server``: it wants one that isn't there.

Each process that runs tests also writes, into the folder ``detached`` beside that file, in which of them a context failed to detach,
observed or not: frameworks leave contexts of their own.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

DETACHED = "Failed to detach context"

WORST_FIRST = ("error", "failed", "no server", "xpassed", "xfailed", "skipped", "passed")
"""A test reports up to three phases; the first of these words that any phase earned is its outcome."""


def phase_outcome(report: pytest.TestReport) -> str:
    """The outcome of one phase (set-up, call, tear-down) in the words of pytest's own summary."""
    if report.failed:
        no_server = os.environ.get("UPSTREAM_NO_SERVER")
        if no_server and no_server in report.longreprtext:
            return "no server"
        return "failed" if report.when == "call" else "error"
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    return "skipped" if report.skipped else "passed"


class Outcomes:
    """Collects outcomes while the suite runs and writes them at its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        earned = (self.outcomes.get(report.nodeid, "passed"), phase_outcome(report))
        self.outcomes[report.nodeid] = min(earned, key=WORST_FIRST.index)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.outcomes[report.nodeid or "collection"] = "error"

    def pytest_sessionfinish(self) -> None:
        self.path.write_text(json.dumps(self.outcomes, indent=0, sort_keys=True), encoding="utf-8")


class Recorder(logging.Handler):
    """Remembers matching log records together with the test that was running."""

    def __init__(self, into: list[str], test: Callable[[], str], match: str = "") -> None:
        super().__init__(logging.WARNING)
        self.into, self.test, self.match = into, test, match

    def emit(self, record: logging.LogRecord) -> None:
        if self.match in (message := record.getMessage()):
            self.into.append(f"{self.test()}: {message}")


class Detached:
    """Notes in which tests a context failed to detach."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.test = "(no test running)"
        self.found: list[str] = []
        logging.getLogger("opentelemetry.context").addHandler(Recorder(self.found, lambda: self.test, DETACHED))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.test = item.nodeid
        result = yield
        self.test = f"(after {item.nodeid})"
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(self.found), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    path = os.environ.get("UPSTREAM_OUTCOMES")
    if not path:
        return
    worker = getattr(config, "workerinput", {"workerid": "main"})["workerid"]
    if worker == "main":
        config.pluginmanager.register(Outcomes(Path(path)), "upstream-outcomes")
    config.pluginmanager.register(Detached(Path(path).parent / "detached" / f"{worker}.json"), "upstream-detached")
