"""Which price a call has: what the user said first, then the published table, and otherwise nothing.

The first call with a model resolves its name and compiles the price; every other call is one dictionary look-up and a
few multiplications of integers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from ai_dev_squad.costs.names import spellings
from ai_dev_squad.costs.prices.addresses import is_address, is_private, is_sold_only, spellings_of_address
from ai_dev_squad.costs.prices.catalog import catalog
from ai_dev_squad.costs.prices.model_pricing import ModelPricing, ModelProvider, is_name, provider_name
from ai_dev_squad.costs.prices.rates import FREE, Price, UnknownPrice
from ai_dev_squad.genai.providers import OPEN_ENDPOINTS, price_key, seller
from ai_dev_squad.schema import Cost, Usage

__all__ = ["ModelPricing", "ModelProvider", "PriceList", "PricingModels"]

KNOWN_KEPT = 4096
"""Answers that are kept, by all that was asked; the oldest goes."""
UNKNOWN_KEPT = 1024
"""The same of what has no price: fewer, because anybody can make up names."""
RETRY_AFTER_S = 60.0
"""Seconds after which a custom provider that failed is asked again."""

_STANDARD = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand", "on-demand", "none"})

_ANSWERED = (OPEN_ENDPOINTS - {"openai"}) | {"azure", "anthropic"}
"""Providers of which the model that answered is billed: theirs are called as the customer, or a gateway, chose to call them, or
another one may answer in the place of one that declines, as at Anthropic."""
_GATEWAYS = frozenset({"litellm", "litellm_proxy"})
"""Providers that pass calls on, so that a private address says nothing about who sells."""
_NO_NAME = "model {} of provider {} is not a name: give both as strings, such as 'gpt-4o' and 'openai'"

Key: TypeAlias = tuple[Any, ...]
Ask: TypeAlias = Callable[[str, str], "ModelPricing | None"]
"""``ask(provider, model)``: what a custom provider says; it may raise."""


class PricingModels(MutableMapping[str, ModelPricing]):
    """Prices by ``"provider:model"``: your own, which you may set and delete, and behind them the published table."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.own: dict[str, ModelPricing] = {}
        """Only the prices that were set here."""
        self._changed = changed

    def __getitem__(self, key: str) -> ModelPricing:
        own = self.own.get(key)
        published = own or _published(key)
        if published is None:
            raise KeyError(key)
        return published

    def __setitem__(self, key: str, pricing: ModelPricing) -> None:
        """Raises ``ValueError`` for a key that is not ``"provider:model"`` or a value that is no valid price."""
        if not isinstance(pricing, ModelPricing):
            raise ValueError(f"the price of {key!r} is {pricing!r}; allowed: a ModelPricing")
        if not is_name(key) or not all(part.strip() for part in key.partition(":")):
            raise ValueError(f"pricing key {key!r} is not 'provider:model'; write it like 'openai:gpt-4o'")
        pricing.compiled()
        self.own[key] = pricing
        self._changed()

    def __delitem__(self, key: str) -> None:
        del self.own[key]
        self._changed()

    def __contains__(self, key: object) -> bool:
        return key in self.own or (isinstance(key, str) and _published(key) is not None)

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys((*self.own, *_published_keys()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<PricingModels: {len(self.own)} of your own, {len(_published_keys())} published>"


class _Question(NamedTuple):
    """What a price depends on besides model and provider."""

    tier: str | None
    at: float
    address: str | None = None
    follow: bool = True
    """Whether aliases hold; an alias of an alias does not."""


class PriceList:
    """Finds the price of a call. Safe under threads; user prices take effect with the next call."""

    def __init__(self, *, local_providers: Iterable[str] = ("ollama",)) -> None:
        self.models = PricingModels(self.forget)
        self.local = {price_key(provider_name(name)) for name in local_providers}
        """Providers, and addresses of servers, whose models run on the user's own machine."""
        self.gateways: set[str] = set()
        """Addresses in a private network at which a gateway passes calls on to a provider."""
        self.aliases: dict[tuple[str | None, str], str] = {}
        self.ask: dict[str, Ask] = {}
        """By provider name: called once for a model whose price is needed."""
        self.failures: list[tuple[str, BaseException]] = []
        """What custom providers raised and nobody reported yet."""
        self._known: dict[Key, Price] = {}
        self._unknown: dict[Key, UnknownPrice] = {}
        self._own_by_name: dict[tuple[str, str], ModelPricing] | None = None

    def forget(self) -> None:
        """Resolve every model anew: prices, aliases or providers have changed."""
        # New dictionaries, not emptied ones: a look-up under way keeps writing into the old ones.
        self._known, self._unknown, self._own_by_name = {}, {}, None

    def cost(
        self,
        model: str,
        provider: str,
        usage: Usage,
        *,
        service_tier: str | None = None,
        response_model: str | None = None,
        server_address: str | None = None,
        at: float | None = None,
    ) -> Cost:
        """What a call cost at a moment (seconds since the epoch, now by default), see ``find``. Never raises."""
        try:
            key: Key = (
                (model, provider)
                if service_tier is None and response_model is None and server_address is None
                else (model, provider, service_tier, response_model, server_address)
            )
            found = self._known.get(key) or self._unknown.get(key)
        except TypeError:  # not a name; find() says so
            found = None
        if found is not None and (not found.dated or (at is None and found.since <= time.time() < found.until)):
            return found.cost(usage)
        return self.find(
            model,
            provider,
            service_tier=service_tier,
            response_model=response_model,
            server_address=server_address,
            at=at,
        ).cost(usage)

    def find(
        self,
        model: str,
        provider: str | None,
        *,
        service_tier: str | None = None,
        response_model: str | None = None,
        server_address: str | None = None,
        at: float | None = None,
    ) -> Price | UnknownPrice:
        """The price itself, with its label, date, source and page; or an ``UnknownPrice`` with the reason.

        ``response_model`` is the model that answered. It decides where the asked name is the customer's own (an Azure
        deployment, a gateway's alias), where another may have answered in its place (Anthropic's fallbacks), where it says more exactly what was asked for (a dated snapshot), and where the
        asked name has no price. At a ``server_address`` (host, ``host:port`` or URL) on this machine or in a private
        network no published price holds, but of models that nobody can run himself: there a gateway passes calls on.
        """
        if isinstance(provider, ModelProvider):
            provider = provider.value
        if not is_name(model) or not (not provider or is_name(provider)):
            return UnknownPrice("", _NO_NAME.format(_shown(model), _shown(provider)))
        # The key is what callers say, not what it means: saying it again is then one look-up.
        more = tuple(None if said is None else str(said) for said in (service_tier, response_model, server_address))
        key: Key = (model, provider) if more == (None, None, None) else (model, provider, *more)
        known, unknown = self._known, self._unknown
        found = known.get(key) or unknown.get(key)
        if found is not None and not found.dated:
            return found
        moment = time.time() if at is None else at
        if found is not None and found.since <= moment < found.until:
            return found
        tier, answered, address = more
        tier = None if tier is None or tier.strip().lower() in _STANDARD else tier.strip().lower()
        found = self._billed(model, provider or "", answered or None, _Question(tier, moment, address or None))
        if isinstance(found, UnknownPrice):
            _keep(unknown, key, found, UNKNOWN_KEPT)
        elif at is None or not found.dated or key not in known:
            _keep(known, key, found, KNOWN_KEPT)
        return found

    def add_alias(self, name: str, target: str, provider: str | None = None) -> None:
        """Price ``name`` (of one provider, or of any) as ``target``: a model, or ``"provider/model"``.

        Raises ``ValueError`` when the target has no price, or is itself an alias.
        """
        if not is_name(name):
            raise ValueError(f"alias {name!r} is not a name; give the deployment or model name as your calls report it")
        house = None if provider is None else price_key(provider_name(provider))
        found = self._aliased(target, house or "", _Question(None, time.time()))
        if isinstance(found, UnknownPrice):
            raise ValueError(
                f"alias {name!r} points to {target!r}, which has no price; allowed: a priced model, or "
                f"'provider/model' such as 'azure/gpt-4o' ({found.reason})"
            )
        self.aliases[(house, name.strip().lower())] = target
        self.forget()

    def declare_local(self, provider: str) -> None:
        """Every model of this provider, or at this address, runs on the user's own machine and costs 0.

        Such as ``"vllm"`` or ``"127.0.0.1:8000"``.
        """
        name = provider_name(provider)
        key = price_key(name)
        # `gcp.gemini` is a provider, and looks like a host.
        place = key == name.strip().lower() and is_address(name)
        self.local.add(spellings_of_address(name)[0] if place else key)
        self.forget()

    def declare_gateway(self, address: str) -> None:
        """At this address, such as ``"127.0.0.1:4000"``, a gateway passes calls on: the published prices hold there.

        Raises ``ValueError`` for what is no address.
        """
        if not is_name(address) or not is_address(address):
            raise ValueError(
                f"gateway {address!r} is no address; write it like '127.0.0.1:4000' or 'http://litellm:4000'"
            )
        self.gateways.add(spellings_of_address(address)[0])
        self.forget()

    def _billed(self, model: str, provider: str, answered: str | None, question: _Question) -> Price | UnknownPrice:
        """The price of what was asked for, or of the model that answered, whichever is billed."""
        house, name = price_key(provider), model.strip().lower()
        if answered is None or answered.strip().lower() == name:
            return self._resolve(model, provider, question)
        # What the user said of a name holds, also of the name that answered.
        said = self._said(model, provider, question) or self._said(answered, provider, question)
        if said is not None:
            return said
        candidates = [model, answered]
        if house in _ANSWERED or name in spellings(answered):
            candidates.reverse()
        found = [self._listed(candidate, provider, question) for candidate in candidates]
        return next((price for price in found if isinstance(price, Price)), found[candidates.index(model)])

    def _resolve(self, model: str, provider: str, question: _Question) -> Price | UnknownPrice:
        said = self._said(model, provider, question)
        return self._listed(model, provider, question) if said is None else said

    def _said(self, model: str, provider: str, question: _Question) -> Price | UnknownPrice | None:
        """The price that the user gave, in whatever way; or the failure of their own provider to give it."""
        house, name = price_key(provider), model.strip().lower()
        own = self._own(model, provider)
        if own is not None:
            return _with_note(own, question.tier)
        if question.follow:
            target = self.aliases.get((house, name)) or self.aliases.get((None, name))
            if target is not None:
                return self._aliased(target, provider, question)
        failed = None
        ask = self.ask.get(provider) or self.ask.get(house)
        if ask is not None:
            try:
                answer = ask(provider, model)
                if answer is not None:
                    return _with_note(answer, question.tier)
            except Exception as error:  # noqa: BLE001 - the user's code, or the network behind it
                self.failures.append((f"get_pricing of provider {provider!r}", error))
                failed = UnknownPrice(
                    f"{provider}/{model}",
                    f"provider {provider!r} failed to price {model!r} ({type(error).__name__}: {error}); it is asked "
                    f"again in {RETRY_AFTER_S:.0f} s",
                    until=question.at + RETRY_AFTER_S,
                )
        places = () if question.address is None else spellings_of_address(question.address)
        is_sold = house == "ollama" and (name.endswith("cloud") or "ollama.com" in places)
        if (house in self.local and not is_sold) or any(place in self.local for place in places):
            return Price(f"{house}/{model}", FREE, source="local")
        return failed

    def _listed(self, model: str, provider: str, question: _Question) -> Price | UnknownPrice:
        """The published price, unless the call went to a place where none holds."""
        house, name = price_key(provider), model.strip().lower()
        address = question.address
        if address is not None and house not in _GATEWAYS and is_private(address) and not is_sold_only(name):
            places = spellings_of_address(address)
            if not any(place in self.gateways for place in places):
                return UnknownPrice(
                    f"{house}/{name}",
                    f"{model!r} answered at {places[0]}, on this machine or in a private network, where no published "
                    f"price holds: if it runs there, declare_local({places[0]!r}); if a gateway passes calls on to "
                    f"{provider or 'a provider'!r}, declare_gateway({places[0]!r}); or give a price with "
                    f"add_pricing_model(ModelPricing(...))",
                )
        return self._published(name, house, question) or self._by_prefix(name, house, question)

    def _aliased(self, target: str, provider: str, question: _Question) -> Price | UnknownPrice:
        # An alias says what the model is, so its price holds wherever it is served.
        question = _Question(question.tier, question.at, follow=False)
        found = self._resolve(target, provider, question)
        if isinstance(found, UnknownPrice) and "/" in target:
            # The target may name another provider than the call does.
            return self._resolve(target, "", question)
        return found

    def _own(self, model: str, provider: str) -> ModelPricing | None:
        own = self.models.own.get(f"{provider}:{model}")
        if own is not None or not self.models.own:
            return own
        by_name = self._own_by_name
        if by_name is None:
            by_name = {}
            for key, pricing in list(self.models.own.items()):
                house, _, name = key.partition(":")
                by_name[(price_key(house), name.strip().lower())] = pricing
            self._own_by_name = by_name
        return by_name.get((price_key(provider), model.strip().lower()))

    def _published(self, name: str, house: str, question: _Question) -> Price | None:
        table = catalog()
        house, name = seller(house, name)
        owner = table.provider_named(house) if house else None
        owners = [] if owner is None else [owner]
        if owner is None or house in OPEN_ENDPOINTS:
            maker = next((maker for spelling in spellings(name) if (maker := table.maker(spelling))), None)
            owners += [] if maker is None else [maker]
        for candidate in owners:
            for spelling in spellings(name):
                found = table.find(candidate, spelling)
                if found is not None:
                    price = table.price(*found, at=question.at, tier=question.tier)
                    if price is not None:
                        return price
        return None

    def _by_prefix(self, name: str, house: str, question: _Question) -> Price | UnknownPrice:
        """``openai/gpt-4o``: the provider stands in the name, as gateways write it. Or else: unknown."""
        head, slash, rest = name.partition("/")
        spoken = price_key(head)
        table = catalog()
        named = spoken in table.providers or spoken in self.local or spoken in self.ask
        here = house in OPEN_ENDPOINTS or (not house) or table.provider_named(house) in {None, spoken}
        if slash and rest and named and here:
            found = self._resolve(rest, spoken, question)
            if not isinstance(found, UnknownPrice):
                return found
        return UnknownPrice(f"{house}/{name}", _reason(name, house))


def _reason(model: str, provider: str) -> str:
    elsewhere = [] if provider in catalog().providers else _sellers(model)
    hint = f" (known of {', '.join(elsewhere)}: name the provider)" if elsewhere else ""
    return (
        f"no price is known for model {model!r} of provider {provider!r}{hint}; give one with "
        f"add_pricing_model(ModelPricing(...)), point to one with add_alias, or declare the provider local"
    )


def _sellers(model: str) -> list[str]:
    table = catalog()
    return [name for name in table.providers if not name.startswith("huggingface") and table.find(name, model)][:5]


def _shown(value: Any) -> str:
    # An object of a strange type may have a strange repr.
    return repr(value) if isinstance(value, (str, int)) or value is None else type(value).__name__


def _with_note(pricing: ModelPricing, tier: str | None) -> Price:
    price = pricing.compiled()
    if tier is not None and not pricing.local:
        price.note = f"no price is known for service tier {tier!r}; this is your standard price"
    return price


def _keep(cache: dict[Key, Any], key: Key, found: Price | UnknownPrice, limit: int) -> None:
    if len(cache) >= limit and key not in cache:
        try:
            cache.pop(next(iter(cache)), None)
        except (StopIteration, RuntimeError):  # another thread was faster
            cache.clear()
    cache[key] = found


def _published(key: str) -> ModelPricing | None:
    provider, _, model = key.partition(":")
    table = catalog()
    found = table.find(price_key(provider), model.strip().lower()) if model else None
    price = None if found is None else table.price(*found, at=time.time(), tier=None)
    return None if price is None else ModelPricing.of(model, price_key(provider), price)


@lru_cache(maxsize=1)
def _published_keys() -> tuple[str, ...]:
    keys = (f"{name}:{model.id}" for name, house in catalog().providers.items() for model in house.models)
    return tuple(key for key in keys if _published(key) is not None)
