"""Which models may stand in for one another when only prices are compared.

A model is suggested in place of another one only if the same maker sells both for general text work, it is in the
list below (its context window, from the published price table of 2026-11-22, must hold the largest call seen), and its
price is in the same band or one band lower. The bands are drawn by price alone, in US dollars for a million tokens of
which three quarters are input:

    economy   below 0.50
    small     0.50 to 2.50
    standard  2.50 to 8
    premium   8 and above
"""

from __future__ import annotations

from typing import Literal

__all__ = ["BANDS", "Band", "band_of", "candidates_for"]

Band = Literal["economy", "small", "standard", "premium"]

BANDS: tuple[tuple[Band, float], ...] = (
    ("economy", 0.5),
    ("small", 2.5),
    ("standard", 8.0),
    ("premium", float("inf")),
)
"""Each band's name and the price at which the next one begins."""

_MAKERS: tuple[tuple[tuple[str, ...], dict[str, int]], ...] = (
    (
        ("gpt-", "chatgpt-", "o1", "o3", "o4"),
        {
            "gpt-4.1": 1_000_000,
            "gpt-4.1-mini": 1_000_000,
            "gpt-4.1-nano": 1_000_000,
            "gpt-4o": 128_000,
            "gpt-4o-mini": 128_000,
            "gpt-5": 400_000,
            "gpt-5-mini": 400_000,
            "gpt-5-nano": 400_000,
            "gpt-5.1": 400_000,
            "gpt-5.4-mini": 400_000,
            "gpt-5.4-nano": 400_000,
        },
    ),
    (
        ("claude-",),
        {
            "claude-3-haiku": 200_000,
            "claude-haiku-4-5": 200_000,
            "claude-haiku-5-5": 1_000_000,
            "claude-sonnet-4-6": 1_000_000,
            "claude-sonnet-5": 1_000_000,
            "claude-sonnet-5-5": 1_000_000,
            "claude-opus-5": 1_000_000,
            "claude-opus-5-5": 1_000_000,
        },
    ),
    (
        ("gemini-",),
        {
            "gemini-2.5-flash": 1_048_576,
            "gemini-2.5-flash-lite": 1_048_576,
            "gemini-3.1-flash-lite": 1_000_000,
            "gemini-3.5-flash-lite": 1_000_000,
            "gemini-3.8-flash": 1_000_000,
        },
    ),
    (
        ("mistral-", "ministral-", "magistral-"),
        {
            "ministral-8b-2512": 262_144,
            "ministral-14b-2512": 262_144,
            "mistral-small-2603": 262_144,
            "mistral-large-2512": 262_144,
            "mistral-large-4": 1_048_576,
            "mistral-medium-3-5": 262_144,
        },
    ),
)

# Sold for other work than plain text, at prices that mean something else.
_SPECIAL = ("audio", "realtime", "image", "tts", "transcribe", "embed", "search", "live", "vision", "codex", "ocr")


def candidates_for(model: str, tokens: int) -> tuple[str, ...]:
    """Models of the same maker whose context window holds ``tokens``; none for a model of special purpose."""
    name = model.rpartition("/")[2]
    if any(word in name for word in _SPECIAL):
        return ()
    for prefixes, models in _MAKERS:
        if name.startswith(prefixes):
            return tuple(other for other, window in models.items() if other != name and window >= tokens)
    return ()


def band_of(usd_per_million: float) -> int:
    """The position of a price in ``BANDS``."""
    return next(position for position, (_, end) in enumerate(BANDS) if usd_per_million < end)
