"""The pytest plugin: fixtures for tests of agents, and nothing for those who use none of them."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ai_dev_squad_testing.model_server import ModelServer, Script, reply

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
    assert "contracts" not in printed


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


COSTS = '''
    """A test of one call, one of two calls with a tool, and one that asks a model without a price."""
    import pytest

    from ai_dev_squad import operations
    from ai_dev_squad.schema import Usage

    CALLS = {calls}

    def ask(parent, model="gpt-4o-mini"):
        request = operations.ModelRequest(model, "openai")
        call = operations.start(operations.CHAT, model, framework="mine", parent=parent, request=request)
        call.usage = Usage(input_tokens=1000, output_tokens=500, source="provider")
        call.stop()

    def agent():
        return operations.start(operations.AGENT, "helpdesk", framework="mine", session_id="s1")

    def test_one(observed):
        run = agent()
        ask(run)
        run.stop()
        assert (observed.calls, observed.tokens, observed.cost_usd) == (1, 1500, 0.00045)
        assert (observed.tools, observed.loops, observed.status) == ([], [], "ok")

    def test_two(observed):
        run = agent()
        for _ in range(CALLS):
            ask(run)
        for name in ("search", "book"):
            operations.start(operations.TOOL, name, framework="mine", parent=run).stop()
        run.fail(ValueError("gave up"))
        assert (observed.tools, observed.status) == (["search", "book"], "error")
        assert 0 <= observed.duration_ms < 3_600_000

    def test_unpriced(observed):
        run = agent()
        ask(run, "a-model-of-mine")
        run.stop()
        assert observed.tokens == 1500
        with pytest.raises(AssertionError, match="the cost of 1 of 1 model calls is unknown .a-model-of-mine."):
            observed.cost_usd

    def test_nothing(observed):
        assert (observed.calls, observed.cost_usd, observed.status) == (0, 0, "ok")
'''


def costs(calls: int, *options: str) -> tuple[int, list[str]]:
    """The exit code, and the lines of the cost report, of tests of which one makes so many calls."""
    Path("test_mine.py").write_text(textwrap.dedent(COSTS.replace("{calls}", str(calls))), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts="]
    command += ["-p", "ai_dev_squad_testing.plugin", *options, "test_mine.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert " failed" not in done.stdout, done.stdout
    part = done.stdout.partition("cost of observed tests")[2].splitlines()[1:]
    return done.returncode, [" ".join(line.split()) for line in part if "test_mine.py::" in line]


@pytest.mark.once
def test_a_test_that_costs_more_than_on_main_is_told_and_stopped_where_asked():
    """Each test with what it took, the dearest first; a baseline tells what grew, and a limit fails the run; unknown is not zero."""
    kept = costs(2, "--cost-report", "--cost-save=costs.json")
    told = costs(3, "--cost-baseline=costs.json", "--cost-limit=0.6")
    stopped = costs(3, "--cost-baseline=costs.json", "--cost-limit=0.4")
    part = costs(3, "--cost-baseline=costs.json", "--cost-limit=0.4", "-k", "one")

    assert kept == (
        0,
        [
            "$0.000900 2 calls 3,000 tokens test_mine.py::test_two",
            "$0.000450 1 calls 1,500 tokens test_mine.py::test_one",
            "cost unknown 1 calls 1,500 tokens test_mine.py::test_unpriced",
        ],
    )
    assert (told[0], len(told[1])) == (0, 3)
    assert (stopped[0], sorted(stopped[1][3:])) == (
        1,
        [
            "test_mine.py::test_two costs 50% more than in the baseline",
            "test_mine.py::test_two takes in calls 50% more than in the baseline",
            "test_mine.py::test_two takes in tokens 50% more than in the baseline",
        ],
    )
    assert part == (0, ["$0.000450 1 calls 1,500 tokens test_mine.py::test_one"])


@pytest.mark.parametrize(
    "options, message",
    [
        (["--cost-baseline=x.json"], "is neither a baseline nor a result of the lab"),
        (["--cost-limit=0.1"], "--cost-limit needs --cost-baseline"),
    ],
)
@pytest.mark.once
def test_a_baseline_that_is_none_is_said_before_anything_runs(options, message):
    """With its name and what could stand there; a limit without a baseline has nothing to hold against."""
    Path("x.json").write_text("[]")
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "ai_dev_squad_testing.plugin", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 4
    assert message in done.stderr


RECORDED = '''
    """Asks a model at the address that the file `address` says."""
    from pathlib import Path

    import httpx
    import pytest

    def ask(question):
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}]}
        answer = httpx.post(Path("address").read_text() + "/chat/completions", json=body)
        return answer.raise_for_status().json()["choices"][0]["message"]["content"]

    @pytest.mark.parametrize("question", ["When?", "Where/how?"])
    def test_asks(cassette, question):
        assert ask(question) == "Today."

    class TestOthers:
        def test_asks(self, cassette):
            assert ask("What?" if Path("changed").exists() else "When?") == "Today."

    def test_does_not_ask(cassette):
        pass
'''


def test_answers_are_recorded_once_and_given_back_without_a_network():
    """Each test has a file of its own beside it; without one, with another question and with none, errors say the cure."""
    with ModelServer(Script([reply("Today.", times=None)])) as server:
        Path("address").write_text(server.base_url, encoding="utf-8")
        printed = pytest_on(RECORDED, "--record")
    outcomes = re.findall(r"^(ERROR|FAILED) test_mine.py::(\S+)", printed, re.MULTILINE)
    assert outcomes == [("ERROR", "test_does_not_ask")], printed
    assert sorted(file.name for file in Path("cassettes/test_mine").iterdir()) == [
        "TestOthers.test_asks.json",
        "test_asks-When-de9aabdb.json",
        "test_asks-Where-how-71b46ec8.json",
    ]

    Path("address").write_text("http://127.0.0.1:9/v1", encoding="utf-8")
    Path("changed").touch()
    printed = pytest_on(RECORDED)
    outcomes = re.findall(r"^(PASSED|ERROR|FAILED) test_mine.py::(\S+)", printed, re.MULTILINE)
    assert sorted(outcomes) == [
        ("ERROR", "TestOthers::test_asks"),
        ("ERROR", "test_does_not_ask"),
        ("FAILED", "TestOthers::test_asks"),
        ("PASSED", "test_asks[When?]"),
        ("PASSED", "test_asks[Where/how?]"),
    ], printed
    assert 'has to be recorded once: pytest --record "test_mine.py::test_does_not_ask"' in printed
    assert '-      "content": "When?",\n+      "content": "What?",' in printed
    assert 'Record anew: pytest --record "test_mine.py::TestOthers::test_asks"' in printed
