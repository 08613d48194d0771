"""Sends what waits in the outbox: a thread for each receiver, so that one that is dead or slow delays no other."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from .bodies import MAX_ALERTS
from .errors import DeliveryError
from .outbox import Outbox, OutboxError
from .rules import Receiver
from .sending import Send, send

__all__ = ["Deliverer", "Delivery", "ReceiverHealth", "backoff_s"]

log = logging.getLogger("ai_dev_squad.dashboard")

_FIRST_S: Final = 5.0
_LONGEST_S: Final = 900.0
_REFUSALS: Final = 5
"""How often a message is tried that its receiver does not like."""
_IDLE_S: Final = 3600.0
_TROUBLE_S: Final = 5.0
"""How long to leave an outbox alone that cannot be used."""

Clock = Callable[[], int]
"""Microseconds since 1970."""


def backoff_s(failures: int, jitter: float) -> float:
    """How long to wait after so many failures in a row; ``jitter`` from 0 to 1 spreads it over its upper half."""
    longest = min(_LONGEST_S, _FIRST_S * 2.0 ** min(failures - 1, 20))
    return longest * (0.5 + 0.5 * jitter)


@dataclass(frozen=True)
class ReceiverHealth:
    """How a receiver does, since this process began."""

    sent: int = 0
    """Messages that it took."""
    failures: int = 0
    """Attempts in a row that failed."""
    error: str = ""
    """Of the last attempt, if it failed."""
    tried_us: int | None = None
    well_us: int | None = None
    """When it last took a message."""
    paused_until_us: int = 0
    """It failed, and is left alone until then."""


class Deliverer:
    """Tells one receiver, one message after the other. ``turn`` does what there is to do at a moment; no clock, no thread."""

    def __init__(self, receiver: Receiver, outbox: Outbox, sender: Send, jitter: Callable[[], float]) -> None:
        self.receiver = receiver
        self.health = ReceiverHealth()
        self._outbox = outbox
        self._send = sender
        self._jitter = jitter

    def turn(self, clock: Clock) -> int | None:
        """Send a message if one is due. When to come again, ``None`` for when something new waits. Raises ``OutboxError``."""
        now_us, receiver, health = clock(), self.receiver, self.health
        if now_us < health.paused_until_us:
            return health.paused_until_us
        quiet_until = receiver.quiet.until_us(now_us) if receiver.quiet is not None else None
        if quiet_until is not None and receiver.quiet is not None and receiver.quiet.critical_too:
            return quiet_until
        message, due_us = self._outbox.next_message(
            receiver.name,
            now_us,
            group_us=round(receiver.group_s * 1_000_000),
            limit=MAX_ALERTS[receiver.body],
            only_critical=quiet_until is not None,
        )
        if message is None:
            return due_us if quiet_until is None else min(quiet_until, due_us or quiet_until)
        try:
            self._send(receiver, message, now_us)
        except DeliveryError as error:
            self._failed(message.attempts + 1, error, clock())
            late = clock() - message.created_us >= receiver.give_up_s * 1_000_000
            if late or (error.refused and message.attempts + 1 >= _REFUSALS):
                log.warning(
                    "receiver %s: an alert is given up after %d attempts: %s",
                    receiver.name,
                    message.attempts + 1,
                    error,
                )
                self._outbox.failed(message, str(error))
            else:
                self._outbox.again(message, self._next_us(message.attempts + 1, error, clock()), str(error))
            return clock()
        done_us = clock()
        self._outbox.sent(message)
        self.health = ReceiverHealth(health.sent + 1, 0, "", done_us, done_us)
        return done_us

    def _failed(self, attempts: int, error: DeliveryError, now_us: int) -> None:
        health = self.health
        failures = health.failures + 1
        if failures == 1:
            log.warning("receiver %s: %s; it is tried again", self.receiver.name, error)
        # One that does not like a message may like the next.
        paused_us = 0 if error.refused else self._next_us(failures, error, now_us)
        self.health = ReceiverHealth(health.sent, failures, str(error), now_us, health.well_us, paused_us)

    def _next_us(self, failures: int, error: DeliveryError, now_us: int) -> int:
        wait_s = max(backoff_s(failures, self._jitter()), error.retry_after_s or 0.0)
        return now_us + round(wait_s * 1_000_000)


class Delivery:
    """The threads. ``wake`` starts one when there is something for its receiver, and ``stop`` ends all."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        clock: Clock,
        sender: Send = send,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._send = sender
        self._jitter = jitter
        self._lock = threading.Lock()
        self._threads: dict[str, _Thread] = {}

    def use(self, receivers: Iterable[Receiver]) -> None:
        """Tell these from now on. What waits for one that is gone waits until it is there again."""
        wanted = {receiver.name: receiver for receiver in receivers}
        with self._lock:
            gone = [one for name, one in self._threads.items() if wanted.get(name) != one.deliverer.receiver]
            for one in gone:
                one.stop()
                del self._threads[one.deliverer.receiver.name]
            for name, receiver in wanted.items():
                if name not in self._threads:
                    deliverer = Deliverer(receiver, self._outbox, self._send, self._jitter)
                    self._threads[name] = _Thread(deliverer, self._clock)

    def wake(self, names: Iterable[str] | None = None) -> None:
        """Something waits for these receivers, or for any."""
        with self._lock:
            for name in self._threads if names is None else names:
                if name in self._threads:
                    self._threads[name].wake()

    def health(self) -> Mapping[str, ReceiverHealth]:
        """How each receiver does."""
        with self._lock:
            return {name: one.deliverer.health for name, one in self._threads.items()}

    def stop(self, timeout: float) -> None:
        """End after the attempts under way; those that take longer than ``timeout`` seconds are left to end by themselves."""
        until = time.monotonic() + timeout
        with self._lock:
            threads = list(self._threads.values())
        for one in threads:
            one.stop()
        for one in threads:
            one.join(max(0.0, until - time.monotonic()))


class _Thread:
    """Turns of a deliverer, whenever there may be something to do."""

    def __init__(self, deliverer: Deliverer, clock: Clock) -> None:
        self.deliverer = deliverer
        self._clock = clock
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        if self._thread is None and not self._stopped.is_set():
            name = f"ai-dev-squad-alerts-{self.deliverer.receiver.name}"[:60]
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()
        self._woken.set()

    def stop(self) -> None:
        self._stopped.set()
        self._woken.set()

    def join(self, timeout: float) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            self._woken.wait(self._turn())

    def _turn(self) -> float:
        """Do what there is to do, and say how long there is nothing."""
        try:
            due_us = self.deliverer.turn(self._clock)
        except OutboxError as error:
            if not self._stopped.is_set():
                log.warning("alerts cannot be sent: %s", error)
            return _TROUBLE_S
        except Exception:
            # The thread outlives whatever one message does; the message is still there.
            log.exception("telling %s failed", self.deliverer.receiver.name)
            return _TROUBLE_S
        if due_us is None:
            return _IDLE_S
        return max(0.0, min(_IDLE_S, (due_us - self._clock()) / 1_000_000))
