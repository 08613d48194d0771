"""Prices in each form that they have: the guide's, the compiled one, a mapping, a text for people; and what each refuses."""

from __future__ import annotations

import math
import re
import time
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad import guard
from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs import CostTracker
from ai_dev_squad.costs.ledger.totals import Totals
from ai_dev_squad.costs.money import dollars
from ai_dev_squad.costs.prices.addresses import is_address
from ai_dev_squad.costs.prices.catalog import Catalog
from ai_dev_squad.costs.prices.model_pricing import ModelPricing, ModelProvider
from ai_dev_squad.costs.prices.price_book import token_number
from ai_dev_squad.costs.prices.price_list import PriceList
from ai_dev_squad.costs.prices.rates import Part, Price, Rates, UnknownPrice
from ai_dev_squad.costs.tokens import TokenCount
from ai_dev_squad.schema import Cost, Usage

ALL = Rates(
    input=2_000_000,
    output=3_000_000,
    cache_read=5_000_000,
    cache_write=7_000_000,
    cache_write_1h=11_000_000,
    audio_input=13_000_000,
    audio_output=17_000_000,
    image_input=19_000_000,
    image_output=23_000_000,
    reasoning_output=29_000_000,
    web_search=31_000_000_000,
    file_search=37_000_000_000,
)
"""A rate of its own for each kind of token, in picodollars."""
IN_THE_GUIDES_FORM = ModelPricing(
    "m",
    ModelProvider.OPENAI,
    0.002,
    0.003,
    128_000,
    cache_read_cost_per_1k_tokens=0.005,
    cache_write_cost_per_1k_tokens=0.007,
    cache_write_1h_cost_per_1k_tokens=0.011,
    audio_input_cost_per_1k_tokens=0.013,
    audio_output_cost_per_1k_tokens=0.017,
    image_input_cost_per_1k_tokens=0.019,
    image_output_cost_per_1k_tokens=0.023,
    reasoning_output_cost_per_1k_tokens=0.029,
    web_search_cost_per_1k=31.0,
    file_search_cost_per_1k=37.0,
    date="2026-01-02",
    source="a page",
)


# --- the guide's form -------------------------------------------------------------------------------------------------


def test_a_price_has_the_same_rates_in_both_forms() -> None:
    """In US dollars per thousand as the guide has it, and in picodollars per token; each is made of the other."""
    price = Price("openai/m", ALL, source="a page", date="2026-01-02", context_window=128_000)
    compiled = IN_THE_GUIDES_FORM.compiled()

    assert ModelPricing.of("m", "openai", price) == IN_THE_GUIDES_FORM
    assert (compiled.rates, compiled.label, compiled.source, compiled.date, compiled.context_window) == (
        ALL,
        "openai/m",
        "a page",
        "2026-01-02",
        128_000,
    )


def test_what_a_published_price_does_not_say_is_left_out() -> None:
    """Of tokens without a rate of their own nothing is said; a provider that the guide has no name for keeps its own."""
    price = Price("fireworks/m", Rates(input=1_000, cache_read=0), source="list")

    assert ModelPricing.of("m", "fireworks", price) == ModelPricing(
        "m", "fireworks", 0.000001, 0.0, cache_read_cost_per_1k_tokens=0.0, source="list"
    )


PER_1K = st.integers(0, 10**9).map(lambda pico: pico * 1_000 / 10**12)
OPTIONAL = st.none() | PER_1K


@given(PER_1K, PER_1K, OPTIONAL, OPTIONAL, OPTIONAL)
def test_a_price_survives_being_compiled(
    asked: float, answered: float, read: float | None, thought: float | None, searched: float | None
) -> None:
    """Any number of whole picodollars per token comes back as it was."""
    pricing = ModelPricing(
        "m",
        "openai",
        asked,
        answered,
        cache_read_cost_per_1k_tokens=read,
        reasoning_output_cost_per_1k_tokens=thought,
        web_search_cost_per_1k=searched,
    )

    assert ModelPricing.of("m", "openai", pricing.compiled()) == pricing


def test_searches_of_files_are_billed_by_the_piece() -> None:
    """At the user's own price of a thousand, beside the tokens."""
    price = IN_THE_GUIDES_FORM.compiled()
    usage = Usage(input_tokens=1_000, output_tokens=0, file_searches=2, web_searches=3, source="provider")

    assert price.cost(usage).usd == 0.169
    assert price.parts(usage) == {
        "input": Part(1_000, 2.0, 0.002),
        "web_search": Part(0, 0.0, 0.093),
        "file_search": Part(0, 0.0, 0.074),
    }


def test_a_request_is_a_part_without_tokens() -> None:
    """What a call costs by itself stands beside what its tokens cost."""
    price = Price("p/m", Rates(input=1_000_000, output=2_000_000, request=5_000_000_000), source="list")

    assert price.parts(Usage(input_tokens=10, output_tokens=0, source="provider")) == {
        "input": Part(10, 1.0, 0.00001),
        "request": Part(0, 0.0, 0.005),
    }


@pytest.mark.parametrize("window", [0, -1, True, 1.5, "128k"])
def test_a_context_window_that_is_no_number_of_tokens(window: Any) -> None:
    """The message says what it is, whose, and what is allowed."""
    message = (
        f"context_window of 'm' is {window!r}; allowed: a whole number of tokens above 0, or None when it is not known"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ModelPricing("m", "openai", 1, 1, window)

    assert ModelPricing("m", "openai", 1, 1, 1).context_window == 1


# --- the mapping ------------------------------------------------------------------------------------------------------


def test_the_published_table_is_a_mapping() -> None:
    """What is in it can be had, in any case of letters; what is not is a ``KeyError``, as with a dictionary."""
    models = PriceList().models
    published = PriceList().find("gpt-4o", "openai")
    assert isinstance(published, Price)

    assert models["openai:gpt-4o"] == ModelPricing.of("gpt-4o", "openai", published)
    assert models["OpenAI: GPT-4o "].input_cost_per_1k_tokens == models["openai:gpt-4o"].input_cost_per_1k_tokens
    keys = list(models)
    assert (len(models), len(keys)) == (len(keys), len(set(keys)))
    assert {key in models for key in keys} == {True}
    for key in ("openai:no-such-model", "openai:", "gpt-4o", "nobody:gpt-4o", 3, None):
        assert key not in models
        if isinstance(key, str):
            with pytest.raises(KeyError, match=re.escape(key)):
                models[key]


def test_a_price_of_ones_own_stands_before_the_published_one_until_it_is_deleted() -> None:
    """Setting and deleting take effect with the next call; a new one makes the mapping longer by one."""
    prices = PriceList()
    models, usage = prices.models, Usage(input_tokens=1_000, output_tokens=0, source="provider")
    published, count = prices.cost("gpt-4o", "openai", usage).usd, len(prices.models)
    models["openai:gpt-4o"] = ModelPricing("gpt-4o", "openai", 9.0, 9.0)
    models["mine:m"] = ModelPricing("m", "mine", 0.5, 0.5)

    assert (prices.cost("gpt-4o", "openai", usage).usd, prices.cost("m", "mine", usage).usd) == (9.0, 0.5)
    assert (len(models), next(iter(models))) == (count + 1, "openai:gpt-4o")
    assert re.fullmatch(r"<PricingModels: 2 of your own, \d+ published>", repr(models))
    del models["openai:gpt-4o"], models["mine:m"]
    assert (prices.cost("gpt-4o", "openai", usage).usd, prices.cost("m", "mine", usage).usd) == (published, None)
    with pytest.raises(KeyError):
        del models["openai:gpt-4o"]


def test_a_provider_of_ones_own_may_stand_in_the_models_name() -> None:
    """As gateways write it: it is asked like any other, and a stranger's name is none."""
    prices = PriceList()
    asked: list[tuple[str, str]] = []

    def ask(provider: str, model: str) -> ModelPricing:
        asked.append((provider, model))
        return ModelPricing(model, provider, 1.0, 1.0)

    prices.ask["mine"] = ask
    usage = Usage(input_tokens=1_000, output_tokens=0, source="provider")

    assert prices.cost("mine/m", "", usage).usd == 1.0
    assert prices.cost("yours/m", "", usage).usd is None
    assert asked == [("mine", "m")]


def test_addresses_are_told_from_providers() -> None:
    """By a dot, a port or a scheme; ``localhost`` is the one without."""
    names = ["http://x", "x.y", "x:1", "localhost", " LocalHost ", "[::1]", "openai", "azure", "local", ""]

    assert [name for name in names if is_address(name)] == names[:6]


# --- for people -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**18))
def test_an_amount_is_written_exactly(pico: int) -> None:
    """With two decimals at least, and none that says nothing."""
    text = dollars(pico)

    assert re.fullmatch(r"\$\d+\.\d{2}(\d*[1-9])?", text)
    assert Decimal(text[1:]) == Decimal(pico) / 10**12


# --- the short form of entering a call --------------------------------------------------------------------------------

COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "reasoning_output_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
)


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_that_is_impossible_is_named(name: str) -> None:
    """Whichever it is of the eight; nothing is entered."""
    tracker = CostTracker()
    counts: dict[str, Any] = {"input_tokens": 1, "output_tokens": 1, name: -1}
    message = f"{name} is -1; allowed: a whole number of tokens from 0 up, or None when not known"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        tracker.track_llm_usage("gpt-4o", "openai", duration_ms=1.0, **counts)

    assert list(tracker.entries) == []


def test_the_short_form_says_all_that_the_long_one_does() -> None:
    """Whose call it was, each kind of token, and what ``record`` takes beside."""
    tracker = CostTracker()
    counts: dict[str, Any] = {name: number for number, name in enumerate(COUNTS, 20)}
    whose: dict[str, Any] = {
        "session_id": "s",
        "agent_id": "a",
        "framework": "f",
        "user_id": "u",
        "run_id": "r",
    }
    short = tracker.track_llm_usage(
        "gpt-4o", "openai", duration_ms=3.0, **counts, **whose, trace_id="t", status="error", attempt=2
    )
    long = tracker.record(
        Attribution(model="gpt-4o", provider="openai", **whose),
        Usage(**counts, source="provider"),
        duration_ms=3.0,
        timestamp=short.timestamp,
        trace_id="t",
        status="error",
        attempt=2,
    )

    assert short == long
    assert (short.run_id, short.trace_id, short.attempt, short.usage) == (
        "r",
        "t",
        2,
        Usage(**counts, source="provider"),
    )


def test_a_count_is_a_whole_number() -> None:
    """Fractions are rounded up, nothing stays nothing, and what was not counted is not."""
    assert [token_number(value, "n") for value in (0, 0.0, 0.4, 3, 2.0, None)] == [0, 0, 1, 3, 2, None]
    for wrong in (True, -1, -0.5, float("inf"), float("nan"), "3"):
        with pytest.raises(ValueError, match=f"^n is {re.escape(repr(wrong))}; allowed: a whole number of tokens"):
            token_number(wrong, "n")


def test_of_equal_sums_the_one_of_more_calls_comes_first() -> None:
    """The dearest is first; where money says nothing, the calls do."""
    tracker = CostTracker()
    for agent, tokens in (("few", 2_000), ("many", 1_000), ("many", 1_000), ("dear", 9_000), ("none", 0)):
        tracker.track_llm_usage("gpt-4o", "openai", tokens, 0, 1.0, agent_id=agent)

    assert list(tracker.summary("agent_id")) == ["dear", "many", "few", "none"]


# --- the table, and what depends on the moment ------------------------------------------------------------------------

CATALOG = msgspec.convert(
    {
        "source": "a list",
        "source_url": "https://example.com/list",
        "licence": "MIT",
        "read_on": "2026-01-02",
        "units": ["input", "output"],
        "providers": {
            "p": {
                "url": "https://example.com/p",
                "names": [],
                "infer": [],
                "fallback": [],
                "models": [
                    ["night", None, None, [[None, [4, 8]], ["22:00-06:30", [1, 2]]]],
                    ["day", None, None, [[None, [4, 8]], ["06:30-22:00", [1, 2]]]],
                    ["since", None, None, [[None, [4, 8]], ["2026-03-01", [1, 2]]]],
                    ["long", None, None, [[None, [[4, [1000, 8]], 8]]]],
                ],
            }
        },
    },
    type=Catalog,
)
DAY = datetime(2026, 2, 10, tzinfo=timezone.utc).timestamp()


def of_catalog(name: str, at: float) -> Price:
    found = CATALOG.find("p", name)
    assert found is not None
    price = CATALOG.price(*found, at=at, tier=None)
    assert price is not None
    return price


@pytest.mark.parametrize("name", ["night", "day"])
@pytest.mark.parametrize("hour", [0, 6, 6.49, 6.5, 12, 21.99, 22, 23.5])
def test_a_price_of_some_hours_also_holds_over_midnight(name: str, hour: float) -> None:
    """From its first moment to before its last one, by UTC; and the price says until when it holds."""
    at = DAY + hour * 3600
    price = of_catalog(name, at)
    is_night = hour < 6.5 or hour >= 22
    since, until = (
        (DAY + (-2 if hour < 6.5 else 22) * 3600, DAY + (6.5 if hour < 6.5 else 30.5) * 3600)
        if is_night
        else (DAY + 6.5 * 3600, DAY + 22 * 3600)
    )

    assert price.rates == (Rates(input=1_000_000, output=2_000_000) if is_night == (name == "night") else Rates(input=4_000_000, output=8_000_000))  # fmt: skip
    assert (price.since, price.until, price.dated) == (since, until, True)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process is changed on POSIX only")
def test_a_price_begins_at_midnight_utc_wherever_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half past five in the morning in India."""
    begins = datetime(2026, 3, 1, tzinfo=timezone.utc).timestamp()
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()
    try:
        found = [of_catalog("since", at) for at in (begins - 1, begins)]
    finally:
        monkeypatch.undo()
        time.tzset()

    assert [(price.rates.input, price.since, price.until) for price in found] == [
        (4_000_000, -math.inf, begins),
        (1_000_000, begins, math.inf),
    ]


def test_a_prompt_as_long_as_a_tier_begins_is_not_yet_in_it() -> None:
    """One token more is, with all of its tokens; the whole and its parts agree."""
    price = of_catalog("long", DAY)
    usages = [Usage(input_tokens=count, output_tokens=1, source="provider") for count in (1000, 1001)]

    assert price.tiers == ((1000, Rates(input=8_000_000, output=8_000_000)),)
    assert [price.cost(usage).usd for usage in usages] == [0.004008, 0.008016]
    assert [price.parts(usage)["input"] for usage in usages] == [Part(1000, 4.0, 0.004), Part(1001, 8.0, 0.008008)]


def test_pieces_without_a_price_are_named() -> None:
    """Searches and seconds of sound that the list has no price of are left out, and the reason names them, and how many."""
    price = of_catalog("long", DAY)
    pieces = {"web_searches": 3, "file_searches": 2, "audio_input_seconds": 203}
    usage = Usage(input_tokens=1, output_tokens=0, **pieces, source="provider")

    assert price.cost(usage) == Cost(
        usd=0.000004,
        price="p/long",
        price_date="2026-01-02",
        price_source="genai-prices",
        reason="without web search (3) and file search (2) and audio second (203), which has no price in the list",
    )


# --- entering -------------------------------------------------------------------------------------------------------


def test_where_a_call_was_answered_decides_about_its_price() -> None:
    """Nobody's published price holds on this machine, and the entry says what can be done."""
    tracker = CostTracker()
    call = Attribution(model="llama-3.3-70b-versatile", provider="groq")
    usage = Usage(input_tokens=1_000, output_tokens=0, source="provider")
    there = tracker.record(call, usage, duration_ms=1.0)
    here = tracker.record(call, usage, duration_ms=1.0, server_address="127.0.0.1:8000")

    assert (there.cost_usd is None, here.cost_usd) == (False, None)
    assert here.cost is not None
    assert "declare_local('127.0.0.1:8000')" in (here.cost.reason or "")


def test_estimates_and_failures_are_counted() -> None:
    """Each, however many in one group."""
    tracker = CostTracker()
    call = Attribution(model="gpt-4o", provider="openai")
    for source, status in (("estimated", "ok"), ("estimated", "error"), ("provider", "error"), ("provider", "ok")):
        usage = Usage(input_tokens=1_000, output_tokens=100, cache_read_input_tokens=10, source=source)
        tracker.record(call, usage, duration_ms=2.0, status=status)

    assert tracker.totals() == Totals(
        calls=4,
        cost_usd=4 * 0.0034875,
        input_tokens=4_000,
        output_tokens=400,
        cache_read_input_tokens=40,
        estimated_calls=2,
        failed_calls=2,
        duration_ms=8.0,
    )


def test_a_gateway_that_is_no_address_is_named_in_the_file(tmp_path: Path) -> None:
    """With the file, and what to write."""
    file = tmp_path / "prices.json"
    file.write_text('{"gateways": ["127.0.0.1:4000", 3]}', encoding="utf-8")
    message = f"gateway 3 in {str(file)!r} is no address; write it like '127.0.0.1:4000'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CostTracker().import_prices(file)


def test_an_unknown_price_says_what_it_is_of() -> None:
    """The label is the provider's and the model's, as that of a price is."""
    found = PriceList().find("no-such-model", "openai")

    assert (type(found), found.label, found.dated) == (UnknownPrice, "openai/no-such-model", False)


# --- a user's own ---------------------------------------------------------------------------------------------------


def test_the_name_of_a_model_may_have_colons(tmp_path: Path) -> None:
    """As a tuned one has; the provider is what stands before the first."""
    file = tmp_path / "prices.json"
    file.write_text('{"prices": {"openai:ft:gpt-4o:mine": {"input": 3, "output": 6}}}', encoding="utf-8")
    tracker = CostTracker()

    assert tracker.import_prices(file) == 1
    assert tracker.track_llm_usage("ft:gpt-4o:mine", "openai", 1_000_000, 0, 1.0).cost_usd == 3.0


def test_a_provider_that_is_local_may_be_called_as_a_host_is() -> None:
    """``gcp.gemini`` is a provider's name, by whatever other name its calls are made."""
    prices = PriceList()
    prices.declare_local("gcp.gemini")
    prices.declare_local("llama.internal:8000")
    usage = Usage(input_tokens=1_000, output_tokens=0, source="provider")

    assert prices.cost("gemini-2.5-flash", "gemini", usage) == Cost(usd=0.0, price="google/gemini-2.5-flash", price_source="local")  # fmt: skip
    assert prices.cost("m", "mine", usage, server_address="http://llama.internal:8000/v1").usd == 0.0
    assert prices.cost("m", "mine", usage, server_address="http://llama.internal:9000/v1").usd is None


def test_an_alias_may_point_to_a_name_with_a_slash() -> None:
    """It is a model of the provider that was called, where that has one; else the provider stands in it."""
    prices = PriceList()
    prices.add_alias("mine", "openai/gpt-oss-120b", provider="groq")
    prices.add_alias("other", "openai/gpt-4o")

    assert prices.find("mine", "groq").label == prices.find("openai/gpt-oss-120b", "groq").label
    assert prices.find("other", "azure").label == "openai/gpt-4o"


def test_a_provider_of_ones_own_that_fails_is_told_by_name(caplog: pytest.LogCaptureFixture) -> None:
    """Of what it was asked, and why it failed; a count of 0 is a count."""

    class Failing:
        def get_pricing(self, model: str) -> ModelPricing:
            raise LookupError("no table")

        def count_tokens(self, text: str, model: str) -> int:
            if not text:
                return 0
            raise LookupError("no words")

    guard.set_strict(False)
    tracker = CostTracker()
    tracker.add_provider("mine", Failing())
    tracker.track_llm_usage("m", "mine", 1, 1, 1.0)

    assert tracker.count_tokens("", "m", "mine") == TokenCount(0, "provider")
    assert tracker.count_tokens("four words of text", "m", "mine").source == "estimate"
    ending = "Your program is fine; some telemetry is missing. Reported once."
    assert caplog.messages == [
        f"get_pricing of provider 'mine' failed (LookupError: no table). {ending}",
        f"count_tokens of provider 'mine' failed (LookupError: no words). {ending}",
    ]
