"""Everything about prices that a user may ask or change: the half of the tracker that knows no entries."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from ai_dev_squad.costs.prices.model_pricing import ModelPricing, provider_name
from ai_dev_squad.costs.prices.price_file import PriceFile, read_prices, write_prices
from ai_dev_squad.costs.prices.price_list import PriceList, PricingModels
from ai_dev_squad.costs.prices.rates import Price, UnknownPrice
from ai_dev_squad.costs.tokens import TokenCount, count_tokens, estimate_messages
from ai_dev_squad.guard import report
from ai_dev_squad.schema import Cost, Usage

__all__ = ["CustomProvider", "PriceBook", "expected_output", "token_number"]


class CustomProvider(Protocol):
    """What ``add_provider`` takes: an object with either of these methods, or both."""

    def get_pricing(self, model_name: str) -> ModelPricing | None:
        """The price of a model; ``None`` to leave it to the published table. Asked once for each model."""

    def count_tokens(self, text: str, model_name: str) -> int:
        """The tokens of a text, with the provider's own tokenizer."""


class PriceBook:
    """Prices calls and estimates them. ``CostTracker`` is a price book with a ledger and budgets."""

    def __init__(
        self, *, prices_file: str | os.PathLike[str] | None = None, local_providers: Iterable[str] = ("ollama",)
    ) -> None:
        self.prices = PriceList(local_providers=local_providers)
        """The prices in force; ``prices.find(model, provider)`` gives one with its date, source and page."""
        self._counters: dict[str, Callable[[str, str], int]] = {}
        if prices_file is not None:
            self.import_prices(prices_file)

    def price(
        self,
        model: str,
        provider: str,
        usage: Usage,
        *,
        service_tier: str | None = None,
        response_model: str | None = None,
        server_address: str | None = None,
    ) -> Cost:
        """What a call with this usage costs now, and by which price; ``usd`` is ``None`` if none is known.

        ``response_model`` is the model that answered, ``server_address`` where; see ``PriceList.find``.
        """
        cost = self.prices.cost(
            model,
            provider,
            usage,
            service_tier=service_tier,
            response_model=response_model,
            server_address=server_address,
        )
        if self.prices.failures:
            self._report_failures()
        return cost

    @property
    def pricing_models(self) -> PricingModels:
        """Prices by ``"provider:model"``: your own to set and delete, behind them the published ones to read."""
        return self.prices.models

    @pricing_models.setter
    def pricing_models(self, prices: Mapping[str, ModelPricing]) -> None:
        checked = PricingModels(lambda: None)
        checked.update(prices)
        self.prices.models.own = checked.own
        self.prices.forget()

    def add_pricing_model(self, pricing: ModelPricing) -> None:
        """Set the price of a model; it wins over the published one. Raises ``ValueError`` for an impossible price."""
        if not isinstance(pricing, ModelPricing):
            raise ValueError(f"{pricing!r} is no price; allowed: ModelPricing(model_name, provider, …)")
        self.prices.models[pricing.key] = pricing

    def add_alias(self, name: str, target: str, *, provider: str | None = None) -> None:
        """Price ``name``, such as an Azure deployment, as the model ``target`` (or ``"provider/model"``).

        Raises ``ValueError`` when the target has no price.
        """
        self.prices.add_alias(name, target, provider)

    def declare_local(self, provider: str) -> None:
        """All models of this provider, or at this address, run on the user's own machine and cost 0.

        Such as ``"vllm"`` or ``"127.0.0.1:8000"``.
        """
        self.prices.declare_local(provider)

    def declare_gateway(self, address: str) -> None:
        """At this address in a private network a gateway passes calls on to providers: their prices hold there.

        Such as ``"127.0.0.1:4000"`` or ``"http://litellm:4000"``. Raises ``ValueError`` for what is no address.
        """
        self.prices.declare_gateway(address)

    def add_provider(self, name: str, provider: CustomProvider | object) -> None:
        """Ask ``provider`` for prices (``get_pricing``) and token counts (``count_tokens``) of calls to ``name``.

        Raises ``ValueError`` for an object that has neither method.
        """
        name = provider_name(name)
        pricing, counting = getattr(provider, "get_pricing", None), getattr(provider, "count_tokens", None)
        if not callable(pricing) and not callable(counting):
            raise ValueError(
                f"provider {name!r} is a {type(provider).__name__} that has neither get_pricing(model_name) nor "
                f"count_tokens(text, model_name); write at least one of them"
            )
        if callable(counting):
            self._counters[name] = counting
        if callable(pricing):
            self.prices.ask[name] = _checked(name, pricing)
        self.prices.forget()

    def import_prices(self, path: str | os.PathLike[str]) -> int:
        """Take over prices, aliases, local providers and gateways from a JSON file; returns how many. All of it or nothing.

        Prices there are in US dollars per million tokens. Raises ``ValueError`` naming what is wrong with the file.
        """
        content = read_prices(path)
        prices = self.prices
        before = prices.local.copy(), prices.gateways.copy(), prices.models.own.copy(), prices.aliases.copy()
        try:
            for name in content.local_providers:
                self.declare_local(name)
            for address in content.gateways:
                self.declare_gateway(address)
            self.prices.models.update(content.prices)
            for name, target, provider in content.aliases:
                self.add_alias(name, target, provider=provider)
        except ValueError as error:
            prices.local, prices.gateways, prices.models.own, prices.aliases = before
            self.prices.forget()
            raise ValueError(f"price file {str(path)!r}: {error}") from error
        return len(content.prices) + len(content.aliases) + len(content.local_providers) + len(content.gateways)

    def export_prices(self, path: str | os.PathLike[str]) -> None:
        """Write your own prices, aliases, local providers and gateways as a file for ``import_prices``."""
        aliases = [(name, target, house) for (house, name), target in self.prices.aliases.items()]
        prices = self.prices
        write_prices(path, PriceFile(dict(prices.models.own), aliases, list(prices.local), list(prices.gateways)))

    def estimate_cost(
        self,
        text: str | None = None,
        model_name: str = "",
        provider: str = "",
        *,
        messages: Iterable[Any] | None = None,
        tools: Any = None,
        response_format: Any = None,
        max_output_tokens: int | None = None,
        service_tier: str | None = None,
    ) -> dict[str, Any]:
        """What a call with this prompt will cost, before it is made.

        The prompt is ``text`` or chat ``messages``, with the ``tools`` and the ``response_format`` that go with them.
        Without ``max_output_tokens``, half as many tokens as the prompt has are expected. Keys: ``input_tokens``,
        ``estimated_output_tokens``, ``input_cost_usd``, ``estimated_output_cost_usd``, ``estimated_cost_usd``, and
        where the numbers come from: ``token_source``, ``price``, ``price_date``, ``price_source``. Raises
        ``ValueError`` for a model without a known price.
        """
        price = self.prices.find(model_name, provider, service_tier=service_tier)
        if self.prices.failures:
            self._report_failures()
        if isinstance(price, UnknownPrice):
            raise ValueError(price.reason)
        if messages is not None or tools is not None or response_format is not None:
            said = [text] if messages is None and text else messages or ()
            counted = self.estimate_messages(said, model_name, provider, tools=tools, response_format=response_format)
        else:
            counted = self.count_tokens(text or "", model_name, provider)
        limit = None if max_output_tokens is None else token_number(max_output_tokens, "max_output_tokens")
        output = expected_output(price, counted.count) if limit is None else limit
        usage = Usage(input_tokens=counted.count, output_tokens=output, source="estimated")
        parts = price.parts(usage)
        return {
            "input_tokens": counted.count,
            "estimated_output_tokens": output,
            "input_cost_usd": parts["input"].usd if "input" in parts else 0.0,
            "estimated_output_cost_usd": parts["output"].usd if "output" in parts else 0.0,
            "estimated_cost_usd": sum(part.usd for part in parts.values()),
            "token_source": counted.source,
            "price": price.label,
            "price_date": price.date,
            "price_source": price.source,
        }

    def count_tokens(self, text: str, model: str, provider: str | None = None) -> TokenCount:
        """Count with the custom provider's tokenizer if there is one, otherwise as ``tokens.count_tokens`` does."""
        counter = self._counters.get(provider or "")
        if counter is not None:
            try:
                count: Any = counter(text, model)
                if isinstance(count, bool) or not isinstance(count, (int, float)) or not 0 <= count < math.inf:
                    raise TypeError(
                        f"count_tokens of provider {provider!r} gave {count!r}; allowed: a number from 0 up"
                    )
                return TokenCount(math.ceil(count), "provider")
            except Exception as error:  # noqa: BLE001 - the user's code
                report(f"count_tokens of provider {provider!r}", error)
        return count_tokens(text, model, provider)

    def estimate_messages(
        self,
        messages: Iterable[Any],
        model: str,
        provider: str | None = None,
        *,
        tools: Any = None,
        response_format: Any = None,
    ) -> TokenCount:
        """The input tokens of a chat, by ``count_tokens``; see ``tokens.estimate_messages``."""
        return estimate_messages(
            messages,
            tools=tools,
            response_format=response_format,
            count=lambda text: self.count_tokens(text, model, provider),
        )

    def _report_failures(self) -> None:
        while self.prices.failures:
            what, error = self.prices.failures.pop()
            report(what, error)


def expected_output(price: Price, input_tokens: int, *, least: int = 0) -> int:
    """Half the input, at least ``least``, at most what the context window leaves; 0 for models without output."""
    if price.rates.output is None:
        return 0
    expected = max(input_tokens // 2, least)
    return expected if price.context_window is None else max(0, min(expected, price.context_window - input_tokens))


def _checked(name: str, get_pricing: Callable[[str], Any]) -> Callable[[str, str], ModelPricing | None]:
    def ask(_provider: str, model: str) -> ModelPricing | None:
        answer = get_pricing(model)
        if answer is not None and not isinstance(answer, ModelPricing):
            raise TypeError(f"get_pricing of provider {name!r} gave {answer!r}; allowed: a ModelPricing, or None")
        return answer

    return ask


def token_number(value: Any, name: str) -> Any:
    """A token count as an integer; fractions, as rough counters give them, are rounded up."""
    if value is None or (type(value) is int and value >= 0):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ValueError(f"{name} is {value!r}; allowed: a whole number of tokens from 0 up, or None when not known")
    return math.ceil(value)
