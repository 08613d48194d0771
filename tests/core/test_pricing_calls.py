"""Calls that are easily mispriced: other models that answer, other tiers, tokens that are no text, places where nobody sells."""

from __future__ import annotations

from typing import Any

import pytest

from ai_dev_squad import Attribution
from ai_dev_squad.costs import CostTracker, ModelPricing, Totals
from ai_dev_squad.costs.prices.catalog import catalog
from ai_dev_squad.costs.prices.price_list import PriceList
from ai_dev_squad.costs.prices.rates import UnknownPrice
from ai_dev_squad.schema import Cost, Usage

READ_ON = catalog().read_on
LISTED = {"price_date": READ_ON, "price_source": "genai-prices"}


def usage(input_tokens: int | None, output_tokens: int | None, **more: int) -> Usage:
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, source="provider", **more)


def cost(model: str, provider: str, used: Usage, **options: Any) -> Cost:
    return CostTracker().price(model, provider, used, **options)


# --- cache writes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written, kept, usd",
    [
        # 100 x 3 + 50 x 15 = 0.00105, and 10,000 written for five minutes x 3.75, for an hour x 6, or mixed
        (10_000, None, 0.03855),
        (10_000, 0, 0.03855),
        (10_000, 10_000, 0.06105),
        (10_000, 4_000, 0.04755),
    ],
)
def test_cache_writes_of_an_hour_are_dearer_and_may_be_mixed(written, kept, usd):
    """Each write is priced by how long it lives, also where one answer has both kinds."""
    used = usage(10_100, 50, cache_write_input_tokens=written, cache_write_1h_input_tokens=kept)
    assert cost("claude-sonnet-4-5", "anthropic", used) == Cost(usd=usd, price="anthropic/claude-sonnet-4-5", **LISTED)


def test_a_list_without_a_price_for_an_hour_says_so():
    """Where the table knows writes of five minutes only, their price is used and the cost says so."""
    used = usage(10_000, 0, cache_write_input_tokens=10_000, cache_write_1h_input_tokens=10_000)
    assert cost("gpt-5.6-luna", "openai", used) == Cost(
        usd=0.0025,
        price="openai/gpt-5.6-luna",
        reason="no price is known for cache writes that live for an hour; this is the price of those of five minutes",
        **LISTED,
    )


def test_your_own_price_may_tell_them_apart():
    """``cache_write_1h_cost_per_1k_tokens`` of a price of your own holds for the writes of an hour."""
    tracker = CostTracker()
    tracker.add_pricing_model(
        ModelPricing("m", "acme", 1.0, 0.0, cache_write_cost_per_1k_tokens=2.0, cache_write_1h_cost_per_1k_tokens=4.0)
    )
    entry = tracker.track_llm_usage(
        "m", "acme", 3_000, 0, 1, cache_write_input_tokens=2_000, cache_write_1h_input_tokens=1_000
    )
    assert entry.cost_usd == 7.0


# --- the model that answered ------------------------------------------------------------------------------------------

USED = usage(1_000, 100)


@pytest.mark.parametrize(
    "asked, provider, answered, usd, price",
    [
        # An Azure deployment is called as its owner likes: 1,000 x 2.50 + 100 x 10, not gpt-4's 30 and 60.
        ("gpt-4", "azure", "gpt-4o-2024-08-06", 0.0035, "openai/gpt-4o"),
        ("prod-chat", "azure_openai", "gpt-4o-2024-08-06", 0.0035, "openai/gpt-4o"),
        # A gateway's alias, and what a gateway falls back to.
        ("gpt-4", "litellm", "gpt-4o-2024-08-06", 0.0035, "openai/gpt-4o"),
        ("fast", "openai", "gpt-4o-2024-08-06", 0.0035, "openai/gpt-4o"),
        # A snapshot says more exactly what was asked for: 1,000 x 5 + 100 x 15.
        ("gpt-4o", "openai", "gpt-4o-2024-05-13", 0.0065, "openai/gpt-4o-2024-05-13"),
        # What was asked for is what is sold, where both have a price and neither is the other's snapshot.
        ("gpt-4o", "openai", "gpt-4", 0.0035, "openai/gpt-4o"),
        # An answer that nobody sells changes nothing.
        ("gpt-4o", "azure", "house-name", 0.0035, "openai/gpt-4o"),
        ("gpt-4o", "openai", "/models/llama.gguf", 0.0035, "openai/gpt-4o"),
        ("gpt-4o", "openai", "", 0.0035, "openai/gpt-4o"),
    ],
)
def test_the_model_that_is_billed(asked, provider, answered, usd, price):
    """The answer's name decides where the asked one is the customer's own, unknown, or less exact."""
    assert cost(asked, provider, USED, response_model=answered) == Cost(usd=usd, price=price, **LISTED)


def test_what_the_user_said_of_a_name_wins():
    """An alias or a price of your own holds for the asked name, and else for the name that answered."""
    tracker = CostTracker()
    tracker.add_alias("prod-chat", "gpt-4o-mini", provider="azure")
    tracker.add_pricing_model(ModelPricing("gpt-4o-2024-08-06", "azure", 1.0, 0.0))

    def usd(asked: str) -> float | None:
        return tracker.price(asked, "azure", USED, response_model="gpt-4o-2024-08-06").usd

    assert (usd("prod-chat"), usd("gpt-4"), usd("other")) == (0.00021, 1.0, 1.0)


def test_neither_name_is_known():
    """The reason speaks of the name that the program uses, which is the one to give a price or an alias."""
    found = cost("prod-chat", "azure", USED, response_model="house-name")
    assert found.usd is None
    assert (found.reason or "").startswith("no price is known for model 'prod-chat' of provider 'azure'")


# --- the provider's own amount ----------------------------------------------------------------------------------------


def test_a_gateway_that_names_its_price_is_believed():
    """What the provider says a call cost is what it cost, whatever the table says, and is labelled so."""
    tracker = CostTracker()
    call = Attribution(model="anthropic/claude-sonnet-4.5", provider="openrouter")
    entry = tracker.record(call, usage(1_000, 100), duration_ms=1, reported_usd=0.0063)
    assert entry.cost == Cost(usd=0.0063, price_source="provider")


# --- tiers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tier, usd, label",
    [
        (None, 0.0045, "openai/gpt-5-mini"),
        ("flex", 0.00225, "openai/gpt-5-mini@flex"),
        ("priority", 0.0081, "openai/gpt-5-mini@priority"),
    ],
)
def test_a_tier_is_priced_before_and_after_the_call(tier, usd, label):
    """What is set aside for a tier that is asked for is what the call costs at that tier."""
    tracker = CostTracker()
    tracker.budget_manager.set_budget("day", 1.0, "daily", on_exceed="stop")
    call = Attribution(model="gpt-5-mini", provider="openai")
    held = tracker.reserve(call, input_tokens=10_000, max_output_tokens=1_000, service_tier=tier)
    entry = tracker.record(call, usage(10_000, 1_000), duration_ms=1, service_tier=tier, reservation=held)
    assert held.estimate_usd == usd
    assert entry.cost == Cost(usd=usd, price=label, **LISTED)


# --- tokens that are no text ------------------------------------------------------------------------------------------


def test_audio_without_a_price_is_unknown():
    """A table that knows a model's text only does not price its audio as text; the reason names the cure."""
    used = usage(1_000, 500, audio_input_tokens=800, audio_output_tokens=400)
    assert cost("gpt-4o-audio-preview", "openai", used) == Cost(
        usd=None,
        reason="the price list has no price of openai/gpt-4o-audio-preview for audio input and audio output tokens; "
        "give one with add_pricing_model(ModelPricing(...))",
    )


def test_audio_with_a_price_of_your_own():
    """800 audio tokens x 40 + 200 x 2.50 + 400 audio tokens x 80 + 100 x 10 for a million."""
    tracker = CostTracker()
    tracker.add_pricing_model(
        ModelPricing(
            "gpt-4o-audio-preview",
            "openai",
            0.0025,
            0.01,
            audio_input_cost_per_1k_tokens=0.04,
            audio_output_cost_per_1k_tokens=0.08,
        )
    )
    used = usage(1_000, 500, audio_input_tokens=800, audio_output_tokens=400)
    assert tracker.price("gpt-4o-audio-preview", "openai", used).usd == 0.0655


@pytest.mark.parametrize(
    "model, provider, used, usd",
    [
        # Google's price is for text, pictures and sound alike, where it has no row for one of them: 1,000 x 1.25.
        ("gemini-2.5-pro", "google", usage(1_000, 0, audio_input_tokens=900), 0.00125),
        ("gemini-2.5-pro", "google", usage(1_000, 0, image_input_tokens=900), 0.00125),
        # 100 x 0.30 + 900 x 1.00
        ("gemini-2.5-flash", "google", usage(1_000, 0, audio_input_tokens=900), 0.00093),
        # 4,000 x 0.30 + 1,000 x 1.00 + 5,000 x 0.10: what is cached is sound (langfuse-python#1451).
        (
            "gemini-2.5-flash",
            "google",
            usage(
                10_000,
                0,
                audio_input_tokens=6_000,
                cache_read_input_tokens=5_000,
                cache_read_audio_input_tokens=5_000,
            ),
            0.0027,
        ),
        # 10 x 0.30 + 1,290 x 30; 100 x 5 + 900 x 10
        ("gemini-2.5-flash-image", "google", usage(10, 1_290, image_output_tokens=1_290), 0.038703),
        ("gpt-image-1", "openai", usage(1_000, 0, image_input_tokens=900), 0.0095),
        # The table has one price of what this draws and writes: a picture costs twelve times as much.
        ("gemini-2.5-flash", "google", usage(10, 1_290, image_output_tokens=1_290), None),
        ("gpt-4o", "openai", usage(1_000, 0, image_input_tokens=0, audio_output_tokens=0), 0.0025),
    ],
)
def test_kinds_of_token_that_share_a_price(model, provider, used, usd):
    """A kind without a row of its own costs what text costs only where its maker sells it so."""
    assert cost(model, provider, used).usd == usd


# --- searches, which are billed by the piece --------------------------------------------------------------------------
# https://platform.openai.com/docs/pricing, https://platform.claude.com/docs/en/about-claude/pricing#web-search-tool and
# https://ai.google.dev/gemini-api/docs/pricing, as the table has them.


@pytest.mark.parametrize(
    "model, provider, used, usd",
    [
        # 1,000 x 2.50 + 100 x 10 for a million, 10 for a thousand searches of the web, 2.50 of files
        ("gpt-4o", "openai", usage(1_000, 100, web_searches=3, file_searches=2), 0.0385),
        # 1,000 x 3 + 100 x 15 for a million, 10 for a thousand searches
        ("claude-sonnet-4-5", "anthropic", usage(1_000, 100, web_searches=2), 0.0245),
        # A grounded prompt, however often it searched: 35 for a thousand; later each search: 14 for a thousand.
        ("gemini-2.5-flash", "google", usage(1_000, 100, web_searches=3), 0.03555),
        ("gemini-3-flash-preview", "google", usage(1_000, 100, web_searches=3), 0.0428),
    ],
)
def test_searches_cost_beside_the_tokens(model, provider, used, usd):
    """A search that the provider makes is billed beside its tokens (langfuse#15856, litellm#15227, litellm#16996)."""
    assert cost(model, provider, used).usd == usd


def test_searches_without_a_price_are_said_to_be_missing():
    """The amount is what is known at least, and the reason says what it lacks: 1,000 x 0.59 + 100 x 0.79 for a million."""
    found = cost("llama-3.3-70b-versatile", "groq", usage(1_000, 100, web_searches=1))
    assert (found.usd, found.reason) == (0.000669, "without web search (1), which has no price in the list")


def test_searches_and_pictures_with_a_price_of_your_own():
    """1,000 x 1 + 100 x 2 + 50 pictures' tokens x 30 for a million, and 2 searches of 5 a thousand."""
    tracker = CostTracker()
    tracker.add_pricing_model(
        ModelPricing("ours", "custom", 0.001, 0.002, image_output_cost_per_1k_tokens=0.03, web_search_cost_per_1k=5)
    )
    used = usage(1_000, 150, image_output_tokens=50, web_searches=2)
    assert tracker.price("ours", "custom", used).usd == 0.0127


# --- tokens that nobody counted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "used, side",
    [(usage(None, 12), "input"), (usage(1_000, None), "output"), (usage(None, 0, cache_read_input_tokens=5), "input")],
)
def test_half_a_count_is_no_amount(used, side):
    """With one side uncounted the cost is unknown: never what the other side cost."""
    assert cost("gpt-4o", "openai", used) == Cost(
        usd=None,
        price="openai/gpt-4o",
        reason=f"the {side} tokens of this call were not counted; have the provider report its usage, such as with "
        "stream_options={'include_usage': True}",
        **LISTED,
    )


def test_a_side_that_costs_nothing_needs_no_count():
    """Embeddings have no output, and a local model costs nothing whatever it says."""
    assert cost("text-embedding-3-small", "openai", usage(1_000_000, None)).usd == 0.02
    assert cost("llama3", "ollama", usage(None, 12)).usd == 0.0


def test_half_a_count_is_uncounted_and_no_missing_price():
    """Totals count it among the calls that nobody counted; the model has a price."""
    tracker = CostTracker()
    tracker.record(Attribution(model="gpt-4o", provider="openai"), usage(None, 12), duration_ms=1.0)
    assert tracker.unknown_prices() == []
    assert tracker.totals() == Totals(calls=1, output_tokens=12, uncounted_calls=1, duration_ms=1.0)


# --- places where nobody sells ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "http://127.0.0.1:11434/v1",
        "localhost:8000",
        "[::1]:8000",
        "::1",
        "10.1.2.3",
        "192.168.0.7:8000",
        "100.64.0.9",
        "vllm",
        "http://host.docker.internal:1234/v1",
        "gpu.lan",
        "model.default.svc.cluster.local",
    ],
)
@pytest.mark.parametrize(
    "model, provider",
    [("deepseek-r1:8b", "deepseek"), ("gpt-oss-20b", "openai"), ("deepseek-chat", "openai"), ("command-r", "cohere")],
)
def test_no_published_price_holds_on_this_machine(model, provider, address):
    """A model on this machine or in a private network is not what its maker sells: unknown, with both ways to say more."""
    found = cost(model, provider, USED, server_address=address)
    assert (found.usd, found.price) == (None, None)
    assert "on this machine or in a private network, where no published price holds" in (found.reason or "")
    assert "declare_local(" in (found.reason or "")
    assert "declare_gateway(" in (found.reason or "")


@pytest.mark.parametrize(
    "address",
    ["api.openai.com", "https://api.openai.com/v1", "eu.api.openai.com:443", "8.8.8.8", "2606:4700::1111", ""],
)
def test_published_prices_hold_everywhere_else(address):
    """A public address says nothing against the price list."""
    assert cost("gpt-4o", "openai", USED, server_address=address).usd == 0.0035


@pytest.mark.parametrize(
    "model, provider", [("gpt-4o", "openai"), ("openai/gpt-4o-mini", "openai"), ("claude-sonnet-4-5", "anthropic")]
)
def test_what_nobody_can_run_is_sold_at_any_address(model, provider):
    """A proxy on this machine passes such a call on, and its maker bills it: a budget must not take it for free."""
    asked, sold = (cost(model, provider, USED, server_address=address).usd for address in ("127.0.0.1:4000", None))
    assert asked == sold
    assert sold is not None


def test_a_server_of_your_own_costs_nothing_once_declared():
    """An address can be declared local, with its port or as a whole host; the provider's own place keeps its price."""
    tracker = CostTracker()
    tracker.declare_local("http://127.0.0.1:8000/v1")
    tracker.declare_local("10.0.0.5")
    found = [
        tracker.price("gpt-oss-20b", "openai", USED, server_address=address).usd
        for address in ("127.0.0.1:8000", "127.0.0.1:9000", "10.0.0.5:1234")
    ]
    assert found == [0.0, None, 0.0]
    assert tracker.price("gpt-4o", "openai", USED).usd == 0.0035


@pytest.mark.parametrize("provider, said", [("OpenAI", "'OpenAI'"), ("", "'a provider'")])
def test_an_unknown_place_is_named_with_what_to_do(provider, said):
    """The address as it would be declared, the model as it was called, and the price that it would be."""
    found = PriceList().find("Qwen3", provider, server_address="http://GPU.lan:8000/v1")

    assert isinstance(found, UnknownPrice)
    assert found.label == f"{provider.lower()}/qwen3"
    assert found.reason == (
        "'Qwen3' answered at gpu.lan:8000, on this machine or in a private network, where no published price holds: if it "
        f"runs there, declare_local('gpu.lan:8000'); if a gateway passes calls on to {said}, "
        "declare_gateway('gpu.lan:8000'); or give a price with add_pricing_model(ModelPricing(...))"
    )


def test_a_gateway_in_a_private_network_sells_at_published_prices():
    """Once declared, in code or in the file of prices; a provider that is a gateway by name needs no declaring."""
    tracker = CostTracker()
    tracker.declare_gateway("http://127.0.0.1:4000")
    tracker.export_prices("prices.json")
    sold = cost("mistral-large-latest", "mistral", USED).usd
    assert sold is not None
    for book in (tracker, CostTracker(prices_file="prices.json")):
        assert book.price("mistral-large-latest", "mistral", USED, server_address="127.0.0.1:4000").usd == sold
        assert book.price("mistral-large-latest", "mistral", USED, server_address="127.0.0.1:5000").usd is None
    assert cost("gpt-4o", "litellm", USED, server_address="127.0.0.1:5000").usd == 0.0035
    with pytest.raises(ValueError, match=r"gateway 'litellm' is no address; write it like '127.0.0.1:4000'"):
        tracker.declare_gateway("litellm")


def test_what_the_user_said_holds_at_any_address():
    """A price or an alias of your own is about the name, wherever it is served."""
    tracker = CostTracker()
    tracker.add_alias("house", "gpt-4o", provider="openai")
    tracker.add_pricing_model(ModelPricing("tuned", "openai", 1.0, 0.0))
    found = [tracker.price(name, "openai", USED, server_address="127.0.0.1").usd for name in ("house", "tuned")]
    assert found == [0.0035, 1.0]


def test_an_unknown_place_is_unknown_before_the_call_too():
    """Nothing is set aside for it, and a budget that refuses unknown prices refuses it."""
    tracker = CostTracker()
    tracker.budget_manager.set_budget("day", 1.0, "daily", on_exceed="stop")
    call = Attribution(model="gpt-oss-20b", provider="openai")
    assert tracker.reserve(call, input_tokens=10, server_address="127.0.0.1").estimate_usd is None
