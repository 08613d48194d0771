"""A savings report from the ledger: where money went that need not have gone, with the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol, TypeAlias

from ai_dev_squad.costs.advice.calls import Advice, AdviceKind, Confidence, PriceOf, calls_of
from ai_dev_squad.costs.advice.rules import RULES
from ai_dev_squad.costs.ledger.entry import CostEntry
from ai_dev_squad.costs.money import PICO, dollars, to_pico
from ai_dev_squad.schema import Cost, Usage

__all__ = ["Advice", "AdviceKind", "Confidence", "SavingsReport", "savings_report"]


class Pricing(Protocol):
    """Whatever has a ``price``, such as a ``CostTracker``."""

    def price(self, model: str, provider: str, usage: Usage, /) -> Cost:
        """What a call would cost."""
        ...


PriceFunction: TypeAlias = Callable[[str, str, Usage], Cost]


@dataclass(frozen=True)
class SavingsReport:
    """What was spent, and the advice with the largest amounts first; those without an amount come last.

    Amounts of different advice overlap (a repeated prompt is also cheaper on a cheaper model): they don't add up.
    """

    calls: int
    spent_usd: float
    unpriced_calls: int
    first: datetime | None
    last: datetime | None
    advice: tuple[Advice, ...]

    def to_text(self) -> str:
        """The report for a terminal."""
        lines = [f"Savings report: {self._summary()}"]
        for item in self.advice:
            lines += ["", f"{_amount(item)}  {_line(item.title)}  [{item.kind}, confidence {item.confidence}]"]
            lines += [f"    {_line(item.action)}"]
            lines += [f"    {_name(name)}: {_value(name, value)}" for name, value in item.evidence.items()]
            lines += [f"    no amount: {_line(item.reason)}"] if item.reason else []
        return "\n".join(lines) + "\n"

    def to_markdown(self) -> str:
        """The report as Markdown: a table, then each advice with its evidence."""
        lines = ["# Savings report", "", self._summary()]
        if self.advice:
            lines += ["", "| Up to | Advice | Confidence |", "| ---: | --- | --- |"]
            lines += [f"| {_amount(item)} | {_escaped(item.title)} | {item.confidence} |" for item in self.advice]
            lines += ["", "Amounts overlap; they don't add up."]
        for item in self.advice:
            lines += ["", f"## {_escaped(item.title)}", "", _escaped(item.action), ""]
            lines += [f"- {_name(name)}: {_escaped(_value(name, value))}" for name, value in item.evidence.items()]
            lines += [f"- no amount: {_escaped(item.reason)}"] if item.reason else []
        return "\n".join(lines) + "\n"

    def __str__(self) -> str:
        return self.to_text()

    def _summary(self) -> str:
        if self.first is None or self.last is None:
            return "no model calls."
        unpriced = f" (without {_count(self.unpriced_calls, 'call')} of unknown cost)" if self.unpriced_calls else ""
        return (
            f"{dollars(to_pico(self.spent_usd))} for {_count(self.calls, 'model call')}{unpriced}, {self.first:%Y-%m-%d %H:%M} to "
            f"{self.last:%Y-%m-%d %H:%M} UTC."
        )


def savings_report(
    entries: Iterable[CostEntry], prices: Pricing | PriceFunction | None = None, *, minimum_usd: float = 0.0
) -> SavingsReport:
    """What could have been saved on these entries, such as ``get_cost_tracker().entries``.

    ``prices`` is a ``CostTracker`` or a function of model, provider and usage; without it the published price table is
    used. Advice with an amount below ``minimum_usd`` is left out. The same entries give the same report, in any order.
    """
    calls = calls_of(entries)
    price = _price_of(prices)
    found = [advice for rule in RULES for advice in rule(calls, price)]
    kept = [advice for advice in found if advice.amount_usd is None or advice.amount_usd >= minimum_usd]
    kept.sort(key=lambda advice: (advice.amount_usd is None, -(advice.amount_usd or 0), advice.kind, advice.title))
    stamps = [datetime.fromtimestamp(call.at, timezone.utc) for call in (calls[:1] + calls[-1:])]
    return SavingsReport(
        calls=len(calls),
        spent_usd=sum(call.cost or 0 for call in calls) / PICO,
        unpriced_calls=sum(call.cost is None for call in calls),
        first=stamps[0] if stamps else None,
        last=stamps[-1] if stamps else None,
        advice=tuple(kept),
    )


def _price_of(prices: Pricing | PriceFunction | None) -> PriceOf:
    if prices is None:
        from ai_dev_squad.costs.prices.price_list import PriceList

        prices = PriceList().cost
    look_up: Any = getattr(prices, "price", prices)
    if not callable(look_up):
        raise ValueError(
            f"prices={prices!r}; allowed: a CostTracker, a function of model, provider and usage, or nothing for the "
            f"published table"
        )

    def price(model: str, provider: str, usage: Usage) -> int | None:
        usd: float | None = look_up(model, provider, usage).usd
        return None if usd is None or not 0 <= usd < float("inf") else to_pico(usd)

    return price


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _amount(advice: Advice) -> str:
    return "unknown" if advice.amount_usd is None else f"${advice.amount_usd:,.4f}"


def _name(name: str) -> str:
    return name.removesuffix("_usd").replace("_", " ")


def _value(name: str, value: Any) -> str:
    if name.endswith("_usd"):
        return f"${value:,.4f}"
    return f"{value:,}" if isinstance(value, int) else _line(str(value))


def _line(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\`*[]<>|#" else letter for letter in _line(text))
