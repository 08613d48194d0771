"""The table of published prices, and the rules by which its models are found.

``prices.json`` is written by ``tools/update_prices.py`` from the data of genai-prices (MIT). It is read when settings are
made or the first price is asked for, never at import.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from importlib.resources import files
from itertools import zip_longest
from typing import TypeAlias

import msgspec

from ai_dev_squad.costs.prices.rates import MODALITIES, Price, Rates

__all__ = ["Catalog", "Model", "Provider", "catalog"]

Clause: TypeAlias = str | list[str]
"""``=equals``, ``^starts with``, ``$ends with``, ``*contains``, ``~regular expression``; a list asks for all of them."""
Rate: TypeAlias = int | float | list[int | float | list[int | float]] | None
"""USD per million tokens; or ``[base, [more input tokens than, rate], …]``."""

DAY_S = 86_400.0

_NONE: frozenset[str] = frozenset()
# Makers that publish one price for text and what else a model takes, and another row where it differs. Of all others the
# table simply has no price for audio and images. A picture that is made is dearer than text everywhere.
_COVERED = {
    "google": frozenset({"audio_input", "audio_output", "image_input"}),
    "x-ai": frozenset({"image_input"}),
}
_PLACES = {"anthropic": {"us": 1.1}}
"""What a token costs more where a provider keeps the call in one country:
https://platform.claude.com/docs/en/about-claude/pricing#data-residency-pricing"""
_PIECES = frozenset({"request", "web_search", "file_search"})
# Up to Gemini 2.5, Google bills a prompt that was grounded in a search, later models each search:
# https://ai.google.dev/gemini-api/docs/pricing
_GROUNDED_ONCE = re.compile(r"gemini-[12]\b")
# What these answer is a picture and nothing else, and so is their price of output. Those that also talk, such as gpt-image-1.5,
# have another price for that: https://platform.openai.com/docs/pricing
_PICTURES = re.compile(r"gpt-image-(1|1-mini|2|2\.5-\w+)")


class Model(msgspec.Struct, array_like=True):
    """One model of one provider. ``prices`` are ``(when, rates)``; of those that hold, the last one counts."""

    id: str
    match: list[Clause] | None
    context_window: int | None
    prices: list[tuple[str | None, list[Rate]]]
    variants: list[tuple[str, str | None, list[Rate]]] = []
    """``(service tier, when, rates)``: only the rates that differ; the first that holds counts."""

    def matches(self, name: str) -> bool:
        """Whether a lower-case model name means this model."""
        return name == self.id.lower() if self.match is None else _any(self.match, name)


class Provider(msgspec.Struct):
    """A provider: its models in order (the first that matches is meant), and by what it is recognised."""

    url: str
    names: list[Clause]
    infer: list[Clause]
    fallback: list[str]
    models: list[Model]


class Catalog(msgspec.Struct):
    """The whole table. ``source`` and ``read_on`` are the source and date of every price in it."""

    source: str
    source_url: str
    licence: str
    read_on: str
    units: list[str]
    providers: dict[str, Provider]

    def find(self, provider: str, name: str) -> tuple[str, Model] | None:
        """The model that ``provider`` calls ``name`` (lower case), or one it offers of another provider."""
        house = self.providers.get(provider)
        if house is None:
            return None
        for owner in (provider, *house.fallback):
            for model in self.providers[owner].models:
                if model.matches(name):
                    return owner, model
        return None

    def maker(self, name: str) -> str | None:
        """The provider whose naming rules a lower-case model name follows, such as ``openai`` for ``gpt-…``."""
        return next((key for key, house in self.providers.items() if _any(house.infer, name)), None)

    def provider_named(self, name: str) -> str | None:
        """The provider that a lower-case name such as ``mistralai`` means."""
        if name in self.providers:
            return name
        return next((key for key, house in self.providers.items() if _any(house.names, name)), None)

    def price(self, owner: str, model: Model, *, at: float, tier: str | None) -> Price | None:
        """The price at a moment (seconds since the epoch); ``None`` when the table gives none by tokens.

        Without a price of its own for the service tier, the standard price is returned, with a note.
        """
        row = model.prices[0][1]
        for when, candidate in model.prices:
            if _holds(when, at):
                row = candidate
        if not any(rate is not None for rate in row):
            if not model.id.endswith(":free"):
                return None
            row = [0, 0]
        free = not any(row[:2])
        label, note = f"{owner}/{model.id}", None
        tier, place, factor = _placed(owner, tier)
        if tier is not None:
            special = next((rates for name, when, rates in model.variants if name == tier and _holds(when, at)), None)
            if special is None:
                note = f"no price is known for service tier {tier!r}; this is the standard price"
            else:
                label += f"@{tier}"
                row = [old if new is None else new for new, old in zip_longest(special, row)]
        label += f"@{place}" if place else ""
        since, until = _span(model, at)
        rates, tiers = self._rates(row, factor)
        return Price(
            label,
            rates,
            tiers=tiers,
            source="genai-prices",
            date=self.read_on,
            url=self.providers[owner].url or self.source_url,
            context_window=model.context_window,
            note=note,
            since=since,
            until=until,
            covers=MODALITIES if free else _covered(owner, model.id),
            searched_once=owner == "google" and _GROUNDED_ONCE.match(model.id) is not None,
        )

    def _rates(self, row: Sequence[Rate], factor: float) -> tuple[Rates, tuple[tuple[int, Rates], ...]]:
        starts = sorted(
            {int(step[0]) for rate in row if isinstance(rate, list) for step in rate[1:] if isinstance(step, list)}
        )

        def at_size(size: int) -> Rates:
            values = {unit: _step(rate, size) for unit, rate in zip(self.units, row, strict=False)}
            # Pieces are priced by the thousand, tokens by the million.
            return Rates(
                **{
                    unit: round(value * (1_000_000_000 if unit in _PIECES else 1_000_000 * factor))
                    for unit, value in values.items()
                    if value is not None
                }
            )

        return at_size(0), tuple((start, at_size(start + 1)) for start in starts)


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    """The table, read once (a few milliseconds)."""
    table = files("ai_dev_squad.costs.prices") / "prices.json"  # also where the package lies in an archive
    return msgspec.json.decode(table.read_bytes(), type=Catalog)


def _placed(owner: str, tier: str | None) -> tuple[str | None, str | None, float]:
    """The tier, the place where its call was kept, and how many times the price a token costs there."""
    named, _, place = (tier or "").rpartition("+")
    factor = _PLACES.get(owner, {}).get(place)
    return (tier, None, 1) if factor is None else (named or None, place, factor)


def _step(rate: Rate, size: int) -> int | float | None:
    if not isinstance(rate, list):
        return rate
    value = rate[0]
    for step in rate[1:]:
        assert isinstance(step, list)
        if size > step[0]:
            value = step[1]
    assert not isinstance(value, list)
    return value


def _covered(owner: str, model: str) -> frozenset[str]:
    covered = _COVERED.get(owner, _NONE)
    return covered | {"image_output"} if owner == "openai" and _PICTURES.fullmatch(model) else covered


def _any(clauses: Sequence[Clause], text: str) -> bool:
    for clause in clauses:
        if isinstance(clause, list):
            if all(_any([part], text) for part in clause):
                return True
            continue
        mark, wanted = clause[0], clause[1:]
        if mark == "=":
            hit = text == wanted
        elif mark == "^":
            hit = text.startswith(wanted)
        elif mark == "*":
            hit = wanted in text
        elif mark == "$":
            hit = text.endswith(wanted)
        else:
            hit = re.search(wanted, text) is not None
        if hit:
            return True
    return False


def _is_day(when: str) -> bool:
    """Whether a condition is a start day, ``2026-10-01``, and not hours of the day, ``16:30-00:30``."""
    return "-" in when[:5]


def _holds(when: str | None, at: float) -> bool:
    """Whether a condition (``None``, a start day, or hours of the UTC day) holds at a moment."""
    if when is None:
        return True
    if _is_day(when):
        return at >= _start(when)
    begin, end = _hours(when)
    now = at % DAY_S
    return begin <= now < end if begin <= end else (now >= begin or now < end)


def _span(model: Model, at: float) -> tuple[float, float]:
    """The moments between which no condition of the model changes, around ``at``."""
    edges: list[float] = []
    midnight = at - at % DAY_S
    for when in (*(when for when, _ in model.prices), *(when for _, when, _ in model.variants)):
        if when is None:
            continue
        if _is_day(when):
            edges.append(_start(when))
        else:
            edges.extend(midnight + day * DAY_S + hour for day in (-1, 0, 1) for hour in _hours(when))
    since = max((edge for edge in edges if edge <= at), default=-math.inf)
    return since, min((edge for edge in edges if edge > at), default=math.inf)


def _start(day: str) -> float:
    return datetime.combine(date.fromisoformat(day), time(), timezone.utc).timestamp()


def _hours(window: str) -> tuple[float, float]:
    begin, end = (timedelta(hours=int(edge[:2]), minutes=int(edge[3:])) for edge in window.split("-"))
    return begin.total_seconds(), end.total_seconds()
