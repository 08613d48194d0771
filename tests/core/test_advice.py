"""The savings report: honest amounts, the evidence behind them, and the same report for the same entries."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.costs.advice import Advice, SavingsReport, savings_report
from ai_dev_squad.costs.advice.candidates import BANDS, band_of, candidates_for
from ai_dev_squad.costs.ledger.entry import CostEntry
from ai_dev_squad.schema import Cost, Usage

NOON = datetime(2026, 3, 18, 12, 0, tzinfo=timezone.utc)

# US dollars for a million tokens: input, output, cache read, cache write.
PRICES = {
    "gpt-4o": (2.5, 10.0, 1.25, 2.5),
    "gpt-4o-mini": (0.15, 0.6, 0.075, 0.15),
    "gpt-4.1": (2.0, 8.0, 0.5, 2.0),
    "gpt-4.1-mini": (0.4, 1.6, 0.1, 0.4),
    "claude-sonnet-5": (2.0, 10.0, 0.2, 2.5),
    "local-llama": (0.0, 0.0, 0.0, 0.0),
}


def price(model: str, provider: str, usage: Usage) -> Cost:
    if model not in PRICES:
        return Cost(usd=None, reason=f"no price for {model}")
    new, out, read, write = PRICES[model]
    reads, writes = usage.cache_read_input_tokens or 0, usage.cache_write_input_tokens or 0
    fresh = (usage.input_tokens or 0) - reads - writes
    return Cost(usd=(fresh * new + reads * read + writes * write + (usage.output_tokens or 0) * out) / 1e6)


def entry(
    model: str = "gpt-4o", tokens: tuple[int, int] = (1000, 100), at: float = 0, provider: str = "openai", **fields: Any
) -> CostEntry:
    usage = fields.pop("usage", Usage(input_tokens=tokens[0], output_tokens=tokens[1], source="provider"))
    usd = fields.pop("usd", price(model, provider, usage).usd)
    return CostEntry(
        NOON + timedelta(seconds=at), model, provider, usage.input_tokens or 0, usage.output_tokens or 0, usd, 5,
        usage=usage, **fields,
    )  # fmt: skip


def only(report: SavingsReport, kind: str) -> Advice:
    (found,) = [advice for advice in report.advice if advice.kind == kind]
    return found


def kinds(report: SavingsReport) -> list[str]:
    return [advice.kind for advice in report.advice]


def test_no_entries_give_an_empty_report() -> None:
    """Without calls there is nothing to save, and the texts say so."""
    report = savings_report([], price)

    assert report == SavingsReport(0, 0.0, 0, None, None, ())
    assert report.to_text() == "Savings report: no model calls.\n"
    assert report.to_markdown() == "# Savings report\n\nno model calls.\n"


def test_a_cheaper_model_in_the_same_band() -> None:
    """Calls are priced anew at the observed sizes, and the evidence says that only prices were compared."""
    report = savings_report([entry(tokens=(1000, 100)), entry(tokens=(3000, 500), at=1)], price)

    assert report.advice == (
        Advice(
            kind="cheaper_model",
            title="gpt-4.1 instead of gpt-4o (openai)",
            evidence={
                "calls": 2,
                "spent_usd": 0.016,
                "suggested_usd": 0.0128,
                "price_band": "standard",
                "suggested_price_band": "standard",
                "median_input_tokens": 1000,
                "median_output_tokens": 100,
                "largest_call_tokens": 3500,
                "basis": "price only: the same token counts at the other model's price; quality was not compared",
            },
            amount_usd=0.0032,
            confidence="medium",
            action="Try gpt-4.1 on a sample of these calls and compare the answers before you switch.",
        ),
    )


def test_a_model_one_band_lower_is_a_guess() -> None:
    """Where the band has nothing cheaper the next band down is named with low confidence, and never two bands down."""
    advice = only(savings_report([entry("gpt-4.1")], price), "cheaper_model")

    assert (advice.title, advice.confidence) == ("gpt-4.1-mini instead of gpt-4.1 (openai)", "low")
    assert "cheaper_model" not in kinds(savings_report([entry("gpt-4o-mini")], price))


def test_a_model_that_has_no_price_or_costs_nothing_hides_no_other() -> None:
    """Each is looked at by itself, whatever its name; the one of no maker that is known, too."""
    calls = [entry("a-mystery", usd=1.0), entry("a-llama", usd=0.0), entry("local-llama", usd=1.0), entry("gpt-4.1")]

    assert only(savings_report(calls, price), "cheaper_model").title == "gpt-4.1-mini instead of gpt-4.1 (openai)"


def test_advice_of_the_same_amount_is_in_the_order_of_kinds_and_names() -> None:
    """A report is the same each time."""
    calls = [
        entry(tokens=(1024, 10), at=10 * n, session_id=session, agent_id=agent)
        for n, (session, agent) in enumerate([("s", "A"), ("s", "A"), ("t", None), ("t", None), ("u", "z"), ("u", "z")])
    ]

    assert [advice.title for advice in savings_report(calls, price).advice if advice.kind == "prompt_cache"] == [
        "Prompt caching for agent A on gpt-4o (openai)",
        "Prompt caching for agent z on gpt-4o (openai)",
        "Prompt caching for gpt-4o (openai)",
    ]


@pytest.mark.parametrize(
    "model", ["local-llama", "my-finetune", "gpt-4o-audio-preview", "ft:gpt-4o:acme", "text-embedding-3-large"]
)
def test_no_model_is_suggested_for_what_cannot_be_compared(model: str) -> None:
    """Free models, models of unknown make and models of special purpose get no suggestion."""
    assert "cheaper_model" not in kinds(savings_report([entry(model, usd=1.0)], price))


def test_a_model_too_small_for_the_largest_call_is_not_suggested() -> None:
    """The context window of a suggestion holds the largest call seen."""
    assert "gpt-4o-mini" in candidates_for("gpt-4.1", 128_000)
    assert "gpt-4o-mini" not in candidates_for("gpt-4.1", 128_001)
    assert candidates_for("openai/gpt-4.1", 128_000) == candidates_for("gpt-4.1", 128_000)
    assert candidates_for("claude-9", 1_000_001) == candidates_for("gpt-4o-audio-preview", 1) == ()
    assert candidates_for("my-gpt-4o", 1) == candidates_for("text-embedding-3-large", 1) == ()


def test_bands_begin_at_their_price() -> None:
    """The dearest of one band is just below the next."""
    assert [BANDS[band_of(usd)][0] for usd in (0.0, 0.49, 0.5, 2.49, 2.5, 7.99, 8.0, 900.0)] == [
        *("economy", "economy", "small", "small", "standard", "standard", "premium", "premium")
    ]


def test_a_cache_that_would_have_helped() -> None:
    """A growing conversation without cache reads is priced again with the earlier input read from the cache."""
    calls = [entry(tokens=(2000 + 100 * n, 10), at=n, session_id="s", agent_id="coder") for n in range(3)]

    advice = only(savings_report(calls, price), "prompt_cache")

    assert advice == Advice(
        kind="prompt_cache",
        title="Prompt caching for agent coder on gpt-4o (openai)",
        evidence={
            "calls_without_cache_reads": 2,
            "tokens_sent_again": 4100,
            "assumption": "a call that follows within 300 s in the same conversation with at least as many input tokens "
            "(1024 or more) begins with the input of the call before",
        },
        amount_usd=4100 * 1.25 / 1e6,
        confidence="low",
        action="Keep the beginning of the prompt the same from call to call (instructions and tools first, what changes "
        "last) and switch the provider's prompt cache on.",
    )


def test_the_least_that_a_cache_takes_and_the_longest_that_it_keeps() -> None:
    """1024 tokens, as many once more, after five minutes: a cache would have had them, also of an agent without a name."""
    calls = [entry(tokens=(1024, 10), at=300 * n, trace_id="t") for n in range(2)]

    advice = only(savings_report(calls, price), "prompt_cache")

    assert (advice.title, advice.evidence["tokens_sent_again"]) == ("Prompt caching for gpt-4o (openai)", 1024)
    assert advice.amount_usd == 1024 * 1.25 / 1e6


def test_a_cache_whose_writes_cost_extra() -> None:
    """Where writing to the cache costs extra, what every call would have written is taken off the saving."""
    calls = [entry("claude-sonnet-5", (2000 + 100 * n, 10), n, "anthropic", session_id="s") for n in range(3)]

    advice = only(savings_report(calls, price), "prompt_cache")

    read, extra = 4100 * (2.0 - 0.2), (2000 + 100 + 100) * (2.5 - 2.0)
    assert advice.amount_usd == pytest.approx((read - extra) / 1e6, abs=1e-12)


@pytest.mark.parametrize(
    "calls",
    [
        [entry(tokens=(900, 10), at=n, session_id="s") for n in range(3)],
        [entry(tokens=(5000, 10), at=n * 301, session_id="s") for n in range(3)],
        [entry(tokens=(5000 - n, 10), at=n, session_id="s") for n in range(3)],
        [entry(tokens=(5000, 10), at=n) for n in range(3)],
        [entry(tokens=(5000, 10), at=n, session_id=f"s{n}") for n in range(3)],
        [
            entry(
                usage=Usage(input_tokens=5000, output_tokens=1, cache_read_input_tokens=4000, source="provider"),
                at=n,
                session_id="s",
            )
            for n in range(3)
        ],
    ],
    ids=["small", "far apart", "shrinking", "unrelated", "other sessions", "cached already"],
)
def test_no_cache_where_none_would_help(calls: list[CostEntry]) -> None:
    """Small, distant, shrinking, unrelated or cached inputs are not called a missed cache."""
    assert "prompt_cache" not in kinds(savings_report(calls, price))


def test_identical_prompts() -> None:
    """Every answer to a prompt after the first counts, retries of a call do not."""
    calls = [
        *[entry(prompt_hash="a", at=n, usd=0.5) for n in range(3)],
        entry(prompt_hash="a", at=3, usd=0.5, attempt=2),
        entry(prompt_hash="a", at=4, usd=0.5, status="error"),
        *[entry(prompt_hash="b", at=5 + n, usd=0.25) for n in range(2)],
        entry(prompt_hash="c", at=9, usd=0.5),
        entry(at=10, usd=0.5),
        entry(at=11, usd=0.5),
    ]

    advice = only(savings_report(calls, price), "repeated_prompts")

    assert advice == Advice(
        kind="repeated_prompts",
        title="Identical prompts to gpt-4o (openai)",
        evidence={"prompts": 2, "repeated_calls": 3, "most_often": 3},
        amount_usd=1.25,
        confidence="medium",
        action="Cache the answers in your program, or ask once and pass the answer on.",
    )


def test_repeats_that_a_cache_answered_cost_nothing() -> None:
    """A repeated prompt answered for nothing is no advice."""
    calls = [entry(prompt_hash="a", usd=0.5), entry(prompt_hash="a", at=1, usd=0.0)]

    assert "repeated_prompts" not in kinds(savings_report(calls, price))


def test_failed_calls_that_were_paid_for() -> None:
    """The spend on failed and cancelled calls is counted exactly; calls refused for nothing are not mentioned."""
    calls = [
        entry(status="error", usd=0.5),
        entry(status="cancelled", at=1, usd=0.25),
        entry(status="error", at=2, usd=None, usage=Usage(source="missing")),
        entry(at=3, usd=9.0),
    ]

    advice = only(savings_report(calls, price), "failed_calls")

    assert advice == Advice(
        kind="failed_calls",
        title="Failed calls to gpt-4o (openai)",
        evidence={"failed_calls": 3, "cancelled": 1, "error": 2},
        amount_usd=0.75,
        confidence="high",
        action="Look at the errors in the journal: time-outs and refusals after the answer began are paid for.",
    )
    nothing = [entry(status="error", usd=None, usage=Usage(source="missing"))]
    assert kinds(savings_report(nothing, price)) == []


def test_answers_that_a_retry_threw_away() -> None:
    """An answered first attempt followed by a second in the same trace and agent was paid for in vain."""
    calls = [
        entry(trace_id="t", agent_id="coder", attempt=1, usd=0.5),
        entry(trace_id="t", agent_id="coder", attempt=2, at=1, usd=0.25),
        entry(trace_id="t", agent_id="coder", attempt=3, at=2, usd=0.125),
        entry(trace_id="t", agent_id="planner", attempt=1, at=3, usd=8.0),
        entry(trace_id="u", agent_id="coder", attempt=2, at=4, usd=8.0),
        entry(trace_id="v", agent_id="coder", attempt=1, at=5, usd=8.0, status="error"),
        entry(trace_id="v", agent_id="coder", attempt=2, at=6, usd=8.0),
    ]

    advice = only(savings_report(calls, price), "retried_calls")

    assert advice == Advice(
        kind="retried_calls",
        title="Answers of gpt-4o (openai) that a retry threw away",
        evidence={"superseded_calls": 2},
        amount_usd=0.75,
        confidence="medium",
        action="Retry the part that failed, not the model call before it: split the step, or keep the answer.",
    )


def test_the_cost_of_some_may_be_unknown() -> None:
    """What others cost is told, and of how many it isn't; a call that nobody counted has no price that is missing."""
    calls = [
        entry(status="error", usd=0.5),
        entry(status="error", at=1, usd=None),
        entry(status="error", at=2, usd=None, usage=Usage(source="missing")),
    ]

    report = savings_report(calls, price)

    assert only(report, "failed_calls").evidence == {"failed_calls": 3, "error": 3, "of_unknown_price": 1}
    assert only(report, "failed_calls").amount_usd == 0.5
    assert only(report, "unknown_price").evidence == {"calls": 1, "tokens": 1100}
    assert (report.calls, report.spent_usd, report.unpriced_calls) == (3, 0.5, 2)


def test_a_context_that_only_grows() -> None:
    """What input beyond twice the first call's cost is told as the price of growth, with its assumption."""
    sizes = [1000, 1800, 2600, 3400, 4200]
    calls = [entry(tokens=(size, 10), at=1000 * n, session_id="s", agent_id="coder") for n, size in enumerate(sizes)]

    advice = only(savings_report(calls, price), "context_growth")

    assert advice == Advice(
        kind="context_growth",
        title="Growing context of agent coder on gpt-4o (openai)",
        evidence={
            "conversations": 1,
            "calls": 5,
            "first_input_tokens": 1000,
            "last_input_tokens": 4200,
            "assumption": "input kept at 2 times that of a conversation's first call",
        },
        amount_usd=(600 + 1400 + 2200) * 2.5 / 1e6,
        confidence="low",
        action="Summarise or trim the history, and leave tool results out once they have been used.",
    )


def test_a_context_that_just_grows_is_told_with_the_longest_of_its_conversations() -> None:
    """Five calls, twice as long at the end, four of five steps longer; where no price is known there is no amount."""
    sizes = {"s": [1000, 1500, 1400, 1600, 1800, 2000], "t": [10, 12, 15, 18, 20]}
    calls = [
        entry("mystery", (size, 10), 1000 * n, session_id=session, usd=None)
        for session in sizes
        for n, size in enumerate(sizes[session])
    ]

    advice = only(savings_report(calls, price), "context_growth")

    assert advice == Advice(
        kind="context_growth",
        title="Growing context of mystery (openai)",
        evidence={
            "conversations": 2,
            "calls": 11,
            "first_input_tokens": 1000,
            "last_input_tokens": 2000,
            "assumption": "input kept at 2 times that of a conversation's first call",
        },
        amount_usd=None,
        confidence="low",
        action="Summarise or trim the history, and leave tool results out once they have been used.",
        reason="no price is known for these calls",
    )


@pytest.mark.parametrize(
    "sizes",
    [[1000, 2000, 3000, 4000], [1000, 1200, 1400, 1600, 1900], [1000, 3000, 1000, 3000, 1000, 3000], [0, 1, 2, 3, 4]],
    ids=["too few", "too little", "up and down", "from nothing"],
)
def test_no_growth_where_there_is_none(sizes: list[int]) -> None:
    """Short, flat and wavering conversations are not called growing."""
    calls = [entry(tokens=(size, 10), at=1000 * n, session_id="s") for n, size in enumerate(sizes)]

    assert "context_growth" not in kinds(savings_report(calls, price))


def test_an_unknown_price_is_told_and_never_counted_as_nothing() -> None:
    """Calls without a price are advice without an amount, with the reason, after everything that has one."""
    calls = [
        entry("mystery", usd=None, cost=Cost(usd=None, reason="no price for mystery"), status="error"),
        entry("gpt-4o", at=1, status="error", usd=0.5),
    ]

    report = savings_report(calls, price)

    assert [(advice.kind, advice.amount_usd, advice.reason) for advice in report.advice] == [
        ("failed_calls", 0.5, None),
        ("failed_calls", None, "no price is known for these calls"),
        ("unknown_price", None, "no price for mystery"),
    ]
    assert (report.calls, report.spent_usd, report.unpriced_calls) == (2, 0.5, 1)
    assert report.advice[2] == Advice(
        kind="unknown_price",
        title="Unknown price of mystery (openai)",
        evidence={"calls": 1, "tokens": 1100},
        amount_usd=None,
        confidence="high",
        action="Add its price with add_pricing_model; until then no budget and no advice counts these calls.",
        reason="no price for mystery",
    )


def test_small_amounts_can_be_left_out() -> None:
    """minimum_usd drops what is not worth the while and keeps what has no amount."""
    calls = [entry(status="error", usd=0.5), entry("mystery", usd=None)]

    assert kinds(savings_report(calls, price, minimum_usd=0.51)) == ["unknown_price"]
    assert kinds(savings_report(calls, price, minimum_usd=0.5)) == ["failed_calls", "unknown_price"]


def test_what_is_no_amount_of_money_is_not_known() -> None:
    """A ledger that was read from elsewhere may hold anything; a time without a zone is one of UTC."""
    calls = [entry(at=n, usd=usd) for n, usd in enumerate([-1.0, float("inf"), float("nan"), 0.0])]
    calls.append(CostEntry(datetime(2026, 3, 18, 13), "gpt-4o", "openai", 7, 3, 0.25, 5, estimated=True))

    report = savings_report(calls, price)

    assert (report.calls, report.spent_usd, report.unpriced_calls) == (5, 0.25, 3)
    assert (report.first, report.last) == (NOON, NOON + timedelta(hours=1))


def test_prices_may_come_from_a_tracker_or_the_published_table() -> None:
    """A tracker's own prices are used when it's given, the published table when nothing is."""

    class Tracker:
        def price(self, model: str, provider: str, usage: Usage, /) -> Cost:
            return price(model, provider, usage)

    calls = [entry("gpt-4o", tokens=(1000, 100))]
    assert savings_report(calls, Tracker()) == savings_report(calls, price)
    assert only(savings_report(calls), "cheaper_model").title.endswith("instead of gpt-4o (openai)")
    with pytest.raises(ValueError, match="prices=5; allowed: a CostTracker"):
        savings_report(calls, 5)  # type: ignore[arg-type]


def test_every_suggested_model_has_a_published_price() -> None:
    """The table of models to suggest names no model that the price table does not know."""
    from ai_dev_squad.costs.prices.price_list import PriceList

    prices = PriceList()
    usage = Usage(input_tokens=1000, output_tokens=1000, source="provider")
    providers = {"gpt-9": "openai", "claude-9": "anthropic", "gemini-9": "google", "mistral-9": "mistral"}
    named = [(other, provider) for model, provider in providers.items() for other in candidates_for(model, 1)]

    assert len(named) > 20
    assert [(model, provider) for model, provider in named if prices.cost(model, provider, usage).usd is None] == []
    assert [name for name, _ in BANDS] == ["economy", "small", "standard", "premium"]


# --- rendering --------------------------------------------------------------------------------------------------------


def test_the_text_and_the_markdown() -> None:
    """Both texts carry amounts, titles, actions and evidence; hostile names can't break the table."""
    calls = [entry("mo|del\n<b>", provider="open`ai", status="error", usd=1.5), entry("mystery", at=60, usd=None)]

    report = savings_report(calls, price)

    assert str(report) == report.to_text()
    assert report.to_text().splitlines() == [
        "Savings report: $1.50 for 2 model calls (without 1 call of unknown cost), 2026-03-18 12:00 to 2026-03-18 12:01 UTC.",
        "",
        "$1.5000  Failed calls to mo|del <b> (open`ai)  [failed_calls, confidence high]",
        "    Look at the errors in the journal: time-outs and refusals after the answer began are paid for.",
        "    failed calls: 1",
        "    error: 1",
        "",
        "unknown  Unknown price of mystery (openai)  [unknown_price, confidence high]",
        "    Add its price with add_pricing_model; until then no budget and no advice counts these calls.",
        "    calls: 1",
        "    tokens: 1,100",
        "    no amount: no price is known",
    ]
    assert report.to_markdown().splitlines() == [
        "# Savings report",
        "",
        "$1.50 for 2 model calls (without 1 call of unknown cost), 2026-03-18 12:00 to 2026-03-18 12:01 UTC.",
        "",
        "| Up to | Advice | Confidence |",
        "| ---: | --- | --- |",
        r"| $1.5000 | Failed calls to mo\|del \<b\> (open\`ai) | high |",
        "| unknown | Unknown price of mystery (openai) | high |",
        "",
        "Amounts overlap; they don't add up.",
        "",
        r"## Failed calls to mo\|del \<b\> (open\`ai)",
        "",
        "Look at the errors in the journal: time-outs and refusals after the answer began are paid for.",
        "",
        "- failed calls: 1",
        "- error: 1",
        "",
        "## Unknown price of mystery (openai)",
        "",
        "Add its price with add_pricing_model; until then no budget and no advice counts these calls.",
        "",
        "- calls: 1",
        "- tokens: 1,100",
        "- no amount: no price is known",
    ]


# --- properties -------------------------------------------------------------------------------------------------------

_counts = st.none() | st.integers(0, 200_000)


@st.composite
def entries(draw: st.DrawFn) -> CostEntry:
    usage = Usage(
        input_tokens=draw(_counts),
        output_tokens=draw(_counts),
        cache_read_input_tokens=draw(st.none() | st.integers(0, 5000)),
        source=draw(st.sampled_from(["provider", "estimated", "missing"])),
    )
    return entry(
        draw(st.sampled_from([*PRICES, "mystery"])),
        at=draw(st.integers(0, 2000)),
        usage=usage,
        usd=draw(st.none() | st.floats(0, 10)),
        session_id=draw(st.sampled_from([None, "s1", "s2"])),
        agent_id=draw(st.sampled_from([None, "coder"])),
        trace_id=draw(st.sampled_from([None, "t1"])),
        prompt_hash=draw(st.sampled_from([None, "h1", "h2"])),
        attempt=draw(st.sampled_from([None, 1, 2, 3])),
        status=draw(st.sampled_from(["ok", "ok", "ok", "error", "cancelled", "interrupted"])),
    )


def _conversation(sizes: list[int]) -> Iterator[CostEntry]:
    for number, size in enumerate(sizes):
        yield entry(tokens=(size, 50), at=number * 10, session_id="s", agent_id="coder", prompt_hash=str(size % 7))


@given(st.lists(entries(), max_size=40), st.randoms(use_true_random=False))
def test_amounts_are_honest_and_the_order_of_entries_does_not_matter(
    calls: list[CostEntry], chance: random.Random
) -> None:
    """No amount is below 0 or above what was spent, they are sorted, and shuffled entries give the same report."""
    report = savings_report(calls, price)
    amounts = [advice.amount_usd for advice in report.advice]
    known = [amount for amount in amounts if amount is not None]
    shuffled = chance.sample(calls, len(calls))

    assert amounts == sorted(known, reverse=True) + [None] * (len(amounts) - len(known))
    assert all(0 <= amount <= report.spent_usd + 1e-12 for amount in known)
    assert all((advice.amount_usd is None) == (advice.reason is not None) for advice in report.advice)
    assert savings_report(shuffled, price) == report
    assert savings_report(shuffled, price).to_markdown() == report.to_markdown()


@given(st.lists(st.integers(0, 300_000), max_size=30))
def test_conversations_are_priced_within_what_they_cost(sizes: list[int]) -> None:
    """Cache and growth advice on any conversation saves no more than the conversation cost."""
    report = savings_report(_conversation(sizes), price)

    assert all(0 < (advice.amount_usd or 0) <= report.spent_usd for advice in report.advice)
