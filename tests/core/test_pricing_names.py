"""Whatever a framework or gateway calls a model, its price is found, or the answer says that it is not known."""

from __future__ import annotations

import pytest

from ai_dev_squad.costs import CostTracker, ModelPricing, ModelProvider, Price, UnknownPrice
from ai_dev_squad.costs.prices import price_list
from ai_dev_squad.costs.prices.catalog import catalog
from ai_dev_squad.costs.prices.price_list import PriceList
from ai_dev_squad.schema import Cost, Usage

READ_ON = catalog().read_on

USED = Usage(input_tokens=1_000, output_tokens=100, source="provider")


@pytest.mark.parametrize(
    "model, provider, label",
    [
        ("gpt-4o", "openai", "openai/gpt-4o"),
        ("GPT-4o", "OpenAI", "openai/gpt-4o"),
        ("gpt-4o-2024-08-06", "openai", "openai/gpt-4o"),
        ("gpt-4o-2024-05-13", "openai", "openai/gpt-4o-2024-05-13"),
        ("gpt-4.1-20250414", "openai", "openai/gpt-4.1"),
        ("gpt-4o-2031-01-01", "openai", "openai/gpt-4o"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", "openai", "openai/ft:gpt-4o-mini"),
        ("openai/gpt-4o", "", "openai/gpt-4o"),
        ("openai/gpt-4o", "openai", "openai/gpt-4o"),
        ("openai/gpt-4o", "litellm", "openai/gpt-4o"),
        ("openai/gpt-4o", "openrouter", "openrouter/openai/gpt-4o"),
        ("openrouter/openai/gpt-4o", "", "openrouter/openai/gpt-4o"),
        ("openai/gpt-4o:nitro", "openrouter", "openrouter/openai/gpt-4o"),
        ("azure/gpt-4o", "", "openai/gpt-4o"),
        ("gpt-4o", "azure", "openai/gpt-4o"),
        ("gpt-4o", "azure.ai.openai", "openai/gpt-4o"),
        ("gpt-35-turbo", "azure", "openai/gpt-3.5-turbo"),
        ("gpt-4o-mini", "unknown", "openai/gpt-4o-mini"),
        ("claude-sonnet-4-20250514", "anthropic", "anthropic/claude-sonnet-4-0"),
        ("claude-sonnet-4-20250514", "openai", "anthropic/claude-sonnet-4-0"),
        ("claude-3-5-sonnet@20240620", "vertex_ai", "google/claude-3-5-sonnet"),
        ("models/gemini-2.5-pro", "google_genai", "google/gemini-2.5-pro"),
        ("openai.gpt-oss-120b", "aws.bedrock", "aws/openai.gpt-oss-120b-1:0"),
        ("gemini/gemini-2.5-flash", "", "google/gemini-2.5-flash"),
        ("projects/p/locations/l/publishers/google/models/gemini-2.5-pro", "gcp.vertex_ai", "google/gemini-2.5-pro"),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "bedrock_converse",
            "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws.bedrock",
            "aws/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "",
            "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "bedrock",
            "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        ("llama-3.3-70b-versatile", "groq", "groq/llama-3.3-70b-versatile"),
        ("groq/llama-3.3-70b-versatile", "litellm", "groq/llama-3.3-70b-versatile"),
        ("accounts/fireworks/models/llama-v3p1-8b-instruct", "fireworks", "fireworks/llama-v3p1-8b-instruct"),
        ("mistral-large-latest", "mistralai", "mistral/mistral-large"),
        ("grok-4", "xai", "x-ai/grok-4-0709"),
        ("llama3.1", "ollama", "ollama/llama3.1"),
        ("ollama/llama3.1:8b", "openai", "ollama/llama3.1:8b"),
        ("ollama_chat/llama3.1", "litellm", "ollama/llama3.1"),
        ("openai/gpt-oss-120b:groq", "huggingface", "huggingface_groq/openai/gpt-oss-120b"),
        ("MiniMax-M2", "minimax", "minimax/MiniMax-M2"),
    ],
)
def test_names_in_use(model, provider, label):
    """A name as LangChain, LiteLLM, OpenTelemetry, Azure, Bedrock or Vertex writes it finds its price."""
    price = PriceList().find(model, provider)
    assert isinstance(price, Price), price.reason
    assert price.label == label


def test_ollamas_own_cloud_is_no_machine_of_ones_own():
    """It sells what it runs there, by subscription: nobody knows what a call costs."""
    prices = PriceList()
    assert isinstance(prices.find("gpt-oss:120b", "ollama", server_address="https://ollama.com"), UnknownPrice)
    assert prices.find("gpt-oss:120b", "ollama", server_address="localhost:11434").source == "local"


@pytest.mark.parametrize(
    "model, provider",
    [
        ("no-such-model", "openai"),
        ("gpt-4o", "anthropic"),
        ("llama-3.3-70b-versatile", "openai"),
        ("gpt-oss:120b-cloud", "ollama"),
        ("whisper-1", "openai"),
        ("llama3", "vllm"),
        ("openai/gpt-4o", "groq"),
        ("/", ""),
        ("openai/", ""),
    ],
)
def test_names_without_a_price(model, provider):
    """No guess and no 0: the amount is unknown and the reason names model, provider and cure."""
    cost = PriceList().cost(model, provider, USED)
    assert cost.usd is None
    assert f"no price is known for model {model!r} of provider {provider!r}" in (cost.reason or "")
    assert "add_pricing_model" in (cost.reason or "")


@pytest.mark.parametrize(
    "model, provider, said",
    [
        ("", "openai", "model '' of provider 'openai'"),
        (None, "openai", "model None of provider 'openai'"),
        ("gpt-4o", 7, "model 'gpt-4o' of provider 7"),
        ([], {}, "model list of provider dict"),
    ],
)
def test_what_is_no_name_never_raises(model, provider, said):
    """Nonsense from outside is an unknown price; of an object its class is told, whose text may be anything."""
    assert PriceList().cost(model, provider, USED) == Cost(
        usd=None, reason=f"{said} is not a name: give both as strings, such as 'gpt-4o' and 'openai'"
    )


def test_a_seller_is_suggested_when_the_provider_is_missing():
    """A model that several providers sell is not guessed; the reason lists who sells it."""
    assert "known of" in (PriceList().cost("llama-3.3-70b-versatile", "", USED).reason or "")
    assert "groq" in (PriceList().cost("llama-3.3-70b-versatile", "", USED).reason or "")


def test_own_prices_come_first():
    """A price of the user's wins over the table, for that provider and however the name is written."""
    tracker = CostTracker()
    tracker.add_pricing_model(ModelPricing("GPT-4o", ModelProvider.OPENAI, 1.0, 2.0, 128_000, date="2026-01-01"))
    mine = Cost(usd=1.2, price="openai/GPT-4o", price_date="2026-01-01", price_source="user")
    assert [tracker.price(name, "openai", USED) for name in ("GPT-4o", "gpt-4o")] == [mine, mine]
    assert tracker.price("gpt-4o", "azure", USED).usd == 0.0035


def test_a_price_of_ones_own_is_for_every_service_tier_and_says_so():
    """It is the standard price; of what runs on the user's own machine there is but one."""
    prices = PriceList()
    prices.models["openai:mine"] = ModelPricing("mine", "openai", 1.0, 2.0)
    prices.models["openai:here"] = ModelPricing("here", "openai", 0.0, 0.0, local=True)
    note = "no price is known for service tier 'flex'; this is your standard price"

    assert [prices.cost("mine", "openai", USED, service_tier=tier).reason for tier in (None, "flex")] == [None, note]
    assert [prices.cost("here", "openai", USED, service_tier=tier).reason for tier in (None, "flex")] == [None, None]


def test_prices_may_be_set_in_the_dictionary():
    """``pricing_models[key] = …`` takes effect with the next call, and deleting brings the published price back."""
    tracker = CostTracker()
    assert tracker.price("gpt-4o", "openai", USED).usd == 0.0035
    tracker.pricing_models["openai:gpt-4o"] = ModelPricing("gpt-4o", ModelProvider.OPENAI, 1.0, 0.0)
    assert tracker.price("gpt-4o", "openai", USED).usd == 1.0
    del tracker.pricing_models["openai:gpt-4o"]
    assert tracker.price("gpt-4o", "openai", USED).usd == 0.0035


def test_published_prices_can_be_read_in_the_guides_form():
    """``pricing_models`` answers for every model of the table, in US dollars per thousand tokens."""
    models = CostTracker().pricing_models
    assert models["openai:gpt-4o"] == ModelPricing(
        "gpt-4o",
        ModelProvider.OPENAI,
        0.0025,
        0.01,
        128_000,
        cache_read_cost_per_1k_tokens=0.00125,
        web_search_cost_per_1k=10.0,
        file_search_cost_per_1k=2.5,
        date=READ_ON,
        source="genai-prices",
    )
    assert "openai:gpt-4o" in models
    assert "openai:nothing" not in models
    assert len(dict(models)) == len(models) > 2_000
    with pytest.raises(KeyError):
        models["openai:nothing"]


def test_an_alias_names_a_deployment():
    """An Azure deployment is priced as the model behind it, for its provider or for any."""
    tracker = CostTracker()
    tracker.add_alias("prod-chat", "gpt-4o", provider="azure")
    tracker.add_alias("Summariser", "openai/gpt-4o-mini")
    assert tracker.price("prod-chat", "azure_openai", USED).price == "openai/gpt-4o"
    assert tracker.price("prod-chat", "openai", USED).usd is None
    assert tracker.price("summariser", "azure", USED).price == "openai/gpt-4o-mini"


def test_an_alias_to_nowhere_is_refused():
    """The error names alias and target, and says what a target looks like."""
    with pytest.raises(ValueError, match="alias 'prod' points to 'gpt-nothing', which has no price; allowed: a priced"):
        CostTracker().add_alias("prod", "gpt-nothing", provider="azure")


def test_local_models_cost_nothing_only_when_declared():
    """0 is the price of what the user declared local; any other unknown model is unknown."""
    tracker = CostTracker(local_providers=())
    assert tracker.price("llama3", "ollama", USED).usd is None
    tracker.declare_local("ollama")
    tracker.add_pricing_model(ModelPricing("my-lora", "vllm", 0.0, 0.0, local=True))
    assert tracker.price("llama3", "ollama", USED) == Cost(usd=0.0, price="ollama/llama3", price_source="local")
    assert tracker.price("my-lora", "vllm", USED) == Cost(usd=0.0, price="vllm/my-lora", price_source="local")
    assert tracker.price("other", "vllm", USED).usd is None


def test_memory_of_names_is_bounded(monkeypatch):
    """A stream of invented names does not fill the memory, nor push out the names that have a price."""
    monkeypatch.setattr(price_list, "UNKNOWN_KEPT", 20)
    monkeypatch.setattr(price_list, "KNOWN_KEPT", 30)
    prices = PriceList()
    prices.cost("gpt-4o", "openai", USED)
    for number in range(50):
        prices.cost(f"invented-{number}", "nobody", USED)
    assert list(prices._unknown) == [(f"invented-{number}", "nobody") for number in range(30, 50)]
    assert list(prices._known) == [("gpt-4o", "openai")]
    for number in range(50):
        prices.cost(f"m{number}", "ollama", USED)
    assert list(prices._known) == [(f"m{number}", "ollama") for number in range(20, 50)]


def test_an_unknown_price_is_not_a_price():
    """``find`` gives an object of its own kind, so that nobody takes it for a price of 0."""
    assert isinstance(PriceList().find("no-such-model", "openai"), UnknownPrice)
