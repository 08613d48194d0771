"""pytest plugin: hang a tap at every door before the suite is loaded, and count what passes.

``UPSTREAM_OBSERVATIONS`` is the directory where each worker leaves its counts, and what failed inside of the tap.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
from observe_langgraph_plugin import Recorder

from ai_dev_squad import wire


@dataclass
class Observations:
    """What one pytest process saw."""

    asked: int = 0
    ended: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    apis: dict[str, int] = field(default_factory=dict)
    with_usage: int = 0
    ended_twice: list[str] = field(default_factory=list)
    internal_failures: list[str] = field(default_factory=list)


class Watcher:
    """Lives in each process that runs tests."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.seen, self.test = directory, Observations(), "(no test running)"
        logging.getLogger("ai_dev_squad").addHandler(Recorder(self.seen.internal_failures, lambda: self.test))
        self.tap = wire.install(self)

    def asked(self, exchange: wire.Exchange) -> None:
        self.seen.asked += 1
        self.seen.apis[exchange.api] = self.seen.apis.get(exchange.api, 0) + 1

    def ended(self, exchange: wire.Exchange) -> None:
        if exchange.follows is not None:
            return  # it asks about an earlier one, and was not told of before it was sent
        if exchange.note:
            self.seen.ended_twice.append(f"{self.test}: {exchange.path}")
        exchange.note = self.test
        self.seen.ended += 1
        status = exchange.status or "none"
        self.seen.statuses[status] = self.seen.statuses.get(status, 0) + 1
        self.seen.with_usage += bool(exchange.answer.usage)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.test = item.nodeid

    def pytest_sessionfinish(self) -> None:
        self.tap.close()
        (self.directory / "observations.json").write_text(json.dumps(asdict(self.seen)), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", None)
    if worker is None and config.getoption("numprocesses", None):
        return
    directory = Path(os.environ["UPSTREAM_OBSERVATIONS"]) / (worker["workerid"] if worker else "main")
    directory.mkdir(parents=True)
    config.pluginmanager.register(Watcher(directory), "upstream-watcher")
