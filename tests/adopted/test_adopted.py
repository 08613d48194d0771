"""Frameworks without an adapter, each in an environment of its own: `nox -s adopted`.

One agent calls a model until it has an answer, and a tool once. What it comes to is compared with what the model server billed.
"""

from __future__ import annotations

import importlib.util
import os
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from ai_dev_squad import BudgetExceeded, adopt_spans, runtime
from ai_dev_squad_testing import Captured, capture
from ai_dev_squad_testing.model_server import ModelServer, after_tool_result, call, reply, tokens, tool_calls

HERE = Path(__file__).parent
FRAMEWORKS = tomllib.loads((HERE / "frameworks.toml").read_text(encoding="utf-8"))
NAME = os.environ["AI_DEV_SQUAD_ADOPTED"]
EXPECTED = FRAMEWORKS[NAME]
SCRIPT = [
    tool_calls(call("weather", city="Paris"), usage=tokens(60, 20), when=~after_tool_result()),
    reply("It is 18 degrees in Paris.", usage=tokens(100, 20, cached=32), when=after_tool_result()),
]
USD = 4.56e-05
PROVIDER = TracerProvider()
trace.set_tracer_provider(PROVIDER)  # Strands and ADK take no other


def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"adopted_{NAME}", HERE / "programs" / f"{NAME}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROGRAM = program()


def calls(captured: Captured) -> list[Any]:
    return [line for line in captured.closing() if line.event_type == "llm.response"]


def test_its_run_has_its_tree_and_each_call_once() -> None:
    """The operations of the framework, and of each request what was billed, or an estimate that says so."""
    with ModelServer(getattr(PROGRAM, "SCRIPT", SCRIPT)) as server, capture() as captured, adopt_spans(PROVIDER):
        PROGRAM.run(server.base_url, PROVIDER)
        billed = [(one.billed.input_tokens, one.billed.output_tokens) for one in server.truth.calls if one.billed]

    assert captured.tree() == EXPECTED["tree"].strip()
    told = [(line.usage.input_tokens, line.usage.output_tokens) for line in calls(captured)]
    if EXPECTED["money"] == "wire":
        assert told == billed
        assert {line.usage.source for line in calls(captured)} == {"provider"}
        assert round(sum(line.cost.usd for line in calls(captured)), 12) == EXPECTED.get("usd", USD)
    else:
        assert len(told) == len(billed)
        assert {line.usage.source for line in calls(captured)} == {"estimated"}


def test_a_budget_refuses_its_first_request() -> None:
    """Nothing leaves where the wire sees it; where it doesn't, the table says so."""
    with ModelServer(getattr(PROGRAM, "SCRIPT", SCRIPT)) as server, capture() as captured, adopt_spans(PROVIDER):
        manager = runtime.get_cost_tracker().budget_manager
        manager.set_budget("tiny", limit_usd=1e-12, period="total", on_exceed="stop")
        try:
            PROGRAM.run(server.base_url, PROVIDER)
        except BudgetExceeded:
            pass
        except Exception as error:  # a framework may put its own around it
            if EXPECTED["budget"] and "tiny" not in str(error):
                raise
        sent = len(server.truth.calls)

    if EXPECTED["budget"]:
        assert sent == 0
        assert "BudgetExceeded" in {line.error.type for line in captured.closing() if line.error}
    else:
        assert sent > 0


@pytest.mark.parametrize("key", ["title", "structure", "money", "budget", "tried", "requires", "tree"])
def test_the_row_is_whole(key: str) -> None:
    """Whatever the table says of a framework is stated."""
    assert key in EXPECTED
