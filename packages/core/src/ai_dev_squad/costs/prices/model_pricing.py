"""Prices that a user gives: the guide's ``ModelPricing``, and a JSON file of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

from ai_dev_squad.costs.prices.rates import FREE, Price, Rates

__all__ = ["ModelPricing", "ModelProvider", "is_name", "provider_name"]


def is_name(value: Any) -> bool:
    """Whether a value from the outside is a string with something in it."""
    return isinstance(value, str) and bool(value.strip())


class ModelProvider(str, Enum):
    """Who serves a model. Wherever one is asked for, a plain string such as ``"fireworks"`` does as well."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    OLLAMA = "ollama"
    CUSTOM = "custom"
    AWS = "aws"
    AZURE = "azure"
    COHERE = "cohere"
    DEEPSEEK = "deepseek"
    GOOGLE = "google"
    GROQ = "groq"
    MISTRAL = "mistral"
    OPENROUTER = "openrouter"
    TOGETHER = "together"
    XAI = "x-ai"


def provider_name(provider: ModelProvider | str) -> str:
    """The provider as the string it is filed under. Raises ``ValueError`` for anything that is not a name."""
    if isinstance(provider, ModelProvider):
        return provider.value
    if not is_name(provider):
        raise ValueError(f"provider {provider!r} is not a name; give a ModelProvider or a string such as 'openai'")
    return provider


@dataclass
class ModelPricing:
    """What a model costs, in US dollars per thousand tokens, or pieces.

    The keyword fields are for tokens with a price of their own; left out, they cost what other tokens of their side
    cost. ``local=True`` declares a model that costs nothing. Raises ``ValueError`` for a price that is negative, not
    finite or not a number, naming it.
    """

    model_name: str
    provider: ModelProvider | str
    input_cost_per_1k_tokens: float
    output_cost_per_1k_tokens: float
    context_window: int | None = None
    cache_read_cost_per_1k_tokens: float | None = field(default=None, kw_only=True)
    cache_write_cost_per_1k_tokens: float | None = field(default=None, kw_only=True)
    cache_write_1h_cost_per_1k_tokens: float | None = field(default=None, kw_only=True)
    """Cache writes that live for an hour; left out, they cost what other cache writes cost."""
    audio_input_cost_per_1k_tokens: float | None = field(default=None, kw_only=True)
    audio_output_cost_per_1k_tokens: float | None = field(default=None, kw_only=True)
    image_input_cost_per_1k_tokens: float | None = field(default=None, kw_only=True)
    image_output_cost_per_1k_tokens: float | None = field(default=None, kw_only=True)
    reasoning_output_cost_per_1k_tokens: float | None = field(default=None, kw_only=True)
    web_search_cost_per_1k: float | None = field(default=None, kw_only=True)
    """A thousand searches of the web that the provider makes, in US dollars."""
    file_search_cost_per_1k: float | None = field(default=None, kw_only=True)
    local: bool = field(default=False, kw_only=True)
    """Runs on the user's own machine: 0 is its real price."""
    date: str | None = field(default=None, kw_only=True)
    """The day (ISO) from which you have the price."""
    source: str = field(default="user", kw_only=True)

    def __post_init__(self) -> None:
        if not is_name(self.model_name):
            raise ValueError(f"model_name {self.model_name!r} is not a name; give the model's name, such as 'gpt-4o'")
        provider_name(self.provider)
        for item in fields(self):
            if "_cost_per_1k" in item.name:
                self._check_price(item.name, getattr(self, item.name), optional=item.default is None)
        window: Any = self.context_window
        if window is not None and (isinstance(window, bool) or not isinstance(window, int) or window <= 0):
            raise ValueError(
                f"context_window of {self.model_name!r} is {window!r}; allowed: a whole number of tokens above 0, or "
                "None when it is not known"
            )

    def _check_price(self, name: str, value: Any, *, optional: bool) -> None:
        if value is None and optional:
            return
        what = "tokens" if name.endswith("_tokens") else "pieces"
        good = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
        if not good or not math.isfinite(value) or value < 0:
            raise ValueError(
                f"{name} of {self.model_name!r} is {value!r}; allowed: a finite number of US dollars per 1,000 {what}, 0 "
                f"or more. A price per million {what} is divided by 1,000"
            )

    @property
    def key(self) -> str:
        """``provider:model``, the key in ``CostTracker.pricing_models``."""
        return f"{provider_name(self.provider)}:{self.model_name}"

    def compiled(self) -> Price:
        """The price as the tracker uses it. Raises ``ValueError`` when a price was changed to an impossible one."""
        self.__post_init__()
        name = provider_name(self.provider)
        if self.local:
            source, rates = "local", FREE
        else:
            source = self.source
            rates = Rates(
                input=_pico_each(self.input_cost_per_1k_tokens),
                output=_pico_each(self.output_cost_per_1k_tokens),
                cache_read=_pico_each(self.cache_read_cost_per_1k_tokens),
                cache_write=_pico_each(self.cache_write_cost_per_1k_tokens),
                cache_write_1h=_pico_each(self.cache_write_1h_cost_per_1k_tokens),
                audio_input=_pico_each(self.audio_input_cost_per_1k_tokens),
                audio_output=_pico_each(self.audio_output_cost_per_1k_tokens),
                image_input=_pico_each(self.image_input_cost_per_1k_tokens),
                image_output=_pico_each(self.image_output_cost_per_1k_tokens),
                reasoning_output=_pico_each(self.reasoning_output_cost_per_1k_tokens),
                web_search=_pico_each(self.web_search_cost_per_1k),
                file_search=_pico_each(self.file_search_cost_per_1k),
            )
        return Price(
            f"{name}/{self.model_name}", rates, source=source, date=self.date, context_window=self.context_window
        )

    @classmethod
    def of(cls, model_name: str, provider: str, price: Price) -> ModelPricing:
        """A published price in the guide's form; the rates of long prompts and service tiers do not fit into it."""

        def per_1k(pico: int | None) -> float | None:
            return None if pico is None else pico / 1_000_000_000

        known = {item.value: item for item in ModelProvider}
        return cls(
            model_name,
            known.get(provider, provider),
            per_1k(price.rates.input) or 0.0,
            per_1k(price.rates.output) or 0.0,
            price.context_window,
            cache_read_cost_per_1k_tokens=per_1k(price.rates.cache_read),
            cache_write_cost_per_1k_tokens=per_1k(price.rates.cache_write),
            cache_write_1h_cost_per_1k_tokens=per_1k(price.rates.cache_write_1h),
            audio_input_cost_per_1k_tokens=per_1k(price.rates.audio_input),
            audio_output_cost_per_1k_tokens=per_1k(price.rates.audio_output),
            image_input_cost_per_1k_tokens=per_1k(price.rates.image_input),
            image_output_cost_per_1k_tokens=per_1k(price.rates.image_output),
            reasoning_output_cost_per_1k_tokens=per_1k(price.rates.reasoning_output),
            web_search_cost_per_1k=per_1k(price.rates.web_search),
            file_search_cost_per_1k=per_1k(price.rates.file_search),
            date=price.date,
            source=price.source,
        )


def _pico_each(usd_per_1k: float | None) -> int | None:
    """Exact for up to nine decimals; a price too small for that counts as one pico-dollar, never as nothing."""
    if usd_per_1k is None:
        return None
    try:
        # Through the decimal notation: 0.03 means three hundredths, not the float next to it.
        exact = Decimal(str(usd_per_1k)) * 1_000_000_000
    except InvalidOperation as error:
        raise ValueError(f"{usd_per_1k!r} is not a price in US dollars per 1,000 tokens") from error
    return max(1, round(exact)) if exact else 0
