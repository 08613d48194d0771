"""Loops that a run's page shows: seen in what was captured, or told by the program itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_dev_squad_dashboard.store import Selection, Store, open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, SpanRow
from ai_dev_squad_dashboard.views.loops import Loop, loops_of
from ai_dev_squad_dashboard.views.tree import TreeRow, build_tree

sys.path.insert(0, str(Path(__file__).parent))

from sample import sample

SECOND = 1_000_000
T0 = 1_800_000_000 * SECOND
RUN = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store."""
    store = open_memory_store()
    yield store
    store.close()


def looking_up(words: list[str], *, captured: bool = True) -> list[SpanRow]:
    """An agent that looks one word up after each answer of its model, and never finds it."""
    common = {"framework": "test", "agent": "clerk"}
    spans = [SpanRow(RUN, f"{1:016x}", None, T0, 100 * SECOND, "clerk", "invoke_agent", **common)]
    for turn, word in enumerate(words):
        at = T0 + 2 * turn * SECOND
        asked = [{"role": "user", "parts": [{"type": "text", "content": f"turn {turn}"}]}]
        for number, start, name, operation, content, more in (
            (100 + turn, at, "gpt-4o", "chat", {"input": asked, "output": asked},
             {"model": "gpt-4o", "usage_source": "provider", "input_tokens": 100, "output_tokens": 10, "cost_usd": 0.25}),
            (200 + turn, at + SECOND, "look_up", "execute_tool", {"input": {"word": word}, "output": "nothing found"},
             {"tool": "look_up"}),
        ):  # fmt: skip
            details = json.dumps(content).encode() if captured else None
            spans.append(
                SpanRow(
                    RUN,
                    f"{number:016x}",
                    f"{1:016x}",
                    start,
                    SECOND // 2,
                    name,
                    operation,
                    **common,
                    **more,
                    details=details,
                )
            )
    return spans


def shown(store: Store, trace_id: str = RUN) -> tuple[tuple[Loop, ...], tuple[TreeRow, ...]]:
    """The loops of a run, and its rows."""
    trace = store.outline(trace_id)
    assert trace is not None
    rows = build_tree(trace.spans, trace.running, T0)
    return loops_of(store, [trace], rows), rows


def test_the_same_call_again_and_again_is_marked_with_what_it_took(store: Store) -> None:
    """From the first equal call to the last; the call of another word before them is none of it."""
    store.write(Batch(spans=looking_up(["apple", *["fig"] * 6])))

    loops, rows = shown(store)

    steps = tuple(f"{201 + turn:016x}" for turn in range(6))
    assert loops == (
        Loop(
            agent="clerk", pattern="tools", operations=("look_up",), repeats=6, model_calls=6, input_tokens=600,
            output_tokens=60, cost_usd=1.5, owner=f"{1:016x}", steps=steps, so_far=False,
        ),
    )  # fmt: skip
    assert tuple(row.span_id for row in rows if row.loop) == steps


@pytest.mark.parametrize("words", [["fig"] * 4, ["fig", "fog", "fug"] * 3 + ["fig"], [str(n) for n in range(20)]])
def test_what_gets_on_is_no_loop(store: Store, words: list[str]) -> None:
    """Too few equal calls, a round that was gone through three times, and a list that is worked through."""
    store.write(Batch(spans=looking_up(words)))
    loops, rows = shown(store)
    assert loops == ()
    assert {row.loop for row in rows} == {0}


def test_a_program_that_keeps_no_content_tells_of_its_loops_itself(store: Store) -> None:
    """The line that the loop guard wrote is shown, and the agent is marked; what is no such line is not."""
    said = {
        "agent": "clerk", "pattern": "tools", "operations": ["look_up"], "repeats": 5, "model_calls": 5,
        "input_tokens": 500, "output_tokens": 50, "cost_usd": None, "action": "warn",
    }  # fmt: skip
    lines = [
        LogRow(T0, "WARNING", "agent.loop", "clerk is in a loop", trace_id=RUN, span_id=f"{1:016x}",
               details=json.dumps({"metadata": metadata}).encode())
        for metadata in (said, {"agent": "no numbers"})
    ]  # fmt: skip
    store.write(Batch(spans=looking_up(["fig"] * 7, captured=False), logs=lines))

    loops, rows = shown(store)

    assert loops == (
        Loop(
            agent="clerk", pattern="tools", operations=("look_up",), repeats=5, model_calls=5, input_tokens=500,
            output_tokens=50, cost_usd=None, owner=f"{1:016x}", steps=(), so_far=True,
        ),
    )  # fmt: skip
    assert [row.name for row in rows if row.loop] == ["clerk"]


def test_what_is_seen_is_not_told_twice(store: Store) -> None:
    """The line of the loop guard is about the same loop as what was captured, which says more."""
    said = {"agent": "clerk", "pattern": "tools", "operations": ["look_up"], "repeats": 5, "model_calls": 5,
            "input_tokens": 500, "output_tokens": 50, "cost_usd": 0.1}  # fmt: skip
    line = LogRow(T0, "WARNING", "agent.loop", "clerk is in a loop", trace_id=RUN, span_id=f"{1:016x}",
                  details=json.dumps({"metadata": said}).encode())  # fmt: skip
    store.write(Batch(spans=looking_up(["fig"] * 7), logs=[line]))
    assert [(loop.repeats, loop.so_far) for loop in shown(store)[0]] == [(7, False)]


def test_no_run_that_gets_on_is_called_a_loop(store: Store) -> None:
    """None of the sample's runs, a long one with thousands of like calls among them."""
    for batch in sample(T0, runs=6, long_spans=2_000):
        store.write(batch)
    found = {row.trace_id: shown(store, row.trace_id)[0] for row in store.traces(Selection(0, T0 * 2), limit=500).rows}
    assert len(found) > 10
    assert {trace_id: loops for trace_id, loops in found.items() if loops} == {}
