"""The pytest plugin: fixtures for tests of agents, and nothing for those who use none of them."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

FIXTURES = '''
    """A test each of what holds and of what does not."""
    import json
    from urllib.request import Request, urlopen

    import pytest

    from ai_dev_squad import configure, get_settings, guard, operations
    from ai_dev_squad_testing.model_server import reply, system_contains

    def ask(server):
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "When?"}]}
        with urlopen(Request(f"{server.base_url}/chat/completions", json.dumps(body).encode())) as answer:
            return json.load(answer)["choices"][0]["message"]["content"]

    def test_asked_as_scripted(scripted_model):
        assert ask(scripted_model(reply("Today."))) == "Today."
        assert ask(scripted_model(reply("Tomorrow."))) == "Tomorrow."

    def test_asked_too_seldom(scripted_model):
        ask(scripted_model(reply("Today."), reply("Tomorrow.")))

    def test_asked_for_something_else(scripted_model):
        with pytest.raises(OSError, match="400"):
            ask(scripted_model(reply("Today.", when=system_contains("you plan"), times=None)))

    def test_observed_to_the_end(observed_runs):
        operations.start(operations.TASK, "plan", framework="mine").stop()
        assert observed_runs.tree() == "task plan: ok"
        assert [span.name for span in observed_runs.spans] == ["task plan"]

    def test_left_open(observed_runs, monkeypatch):
        monkeypatch.setattr("ai_dev_squad_testing.fixtures.wait_until", lambda condition: condition())
        operations.start(operations.TASK, "plan", framework="mine")

    def test_configured(isolated_runtime):
        configure(service_name="mine", journal=False)
        with pytest.raises(ValueError, match="on purpose"):
            guard.report("testing", ValueError("on purpose"))

    def test_configured_no_longer(isolated_runtime):
        assert get_settings().service_name == "ai-dev-squad"
'''


def pytest_on(text: str, *options: str) -> str:
    """What pytest prints, in a process of its own, on a module of this text."""
    Path("test_mine.py").write_text(textwrap.dedent(text), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "-rA", "--tb=short"]
    command += ["-p", "ai_dev_squad_testing.plugin", *options, "test_mine.py"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_fixtures_give_and_check_what_a_test_needs():
    """Scripted models must be asked what was scripted, runs must end, and settings end with their test."""
    printed = pytest_on(FIXTURES)

    outcomes = re.findall(r"^(PASSED|ERROR|FAILED) test_mine.py::test_(\w+)", printed, re.MULTILINE)
    assert sorted(outcomes) == [
        ("ERROR", "asked_for_something_else"),
        ("ERROR", "asked_too_seldom"),
        ("ERROR", "left_open"),
        *(
            ("PASSED", name)
            for name in (
                "asked_as_scripted",
                "asked_for_something_else",
                "asked_too_seldom",
                "configured",
                "configured_no_longer",
                "left_open",
                "observed_to_the_end",
            )
        ),
    ], printed
    assert "never asked for: 1: reply('Tomorrow.')" in printed
    assert "unexpected request: " in printed
    assert "still open at the end of the test: task plan" in printed
    assert "contract of adapters" not in printed


def test_a_test_run_that_uses_none_of_it_imports_nothing_of_ours():
    """The plugin is loaded wherever it is installed; what it stands for is loaded when it is asked for."""
    printed = pytest_on(
        """
        import sys

        def test_mine():
            assert sorted(name for name in sys.modules if name.startswith("ai_dev_squad")) == [
                "ai_dev_squad_testing", "ai_dev_squad_testing.plugin",
            ]
        """
    )

    assert "1 passed" in printed, printed
