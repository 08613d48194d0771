"""What a call cost when nothing that came with it says so: the price table of the core package, and where it is from."""

from __future__ import annotations

import os
from typing import Any

from msgspec.structs import replace

from ai_dev_squad.costs.prices import Price, PriceBook, UnknownPrice
from ai_dev_squad.schema import Usage

__all__ = ["Prices", "input_share", "saving"]

_KEPT = 4096
_NO_OUTPUT: dict[str, Any] = {
    **{name: None for name in Usage.__struct_fields__ if "output" in name},
    "output_tokens": 0,
}


class Prices:
    """Prices calls by the day they were made. Safe under threads. ``prices_file`` is a JSON file with prices of your own, as
    the core package reads it. Raises ``ValueError`` and ``OSError`` for a file that cannot be read.
    """

    def __init__(self, prices_file: str | os.PathLike[str] | None = None) -> None:
        self.book = PriceBook(prices_file=prices_file)
        """What is asked. After setting prices, aliases or local providers on it, call ``forget``."""
        self._found: dict[tuple[Any, ...], list[Price | UnknownPrice]] = {}

    def forget(self) -> None:
        """Look up every price anew."""
        self._found = {}

    def find(
        self,
        provider: str | None,
        model: str,
        at_s: float,
        *,
        tier: str | None = None,
        answered: str | None = None,
        address: str | None = None,
    ) -> Price | UnknownPrice:
        """The price of a call of ``model`` that was made ``at_s`` seconds after 1970, served as ``tier`` by the model that
        ``answered`` at the server's ``address``. What has been found is kept, also that of the past.
        """
        key = (provider, model, tier, answered, address)
        kept = self._found.get(key, ())
        for price in kept:
            if price.since <= at_s < price.until:
                return price
        found = self.book.prices.find(
            model, provider, service_tier=tier, response_model=answered, server_address=address, at=at_s
        )
        if len(self._found) >= _KEPT:
            self._found.clear()
        self._found[key] = [*kept[-8:], found]
        return found


def input_share(price: Price | UnknownPrice, usage: Usage) -> float | None:
    """Which share of a call's cost is for its input, cached tokens at their own price; ``None`` when no price is known."""
    if isinstance(price, UnknownPrice):
        return None
    whole, given = price.cost(usage).usd, price.cost(replace(usage, **_NO_OUTPUT)).usd
    if whole is None or given is None:
        return None
    return min(1.0, given / whole) if whole > 0 else 0.0


def saving(price: Price | UnknownPrice, usage: Usage) -> float | None:
    """What the tokens read from a cache would have cost more, in USD, had they been sent anew. ``None`` when no price is
    known, or none were.
    """
    if not usage.cache_read_input_tokens or not usage.input_tokens or isinstance(price, UnknownPrice):
        return None
    paid, cold = price.cost(usage).usd, price.cost(replace(usage, cache_read_input_tokens=None)).usd
    return None if paid is None or cold is None else max(0.0, round(cold - paid, 12))
