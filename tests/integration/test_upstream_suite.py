"""The tool that runs LangGraph's own suite observed: what it counts and when it calls a test different."""

from __future__ import annotations

import importlib.util
import sys
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ai_dev_squad.schema import JournalLine

TOOLS = Path(__file__).resolve().parents[2] / "tools" / "upstream"
OUTCOMES = """
import pytest
@pytest.fixture
def broken_setup(): raise OSError
@pytest.fixture
def broken_teardown():
    yield
    raise OSError
def test_passed(): pass
def test_failed(): assert 0
def test_setup(broken_setup): pass
def test_teardown(broken_teardown): pass
def test_skipped(): pytest.skip("because")
@pytest.mark.xfail
def test_xfailed(): assert 0
@pytest.mark.xfail
def test_xpassed(): pass
"""


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"upstream_{name}", TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def suite() -> ModuleType:
    return load("langgraph_suite")


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    return load("observe_langgraph_plugin")


def line(event_type: str, span_id: str | None = "a", **more: Any) -> JournalLine:
    now = datetime(2026, 11, 22, tzinfo=timezone.utc)
    fields = {"message": event_type, "operation": "task", "name": "plan", **more}
    return JournalLine(timestamp=now, level="INFO", event_type=event_type, span_id=span_id, **fields)


def test_differing_names_changed_and_missing_tests(suite):
    """A test counts as differing when its outcome changed and when only one run has it."""
    unobserved = {"same": "passed", "broken": "passed", "gone": "skipped"}
    observed = {"same": "passed", "broken": "failed", "new": "passed"}

    assert suite.differing(unobserved, observed) == ["broken", "gone", "new"]


@pytest.mark.parametrize(
    "unobserved, observed, verdict",
    [
        pytest.param(["passed"] * 3, ["failed", "failed", "failed"], "differs", id="always"),
        pytest.param(["passed"] * 3, ["failed", "passed", "failed"], "differs", id="comes back once"),
        pytest.param(["passed"] * 3, ["failed", "passed", "passed"], "flaky", id="never comes back"),
        pytest.param(["passed", "failed", "passed"], ["failed", "failed", "passed"], "flaky", id="fails by itself"),
        pytest.param(["failed", "passed", "passed"], ["passed", "passed", "passed"], "flaky", id="observed is better"),
        pytest.param(["passed"], [None], "differs", id="cannot be rerun"),
    ],
)
def test_verdict(suite, unobserved, observed, verdict):
    """A difference counts unless an unobserved run shows it too or no observed rerun repeats it."""
    assert verdict == suite.verdict(unobserved, observed)


def test_balance_accepts_operations_that_open_and_close_once(plugin):
    """Operations with one opening and one closing line leave every complaint empty; other lines do not count."""
    seen = plugin.Observations()

    plugin.balance(
        [
            line("task.start", "a"),
            line("llm.request", "b"),
            line("agent.interrupt", "a"),
            line("llm.response", "b", status="ok"),
            line("task.fail", "a", status="error"),
            line("custom.event", None),
        ],
        seen,
    )

    assert plugin.Observations(started=2, ended=2, statuses={"error": 1, "ok": 1}) == seen


def test_balance_names_what_is_wrong(plugin):
    """An operation left open, closed twice or never opened, and dropped lines are each named."""
    seen = plugin.Observations()

    plugin.balance(
        [
            line("task.start", "open"),
            line("tool.call", "twice", operation="execute_tool", name="search"),
            line("tool.result", "twice", operation="execute_tool", name="search", status="ok"),
            line("tool.result", "twice", operation="execute_tool", name="search", status="ok"),
            line("agent.stop", "unopened", operation="invoke_workflow", name="squad", status="ok"),
            line("telemetry.dropped", None, message="3 lines were dropped"),
        ],
        seen,
    )

    expected = plugin.Observations(
        started=2,
        ended=3,
        statuses={"ok": 3},
        left_open=["task plan (open)"],
        closed_twice=["execute_tool search (twice)"],
        closed_unopened=["invoke_workflow squad (unopened)"],
        dropped=["3 lines were dropped"],
    )
    assert expected == seen


def test_outcomes_are_the_worst_phase_of_each_test(tmp_path, suite):
    """The outcome of a test is one word: an error in set-up or tear-down outweighs what the test itself did."""
    (tmp_path / "test_it.py").write_text(OUTCOMES, encoding="utf-8")

    run = suite.run_pytest(tmp_path, ["test_it.py"], tmp_path / "work", None)

    expected = {
        "passed": "passed",
        "failed": "failed",
        "setup": "error",
        "teardown": "error",
        "skipped": "skipped",
        "xfailed": "xfailed",
        "xpassed": "xpassed",
    }
    assert {f"test_it.py::test_{name}": outcome for name, outcome in expected.items()} == run.outcomes
