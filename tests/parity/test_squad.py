"""The dev squad runs end to end, unobserved, and comes to what its spec says."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from ai_dev_squad_parity.squad import on_langgraph, spec
from ai_dev_squad_testing.model_server import ModelServer, tokens


def test_the_squad_comes_to_what_its_spec_says():
    """Plan, parallel coders with tools, one tool error, one rate limit, one task sent back, approval, release notes."""
    said: dict[str, str] = defaultdict(str)

    def on_text(node: str, text: str) -> None:
        said[node] += text

    with ModelServer(spec.script()) as server:
        state = on_langgraph.run(on_langgraph.build(server.base_url), on_text=on_text)
        truth = server.truth

    expected = spec.EXPECTED
    assert (truth.unexpected, truth.steps_left) == ((), ())
    totals = truth.totals
    assert (totals.calls, totals.successful_calls, totals.billed) == (
        expected.calls,
        expected.successful_calls,
        expected.billed,
    )
    assert sorted((c.name, c.arguments) for call in truth.calls for c in call.tool_calls if c.name in TOOLS) == list(
        expected.tool_calls
    )
    assert tuple(state["patches"][task] for task in sorted(state["patches"])) == expected.patches
    assert (state["notes"], state["reviews"]) == (expected.notes, 2)
    assert said["writer"] == expected.notes
    assert all(patch in said["code"] for patch in (spec.TRUNCATE, spec.TRUNCATE_WORDS))


TOOLS = {"read_file", "run_tests"}


def test_who_called_which_model():
    """Each role asks its own model, streams, and has its own share of the bill."""
    with ModelServer(spec.script()) as server:
        on_langgraph.run(on_langgraph.build(server.base_url))
        truth = server.truth

    assert {(c.role or "").partition(" ")[0]: c.model for c in truth.calls} == spec.MODELS
    assert {role: totals.calls for role, totals in truth.by_role().items()} == {
        "planner": 1,
        "coder of slugify": 2,
        "coder of truncate": 4,
        "reviewer": 3,
        "writer": 1,
    }
    assert truth.by_model()["o4-mini"].billed == tokens(1811, 231, cached=768, reasoning=192)
    assert {c.stream for c in truth.calls} == {True}
    assert [(c.status, c.retry) for c in truth.calls if c.role == "reviewer"] == [(429, 0), (200, 1), (200, 0)]


def test_the_tool_error_goes_back_to_the_model():
    """The coder that asks for a missing file is told so, and goes on."""
    with ModelServer(spec.script(), keep_messages=True) as server:
        on_langgraph.run(on_langgraph.build(server.base_url))
        calls = [c for c in server.truth.calls if c.role == "coder of truncate"]

    heard = [message.text for message in calls[1].messages or () if message.role == "tool"]
    assert len(heard) == 1
    assert "no such file: truncate.py; there is text.py" in heard[0]


def test_the_human_may_say_no():
    """The run waits at the interrupt, with its state in the checkpointer; after a no, nobody writes release notes."""
    checkpointer = InMemorySaver()
    with ModelServer(spec.script()) as server:
        graph = on_langgraph.build(server.base_url, checkpointer)
        config = {"configurable": {"thread_id": "t"}}
        waiting = graph.invoke({"request": spec.REQUEST}, config)
        before = server.truth.totals.calls
        again = on_langgraph.build(server.base_url, checkpointer)
        state = again.invoke(Command(resume="no"), config)

    assert [found.value["question"] for found in waiting["__interrupt__"]] == ["Release this?"]
    assert before == server.truth.totals.calls == spec.EXPECTED.calls - 1
    assert "notes" not in state
    assert len(server.truth.steps_left) == 1


async def test_the_squad_runs_asynchronously():
    """The same graph under asyncio makes the same calls."""
    with ModelServer(spec.script()) as server:
        graph = on_langgraph.build(server.base_url)
        config = {"configurable": {"thread_id": "t"}}
        await graph.ainvoke({"request": spec.REQUEST}, config)
        state = await graph.ainvoke(Command(resume="yes"), config)

    assert state["notes"] == spec.EXPECTED.notes
    totals = server.truth.totals
    assert (totals.calls, totals.billed) == (spec.EXPECTED.calls, spec.EXPECTED.billed)
    assert totals.reported == totals.billed


def test_the_spec_needs_no_framework():
    """Script and expectations import no agent framework: they serve all of them."""
    program = (
        "import sys, ai_dev_squad_parity.squad.spec; "
        "print(sorted({'langgraph', 'langchain_core', 'openai', 'crewai', 'httpx'} & set(sys.modules)))"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
