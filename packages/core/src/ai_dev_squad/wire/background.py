"""Responses that a provider goes on with after it has answered the request: ``background`` of OpenAI and of Gemini's
interactions, runs of OpenAI's threads, xAI's and Perplexity's deferred ones, and Replicate's predictions.

The POST says ``queued`` and names no tokens; some later request, perhaps of another process, is told them: one that
asks how it is going, one that takes the stream up again, one that cancels. The first of all that are told has it
counted. Until then the money that the request set aside stays so, and comes back when nobody has asked for an hour, or
with the lease of a process that died. https://platform.openai.com/docs/guides/background,
https://ai.google.dev/gemini-api/docs/background-execution,
https://docs.x.ai/developers/advanced-api-usage/deferred-chat-completions,
https://docs.perplexity.ai/api-reference/async-sonar-api-request-get,
https://replicate.com/docs/reference/http#predictions.get,
https://platform.openai.com/docs/api-reference/runs/object
"""

from __future__ import annotations

import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations, state
from ai_dev_squad.kinds import CHAT, NO_FRAMEWORK, UNKNOWN, ModelRequest
from ai_dev_squad.outliving import Awaited
from ai_dev_squad.process import ForkSafeLock, after_fork
from ai_dev_squad.wire.attempts import Attempt
from ai_dev_squad.wire.claims import claim
from ai_dev_squad.wire.matching import ORIGIN, Match

if TYPE_CHECKING:
    from ai_dev_squad.costs.budgets import Reservation
    from ai_dev_squad.operations import Operation
    from ai_dev_squad.schema import Status
    from ai_dev_squad.wire.exchange import Exchange

__all__ = ["Background"]

_HELD_S = 3600.0
_MOST = 1000
_OVER = frozenset({"completed", "succeeded", "failed", "incomplete", "cancelled", "canceled", "expired"})


class _Waiting(NamedTuple):
    """A request whose response goes on, and what was set aside for it."""

    attempt: Attempt
    reservation: Reservation | None
    since_ns: int
    """Unix time of its answer."""
    until: float
    """When it is given up, on the monotonic clock."""


class Background:
    """The responses that this process has asked for and does not know the tokens of."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        after_fork(weakref.WeakMethod(self._begin))

    def _begin(self) -> None:
        self._waiting.clear()  # the parent's, as its reservations are

    def asked(self, attempt: Attempt) -> None:
        """The answer to a request for a response is through, or given up."""
        exchange, answer = attempt.exchange, attempt.exchange.answer
        identifier = answer.response_id
        if not exchange.goes_on or identifier is None:
            return
        if _is_whole(exchange):
            if not claim(identifier):
                _give_back(attempt.defer())  # another request was told before
        elif answer.state not in _OVER and (exchange.status_code or 0) < 400:
            waiting = _Waiting(attempt, attempt.defer(), time.time_ns(), time.monotonic() + _HELD_S)
            operation = attempt.operation
            if operation.status is None and operation.awaited is None:
                operation.awaited = Awaited()
            with self._lock:
                self._waiting[identifier] = waiting
            self._give_up()

    def told(self, exchange: Exchange, find: Callable[[], Match]) -> None:
        """A request that asked about a response is answered. ``find()`` says where it belongs."""
        identifier, answer = exchange.follows, exchange.answer
        waiting, found = self._waiting.get(identifier or ""), find()
        call = found.call
        if call is not None and call.attempts is None:
            call.only_fetches = True  # its framework announces as a model call what asks no model
        if identifier is None or not (exchange.goes_on or waiting) or (exchange.status_code or 0) >= 400:
            return
        if not _is_whole(exchange) and answer.state not in _OVER:
            self._go_on(identifier, waiting)
            return
        with self._lock:
            waiting = self._waiting.pop(identifier, None)
        counts = bool(answer.usage) and claim(identifier)
        if waiting is not None:
            self._tell(waiting, exchange, counts=counts)
        elif counts:
            _count(exchange, found)

    def _tell(self, waiting: _Waiting, exchange: Exchange, *, counts: bool) -> None:
        """The call that asked for it ends now, with its tokens if they count here."""
        operation = waiting.attempt.operation
        awaited = operation.awaited
        if not counts:
            _give_back(waiting.reservation)
        elif awaited is not None:
            waiting.attempt.arrive(exchange, waiting.reservation)
        else:
            _count_below(waiting, exchange)
        if awaited is not None and not self._waits(operation):
            # Another process may have been told before: then it ends as it did when it was asked.
            awaited.end(operation, _status(exchange) if counts or not exchange.answer.usage else None)

    def _waits(self, operation: Operation) -> bool:
        with self._lock:
            return any(other.attempt.operation is operation for other in self._waiting.values())

    def _go_on(self, identifier: str, waiting: _Waiting | None) -> None:
        if waiting is not None:
            with self._lock:
                if identifier in self._waiting:
                    attempt, reservation, since_ns, _ = waiting
                    self._waiting[identifier] = _Waiting(attempt, reservation, since_ns, time.monotonic() + _HELD_S)
                    self._waiting.move_to_end(identifier)

    def _give_up(self) -> None:
        """Let go of what nobody has asked about for long."""
        now = time.monotonic()
        with self._lock:
            overdue = []
            while self._waiting and (len(self._waiting) > _MOST or next(iter(self._waiting.values())).until < now):
                overdue.append(self._waiting.popitem(last=False)[1])
        for waiting in overdue:
            _give_back(waiting.reservation)
            operation = waiting.attempt.operation
            if operation.awaited is not None and not self._waits(operation):
                operation.awaited.end(operation)


def _is_whole(exchange: Exchange) -> bool:
    """Whether the answer says what all of it was billed: the stream of a run may count its steps, and then wait for tools."""
    answer = exchange.answer
    return bool(answer.usage) and (exchange.api != "runs" or answer.state in _OVER)


def _give_back(reservation: Reservation | None) -> None:
    if reservation is not None:
        reservation.release()


def _count_below(waiting: _Waiting, exchange: Exchange) -> None:
    """Enter it as a call of its own below the one that asked for it, which has ended."""
    asked = waiting.attempt.operation
    request = asked.request
    assert request is not None
    _enter(
        exchange,
        asked,
        asked.framework,
        ModelRequest(
            request.model,
            request.provider,
            prompt_hash=request.prompt_hash,
            service_tier=request.service_tier,
            server_address=exchange.address,
        ),
        waiting.reservation,
        waiting.since_ns,
    )


def _count(exchange: Exchange, found: Match) -> None:
    """Enter what another process, or this one before it began to watch, has asked for."""
    if found.call is not None:
        attempt = Attempt(found.call, exchange)
        found.call.attempts = [*(found.call.attempts or ()), attempt]
        attempt.enter()
    elif found.observed or state.pipeline().settings.count_unobserved:
        framework = NO_FRAMEWORK if found.parent is None else found.parent.framework
        model = exchange.answer.model or UNKNOWN
        request = ModelRequest(model, exchange.provider, server_address=exchange.address)
        _enter(exchange, found.parent, framework, request, None, None)


def _enter(
    exchange: Exchange,
    parent: Operation | None,
    framework: str,
    request: ModelRequest,
    reservation: Reservation | None,
    since_ns: int | None,
) -> None:
    answer = exchange.answer
    attributes = {keys.ORIGIN: ORIGIN, keys.RESPONSE_ID: exchange.follows, keys.RESPONSE_MODEL: answer.model}
    operation = operations.start(
        CHAT,
        request.model,
        framework=framework,
        parent=parent,
        attributes={name: value for name, value in attributes.items() if value is not None},
        request=request,
        started_at_ns=since_ns,
    )
    operation.reservation = reservation
    attempt = Attempt(operation, exchange)
    operation.attempts = [attempt]
    attempt.enter()
    operation.end_as(_status(exchange))


def _status(exchange: Exchange) -> Status:
    """How the provider says that it ended."""
    state = exchange.answer.state
    if state in {"cancelled", "canceled"}:
        return "cancelled"
    return "error" if exchange.answer.error or state == "failed" else "ok"
