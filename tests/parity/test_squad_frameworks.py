"""The same dev squad on each framework comes to what its spec says, unobserved."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from ai_dev_squad_parity import demo_frameworks
from ai_dev_squad_parity.squad import spec
from ai_dev_squad_testing.model_server import ModelServer, Truth

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # clients are the frameworks' to close
]


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left_for_later() -> Iterator[None]:
    """What the frameworks left open is collected here, not in the middle of somebody else's test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def is_as_specified(truth: Truth) -> None:
    """The calls, tokens and tools are those of the spec, and the program followed the script."""
    totals, expected = truth.totals, spec.EXPECTED
    assert (truth.unexpected, truth.steps_left) == ((), ())
    assert (totals.calls, totals.successful_calls, totals.billed) == (
        expected.calls,
        expected.successful_calls,
        expected.billed,
    )
    assert sorted((c.name, c.arguments) for call in truth.calls for c in call.tool_calls) == list(expected.tool_calls)
    assert {(c.role or "").partition(" ")[0]: c.model for c in truth.calls} == spec.MODELS


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # CrewAI uses what it deprecates
def test_the_squad_on_crewai(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A flow with a loop, agents with tools, structured answers and a person's approval."""
    monkeypatch.setenv("CREWAI_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("CREWAI_TRACING_ENABLED", "false")
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    from ai_dev_squad_parity.squad import on_crewai

    with ModelServer(spec.script()) as server:
        state = on_crewai.run(on_crewai.build(server.base_url))

    is_as_specified(server.truth)
    assert tuple(state["patches"][task] for task in sorted(state["patches"])) == spec.EXPECTED.patches
    assert (state["notes"], state["reviews"]) == (spec.EXPECTED.notes, 2)


async def test_the_squad_on_agent_framework() -> None:
    """A workflow with a loop, agents with tools, structured answers and a person's approval."""
    from ai_dev_squad_parity.squad import on_agent_framework

    with ModelServer(spec.script()) as server:
        state = await on_agent_framework.run(on_agent_framework.build(server.base_url))

    is_as_specified(server.truth)
    assert state["patches"] == "\n".join(spec.EXPECTED.patches)
    assert (state["notes"], state["reviews"]) == (spec.EXPECTED.notes, 2)


@pytest.mark.filterwarnings("ignore::UserWarning")  # its client and pydantic disagree about parsed answers
async def test_the_squad_on_autogen() -> None:
    """A graph with a loop, agents with tools, structured answers and a person's approval."""
    from ai_dev_squad_parity.squad import on_autogen

    with ModelServer(spec.script()) as server:
        state = await on_autogen.run(on_autogen.build(server.base_url))

    is_as_specified(server.truth)
    assert state["patches"] == "\n".join(spec.EXPECTED.patches)
    assert (state["notes"], state["reviews"]) == (spec.EXPECTED.notes, 2)


@pytest.mark.filterwarnings("ignore::UserWarning")  # its client and pydantic disagree about parsed answers
async def test_a_person_may_say_no_on_autogen() -> None:
    """Without approval nobody writes release notes."""
    from ai_dev_squad_parity.squad import on_autogen

    with ModelServer(spec.script()) as server:
        team = on_autogen.build(server.base_url, approve=lambda question: "no")
        await team.run(task=spec.REQUEST)

    assert server.truth.totals.calls == spec.EXPECTED.calls - 1
    assert len(server.truth.steps_left) == 1


@pytest.mark.parametrize("answer, notes", [("yes", spec.EXPECTED.notes), ("no", "")])
async def test_the_squad_on_pydantic_ai(answer: str, notes: str) -> None:
    """A graph with a loop, agents with tools, structured answers and a person, without whose approval nothing is released."""
    from ai_dev_squad_parity.squad import on_pydantic_ai

    with ModelServer(spec.script()) as server:
        state = await on_pydantic_ai.run(on_pydantic_ai.build(server.base_url, approve=lambda question: answer))

    if answer == "yes":
        is_as_specified(server.truth)
    assert state == {"patches": "\n".join(spec.EXPECTED.patches), "notes": notes, "reviews": 2}
    assert len(server.truth.steps_left) == (answer == "no")


@pytest.mark.parametrize("approved", [True, False])
async def test_the_squad_on_openai_agents(approved: bool) -> None:
    """Plain Python with a loop, agents with tools, structured answers and a person's approval."""
    from agents import set_tracing_disabled

    from ai_dev_squad_parity.squad import on_openai_agents

    set_tracing_disabled(True)
    with ModelServer(spec.script()) as server:
        state = await on_openai_agents.run(on_openai_agents.build(server.base_url), approve=lambda patches: approved)

    assert tuple(state["patches"][task] for task in sorted(state["patches"])) == spec.EXPECTED.patches
    assert (state["notes"], state["reviews"]) == (spec.EXPECTED.notes if approved else "", 2)
    if approved:
        is_as_specified(server.truth)
    else:
        assert len(server.truth.steps_left) == 1


def test_the_demo_names_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A framework that lacks a distribution is told with what could not be imported, and the others run."""

    def lacks(base_url: str) -> None:
        raise ImportError("No module named 'autogen_ext'")

    monkeypatch.setattr(demo_frameworks, "others", lambda: {"autogen": lacks, "fine": lambda base_url: None})
    told: list[tuple[str, str]] = []
    ran = demo_frameworks.run_others("s", 0.0, lambda name: None, lambda name, error: told.append((name, str(error))))
    assert [framework for framework, _ in ran] == ["fine"]
    assert told == [("AutoGen", "No module named 'autogen_ext'")]
