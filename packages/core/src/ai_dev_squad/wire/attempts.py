"""One request that was made for a model call, and what it was billed: entered in the ledger once, when it's answered."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations
from ai_dev_squad.genai.usage import beside_from, cost_from, tier_from, usage_from
from ai_dev_squad.kinds import CHAT, ModelRequest
from ai_dev_squad.model_calls import Bill, completed, enter
from ai_dev_squad.wire.matching import ORIGIN

if TYPE_CHECKING:
    from ai_dev_squad.costs.budgets import Reservation
    from ai_dev_squad.operations import Operation
    from ai_dev_squad.schema import Cost, Status, Usage
    from ai_dev_squad.wire.exchange import Exchange

__all__ = ["Attempt"]


class Attempt:
    """A request of a model call. A client that retries makes several; each that is answered is billed."""

    __slots__ = ("_entered", "_entering", "bill", "exchange", "is_deferred", "operation", "reservation")

    def __init__(self, operation: Operation, exchange: Exchange) -> None:
        self.operation, self.exchange = operation, exchange
        self.bill: Bill | None = None
        """What it was billed; ``None`` until that is known, and if the provider says nothing."""
        self.reservation: Reservation | None = None
        """Money set aside for this request alone, after an earlier one of the same call was billed."""
        self.is_deferred = False
        """Whether what it is billed is told to another request, and counted there."""
        self._entered = False
        self._entering = threading.RLock()  # the answer and the call may end in two threads

    @property
    def is_open(self) -> bool:
        """Whether its answer is on its way."""
        return self.exchange.status is None

    @property
    def seen_end(self) -> tuple[Status, int] | None:
        """How and when (monotonic clock, ns) it was answered, or given up by who made it. ``None``: not yet, or refused."""
        exchange = self.exchange
        status, duration_s = exchange.status, exchange.duration_s
        if status not in {"ok", "cancelled", "closed_early"} or duration_s is None:
            return None
        return status, int((exchange.started + duration_s) * 1e9)

    @property
    def pieces(self) -> int:
        """How many events of a streamed answer have arrived: about as many as tokens."""
        return self.exchange.answer.events if self.exchange.streamed else 0

    @property
    def server_address(self) -> str | None:
        """Where it was sent: a host, or ``host:port``."""
        return self.exchange.address

    def enter(self) -> None:
        """Enter in ledger and budgets what the provider says that it was billed, the first time that this is called.

        Of an answer that is given up or still on its way: what was reported so far, with an estimate of what arrived.
        """
        with self._entering:
            usage = None if self._entered else self._usage()
            if usage is not None:
                self._entered = True
                self.bill = Bill(usage, self._record(usage))
                self._enter_beside()
            elif self.reservation is not None and not self.is_open:
                self.reservation.release()  # refused or failed: nothing is billed

    def close(self) -> None:
        """The call was entered without it: whatever comes now is part of that."""
        with self._entering:
            self._entered = True

    def defer(self) -> Reservation | None:
        """What it is billed will be told to another request. Returns what was set aside for it, which is the caller's now."""
        with self._entering:
            self._entered = self.is_deferred = True
            held, self.reservation = self.reservation, None
            if held is None:
                held, self.operation.reservation = self.operation.reservation, None
            return held

    def arrive(self, exchange: Exchange, reservation: Reservation | None) -> None:
        """Another request was told what this one is billed, while its call waits for that."""
        with self._entering:
            self._entered = self.is_deferred = False
            exchange.duration_s = time.perf_counter() - self.exchange.started  # the provider was at it all the while
            self.exchange, self.reservation = exchange, reservation
            self.enter()

    def _enter_beside(self) -> None:
        """Enter each other model that the provider asked within its answer as a call of its own, below this one."""
        operation, exchange = self.operation, self.exchange
        assert operation.request is not None
        report = exchange.answer.usage
        for model, usage in beside_from(report):
            asked = operations.start(
                CHAT,
                model,
                framework=operation.framework,
                parent=operation,
                attributes={keys.ORIGIN: ORIGIN, keys.RESPONSE_MODEL: model},
                request=ModelRequest(model, operation.request.provider, server_address=exchange.address),
            )
            asked.attempts, asked.usage = [], usage
            asked.service_tier = tier_from({"inference_geo": report.get("inference_geo")})
            asked.stop()

    def _record(self, usage: Usage) -> Cost:
        exchange, operation = self.exchange, self.operation
        assert operation.request is not None
        seconds = time.perf_counter() - exchange.started if exchange.duration_s is None else exchange.duration_s
        cost = enter(
            operation,
            operation.request,
            usage,
            status=self._status,
            duration_ms=seconds * 1e3,
            response_model=exchange.answer.model,
            service_tier=self._tier,
            reported_usd=self._reported_usd,
            reservation=self.reservation or operation.reservation,
        )
        assert cost is not None
        return cost

    @property
    def _status(self) -> Status:
        return self.exchange.status or "closed_early"

    def _usage(self) -> Usage | None:
        answer, request = self.exchange.answer, self.operation.request
        if not answer.usage or request is None:
            return None
        report = answer.usage
        if self.exchange.has_no_output and "total_tokens" in report:  # Voyage tells the total alone
            report = {"prompt_tokens": report["total_tokens"], **report}
        usage = usage_from(report, provider=request.provider, model=request.model)
        if usage is not None and usage.image_output_tokens is None and self.exchange.api == "images":
            # What such a model says is a picture; OpenAI doesn't say so, for there is nothing else.
            usage = replace(usage, image_output_tokens=usage.output_tokens)
        if usage is not None and self.exchange.api == "decisions":
            # Neither is what it says billed, nor does a cache make it cheaper: https://developers.openai.com/api/docs/pricing
            unbilled = dict.fromkeys(("cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens"))
            usage = replace(usage, output_tokens=0, **unbilled)
        if usage is not None and self._status != "ok" and not answer.done:
            return completed(usage, self.operation, request)  # left, or broken off
        return usage

    @property
    def _reported_usd(self) -> float | None:
        """What the provider, or the gateway, says that it cost. A 0 is what a gateway says that could not tell; only OpenRouter
        gives models away, and Anthropic an answer that its model declines to give.
        """
        if self.exchange.answer.is_declined:
            return 0.0
        usd = cost_from(self.exchange.answer.usage)
        return usd if usd or (usd == 0 and self.exchange.provider == "openrouter") else self.exchange.reported_usd

    @property
    def _tier(self) -> str | None:
        """The tier that served wins over the one asked for, as a provider may have refused that."""
        for tier in (self.exchange.answer.service_tier, self.exchange.request.service_tier):
            if tier is not None and tier != "auto":
                return tier
        return self.operation.service_tier
