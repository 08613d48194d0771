"""What a call cost when nothing that came with it says so: the price table of the core package, and where it is from."""

from __future__ import annotations

import os

from ai_dev_squad.costs import Price
from ai_dev_squad.costs.price_book import PriceBook
from ai_dev_squad.schema import Cost, Usage

__all__ = ["Prices"]


class Prices:
    """Prices calls. Safe under threads. ``prices_file`` is a JSON file with prices of your own, as the core package reads it.

    Raises ``ValueError`` and ``OSError`` for a file that cannot be read.
    """

    def __init__(self, prices_file: str | os.PathLike[str] | None = None) -> None:
        self.book = PriceBook(prices_file=prices_file)
        """What is asked; set prices, aliases and local providers on it."""
        self._find = self.book.prices.find

    def price(self, provider: str | None, model: str, usage: Usage, at_s: float, tier: str | None = None) -> Cost:
        """What a call cost that was made ``at_s`` seconds after 1970. Unknown is ``usd=None`` with the reason."""
        return self._find(model, provider, service_tier=tier, at=at_s).cost(usage)

    def saving(
        self, provider: str | None, model: str, usage: Usage, at_s: float, tier: str | None = None
    ) -> float | None:
        """What the tokens read from a cache would have cost more, in USD, had they been sent anew. ``None`` when no price is
        known, or none were.
        """
        read = usage.cache_read_input_tokens
        if not read or not usage.input_tokens:
            return None
        price = self._find(model, provider, service_tier=tier, at=at_s)
        if not isinstance(price, Price):
            return None
        paid, cold = price.cost(usage).usd, price.cost(_without_cache(usage)).usd
        return None if paid is None or cold is None else max(0.0, round(cold - paid, 12))


def _without_cache(usage: Usage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_write_input_tokens=usage.cache_write_input_tokens,
        reasoning_output_tokens=usage.reasoning_output_tokens,
        audio_input_tokens=usage.audio_input_tokens,
        audio_output_tokens=usage.audio_output_tokens,
        source=usage.source,
    )
