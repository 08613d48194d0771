"""What a call cost when nothing that came with it says so: the price table of the core package, and where it is from."""

from __future__ import annotations

import os
from typing import Any

from msgspec.structs import replace

from ai_dev_squad.costs.prices import Price, PriceBook, UnknownPrice
from ai_dev_squad.schema import Cost, Usage

__all__ = ["Prices"]

_KEPT = 4096


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
        tier: str | None = None,
        answered: str | None = None,
        address: str | None = None,
    ) -> Price | UnknownPrice:
        """The price of a model that was asked for at a moment, in seconds after 1970. ``answered`` is the model that did,
        ``address`` the server's. What has been found is kept, also that of the past.
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

    def price(
        self,
        provider: str | None,
        model: str,
        usage: Usage,
        at_s: float,
        tier: str | None = None,
        answered: str | None = None,
        address: str | None = None,
    ) -> Cost:
        """What a call cost that was made ``at_s`` seconds after 1970; the rest as for ``find``. Unknown is ``usd=None`` with
        the reason.
        """
        return self.find(provider, model, at_s, tier, answered, address).cost(usage)

    def saving(
        self,
        provider: str | None,
        model: str,
        usage: Usage,
        at_s: float,
        tier: str | None = None,
        answered: str | None = None,
        address: str | None = None,
    ) -> float | None:
        """What the tokens read from a cache would have cost more, in USD, had they been sent anew. ``None`` when no price is
        known, or none were.
        """
        if not usage.cache_read_input_tokens or not usage.input_tokens:
            return None
        price = self.find(provider, model, at_s, tier, answered, address)
        if not isinstance(price, Price):
            return None
        paid, cold = price.cost(usage).usd, price.cost(replace(usage, cache_read_input_tokens=None)).usd
        return None if paid is None or cold is None else max(0.0, round(cold - paid, 12))
