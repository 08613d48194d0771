"""Captured calls and tokens equal what the model server billed, in every way of running a program."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from ai_dev_squad_testing.captured import Captured
from ai_dev_squad_testing.contract.harness import MODES, Harness
from ai_dev_squad_testing.fixtures import Serve
from ai_dev_squad_testing.model_server import call, fail, reply, system_contains, tokens, tool_calls

__all__ = ["Truth"]

ANSWER = "one two three"


def usage() -> Any:
    """Tokens of which some are cached and some are reasoning."""
    return tokens(200, 30, cached=64, reasoning=8)


def equals_the_bill(
    captured: Captured, server: Any, *, sources: Collection[str] = ("provider",), traces: int | None = None
) -> None:
    """Calls and tokens as captured are as billed, told by ``sources``, and in so many traces where that is asked."""
    server.settle()
    # A model around another one is told of, and the one that it asks is counted.
    answered = [line for line in captured.closing("chat") if line.status == "ok" and line.usage is not None]
    billed = server.truth.totals.billed

    def total(name: str) -> int:
        return sum(getattr(line.usage, name) or 0 for line in answered)

    assert {
        "calls": len(answered),
        "input": total("input_tokens"),
        "cached": total("cache_read_input_tokens"),
        "output": total("output_tokens"),
        "reasoning": total("reasoning_output_tokens"),
        "sources": {line.usage.source for line in answered if line.usage},
        "traces": None if traces is None else len({line.trace_id for line in captured.lines}),
    } == {
        "calls": server.truth.totals.successful_calls,
        "input": billed.input_tokens,
        "cached": billed.cache_read_input_tokens,
        "output": billed.output_tokens,
        "reasoning": billed.reasoning_output_tokens,
        "sources": set(sources),
        "traces": traces,
    }
    assert server.truth.unexpected == ()
    assert server.truth.steps_left == ()


class Truth(Harness):
    """Tests of calls, tokens and cost."""

    @pytest.mark.parametrize("mode", MODES)
    def test_calls_and_tokens_are_those_of_the_bill(self, captured: Captured, serve: Serve, mode: str) -> None:
        """One call is one call, with its cached and reasoning tokens, and its price."""
        server = serve(reply(ANSWER, usage=usage()))

        self.play(mode, self.observe(self.asking_in(mode, server.base_url)))

        equals_the_bill(captured, server)
        (line,) = captured.closing("chat")
        assert line.cost is not None
        # gpt-4o-mini: 0.15 USD per million input tokens, 0.075 cached, 0.60 output.
        assert line.cost.usd == pytest.approx((136 * 0.15 + 64 * 0.075 + 30 * 0.60) / 1e6)

    @pytest.mark.parametrize("mode", MODES)
    def test_a_result_is_that_of_the_unobserved_program(self, captured: Captured, serve: Serve, mode: str) -> None:
        """Observing changes neither the answer nor the pieces that it comes in."""
        server = serve(reply(ANSWER, usage=usage(), times=2))

        unobserved, observed = self.both(lambda: self.asking_in(mode, server.base_url), mode)

        assert observed.summary() == unobserved.summary()
        assert ANSWER in observed.text

    @pytest.mark.parametrize("mode", MODES)
    def test_missing_usage_is_estimated_and_says_so(self, captured: Captured, serve: Serve, mode: str) -> None:
        """A provider that reports no usage gives a labelled estimate, never 0 and never silence."""
        server = serve(reply("Paris is the capital of France.", report_usage=False))

        self.play(mode, self.observe(self.asking_in(mode, server.base_url)))

        (line,) = captured.closing("chat")
        assert line.usage is not None
        assert line.usage.source == "estimated"
        assert (line.usage.input_tokens or 0) >= 4
        assert 4 <= (line.usage.output_tokens or 0) <= 12

    def test_a_tool_loop_counts_every_call_once(self, captured: Captured, serve: Serve) -> None:
        """Calls that ask for tools cost as well; tools asked for together run once each."""
        self.need("with_tool")
        server = serve(
            tool_calls(call("look_up", word="a"), call("look_up", word="b"), usage=usage()),
            reply("done", usage=tokens(300, 5)),
        )
        looked_up: list[str] = []

        def look_up(word: str) -> str:
            """Look a word up."""
            looked_up.append(word)
            return word.upper()

        self.finish(self.observe(self.with_tool(server.base_url, look_up)))

        equals_the_bill(captured, server)
        assert sorted(looked_up) == ["a", "b"]
        asked = sorted((call.name, call.id) for call in server.truth.calls[0].tool_calls)
        ran = [
            (line.name, (line.metadata or {}).get("gen_ai.tool.call.id")) for line in captured.closing("execute_tool")
        ]
        assert sorted(ran) == asked

    def test_two_agents_are_told_apart(self, captured: Captured, serve: Serve) -> None:
        """Each call belongs to the agent that made it."""
        self.need("two_agents")
        server = serve(
            reply("a plan", usage=tokens(100, 10), when=system_contains("you plan")),
            reply("some code", usage=tokens(200, 20), when=system_contains("you code")),
        )

        text = self.finish(self.observe(self.two_agents(server.base_url)))

        assert "some code" in text
        equals_the_bill(captured, server)
        assert [(line.agent_id, line.usage and line.usage.input_tokens) for line in captured.closing("chat")] == [
            ("planner", 100),
            ("coder", 200),
        ]

    def test_calls_at_the_same_time(self, captured: Captured, serve: Serve) -> None:
        """Parallel branches of one run count each call once, in one trace."""
        self.need("in_parallel")
        server = serve(reply(ANSWER, usage=usage(), latency=0.05, times=3))

        self.finish(self.observe(self.in_parallel(server.base_url)))

        equals_the_bill(captured, server)
        assert len({line.trace_id for line in captured.lines}) == 1

    @pytest.mark.parametrize("mode", MODES)
    def test_a_retried_call_is_billed_once(self, captured: Captured, serve: Serve, mode: str) -> None:
        """A 429 that is retried, by the client or by the framework, adds nothing to the bill."""
        server = serve(fail(429, retry_after=0.01), reply(ANSWER, usage=usage()))

        self.play(mode, self.observe(self.asking_in(mode, server.base_url)))

        assert [call.status for call in server.truth.calls] == [429, 200]
        equals_the_bill(captured, server)

    def test_a_failed_call_costs_nothing(self, captured: Captured, serve: Serve) -> None:
        """A call that fails for good is an error without tokens and cost; the program sees what it would see anyway."""
        server = serve(fail(400, times=None))

        unobserved, observed = self.both(lambda: self.asking(server.base_url), self.main_mode)

        assert observed.summary() == unobserved.summary()
        failed = captured.closing("chat")
        assert {line.status for line in failed} == {"error"}
        assert {line.usage and line.usage.input_tokens for line in failed} == {None}
        assert {line.cost and line.cost.usd for line in failed} == {None}
        assert {line.error is not None and "400" in line.error.message for line in failed} == {True}
