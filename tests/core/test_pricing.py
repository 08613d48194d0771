"""From token counts to money: the formula, by hand and as properties."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from ai_dev_squad.costs.money import PICO, to_pico
from ai_dev_squad.costs.prices.catalog import catalog
from ai_dev_squad.costs.prices.price_list import PriceList
from ai_dev_squad.costs.prices.rates import Price, Rates, UnknownPrice, disjoint
from ai_dev_squad.schema import Cost, Usage

READ_ON = catalog().read_on

counts = st.one_of(st.none(), st.integers(min_value=0, max_value=3_000_000))
rates = st.integers(min_value=0, max_value=600_000_000)
own_rates = st.one_of(st.none(), rates)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Any usage, also one whose subsets contradict their whole."""
    return Usage(
        input_tokens=draw(st.integers(min_value=0, max_value=3_000_000)),
        output_tokens=draw(st.integers(min_value=0, max_value=300_000)),
        cache_read_input_tokens=draw(counts),
        cache_read_audio_input_tokens=draw(counts),
        cache_write_input_tokens=draw(counts),
        cache_write_1h_input_tokens=draw(counts),
        reasoning_output_tokens=draw(counts),
        audio_input_tokens=draw(counts),
        audio_output_tokens=draw(counts),
        image_input_tokens=draw(counts),
        image_output_tokens=draw(counts),
        web_searches=draw(counts),
        file_searches=draw(counts),
        audio_input_seconds=draw(counts),
        source="provider",
    )


@st.composite
def prices(draw: st.DrawFn) -> Price:
    """Any price, with or without rates of its own for subsets and long prompts."""

    def draw_rates() -> Rates:
        return Rates(
            input=draw(rates),
            output=draw(rates),
            cache_read=draw(own_rates),
            cache_write=draw(own_rates),
            cache_write_1h=draw(own_rates),
            audio_input=draw(own_rates),
            audio_output=draw(own_rates),
            cache_audio_read=draw(own_rates),
            image_input=draw(own_rates),
            image_output=draw(own_rates),
            cache_image_read=draw(own_rates),
            reasoning_output=draw(own_rates),
            request=draw(own_rates),
            web_search=draw(own_rates),
            file_search=draw(own_rates),
        )

    tiers = tuple((start, draw_rates()) for start in sorted(draw(st.sets(st.sampled_from([1, 200_000, 272_000])))))
    return Price("test/model", draw_rates(), source="user", tiers=tiers)


def usage(input_tokens: int | None, output_tokens: int | None, **more: int) -> Usage:
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, source="provider", **more)


def cost_of(model: str, provider: str, used: Usage, **options: object) -> Cost:
    return PriceList().cost(model, provider, used, **options)  # type: ignore[arg-type]


# --- by hand ----------------------------------------------------------------------------------------------------------
# Rates in USD per million tokens, as the providers' pages gave them on 2026-11-22:
# https://platform.openai.com/docs/pricing, https://www.anthropic.com/pricing#api, https://ai.google.dev/gemini-api/docs/pricing


@pytest.mark.parametrize(
    "model, provider, used, options, usd, label",
    [
        # 1,000 x 30 + 500 x 60
        ("gpt-4", "openai", usage(1_000, 500), {}, 0.06, "openai/gpt-4"),
        # 360 x 2.50 + 640 cached x 1.25 + 200 x 10
        ("gpt-4o", "openai", usage(1_000, 200, cache_read_input_tokens=640), {}, 0.0037, "openai/gpt-4o"),
        # 1,000,000 x 1.25 + 100,000 x 5: half price
        ("gpt-4o", "openai", usage(1_000_000, 100_000), {"service_tier": "batch"}, 1.75, "openai/gpt-4o@batch"),
        # 1,000 x 4.25 + 1,000 x 17
        ("gpt-4o", "openai", usage(1_000, 1_000), {"service_tier": "priority"}, 0.02125, "openai/gpt-4o@priority"),
        # Reasoning tokens cost what output costs and are not added on top: 100 x 1.10 + 1,000 x 4.40
        ("o4-mini", "openai", usage(100, 1_000, reasoning_output_tokens=900), {}, 0.00451, "openai/o4-mini"),
        # 700 text x 0.60 + 300 audio x 10 + 50 text x 2.40 + 150 audio x 20
        (
            "gpt-4o-mini-realtime-preview",
            "openai",
            usage(1_000, 200, audio_input_tokens=300, audio_output_tokens=150),
            {},
            0.00654,
            "openai/gpt-4o-mini-realtime-preview",
        ),
        # 10,000 x 3 + 60,000 read x 0.30 + 30,000 written x 3.75 + 1,000 x 15
        (
            "claude-sonnet-4-5",
            "anthropic",
            usage(100_000, 1_000, cache_read_input_tokens=60_000, cache_write_input_tokens=30_000),
            {},
            0.1755,
            "anthropic/claude-sonnet-4-5",
        ),
        # The same, written for an hour: 30,000 x 6 instead
        (
            "claude-sonnet-4-5",
            "anthropic",
            usage(
                100_000,
                1_000,
                cache_read_input_tokens=60_000,
                cache_write_input_tokens=30_000,
                cache_write_1h_input_tokens=30_000,
            ),
            {},
            0.243,
            "anthropic/claude-sonnet-4-5",
        ),
        # Exactly 200,000 is still the short-prompt rate: 200,000 x 1.25 + 1,000 x 10
        ("gemini-2.5-pro", "google", usage(200_000, 1_000), {}, 0.26, "google/gemini-2.5-pro"),
        # One more, and every token of the call costs the long-prompt rate: 200,001 x 2.50 + 1,000 x 15
        ("gemini-2.5-pro", "google", usage(200_001, 1_000), {}, 0.5150025, "google/gemini-2.5-pro"),
    ],
)
def test_costs_calculated_by_hand(model, provider, used, options, usd, label):
    """Published rates give the amount that a person calculates from the provider's page, to the last digit."""
    assert cost_of(model, provider, used, **options) == Cost(
        usd=usd, price=label, price_date=READ_ON, price_source="genai-prices"
    )


def test_the_price_at_the_time_of_the_call():
    """A call of last year costs what it cost last year: o3 was 10 / 40 until 2025-06-10, and 2 / 8 from then on."""
    prices = PriceList()
    before = datetime(2025, 6, 9, 23, 59, tzinfo=timezone.utc).timestamp()
    after = datetime(2025, 6, 10, tzinfo=timezone.utc).timestamp()
    used = usage(1_000_000, 1_000_000)
    assert [prices.cost("o3", "openai", used, at=at).usd for at in (before, after, None)] == [50.0, 10.0, 10.0]


def test_hours_of_the_day():
    """DeepSeek's chat model was dearer between 00:30 and 16:30 UTC; the price says how long it holds."""
    prices = PriceList()
    used = usage(1_000_000, 0)
    day = datetime(2025, 7, 1, tzinfo=timezone.utc).timestamp()
    found = [prices.find("deepseek-chat", "deepseek", at=day + hour * 3600) for hour in (0, 1, 16, 17)]
    assert [price.cost(used).usd for price in found] == [0.135, 0.27, 0.27, 0.135]
    assert [(price.since - day, price.until - day) for price in found[:2]] == [(-7.5 * 3600, 1800), (1800, 16.5 * 3600)]


def test_a_tier_without_a_price_of_its_own_is_the_standard_price_and_says_so():
    """No price for the tier: the standard price with a note, not silence."""
    assert cost_of("gpt-4", "openai", usage(1_000, 0), service_tier="flex") == Cost(
        usd=0.03,
        price="openai/gpt-4",
        price_date=READ_ON,
        price_source="genai-prices",
        reason="no price is known for service tier 'flex'; this is the standard price",
    )


@pytest.mark.parametrize("tier", [None, "auto", "default", "standard", "on_demand", "DEFAULT", ""])
def test_the_standard_tier_has_many_names(tier):
    """What providers call the normal tier is the normal price."""
    assert cost_of("gpt-4o", "openai", usage(1_000_000, 0), service_tier=tier).usd == 2.5


def test_tokens_nobody_counted_cost_an_unknown_amount():
    """Missing usage is no cost of 0."""
    assert cost_of("gpt-4o", "openai", Usage(source="missing")) == Cost(
        usd=None, reason="the tokens of this call were not counted"
    )


def test_tokens_without_a_rate_cost_an_unknown_amount():
    """An embedding model has no output price: input is priced, and output tokens are not taken as free."""
    prices = PriceList()
    assert prices.cost("text-embedding-3-small", "openai", usage(1_000_000, None)).usd == 0.02
    assert prices.cost("text-embedding-3-small", "openai", usage(1_000_000, 0)).usd == 0.02
    assert prices.cost("text-embedding-3-small", "openai", usage(10, 10)) == Cost(
        usd=None,
        reason="the price list has no price of openai/text-embedding-3-small for output tokens; give one with "
        "add_pricing_model(ModelPricing(...))",
    )


@pytest.mark.parametrize("wrong", [1.5, float("nan"), "100", [1]])
def test_counts_that_are_no_whole_numbers_never_raise(wrong):
    """A usage with nonsense in it gives a cost with a reason."""
    cost = cost_of("gpt-4o", "openai", Usage(input_tokens=wrong, output_tokens=5, source="provider"))
    assert cost.usd is None
    assert (cost.reason or "").startswith("the token counts are not whole numbers")


# --- properties -------------------------------------------------------------------------------------------------------


@given(prices(), usages())
def test_the_parts_add_up_to_the_whole(price, used):
    """No token is counted twice or forgotten: parts sum to the cost, their tokens to the tokens of the call."""
    parts = price.parts(used)
    cost = price.cost(used).usd
    assert cost is not None
    assert sum(to_pico(part.usd) for part in parts.values()) == pytest.approx(to_pico(cost), abs=len(parts))
    split = disjoint(used)
    assert min(split) >= 0
    assert sum(part.tokens for part in parts.values()) == sum(split)
    assert sum(split[:8]) == max(
        used.input_tokens,
        (used.cache_read_input_tokens or 0)
        + max(used.cache_write_input_tokens or 0, used.cache_write_1h_input_tokens or 0),
        (used.audio_input_tokens or 0) + (used.image_input_tokens or 0),
    )
    assert sum(split[8:]) == max(
        used.output_tokens,
        (used.audio_output_tokens or 0) + (used.image_output_tokens or 0),
        used.reasoning_output_tokens or 0,
    )


@given(prices(), usages())
def test_the_quick_formula_is_the_plain_one(price, used):
    """The short cut for everyday usage gives exactly what summing disjoint kinds of tokens gives."""
    assert price.cost(used).usd == price._sum(used) / PICO


@given(prices(), usages(), st.integers(0, 10_000), st.integers(0, 10_000))
def test_more_tokens_never_cost_less(price, used, more_in, more_out):
    """Within one size of prompt, a call with more plain tokens costs at least as much."""
    flat = Price("test/model", price.rates, source="user")
    seen = disjoint(used)
    more = Usage(
        input_tokens=sum(seen[:8]) + more_in,
        output_tokens=sum(seen[8:]) + more_out,
        cache_read_input_tokens=used.cache_read_input_tokens,
        cache_write_input_tokens=used.cache_write_input_tokens,
        cache_write_1h_input_tokens=used.cache_write_1h_input_tokens,
        source="provider",
    )
    less = Usage(
        input_tokens=sum(seen[:8]),
        output_tokens=sum(seen[8:]),
        cache_read_input_tokens=used.cache_read_input_tokens,
        cache_write_input_tokens=used.cache_write_input_tokens,
        cache_write_1h_input_tokens=used.cache_write_1h_input_tokens,
        source="provider",
    )
    assert 0 <= (flat.cost(less).usd or 0) <= (flat.cost(more).usd or 0)


@given(usages())
def test_a_call_lies_between_its_cheapest_and_its_dearest_rate(used):
    """However text and sound are cut into subsets, no token costs less than the cheapest rate or more than the dearest."""
    used = structs.replace(
        used, image_input_tokens=None, image_output_tokens=None, web_searches=None, file_searches=None
    )
    price = PriceList().find("gpt-4o-mini-realtime-preview", "openai")
    assert isinstance(price, Price)
    tokens = sum(disjoint(used))
    cost = price.cost(used).usd
    assert cost is not None
    assert 0.3 * tokens / 1e6 * (1 - 1e-12) <= cost <= 20 * tokens / 1e6 * (1 + 1e-12)


@given(prices(), st.integers(0, 3_000_000), st.integers(0, 3_000_000))
def test_mixed_cache_writes_cost_between_both_prices(price, written, kept):
    """However writes of five minutes and of an hour are mixed, they cost what each would have cost, and no other sum."""
    kept = min(kept, written)
    flat = Price("test/model", price.rates, source="user")
    five, hour = (getattr(flat.rates.per_token(), name) for name in ("cache_write", "cache_write_1h"))
    used = usage(written, 0, cache_write_input_tokens=written, cache_write_1h_input_tokens=kept)
    cost = to_pico(flat.cost(used).usd or 0) - (flat.rates.request or 0)
    assert cost == pytest.approx((written - kept) * five + kept * hour, abs=200)
    assert min(five, hour) * written - 200 <= cost <= max(five, hour) * written + 200


@given(prices(), st.lists(usages(), max_size=8))
def test_a_sum_of_costs_is_the_cost_of_each_to_the_picodollar(price, calls):
    """Sums over calls lose nothing: in whole picodollars, the order does not matter and no call costs less than 0."""
    # Up to 2,000 USD a float is exact to the picodollar.
    amounts = [price.cost(used).usd or 0.0 for used in calls]
    small = [amount for amount in amounts if amount < 2_000]
    assert min(amounts, default=0.0) >= 0
    assert sum(map(to_pico, small)) == sum(map(to_pico, reversed(small)))
    assert [to_pico(amount) / PICO for amount in small] == small


@given(st.lists(st.integers(min_value=0, max_value=2 * 10**15), max_size=50))
def test_money_survives_the_float(amounts):
    """An exact amount handed out as a float (up to 2,000 USD) comes back as the same number of pico-dollars."""
    assert [to_pico(amount / PICO) for amount in amounts] == amounts


@given(
    st.integers(max_value=-1),
    st.sampled_from(["input_tokens", "cache_read_input_tokens", "reasoning_output_tokens", "audio_output_tokens"]),
)
def test_negative_counts_are_taken_as_zero(negative, field):
    """A negative count never makes a call cheaper than the same call without it."""
    counted = {"input_tokens": 10, "output_tokens": 10}
    price = Price("test/model", Rates(input=5, output=7), source="user")
    with_zero = price.cost(Usage(**{**counted, field: 0}, source="provider"))
    assert price.cost(Usage(**{**counted, field: negative}, source="provider")) == with_zero


def test_cached_audio_has_its_own_rate():
    """Tokens both cached and audio are charged once, at the rate for cached audio."""
    price = Price(
        "test/model",
        Rates(input=10, output=0, cache_read=5, audio_input=100, cache_audio_read=20),
        source="user",
    )
    parts = price.parts(usage(100, 0, cache_read_input_tokens=60, audio_input_tokens=70))
    # 60 + 70 exceed 100 by 30: those are cached audio.
    assert {kind: (part.tokens, round(part.usd * PICO)) for kind, part in parts.items()} == {
        "cache_read": (30, 150),
        "audio_input": (40, 4_000),
        "cache_audio_read": (30, 600),
    }


def test_a_price_per_request_comes_on_top():
    """A fee for each call is charged once, whatever its size, also by the parts."""
    price = Price("test/model", Rates(input=1, output=1, request=5 * PICO // 1000), source="user")
    assert price.cost(usage(0, 0)).usd == 0.005
    assert price.parts(usage(0, 0))["request"].usd == 0.005


def test_an_unknown_price_answers_like_a_price():
    """It says why, and until when."""
    unknown = UnknownPrice("acme/x", "nobody told", until=5.0)
    assert unknown.cost(usage(1, 1)) == Cost(usd=None, reason="nobody told")
    assert (unknown.since, unknown.until, unknown.dated) == (-math.inf, 5.0, True)
