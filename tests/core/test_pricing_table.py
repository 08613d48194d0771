"""The published table: complete, dated, and the same results as the project its data comes from."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from ai_dev_squad import costs
from ai_dev_squad.costs import prices
from ai_dev_squad.costs.prices.catalog import catalog
from ai_dev_squad.costs.prices.rates import Price
from ai_dev_squad.schema import Usage

CASES = json.loads((Path(__file__).parent / "data" / "prices_golden.json").read_text(encoding="utf-8"))
FIELDS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_write_input_tokens",
    "output_reasoning_tokens": "reasoning_output_tokens",
    "input_image_tokens": "image_input_tokens",
    "output_image_tokens": "image_output_tokens",
    "web_searches": "web_searches",
    "storage_searches": "file_searches",
}


def test_costs_equal_those_of_the_source():
    """Sampled models, tiers, dates and sizes cost exactly what genai-prices calculates in decimals."""
    table = catalog()
    different = []
    for case in CASES:
        model = next(model for model in table.providers[case["provider"]].models if model.id == case["model"])
        at = datetime.fromisoformat(case["at"]).timestamp()
        price = table.price(case["provider"], model, at=at, tier=case["tier"])
        usage = Usage(**{FIELDS[key]: value for key, value in case["usage"].items()}, source="provider")
        usd = price.cost(usage).usd if price else None
        if usd != float(Decimal(case["usd"])):
            different.append((case, usd))
    assert different == []
    assert len(CASES) > 100


def test_every_price_says_where_it_comes_from_and_when_it_was_read():
    """Source, day and page stand on each price of the table."""
    table = catalog()
    assert table.source.startswith("genai-prices ")
    assert date.fromisoformat(table.read_on)
    for name, house in table.providers.items():
        for model in house.models:
            price = table.price(name, model, at=0, tier=None)
            if price is not None:
                assert (price.source, price.date) == ("genai-prices", table.read_on)
                assert (price.url or "").startswith("https://")
                assert price.label == f"{name}/{model.id}"


def test_the_table_holds_what_calls_are_charged_by():
    """Caches, audio, batches, long prompts, fees and history are all there."""
    table = catalog()
    models = [model for house in table.providers.values() for model in house.models]
    rows = [rates for model in models for _, rates in model.prices]
    used = {unit for row in rows for unit, rate in zip(table.units, row, strict=False) if rate is not None}
    assert used == set(table.units)
    assert len(models) > 2_000
    assert sum(any(isinstance(rate, list) for rate in row) for row in rows) > 100
    assert sum(len(model.prices) > 1 for model in models) > 100
    assert {tier for model in models for tier, _, _ in model.variants} == {"batch", "flex", "priority", "fast"}


def test_free_is_only_what_is_called_free():
    """A model that the table lists without token prices is unknown, unless its name says free."""
    table = catalog()
    for name, house in table.providers.items():
        for model in house.models:
            rows = [row for _, row in model.prices if not any(rate is not None for rate in row)]
            if len(rows) == len(model.prices):
                price = table.price(name, model, at=0, tier=None)
                assert (price is None) is (not model.id.endswith(":free"))


def test_the_table_stays_small():
    """The file is at most 300 kB, and its licence stands in the package's notice."""
    folder = Path(prices.__file__).parent
    assert (folder / "prices.json").stat().st_size < 300_000
    assert catalog().licence.startswith("MIT")


@pytest.mark.parametrize("name", ["gpt-4", "gpt-3.5-turbo", "claude-3-opus", "claude-3-sonnet"])
def test_the_first_models_have_prices(name):
    """The models that the product priced from its first day are in the table."""
    provider = "anthropic" if name.startswith("claude") else "openai"
    price = costs.CostTracker().prices.find(name, provider)
    assert isinstance(price, Price)
    assert min(price.rates.input or 0, price.rates.output or 0) > 0
