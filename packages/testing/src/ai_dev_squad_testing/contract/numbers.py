"""What providers and gateways report in words of their own comes out as what they bill, through any framework's client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from ai_dev_squad_testing.captured import Captured
from ai_dev_squad_testing.contract.harness import Harness
from ai_dev_squad_testing.fixtures import Serve, wait_until
from ai_dev_squad_testing.model_server import reply, tokens

__all__ = ["Numbers"]

ANSWER = "one two three four five six"


def usage(prompt: int, completion: int, total: int | None = None, **more: Any) -> dict[str, Any]:
    """A report in OpenAI's words, and more of them."""
    whole = prompt + completion if total is None else total
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": whole, **more}


@dataclass(frozen=True)
class Row:
    """What a provider says of one call, and what that is."""

    asked: str
    usage: Mapping[str, Any]
    cost: float | None
    """US dollars; ``None`` where nobody says what it costs."""
    tokens: Mapping[str, int] = field(default_factory=dict)
    """What isn't as OpenAI would count it."""
    answered: str | None = None
    """The model that the answer names, where it isn't the one that was asked."""
    answer: Mapping[str, Any] = field(default_factory=dict)
    """What else the answer says."""

    def told(self) -> dict[str, Any]:
        """All that the call's closing line is to say of tokens and money."""
        counted = {"input": self.usage["prompt_tokens"], "output": self.usage["completion_tokens"]}
        return {**_NONE, **counted, **self.tokens, "cost": self.cost, "unknown": self.cost is None}


_PARTS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "read": "cache_read_input_tokens",
    "written": "cache_write_input_tokens",
    "for an hour": "cache_write_1h_input_tokens",
    "reasoning": "reasoning_output_tokens",
    "audio in": "audio_input_tokens",
    "audio out": "audio_output_tokens",
}
_NONE: Mapping[str, Any] = {**dict.fromkeys(_PARTS, 0), "source": "provider"}


def told(line: Any) -> dict[str, Any]:
    """What a model call's closing line says of tokens and money."""
    counted = {name: getattr(line.usage, part) or 0 for name, part in _PARTS.items()}
    cost = None if line.cost.usd is None else round(line.cost.usd, 9)
    return {**counted, "source": line.usage.source, "cost": cost, "unknown": bool(line.cost.reason)}


_HOUR: dict[str, Any] = {"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 10_000}}
_WRITTEN: dict[str, Any] = {"cache_creation_input_tokens": 10_000}
_READ = {"read": 800}
_SOUND: dict[str, Any] = {
    "prompt_tokens_details": {"audio_tokens": 800},
    "completion_tokens_details": {"audio_tokens": 400},
}
# As OpenAI's own answers have it where they name a tier, though nothing was cached or thought.
_TIERED: dict[str, Any] = {
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}

ROWS = {
    "reasoning beside the completion": Row(  # inspect_ai#5528
        "grok-4",
        usage(10_120, 1_499, 14_428, completion_tokens_details={"reasoning_tokens": 2_809}),
        0.09498,
        {"output": 4_308, "reasoning": 2_809},
    ),
    "thoughts in the total alone": Row(  # openonion#606
        "gemini-2.5-flash", usage(1_000, 50, 3_050), 0.005425, {"output": 2_050, "reasoning": 2_000}
    ),
    "a cost of the gateway's": Row("gpt-4o", usage(1_000, 200, cost=0.0063), 0.0063),  # daiv#1127, lmnr#706
    "an alias": Row("prod-chat", usage(1_000, 100), 0.0035, answered="gpt-4o-2024-08-06"),  # langfuse#1160
    "LiteLLM's cache writes": Row(  # langfuse#14249
        "claude-sonnet-4-5", usage(10_100, 50, **_WRITTEN), 0.03855, {"written": 10_000}
    ),
    "cache writes for an hour": Row(  # claude-observability-plugin#34
        "claude-sonnet-4-5",
        usage(10_100, 50, **_WRITTEN, **_HOUR),
        0.06105,
        {"written": 10_000, "for an hour": 10_000},
    ),
    "Moonshot's cache reads": Row("gpt-4o", usage(1_000, 100, cached_tokens=800), 0.0025, _READ),
    "DeepSeek's cache reads": Row(
        "gpt-4o", usage(1_000, 100, prompt_cache_hit_tokens=800, prompt_cache_miss_tokens=200), 0.0025, _READ
    ),
    "flex": Row(  # litellm#13810
        "gpt-5-mini", usage(10_000, 1_000, **_TIERED), 0.00225, answer={"service_tier": "flex"}
    ),
    "priority": Row("gpt-5-mini", usage(10_000, 1_000, **_TIERED), 0.0081, answer={"service_tier": "priority"}),
    "sound": Row(  # litellm#19500
        "gpt-4o-audio-preview", usage(1_000, 500, **_SOUND), None, {"audio in": 800, "audio out": 400}
    ),
    "a model at home": Row("deepseek-r1:8b", usage(1_000, 100), None),  # OpenHands#9158
    "open weights at home": Row("gpt-oss-20b", usage(1_000, 100), None),
    "a gateway at home": Row("gpt-4o", usage(1_000, 100), 0.0035),
}
"""OpenAI's API as others speak it, with the public report of what went wrong."""


def in_words_of(row: Row) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    """An answer, or a chunk of it, as this provider sends it."""

    def rewrite(sent: dict[str, Any]) -> list[dict[str, Any]]:
        reported = {"usage": dict(row.usage)} if sent.get("usage") else {}
        return [{**sent, **row.answer, **reported}]

    return rewrite


class Numbers(Harness):
    """Tests of tokens and cost in other words than OpenAI's."""

    @pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
    @pytest.mark.parametrize("name", ROWS)
    def test_a_report_in_other_words(self, captured: Captured, serve: Serve, name: str, streamed: bool) -> None:
        """Tokens and cost are those that the provider bills, or the cost is unknown; whole and streamed the same."""
        row = ROWS[name]
        server = serve(reply(ANSWER, model=row.answered, rewrite=in_words_of(row)))
        mode = self.streaming_mode if streamed else self.main_mode

        self.play(mode, self.observe(self.asking_in(mode, server.base_url, model=row.asked)))

        (line,) = captured.closing("chat")
        assert told(line) == row.told()

    def test_reports_that_add_up(self, captured: Captured, serve: Serve) -> None:
        """Where each chunk reports all tokens so far, the last report counts (langchain#30429)."""
        written = iter(range(1, 100))

        def so_far(sent: dict[str, Any]) -> list[dict[str, Any]]:
            says = any(choice["delta"].get("content") for choice in sent["choices"])
            return [{**sent, "usage": usage(1_000, next(written))}] if says else [{**sent, "usage": None}]

        server = serve(reply("x" * 10, chunk_size=1, rewrite=so_far))

        mode = self.streaming_mode
        text = "".join(self.play(mode, self.observe(self.asking_in(mode, server.base_url))))

        assert text == "x" * 10
        (line,) = captured.closing("chat")
        # gpt-4o-mini: 0.15 USD per million input tokens, 0.60 output.
        assert told(line) == Row("gpt-4o-mini", usage(1_000, 10), 0.000156).told()

    def test_two_chunks_that_end_it(self, captured: Captured, serve: Serve) -> None:
        """A stream whose end is told twice has ended once, for one reason (langchain#38366)."""

        def twice(sent: dict[str, Any]) -> list[dict[str, Any]]:
            ends = any(choice["finish_reason"] for choice in sent["choices"])
            return [sent, sent] if ends else [sent]

        server = serve(reply(ANSWER, usage=tokens(1_000, 10), rewrite=twice))

        mode = self.streaming_mode
        self.play(mode, self.observe(self.asking_in(mode, server.base_url)))

        (line,) = captured.closing("chat")
        assert told(line) == Row("gpt-4o-mini", usage(1_000, 10), 0.000156).told()
        said = line.metadata or {}
        assert (said["gen_ai.response.finish_reasons"], said["gen_ai.response.model"]) == (["stop"], "gpt-4o-mini")

    def test_what_came_of_a_stream_that_was_left(self, captured: Captured, serve: Serve) -> None:
        """Of a stream that its reader left, what had come is estimated, labelled and priced (posthog-js#4664); where the
        framework reads on by itself, it's what the provider billed.
        """
        server = serve(reply("one " * 40, usage=tokens(20, 40), chunk_size=4, per_chunk=0.005))
        mode = self.streaming_mode
        program = self.observe(self.asking_in(mode, server.base_url))

        def leave() -> None:
            pieces = self.stream(program, "go")
            for _ in range(5):
                next(pieces)
            pieces.close()  # type: ignore[attr-defined]

        async def leave_later() -> None:
            pieces = self.astream(program, "go")
            for _ in range(5):
                await anext(pieces)
            await pieces.aclose()  # type: ignore[attr-defined]

        if mode == "stream":
            leave()
        else:
            self.in_a_loop(leave_later())

        assert wait_until(lambda: captured.closing("chat"))
        (line,) = captured.closing("chat")
        assert line.usage is not None
        assert line.cost is not None
        assert line.usage.input_tokens is not None
        assert line.usage.output_tokens is not None
        if line.usage.source == "provider":
            server.settle()
            assert [call.outcome for call in server.truth.calls] == ["completed"]
            assert (line.usage.input_tokens, line.usage.output_tokens) == (20, 40)
        else:
            assert line.usage.source == "estimated"
        assert line.usage.output_tokens in range(5, 41)
        billed = line.usage.input_tokens * 0.15e-6 + line.usage.output_tokens * 0.60e-6
        assert line.cost.usd == pytest.approx(billed)
