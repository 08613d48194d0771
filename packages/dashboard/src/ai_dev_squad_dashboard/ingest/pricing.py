"""What a call cost when nothing that came with it says so: the price table of the core package, and where it is from."""

from __future__ import annotations

import os
from typing import Any, TypedDict, Unpack

from msgspec.structs import replace

from ai_dev_squad.costs.prices import Price, PriceBook, UnknownPrice
from ai_dev_squad.schema import Cost, Usage

__all__ = ["Prices", "Said"]

_KEPT = 4096
_NO_OUTPUT: dict[str, Any] = {
    **{name: None for name in Usage.__struct_fields__ if "output" in name},
    "output_tokens": 0,
}


class Said(TypedDict, total=False):
    """What a call may say of itself beyond provider and model."""

    tier: str | None
    answered: str | None
    """The model that answered."""
    address: str | None
    """The server's."""


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

    def find(self, provider: str | None, model: str, at_s: float, **said: Unpack[Said]) -> Price | UnknownPrice:
        """The price of a model that was asked for at a moment, in seconds after 1970. What has been found is kept, also that
        of the past.
        """
        details = said.get("tier"), said.get("answered"), said.get("address")
        key = (provider, model, *details)
        kept = self._found.get(key, ())
        for price in kept:
            if price.since <= at_s < price.until:
                return price
        tier, answered, address = details
        found = self.book.prices.find(
            model, provider, service_tier=tier, response_model=answered, server_address=address, at=at_s
        )
        if len(self._found) >= _KEPT:
            self._found.clear()
        self._found[key] = [*kept[-8:], found]
        return found

    def price(self, provider: str | None, model: str, usage: Usage, at_s: float, **said: Unpack[Said]) -> Cost:
        """What a call cost that was made ``at_s`` seconds after 1970; the rest as for ``find``. Unknown is ``usd=None`` with
        the reason.
        """
        return self.find(provider, model, at_s, **said).cost(usage)

    def input_share(
        self, provider: str | None, model: str, usage: Usage, at_s: float, **said: Unpack[Said]
    ) -> float | None:
        """Which share of a call's cost is for its input, cached tokens at their own price; ``None`` when no price is known."""
        price = self.find(provider, model, at_s, **said)
        if not isinstance(price, Price):
            return None
        whole, given = price.cost(usage).usd, price.cost(replace(usage, **_NO_OUTPUT)).usd
        if whole is None or given is None:
            return None
        return min(1.0, given / whole) if whole > 0 else 0.0

    def saving(self, provider: str | None, model: str, usage: Usage, at_s: float, **said: Unpack[Said]) -> float | None:
        """What the tokens read from a cache would have cost more, in USD, had they been sent anew. ``None`` when no price is
        known, or none were.
        """
        if not usage.cache_read_input_tokens or not usage.input_tokens:
            return None
        price = self.find(provider, model, at_s, **said)
        if not isinstance(price, Price):
            return None
        paid, cold = price.cost(usage).usd, price.cost(replace(usage, cache_read_input_tokens=None)).usd
        return None if paid is None or cold is None else max(0.0, round(cold - paid, 12))
