"""Prices that users give: in code, by custom providers, and as a JSON file. Mistakes name value, allowed and cure."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad import guard
from ai_dev_squad.costs import CostTracker, ModelPricing, ModelProvider
from ai_dev_squad.costs.money import PICO
from ai_dev_squad.schema import Cost, Usage

USED = Usage(input_tokens=1_000, output_tokens=1_000, source="provider")


class Acme:
    """A custom provider in the guide's form."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_pricing(self, model_name: str) -> ModelPricing | None:
        self.asked.append(model_name)
        if model_name == "down":
            raise ConnectionError("no answer")
        return None if model_name == "gpt-4o" else ModelPricing(model_name, ModelProvider.CUSTOM, 0.001, 0.002, 8192)

    def count_tokens(self, text: str, model_name: str) -> int:
        if model_name == "down":
            raise ConnectionError("no answer")
        return len(text.split()) if model_name != "odd" else -1


@pytest.fixture
def lenient():
    """As in production: what fails inside is logged, not raised."""
    before = guard.set_strict(False)
    yield
    guard.set_strict(before)


def test_a_custom_provider_prices_its_models():
    """It is asked once for each model, and its answer priced like a price of the user's."""
    tracker, acme = CostTracker(), Acme()
    tracker.add_provider("custom", acme)
    costs = [tracker.price("tiny", "custom", USED) for _ in range(3)]
    assert costs == [Cost(usd=0.003, price="custom/tiny", price_source="user")] * 3
    assert acme.asked == ["tiny"]


def test_a_custom_provider_may_leave_a_model_to_the_table():
    """``None`` means: as published."""
    tracker = CostTracker()
    tracker.add_provider("openai", Acme())
    assert tracker.price("gpt-4o", "openai", USED).price_source == "genai-prices"


def test_a_custom_provider_counts_tokens():
    """Its count is used where its name is given, and labelled."""
    tracker = CostTracker()
    tracker.add_provider("custom", Acme())
    counted = tracker.count_tokens("one two three", "tiny", "custom")
    assert (counted.count, counted.source, counted.encoding) == (3, "provider", None)
    estimate = tracker.estimate_cost("one two three four", "tiny", "custom")
    assert estimate == {
        "input_tokens": 4,
        "estimated_output_tokens": 2,
        "input_cost_usd": 0.000004,
        "estimated_output_cost_usd": 0.000004,
        "estimated_cost_usd": 0.000008,
        "token_source": "provider",
        "price": "custom/tiny",
        "price_date": None,
        "price_source": "user",
    }


@pytest.mark.usefixtures("lenient")
def test_a_failing_custom_provider_loses_nothing():
    """The entry is kept with an unknown cost and the reason; the provider is asked again a minute later."""
    tracker, acme = CostTracker(), Acme()
    tracker.add_provider("custom", acme)
    entry = tracker.track_llm_usage("down", "custom", 10, 5, 20)
    assert list(tracker.entries) == [entry]
    assert entry.cost_usd is None
    assert entry.cost == Cost(
        usd=None,
        reason="provider 'custom' failed to price 'down' (ConnectionError: no answer); it is asked again in 60 s",
    )
    tracker.track_llm_usage("down", "custom", 10, 5, 20)
    assert acme.asked == ["down"]
    tracker.prices.find("down", "custom", at=entry.timestamp.timestamp() + 120)
    assert acme.asked == ["down", "down"]
    assert tracker.count_tokens("text", "down", "custom").source == "estimate"
    assert tracker.count_tokens("text", "odd", "custom").source == "estimate"


def test_a_failing_custom_provider_is_seen_in_tests_and_the_entry_still_kept():
    """When failures are set to raise, they do so after the entry is in the ledger."""
    tracker = CostTracker()
    tracker.add_provider("custom", Acme())
    with pytest.raises(ConnectionError):
        tracker.track_llm_usage("down", "custom", 10, 5, 20)
    assert [entry.model_name for entry in tracker.entries] == ["down"]
    assert tracker.totals().calls == 1


def test_an_answer_that_is_no_price_is_refused():
    """The reason names what came instead."""

    class Odd:
        def get_pricing(self, model_name: str) -> object:
            return {"price": 1}

    tracker = CostTracker()
    tracker.add_provider("custom", Odd())
    with pytest.raises(
        TypeError, match=r"get_pricing of provider 'custom' gave \{'price': 1\}; allowed: a ModelPricing"
    ):
        tracker.price("x", "custom", USED)


def test_a_provider_without_methods_is_refused():
    """The error says which methods there are to write."""
    with pytest.raises(ValueError, match="provider 'custom' is a object that has neither get_pricing"):
        CostTracker().add_provider("custom", object())


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "0.1", None, True, [1]])
def test_impossible_prices_are_refused(value):
    """Negative, infinite, not a number: the error names field, model, value, what is allowed and the cure."""
    with pytest.raises(ValueError, match=r"input_cost_per_1k_tokens of 'm' is .*; allowed: a finite number") as error:
        ModelPricing("m", ModelProvider.CUSTOM, value, 1.0, 100)
    assert repr(value) in str(error.value)
    assert "divided by 1,000" in str(error.value)


def test_a_price_spoilt_later_is_refused_when_it_is_set():
    """``ModelPricing`` can be changed; it is checked again when it is handed over, and nothing changes."""
    tracker = CostTracker()
    pricing = ModelPricing("gpt-4o", ModelProvider.OPENAI, 1.0, 1.0, 100)
    pricing.output_cost_per_1k_tokens = -1.0
    with pytest.raises(ValueError, match=r"output_cost_per_1k_tokens of 'gpt-4o' is -1\.0"):
        tracker.add_pricing_model(pricing)
    assert tracker.price("gpt-4o", "openai", USED).price_source == "genai-prices"


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ModelPricing("", "openai", 1, 1, 1), "model_name '' is not a name"),
        (lambda: ModelPricing("m", "", 1, 1, 1), "provider '' is not a name; give a ModelProvider or a string"),
        (lambda: ModelPricing("m", 5, 1, 1, 1), "provider 5 is not a name"),
        (lambda: ModelPricing("m", "openai", 1, 1, 0), "context_window of 'm' is 0; allowed: a whole number"),
        (lambda: CostTracker().add_pricing_model("gpt-4o"), "'gpt-4o' is no price; allowed: ModelPricing"),
        (lambda: CostTracker(local_providers=[""]), "provider '' is not a name"),
        (lambda: CostTracker().pricing_models.update({"x": 1}), "the price of 'x' is 1; allowed: a ModelPricing"),
        (
            lambda: CostTracker().pricing_models.update({"x": ModelPricing("m", "openai", 1, 1, 1)}),
            "pricing key 'x' is not 'provider:model'",
        ),
    ],
)
def test_other_mistakes(make, message):
    """Each names the value and what is allowed."""
    with pytest.raises(ValueError, match=message):
        make()


@given(st.decimals(min_value=0, max_value=1000, places=9))
def test_prices_are_taken_by_their_decimals(price):
    """Nine decimals of a dollar per thousand tokens are kept exactly, as a person reads them."""
    compiled = ModelPricing("m", "custom", float(price), float(price), 100).compiled()
    assert Decimal(compiled.rates.input or 0) / PICO == Decimal(str(float(price))) / 1000
    assert compiled.cost(Usage(input_tokens=1000, output_tokens=0, source="provider")).usd == pytest.approx(
        float(price)
    )


def test_a_tiny_price_is_not_nothing():
    """Whatever is above 0 stays above 0."""
    assert ModelPricing("m", "custom", 1e-15, 0, 100).compiled().rates.input == 1


# --- the file ---------------------------------------------------------------------------------------------------------


def write(content: object) -> Path:
    path = Path("prices.json")
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_file_of_prices():
    """Prices per million tokens, aliases and local providers take effect together."""
    path = write(
        {
            "prices": {
                "openai:gpt-4o": {
                    "input": 2,
                    "output": 8,
                    "cache_read": 0.5,
                    "date": "2026-10-01",
                    "source": "contract",
                },
                "vllm:house": {"local": True, "context_window": 32768},
            },
            "aliases": [{"name": "prod", "target": "gpt-4o", "provider": "azure"}],
            "local_providers": ["lm_studio"],
        }
    )
    tracker = CostTracker(prices_file=path)
    used = Usage(input_tokens=1_000_000, output_tokens=0, cache_read_input_tokens=1_000_000, source="provider")
    assert tracker.price("gpt-4o", "openai", used) == Cost(
        usd=0.5, price="openai/gpt-4o", price_date="2026-10-01", price_source="contract"
    )
    assert tracker.price("house", "vllm", used).usd == 0.0
    assert tracker.price("anything", "lm_studio", used).usd == 0.0
    assert tracker.price("prod", "azure", used).usd == 1.25


def test_what_is_exported_can_be_imported():
    """A round trip keeps every price, alias and declaration."""
    one = CostTracker()
    one.add_pricing_model(ModelPricing("m", "acme", 0.00015, 0.0006, 1000, cache_read_cost_per_1k_tokens=0.000075))
    one.add_pricing_model(ModelPricing("house", "vllm", 0, 0, local=True))
    one.add_alias("prod", "gpt-4o", provider="azure")
    one.declare_local("lm_studio")
    one.export_prices("out.json")
    other = CostTracker()
    assert other.import_prices("out.json") == 5
    assert other.pricing_models.own == one.pricing_models.own
    assert other.prices.aliases == one.prices.aliases
    assert other.prices.local == one.prices.local


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "is not JSON: .*line 1 column 2"),
        ("[]", r"is \[\]; allowed: an object with aliases, gateways, local_providers, prices"),
        ({"price": {}}, "has the unknown key 'price'; allowed: aliases, gateways, local_providers, prices"),
        ({"prices": []}, r"'prices' in 'prices.json' is \[\]; allowed: an object"),
        ({"prices": {"gpt-4o": {"input": 1, "output": 1}}}, "the key is not 'provider:model'; write it like"),
        ({"prices": {"a:b": {"input": 1}}}, "price of 'a:b' in 'prices.json': output is missing; give US dollars"),
        ({"prices": {"a:b": {"input": -1, "output": 1}}}, "input is -1; allowed: US dollars per million tokens"),
        ('{"prices": {"a:b": {"input": NaN, "output": 1}}}', "input is nan; allowed"),
        ({"prices": {"a:b": {"input": "1", "output": 1}}}, "input is '1'; allowed"),
        ({"prices": {"a:b": {"input": 1, "output": 1, "cached": 1}}}, "unknown key 'cached'; allowed: audio_input"),
        ({"prices": {"a:b": {"input": 1, "output": 1, "context_window": -5}}}, "context_window of 'b' is -5"),
        ({"prices": {"a:b": {"local": "yes"}}}, "local is 'yes'; allowed: true or false"),
        ({"prices": {"a:b": 5}}, "price of 'a:b' in 'prices.json' is 5; allowed: an object with"),
        ({"aliases": [{"name": "x"}]}, "has no target; write it like"),
        ({"aliases": [{"name": "x", "target": "nothing-at-all"}]}, "alias 'x' points to 'nothing-at-all'"),
        ({"local_providers": [3]}, "local provider 3 in 'prices.json' is not a name"),
    ],
)
def test_mistakes_in_the_file(content, message):
    """Each names the file, the entry, the value and what is allowed."""
    path = write(content)
    with pytest.raises(ValueError, match=message) as error:
        CostTracker().import_prices(path)
    assert "prices.json" in str(error.value)


def test_a_file_is_taken_whole_or_not_at_all():
    """A mistake at its end leaves everything as it was."""
    path = write({"prices": {"a:b": {"input": 1, "output": 1}}, "aliases": [{"name": "x", "target": "nothing-at-all"}]})
    tracker = CostTracker()
    with pytest.raises(ValueError, match="nothing-at-all"):
        tracker.import_prices(path)
    assert tracker.pricing_models.own == {}
    assert tracker.price("b", "a", USED).usd is None


def test_a_file_that_is_not_there():
    """The error says how to get one."""
    with pytest.raises(ValueError, match=r"price file 'absent\.json' cannot be read .*; write one with export_prices"):
        CostTracker(prices_file="absent.json")
