"""Tokens and money as providers report them, in the shape of our own schema.

The shapes differ in what "input" and "output" hold. The schema follows the OpenTelemetry GenAI conventions: input
includes what was read from and written to a cache, output includes reasoning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from ai_dev_squad.genai.dialects import at_once, beside, counted
from ai_dev_squad.genai.reports import HOLDERS, PICTURES, found, inside, merged, plain
from ai_dev_squad.genai.rounds import MAY_TELL
from ai_dev_squad.schema import Usage

__all__ = ["UsageTally", "beside_from", "combined", "cost_from", "tier_from", "usage_from"]

_TICKS = 10_000_000_000  # of xAI, in a US dollar
_MOST_USD = 1e9
# Google's traffic types and Groq's tiers for what others call standard, flex and priority.
_TIER_NAMES = {"on_demand": "default", "on_demand_flex": "flex", "on_demand_priority": "priority"}


_TIERS = ("service_tier", "serviceTier", "trafficType", "traffic_type")
_USUAL = frozenset({None, "auto", "standard", "standard_only"})
_PLACE = "inference_geo"
_DEARER_PLACES = frozenset({"us"})
"""https://platform.claude.com/docs/en/about-claude/pricing#data-residency-pricing"""
# Nearly every report has nothing of these, and says so at once.
_MAY_NAME_A_TIER = HOLDERS | {*_TIERS, "speed", _PLACE}
_MAY_TELL_MONEY = HOLDERS | {"cost", "estimated_cost", "cost_in_usd_ticks"}
_MAY_TELL_OF_OTHERS = HOLDERS | MAY_TELL | {PICTURES}


def usage_from(report: Any, *, provider: str | None = None, model: str | None = None) -> Usage | None:
    """The tokens in a provider's own report, as billed. ``None`` when it counts nothing. Never raises.

    ``report`` is a usage object, a whole answer or the event of a stream that holds one: a mapping or a client's
    object. ``provider`` (the conventions' name) and ``model`` tell where a report alone does not: Gemini's
    OpenAI-compatible endpoint counts thoughts in the total only. What providers report is read, and how LangChain,
    LiteLLM and CrewAI rewrite it.

    A report of nothing but zeros is how client libraries say that the provider sent none. No model is asked with
    nothing, so an input of 0 beside an output is unknown.
    """
    if report is None:
        return None
    try:
        # Most reports are all OpenAI's names: nothing has to be looked for.
        simple = at_once(report) if type(report) is dict else None
        return simple or counted(found(report), gemini=_is_gemini(provider, model))
    except Exception:  # noqa: BLE001 - foreign objects may do anything when they are read
        return None


def combined(usage: Usage | None, other: Usage | None) -> Usage | None:
    """Two readings of the same report, such as a framework's summary and the server's own words: what one lacks, the
    other may know. Where they do not agree on input and output, they are not of the same report, and the first counts.
    """
    if usage is None or other is None:
        return usage or other
    if (usage.input_tokens, usage.output_tokens) != (other.input_tokens, other.output_tokens):
        return usage
    more = {
        name: value for name in usage.__struct_fields__ if not getattr(usage, name) and (value := getattr(other, name))
    }
    return structs.replace(usage, **more) if more else usage


def cost_from(report: Any) -> float | None:
    """What the provider itself says that the call cost, in USD. ``None`` when it says nothing. Never raises.

    OpenRouter's and LiteLLM's ``cost`` (with the upstream provider's bill where the key is the user's own),
    Perplexity's ``cost.total_cost``, DeepInfra's ``estimated_cost``, xAI's ``cost_in_usd_ticks``.
    """
    try:
        if type(report) is dict and _MAY_TELL_MONEY.isdisjoint(report):
            return None
        return _cost(found(report))
    except Exception:  # noqa: BLE001 - see usage_from
        return None


def beside_from(report: Any) -> list[tuple[str, Usage]]:
    """Model and usage of each call that the provider made to another model within this one, and bills beside it. Never raises.

    Anthropic's advisor tool asks one, and a model that declines in the midst of its answer was asked before the one that
    answers in its place; OpenAI's responses have pictures drawn by another.
    """
    try:
        if type(report) is dict and _MAY_TELL_OF_OTHERS.isdisjoint(report):
            return []
        return beside(found(report))
    except Exception:  # noqa: BLE001 - see usage_from
        return []


def tier_from(report: Any) -> str | None:
    """The service tier that an answer, an event of a stream or a usage object names, in lower case. Never raises.

    As OpenAI, Anthropic, Groq, Bedrock and Gemini name it, such as ``"flex"``; ``"fast"`` for Anthropic's fast mode, and
    ``"us"`` or ``"fast+us"`` where it has kept the call in the United States.
    """
    try:
        if type(report) is dict and _MAY_NAME_A_TIER.isdisjoint(report):
            return None
        return _tier(report, 0)
    except Exception:  # noqa: BLE001 - see usage_from
        return None


class UsageTally:
    """What one answer has reported so far, in however many pieces: the chunks of a stream, or its first and last event.

    A later number replaces an earlier one, because reports are cumulative; a later 0 or nothing takes nothing back.
    Not safe under threads: one answer is read by one reader. ``provider`` and ``model`` as for ``usage_from``.
    """

    __slots__ = ("_cost", "_gemini", "_report", "_tier")

    def __init__(self, *, provider: str | None = None, model: str | None = None) -> None:
        self._gemini = _is_gemini(provider, model)
        self._report: dict[str, Any] = {}
        self._cost: float | None = None
        self._tier: str | None = None

    def add(self, report: Any) -> bool:
        """Take in one report, wherever in an answer or an event it stands. Returns whether there was one. Never raises."""
        try:
            self._tier = tier_from(report) or self._tier
            more = found(report)
            if not more:
                return False
            cost = _cost(more)
            self._cost = cost if cost or self._cost is None else self._cost
            self._report = merged(self._report, more)
        except Exception:  # noqa: BLE001 - see usage_from
            return False
        return True

    def usage(self) -> Usage | None:
        """The tokens of the answer, as far as reported."""
        try:
            return counted(self._report, gemini=self._gemini)
        except Exception:  # noqa: BLE001 - see usage_from
            return None

    def cost(self) -> float | None:
        """What the provider says that the answer cost, in USD."""
        return self._cost

    def tier(self) -> str | None:
        """The service tier that the answer named last."""
        return self._tier


def _is_gemini(provider: str | None, model: str | None) -> bool:
    if provider is not None and provider.startswith("gcp."):
        return True
    return model is not None and model.rpartition("/")[2].startswith("gemini")


def _cost(report: Mapping[str, Any]) -> float | None:
    ticks = _amount(report.get("cost_in_usd_ticks"), most=_MOST_USD * _TICKS)
    if ticks is not None:
        return ticks / _TICKS
    stated = report.get("cost", report.get("estimated_cost"))
    if stated is None:
        return None
    cost = _amount(plain(stated).get("total_cost", stated))
    if cost is not None and (report.get("is_byok") is True or not cost):
        # With a key of the user's own, OpenRouter's cost is its fee (0 at first), and the provider's bill comes on top.
        cost += _amount(plain(report.get("cost_details")).get("upstream_inference_cost")) or 0.0
    return cost


def _amount(value: Any, most: float = _MOST_USD) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        return None
    return float(value)


def _tier(source: Any, depth: int) -> str | None:
    fields = plain(source)
    if not fields:
        return None
    named = _named(fields)
    if fields.get(_PLACE) in _DEARER_PLACES:
        return f"{named}+{fields[_PLACE]}" if named not in _USUAL else str(fields[_PLACE])
    if named is not None:
        return named
    for inner in inside(fields) if depth < 2 else ():
        if (tier := _tier(inner, depth + 1)) is not None:
            return tier
    return None


def _named(fields: Mapping[str, Any]) -> str | None:
    if fields.get("speed") == "fast" and "output_tokens" in fields:
        return "fast"
    for name in _TIERS:
        value = fields.get(name)
        value = getattr(value, "value", value)
        if value is not None and not isinstance(value, str):
            value = plain(value).get("type")
        if isinstance(value, str) and value:
            return _TIER_NAMES.get(value.lower(), value.lower())
    return None
