"""How far an adapter or an engine holds its contract: counted while its tests run, told in a line."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pytest

__all__ = ["CONTRACTS", "ContractError", "ContractReport", "Tally", "main", "note", "run_contract"]


class ContractError(Exception):
    """The contract's tests could not be run; the message has what pytest said, or what was looked for in vain."""


CONTRACTS: Final = {
    "ai_dev_squad_testing.contract": "AdapterContract",
    "ai_dev_squad_testing.store_contract": "StoreContract",
}
"""Module → the contract in it."""


@dataclass(frozen=True)
class ContractReport:
    """How far an adapter, or an engine for the store, holds its contract. As text: ``contract 64 of 67; lacks: stream
    (answers come whole)``.
    """

    adapter: str
    """The class that inherits the contract, as pytest names it: ``test_tiny.py::TestTiny``."""
    framework: str
    """The framework, or the engine."""
    total: int
    """How many tests the contract has."""
    passed: int
    lacks: Mapping[str, str] = field(default_factory=dict)
    """What the framework or the engine cannot do, with the reason: the tests that need it are skipped."""
    not_yet: Mapping[str, str] = field(default_factory=dict)
    """Tests that are expected to fail, with the reason."""
    failed: tuple[str, ...] = ()
    """Tests that failed."""
    not_run: int = 0
    """Tests that were left out, such as with pytest's ``-k``."""

    @property
    def holds(self) -> bool:
        """Whether every test ran and none failed but those that are expected to."""
        return not self.failed and not self.not_run

    def __str__(self) -> str:
        parts = [f"contract {self.passed} of {self.total}"]
        if self.lacks:
            parts.append(f"lacks: {_by_reason(self.lacks)}")
        if self.not_yet:
            parts.append(f"not yet: {_by_reason(self.not_yet)}")
        if self.failed:
            parts.append(f"failed: {', '.join(self.failed)}")
        if self.not_run:
            parts.append(f"not run: {self.not_run}")
        return "; ".join(parts)


def _by_reason(reasons: Mapping[str, str]) -> str:
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return ", ".join(f"{', '.join(named)} ({reason})" for reason, named in names.items())


def run_contract(*tests: str | Path, options: Sequence[str] = ()) -> tuple[ContractReport, ...]:
    """Run the contract's tests in these files with pytest, in a process of its own: a report for each adapter or engine in them.

    ``options`` go to pytest, after ``-q``; what it prints goes where this process prints. Raises ``ContractError`` if pytest
    could not run, or no class in the files inherits ``AdapterContract`` or ``StoreContract``.
    """
    with tempfile.TemporaryDirectory(prefix="contract-") as folder:
        file = Path(folder) / "reports.json"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "ai_dev_squad_testing.plugin", *options]
        done = subprocess.run([*command, f"--contract-report={file}", *map(str, tests)], check=False)  # noqa: S603
        reports = _read(file) if file.exists() else ()
    if not reports:
        named = ", ".join(map(str, tests)) or "the tests of this directory"
        raise ContractError(
            f"no contract was run in {named} (pytest ended with {done.returncode}): a class must inherit "
            "ai_dev_squad_testing.AdapterContract or StoreContract, and its file must be importable"
        )
    return reports


def main(arguments: Sequence[str] | None = None) -> int:
    """What ``python -m ai_dev_squad_testing.contract FILE ... -- OPTIONS`` does. Returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    cut = given.index("--") if "--" in given else len(given)
    try:
        reports = run_contract(*given[:cut], options=given[cut + 1 :])
    except ContractError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(report.holds for report in reports) else 1


def _read(file: Path) -> tuple[ContractReport, ...]:
    return tuple(
        ContractReport(**{**values, "failed": tuple(values["failed"])})
        for values in json.loads(file.read_text(encoding="utf-8"))
    )


def note(item: pytest.Item, report: pytest.TestReport) -> None:
    """Write on the report of a contract's test whose it is and how many the contract has."""
    from ai_dev_squad_testing.contract_rules import count_tests

    cls: Any = getattr(item, "cls", None)
    contract = _contract_of(cls)
    name = str(getattr(item, "originalname", item.name))
    if contract is None or not hasattr(contract, name):
        return
    report.contract_test = {  # type: ignore[attr-defined]
        "adapter": item.nodeid.rpartition("::")[0],
        "framework": cls.framework,
        "lacks": dict(cls.lacks),
        "total": count_tests(cls, contract),
        "test": item.name.removeprefix("test_"),
    }


def _contract_of(cls: object) -> type | None:
    """The contract that a class inherits. Whoever inherits one has imported it."""
    for home, name in CONTRACTS.items():
        contract = getattr(sys.modules.get(home), name, None)
        if isinstance(cls, type) and isinstance(contract, type) and issubclass(cls, contract):
            return contract
    return None


class Tally:
    """Counts the reports of contract tests, class by class."""

    def __init__(self) -> None:
        self._adapters: dict[str, dict[str, Any]] = {}
        self._outcomes: dict[str, dict[str, tuple[str, str]]] = {}

    def add(self, report: pytest.TestReport) -> None:
        """Take in one phase of one test."""
        about: dict[str, Any] = report.contract_test
        self._adapters[about["adapter"]] = about
        outcomes = self._outcomes.setdefault(about["adapter"], {})
        if report.failed:
            outcomes[about["test"]] = ("failed", "")
        elif report.skipped:
            expected = getattr(report, "wasxfail", None)
            outcomes[about["test"]] = ("skipped", "") if expected is None else ("not yet", expected)
        elif report.when == "call":
            outcomes[about["test"]] = ("passed", "")

    def reports(self) -> Iterator[ContractReport]:
        """What the adapters come to so far, in the order in which they began."""
        for adapter, about in self._adapters.items():
            outcomes = self._outcomes[adapter]

            def named(kind: str, outcomes: Mapping[str, tuple[str, str]] = outcomes) -> dict[str, str]:
                return {test: reason for test, (outcome, reason) in outcomes.items() if outcome == kind}

            yield ContractReport(
                adapter=adapter,
                framework=about["framework"],
                total=about["total"],
                passed=len(named("passed")),
                lacks=about["lacks"],
                not_yet=named("not yet"),
                failed=tuple(named("failed")),
                not_run=about["total"] - len(outcomes),
            )

    def write(self, file: Path) -> None:
        """Write the reports as JSON."""
        file.write_text(json.dumps([asdict(report) for report in self.reports()], indent=1) + "\n", encoding="utf-8")
