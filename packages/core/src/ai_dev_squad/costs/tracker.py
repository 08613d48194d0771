"""The ledger's front: every model call is priced, entered, summed up and held against the budgets, once."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs.budgets.manager import BudgetManager, Reservation
from ai_dev_squad.costs.ledger.entry import CostEntry
from ai_dev_squad.costs.ledger.ledger import Ledger
from ai_dev_squad.costs.ledger.totals import RunningTotals, Totals, UnpricedModel
from ai_dev_squad.costs.prices.model_pricing import provider_name
from ai_dev_squad.costs.prices.price_book import PriceBook, expected_output, token_number
from ai_dev_squad.costs.prices.rates import Price
from ai_dev_squad.guard import report
from ai_dev_squad.schema import Cost, Status, Usage

__all__ = ["CostTracker"]

LEAST_EXPECTED_OUTPUT = 500
"""Output tokens that a reservation allows for when a call sets no limit, or half its input if that is more."""

_MISSING = Usage(source="missing")
_CACHE_HIT = Cost(usd=0.0, price_source="cache_hit")


class CostTracker(PriceBook):
    """Prices model calls, keeps the latest ``max_entries`` of them and exact totals of all, and feeds the budgets.

    Safe under threads and asyncio. ``local_providers`` are those whose models run on the user's machine and cost 0.
    ``prices_file`` is a JSON file with own prices, see ``import_prices``.
    """

    def __init__(
        self,
        *,
        max_entries: int = 10_000,
        budget_manager: BudgetManager | None = None,
        prices_file: str | os.PathLike[str] | None = None,
        local_providers: Iterable[str] = ("ollama",),
    ) -> None:
        super().__init__(prices_file=prices_file, local_providers=local_providers)
        self._entries = Ledger(_whole(max_entries))
        self.budget_manager = BudgetManager() if budget_manager is None else budget_manager
        self._totals = RunningTotals()

    # --- recording ----------------------------------------------------------------------------------------------------

    def record(
        self,
        attribution: Attribution,
        usage: Usage | None,
        *,
        duration_ms: float,
        timestamp: datetime | None = None,
        trace_id: str | None = None,
        span_id: str | None = None,
        status: Status = "ok",
        prompt_hash: str | None = None,
        attempt: int | None = None,
        service_tier: str | None = None,
        response_model: str | None = None,
        server_address: str | None = None,
        cache_hit: bool = False,
        reported_usd: float | None = None,
        reservation: Reservation | None = None,
    ) -> CostEntry:
        """Enter one model call of the model and provider in ``attribution``. Never raises; the entry is always kept.

        A cost that the provider reported wins over the price list, a hit in the program's own cache costs nothing.
        ``response_model`` is the model that answered and ``server_address`` where (host, ``host:port`` or URL); both
        may decide about the price, see ``PriceList.find``. ``timestamp`` (naive means UTC) also chooses among prices
        of different dates. A ``reservation`` made for this call is settled.
        """
        given: Any = usage
        usage = given if isinstance(given, Usage) else _MISSING
        if cache_hit:
            cost = _CACHE_HIT
        elif reported_usd is not None and _is_amount(reported_usd):
            cost = Cost(usd=float(reported_usd), price_source="provider")
        else:
            at = None if timestamp is None else _seconds(timestamp)
            cost = self._listed(attribution, usage, at, service_tier, response_model, server_address)
        entry = CostEntry(
            datetime.now(timezone.utc) if timestamp is None else timestamp,
            attribution.model or "",
            attribution.provider or "",
            usage.input_tokens or 0,
            usage.output_tokens or 0,
            cost.usd,
            duration_ms,
            attribution.session_id,
            attribution.agent_id,
            attribution.framework,
            user_id=attribution.user_id,
            trace_id=trace_id,
            span_id=span_id,
            status=status,
            usage=usage,
            cost=cost,
            prompt_hash=prompt_hash,
            attempt=attempt,
            estimated=usage.source == "estimated",
            run_id=attribution.run_id,
        )
        self._enter(entry, reservation)
        if given is not usage and given is not None:
            report("reading usage", TypeError(f"usage is a {type(given).__name__}; allowed: Usage or None"))
        if self.prices.failures:
            self._report_failures()
        return entry

    def track_llm_usage(
        self,
        model_name: str,
        provider: str,
        input_tokens: int,
        output_tokens: int,
        duration_ms: float,
        session_id: str | None = None,
        agent_id: str | None = None,
        framework: str | None = None,
        *,
        user_id: str | None = None,
        run_id: str | None = None,
        cache_read_input_tokens: int | None = None,
        cache_write_input_tokens: int | None = None,
        cache_write_1h_input_tokens: int | None = None,
        reasoning_output_tokens: int | None = None,
        audio_input_tokens: int | None = None,
        audio_output_tokens: int | None = None,
        **more: Any,
    ) -> CostEntry:
        """Enter one model call by its token counts, and return the entry with its cost.

        ``input_tokens`` includes cached and audio tokens, ``output_tokens`` includes reasoning and audio tokens. More
        keywords are those of ``record``. Raises ``ValueError`` for counts that are negative or not finite.
        """
        usage = Usage(
            input_tokens=token_number(input_tokens, "input_tokens"),
            output_tokens=token_number(output_tokens, "output_tokens"),
            cache_read_input_tokens=token_number(cache_read_input_tokens, "cache_read_input_tokens"),
            cache_write_input_tokens=token_number(cache_write_input_tokens, "cache_write_input_tokens"),
            cache_write_1h_input_tokens=token_number(cache_write_1h_input_tokens, "cache_write_1h_input_tokens"),
            reasoning_output_tokens=token_number(reasoning_output_tokens, "reasoning_output_tokens"),
            audio_input_tokens=token_number(audio_input_tokens, "audio_input_tokens"),
            audio_output_tokens=token_number(audio_output_tokens, "audio_output_tokens"),
            source="provider",
        )
        call = Attribution(
            framework=framework,
            agent_id=agent_id,
            session_id=session_id,
            user_id=user_id,
            run_id=run_id,
            model=model_name,
            provider=provider_name(provider),
        )
        return self.record(call, usage, duration_ms=duration_ms, **more)

    # --- before a call ------------------------------------------------------------------------------------------------

    @property
    def may_stop(self) -> bool:
        """Whether any budget may refuse a call, so that ``reserve`` is worth its while."""
        return self.budget_manager.may_stop

    def reserve(
        self,
        attribution: Attribution,
        *,
        input_tokens: int,
        max_output_tokens: int | None = None,
        service_tier: str | None = None,
        server_address: str | None = None,
    ) -> Reservation:
        """Set aside the estimated cost of a call that is about to be made. Raises ``BudgetExceeded`` if it may not be.

        Hand the reservation to ``record``, or ``release()`` it when the call came to nothing. Without
        ``max_output_tokens`` 500 tokens are allowed for, or half the input if that is more. ``service_tier`` is the
        tier that is asked for.
        """
        price = self.prices.find(
            attribution.model or "", attribution.provider, service_tier=service_tier, server_address=server_address
        )
        estimate = None
        if isinstance(price, Price):
            output = max_output_tokens
            if output is None:
                output = expected_output(price, input_tokens, least=LEAST_EXPECTED_OUTPUT)
            estimate = price.cost(Usage(input_tokens=input_tokens, output_tokens=output, source="estimated")).usd
        if self.prices.failures:
            self._report_failures()
        return self.budget_manager.reserve(estimate, attribution)

    # --- what was spent -----------------------------------------------------------------------------------------------

    @property
    def entries(self) -> Ledger:
        """The latest entries, oldest first. Assigning a list replaces them."""
        return self._entries

    @entries.setter
    def entries(self, entries: Iterable[CostEntry]) -> None:
        self._entries = Ledger(self._entries.max_entries, entries)

    @property
    def max_entries(self) -> int:
        """How many entries are kept. Totals and budgets count all of them, also those no longer kept."""
        return self._entries.max_entries

    @max_entries.setter
    def max_entries(self, number: int) -> None:
        self._entries = Ledger(_whole(number), self._entries)

    def totals(self) -> Totals:
        """Sums over every call ever entered, exact to the pico-dollar."""
        return self._totals.totals()

    def summary(self, by: str = "model") -> dict[str | None, Totals]:
        """Totals by ``model``, ``provider``, ``agent_id``, ``framework``, ``session_id``, ``user_id`` or ``day`` (UTC).

        The dearest come first. At most 1,000 groups are kept; older ones are summed up in ``"(other)"``. Raises
        ``ValueError`` for anything else to sum up by.
        """
        return self._totals.by(by)

    def unknown_prices(self) -> list[UnpricedModel]:
        """The models that were called without a known price, the most called first, each with the reason."""
        return self._totals.unpriced()

    # --- the inside ---------------------------------------------------------------------------------------------------

    def _listed(
        self,
        call: Attribution,
        usage: Usage,
        at: float | None,
        service_tier: str | None,
        response_model: str | None,
        server_address: str | None,
    ) -> Cost:
        """What the price list says that a call costs."""
        return self.prices.cost(
            call.model or "",
            call.provider or "",
            usage,
            service_tier=service_tier,
            response_model=response_model,
            server_address=server_address,
            at=at,
        )

    def _enter(self, entry: CostEntry, reservation: Reservation | None) -> None:
        self._entries.append(entry)
        try:
            self._totals.add(entry)
        except Exception as error:  # noqa: BLE001 - labels of any type come from the outside
            report("summing up cost", error)
        finally:
            self._check_budgets(entry, reservation)

    def _check_budgets(self, entry: CostEntry, reservation: Reservation | None) -> None:
        try:
            if reservation is None:
                self.budget_manager.check_budgets(entry)
            else:
                self.budget_manager.check_budgets(entry, reservation)
        except Exception as error:  # noqa: BLE001 - also a user's own manager
            if reservation is not None:
                reservation.release()
            report("checking budgets", error)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"max_entries is {value!r}; allowed: a whole number from 1 up, such as 10000")
    return value


def _is_amount(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


def _seconds(moment: datetime) -> float:
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (AttributeError, ValueError, OverflowError):
        return time.time()
