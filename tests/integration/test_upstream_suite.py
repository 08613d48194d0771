"""The tools that run the frameworks' own suites observed: what they count and when they call a test different."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ai_dev_squad
from ai_dev_squad.schema import JournalLine

pytestmark = pytest.mark.once

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
def plugin() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOOLS)
        yield load("observe_langgraph_plugin")


@pytest.fixture(scope="module")
def answers() -> ModuleType:
    return load("recorded_answers")


@pytest.fixture(scope="module")
def crewai_suite() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOOLS)
        yield load("crewai_suite")


@pytest.fixture(scope="module")
def client_suite() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOOLS)
        yield load("client_suite")


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


@pytest.mark.parametrize(
    "test, words, told",
    [
        pytest.param("test_a.py::test_parent[True]", "differs: always", "explained: ours is in between", id="known"),
        pytest.param("test_a.py::test_parent[True]", "flaky: once", "flaky: once", id="flaky"),
        pytest.param("test_a.py::test_value", "differs: always", "differs: always", id="unknown"),
    ],
)
def test_a_known_reason_stands_in_the_place_of_a_difference(suite, test, words, told):
    """Only tests that are named, and really differ, are explained."""
    assert told == suite.explain(test, words, {"test_a.py::test_parent": "ours is in between"})


def test_balance_accepts_operations_that_open_and_close_once(plugin):
    """Operations with one opening and one closing line leave every complaint empty; a loop is told of, other lines do not count."""
    seen = plugin.Observations()

    plugin.balance(
        [
            line("task.start", "a"),
            line("llm.request", "b"),
            line("agent.interrupt", "a"),
            line("agent.loop", "a", message="planner is in a loop"),
            line("llm.response", "b", status="ok"),
            line("task.fail", "a", status="error"),
            line("custom.event", None),
        ],
        seen,
    )

    expected = plugin.Observations(started=2, ended=2, statuses={"error": 1, "ok": 1}, loops=["planner is in a loop"])
    assert expected == seen


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


DETACHING = """
import contextvars
from opentelemetry import context
def test_cleans_up():
    context.detach(context.attach({}))
def test_cleans_up_elsewhere():
    context.detach(contextvars.copy_context().run(context.attach, {}))
"""


def test_contexts_that_fail_to_detach_are_compared(tmp_path, suite):
    """A context that fails to detach is known by its test, in every run; one that only an observed run leaves is a difference."""
    (tmp_path / "test_it.py").write_text(DETACHING, encoding="utf-8")

    run = suite.run_pytest(tmp_path, ["test_it.py"], tmp_path / "work", None)

    record = "test_it.py::test_cleans_up_elsewhere: Failed to detach context"
    assert run.detached == [record]
    more = suite.Run(run.outcomes, 0, detached=[record, record])
    assert suite.judge(tmp_path, tmp_path, "no:thing", run, run, 0) == {}
    assert suite.judge(tmp_path, tmp_path, "no:thing", run, more, 0) == {
        record: "differs: 1 times more than unobserved"
    }


ASKING = """
import json, os, urllib.error, urllib.request
import pytest
def ask():
    try:
        urllib.request.urlopen(os.environ["TEST_API_BASE_URL"] + "/v1/models", data=b"{}")
    except urllib.error.HTTPError as error:
        raise RuntimeError(json.load(error)) from None
@pytest.fixture
def prepared(): ask()
def test_asks(): ask()
def test_asks_before(prepared): pass
def test_expects_a_failure():
    with pytest.raises(RuntimeError): ask()
def test_fails_otherwise(): raise ConnectionError("no server")
"""


def test_what_needs_a_mock_server_is_told_apart(tmp_path, suite, client_suite, monkeypatch):
    """A test that fails by the answer of the server that isn't there says so; any other failure stays a failure."""
    for name in ("TEST_API_BASE_URL", "UPSTREAM_NO_SERVER"):
        monkeypatch.setenv(name, "")
    (tmp_path / "test_it.py").write_text(ASKING, encoding="utf-8")

    with client_suite.no_server():
        run = suite.run_pytest(tmp_path, ["test_it.py"], tmp_path / "work", None)

    assert run.outcomes == {
        "test_it.py::test_asks": "no server",
        "test_it.py::test_asks_before": "no server",
        "test_it.py::test_expects_a_failure": "passed",
        "test_it.py::test_fails_otherwise": "failed",
    }


@pytest.mark.parametrize("on", [True, False])
def test_a_run_without_the_wire_shows(plugin, on):
    """Whether the wire is on is found out by a model call, not believed."""
    ai_dev_squad.configure(wire=on)

    assert plugin.wire_sees_a_call() is on


def events(*documents: object) -> str:
    """Server-sent events, one for each document."""
    return "".join(f"event: part\ndata: {json.dumps(document)}\n\n" for document in documents) + "data: [DONE]\n\n"


CHAT = {"usage": {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 64}}}
RESPONSE = {"usage": {"input_tokens": 100, "output_tokens": 10, "output_tokens_details": {"reasoning_tokens": 4}}}
MESSAGE = {"usage": {"input_tokens": 30, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 10}}
GEMINI = {"usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 4, "thoughtsTokenCount": 6}}
CONVERSE = {"usage": {"inputTokens": 40, "cacheReadInputTokens": 60, "outputTokens": 10}}


@pytest.mark.parametrize(
    "url, body",
    [
        pytest.param("https://x/v1/chat/completions?v=1", json.dumps(CHAT), id="OpenAI"),
        pytest.param("https://x/v1/chat/completions", events({"choices": []}, CHAT), id="OpenAI, streamed"),
        pytest.param("https://x/v1/responses", json.dumps(RESPONSE), id="Responses"),
        pytest.param(
            "https://x/v1/responses", events({"response": {}}, {"response": RESPONSE}), id="Responses, streamed"
        ),
        pytest.param(
            "https://x/v1/messages", json.dumps({"usage": {**MESSAGE["usage"], "output_tokens": 10}}), id="Anthropic"
        ),
        pytest.param(
            "https://x/v1/messages",
            events({"message": MESSAGE}, {"usage": {"output_tokens": 10}}),
            id="Anthropic, streamed",
        ),
        pytest.param("https://x/models/gemini:generateContent", json.dumps(GEMINI).encode(), id="Gemini"),
        pytest.param(
            "https://x/models/gemini:streamGenerateContent?alt=sse",
            events({"usageMetadata": {"promptTokenCount": 100}}, GEMINI),
            id="Gemini, streamed",
        ),
        pytest.param("https://x/model/m/converse", json.dumps(CONVERSE), id="Bedrock"),
        pytest.param("http://x/api/generate", json.dumps({"prompt_eval_count": 100, "eval_count": 10}), id="Ollama"),
    ],
)
def test_what_recorded_answers_say(answers, url, body):
    """Cached tokens belong to the input and reasoning to the output, each once, also where a stream tells in parts."""
    assert tuple(answers.billed(url, body)) == (100, 10, 1)


def test_a_recorded_embedding_has_no_output(answers):
    """It is a call, and billed for what it reads."""
    body = json.dumps({"usage": {"prompt_tokens": 3, "total_tokens": 3}})
    assert tuple(answers.billed("https://x/v1/embeddings", body)) == (3, 0, 1)


@pytest.mark.parametrize(
    "url, body",
    [
        pytest.param("https://x/v1/moderations", json.dumps(CHAT), id="no model that is billed"),
        pytest.param("https://x/v1/messages/count_tokens", json.dumps({"input_tokens": 4}), id="counting"),
        pytest.param("https://x/v1/chat/completions", json.dumps({"error": "no"}), id="failure"),
        pytest.param("https://x/v1/chat/completions", events({"choices": []}), id="stream without usage"),
        pytest.param("https://x/v1/chat/completions", "<html>", id="no JSON"),
    ],
)
def test_answers_that_say_nothing(answers, url, body):
    """What is neither generated nor embedded, failed or has no count is no recorded call."""
    assert answers.billed(url, body) is None


def test_tokens_are_judged_by_test(crewai_suite):
    """More than recorded is never right, fewer only with a reason; every exception is listed with its reason."""
    compared = {
        "tests/test_a.py::test_equal": {"recorded": [100, 10, 2], "counted": [100, 10, 1]},
        "tests/test_a.py::test_using_memory": {"recorded": [100, 10, 2], "counted": [60, 5, 1]},
        "tests/test_a.py::test_lost": {"recorded": [100, 10, 1], "counted": [0, 0, 0]},
        "tests/test_a.py::test_more": {"recorded": [100, 10, 1], "counted": [50, 20, 1]},
    }

    words = crewai_suite.verdicts_on_tokens(compared)

    assert list(words.values()) == ["equal", "less", "nothing", "more"]
    assert crewai_suite.exceptions_of_tokens(compared, words) == [
        f"  less: tests/test_a.py::test_using_memory: recorded (100, 10, 2), counted (60, 5, 1): {crewai_suite.REFUSED}",
        "  more: tests/test_a.py::test_more: recorded (100, 10, 1), counted (50, 20, 1): NOT EXPLAINED",
        "  nothing: tests/test_a.py::test_lost: recorded (100, 10, 1), counted (0, 0, 0): NOT EXPLAINED",
    ]
