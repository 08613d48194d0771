"""Money as it is counted here: in whole picodollars (1e-12 US dollars).

The finest published price, 0.000001 USD per million tokens, is one picodollar a token, so a price is an integer, a
cost is an exact product, and a sum over a million calls has no rounding error.
"""

from __future__ import annotations

from decimal import Decimal

__all__ = ["PICO", "dollars", "to_pico"]

PICO = 10**12
"""Picodollars in one US dollar."""


def to_pico(usd: float) -> int:
    """Whole picodollars nearest to ``usd``. A cost that this package calculated comes back exactly (up to 2,000 USD)."""
    return round(usd * PICO)


def dollars(pico: int) -> str:
    """An amount as people read it: exact, with at least two decimals, such as ``$4.80`` or ``$0.00012``."""
    whole, _, decimals = f"{Decimal(pico).scaleb(-12):f}".partition(".")
    return f"${whole}.{decimals.rstrip('0').ljust(2, '0')}"
