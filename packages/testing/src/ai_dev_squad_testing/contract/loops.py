"""An agent that goes round in a loop is told of, and stopped if asked."""

from __future__ import annotations

from typing import Any

import pytest

from ai_dev_squad import LoopDetected
from ai_dev_squad.schema import EventType
from ai_dev_squad_testing.captured import Captured
from ai_dev_squad_testing.contract.harness import Harness
from ai_dev_squad_testing.fixtures import Serve, whole_runs
from ai_dev_squad_testing.model_server import after_tool_result, call, reply, tokens, tool_calls

__all__ = ["Loops"]

LIMIT = 3
ASKS = call("look_up", word="a")
USAGE = tokens(200, 30)


def told(captured: Captured) -> list[dict[str, Any]]:
    """What was told of loops."""
    return [line.metadata or {} for line in captured.lines if line.event_type == EventType.AGENT_LOOP]


class Loops(Harness):
    """Tests of agents that repeat themselves."""

    def test_an_agent_in_a_loop_is_told_of(self, serve: Serve) -> None:
        """The same tool, the same arguments and the same result: told once, with what it cost, and nothing else changes."""
        self.need("with_tool")
        server = serve(tool_calls(ASKS, usage=USAGE, times=LIMIT + 1), reply("I give up.", usage=USAGE, times=None))

        def look_up(word: str) -> str:
            """Look a word up."""
            return "nothing"

        with whole_runs(loop_limit=LIMIT) as captured:
            text = self.finish(self.observe(self.with_tool(server.base_url, look_up)))

        assert "I give up." in text
        (loop,) = told(captured)
        calls = loop["model_calls"]
        assert (loop["pattern"], loop["operations"], loop["action"]) == ("tools", ["look_up"], "warn")
        assert LIMIT <= loop["repeats"] <= LIMIT + 1
        assert LIMIT - 1 <= calls <= LIMIT + 2
        assert (loop["input_tokens"], loop["output_tokens"]) == (200 * calls, 30 * calls)
        # gpt-4o-mini: 0.15 USD per million input tokens, 0.60 USD per million output tokens.
        assert loop["cost_usd"] == pytest.approx(calls * (200 * 0.15e-6 + 30 * 0.6e-6))

    def test_an_agent_in_a_loop_is_stopped(self, serve: Serve) -> None:
        """Asked to stop it, the run ends by ``LoopDetected`` before the provider hears of another call."""
        self.need("with_tool")
        server = serve(tool_calls(ASKS, usage=USAGE, times=None))
        ran: list[str] = []

        def look_up(word: str) -> str:
            """Look a word up."""
            ran.append(word)
            return "nothing"

        with whole_runs(loop_limit=LIMIT, on_loop="stop") as captured:
            outcome = self.attempt(self.main_mode, self.observe(self.with_tool(server.base_url, look_up)))

        assert outcome.error is not None
        assert any(isinstance(error, LoopDetected) or "LoopDetected" in str(error) for error in outcome.chain())
        assert [loop["action"] for loop in told(captured)] == ["stop"]
        assert LIMIT <= len(server.truth.calls) <= LIMIT + 2
        assert len(ran) <= LIMIT + 1
        refused = [line for line in captured.closing() if line.error is not None and "LoopDetected" in line.error.type]
        assert {line.operation for line in refused} & {"chat", "execute_tool"}

    def test_tools_that_get_on_are_no_loop(self, serve: Serve) -> None:
        """The same question to a tool whose answers differ is waiting, however low the limit."""
        self.need("with_tool")
        server = serve(
            tool_calls(ASKS, usage=USAGE, times=LIMIT),
            reply("Done.", when=after_tool_result(), usage=USAGE, times=None),
        )
        ran: list[str] = []

        def look_up(word: str) -> str:
            """Look a word up."""
            ran.append(word)
            return f"{len(ran)} of {LIMIT}"

        with whole_runs(loop_limit=2) as captured:
            text = self.finish(self.observe(self.with_tool(server.base_url, look_up)))

        assert "Done." in text
        assert told(captured) == []
