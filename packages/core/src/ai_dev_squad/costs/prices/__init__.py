"""What a token costs: the published table, prices of your own, and how one is found for a call."""

from ai_dev_squad.costs.prices.model_pricing import ModelPricing, ModelProvider
from ai_dev_squad.costs.prices.price_book import CustomProvider, PriceBook
from ai_dev_squad.costs.prices.price_list import PriceList
from ai_dev_squad.costs.prices.rates import Part, Price, UnknownPrice

__all__ = ["CustomProvider", "ModelPricing", "ModelProvider", "Part", "Price", "PriceBook", "PriceList", "UnknownPrice"]
