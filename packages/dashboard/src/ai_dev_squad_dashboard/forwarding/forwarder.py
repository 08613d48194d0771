"""Requests on their way to a second back end: a bounded queue on disk, and one thread that sends.

Whoever has sent them is answered when they are in the queue, and waits for no other end. What comes when the queue is full is dropped
and counted; what cannot be delivered now is tried again, ever more seldom, also by the next process; what the other end refuses for
good is counted and left. A process that is killed between an answer and its note sends one request twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ai_dev_squad.guard import report
from ai_dev_squad_dashboard.ingest.otlp_receive import Encoding, Signal
from ai_dev_squad_dashboard.otlp_post import Answer, endpoint_for, post
from ai_dev_squad_dashboard.store.base import StoreError
from ai_dev_squad_dashboard.store_url import without_password

from .marked import Gone, marked
from .spool import Backlog, Spool, SpoolError, Waiting

__all__ = ["Forwarded", "Forwarder"]

_log = logging.getLogger("ai_dev_squad_dashboard.forwarding")

Send = Callable[[str, bytes, Mapping[str, str]], Answer]
Deleted = Callable[[int], Gone | None]
"""By what is known which traces were deleted since a moment; ``None`` where none was. May raise ``StoreError``."""

_TYPES: Final[dict[Encoding, str]] = {"protobuf": "application/x-protobuf", "json": "application/json"}
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_TIMEOUT_S: Final = 10.0
_LOOK_S: Final = 5.0
"""Seconds after which is looked for what other processes have put into the queue, or left in it."""
_FOR_GOOD: Final = frozenset({"too large", "unreadable", "refused"})


@dataclass(frozen=True)
class Forwarded:
    """How forwarding goes. Requests are counted since the start; what waits may be from before it."""

    to: str
    """The other end's address, without a password."""
    sent: int
    dropped: int
    """Those that came while the queue was full, or could not be kept."""
    refused: int
    """Those that the other end will never take."""
    retried: int
    """Attempts that were in vain and will be repeated."""
    waiting: int
    waiting_bytes: int
    max_bytes: int
    """What may wait."""
    oldest_us: int | None
    """Since when the oldest waits."""
    last_problem: str | None


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    return post(url, body, headers, timeout=_TIMEOUT_S)


class Forwarder:
    """Sends what is in ``spool`` on to ``url``, below which the paths of OTLP are, and closes it at the end. Every method may be called
    from any thread.

    ``content``: whether captured content, and logs, may leave. ``deleted`` is asked before a request leaves. ``send`` posts one.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        content: bool,
        spool: Spool,
        deleted: Deleted = lambda _: None,
        send: Send = _post,
    ) -> None:
        self._urls = {signal: endpoint_for(url, signal) for signal in ("traces", "logs", "metrics")}
        self._to = without_password(url)
        self._headers, self._content, self._spool = dict(headers), content, spool
        self._deleted, self._send = deleted, send
        self._changed = threading.Condition()
        self._sent = self._dropped = self._refused = self._retried = 0
        self._problem: str | None = None
        self._look_s = _LOOK_S
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ai-dev-squad-forwarder", daemon=True)
        self._thread.start()

    def offer(self, signal: Signal, encoding: Encoding, body: bytes) -> None:
        """Take a request that was stored. When this returns it is on the disk, or counted as dropped."""
        if not self._leaves(signal):
            return
        problem = None
        try:
            kept = self._spool.put(signal, encoding, body)
        except SpoolError as error:
            kept, problem = False, str(error)
        with self._changed:
            if kept:
                self._changed.notify()
                return
            self._dropped += 1
            if problem is not None:
                self._told(problem)

    def _leaves(self, signal: Signal) -> bool:
        # A log says whatever a program writes, and our journals' lines have content in them.
        return self._content or signal != "logs"

    def state(self) -> Forwarded:
        """How it goes."""
        try:
            backlog, away = self._spool.backlog(), None
        except SpoolError as error:
            backlog, away = Backlog(0, 0, None), str(error)
        with self._changed:
            return Forwarded(
                to=self._to,
                sent=self._sent,
                dropped=self._dropped,
                refused=self._refused,
                retried=self._retried,
                waiting=backlog.requests,
                waiting_bytes=backlog.bytes,
                max_bytes=self._spool.max_bytes,
                oldest_us=backlog.oldest_us,
                last_problem=self._problem or away,
            )

    def close(self, timeout: float = 5.0) -> None:
        """Send what waits, for ``timeout`` seconds at most; the rest waits for the next process. Twice is harmless."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
        self._thread.join(timeout)
        self._spool.close()

    def _run(self) -> None:
        passed = None
        while True:
            try:
                one = self._next()
                # One that could not be noted as done is not sent once more for that.
                if one is None or (one.id != passed and not self._passed(one)):
                    return
                passed = one.id
                self._spool.done(one)
            except StoreError as error:
                with self._changed:
                    self._told(str(error))
                if self._closing.wait(self._look_s):
                    return

    def _next(self) -> Waiting | None:
        """What is to be sent now, by this process; ``None`` at the end."""
        while True:
            # One that comes while this looks wakes it all the same: whoever has put it in waits for the lock to say so.
            with self._changed:
                one = self._spool.first() if self._spool.may_send() else None
                if one is not None or self._closing.is_set():
                    return one
                self._changed.wait(self._look_s)

    def _passed(self, one: Waiting) -> bool:
        """Whether the other end has it, or nothing of it is to leave. ``False`` when the process ends before."""
        try:
            return self._deliver(one)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - one odd request must not end forwarding
            report("forwarding a request", error)
            with self._changed:
                self._refused += 1
            return True

    def _deliver(self, one: Waiting) -> bool:
        """Until it is taken, or refused for good. ``False`` when the process ends before."""
        pause = _FIRST_PAUSE_S
        headers = {**self._headers, "Content-Type": _TYPES[one.encoding]}
        while (body := self._leaving(one)) is not None:
            answer = self._send(self._urls[one.signal], body, headers)
            if answer.verdict == "taken":
                self._count(taken=True, problem=answer.problem if answer.rejected else None)
                return True
            if answer.verdict in _FOR_GOOD:
                self._count(taken=False, problem=answer.problem)
                return True
            # A login that is refused is put right by people, and then what waits is welcome.
            with self._changed:
                self._retried += 1
                self._told(answer.problem)
            wait = pause if answer.retry_after_s is None else answer.retry_after_s
            if self._closing.wait(wait) or self._closing.is_set():
                return False
            pause = min(_LONGEST_PAUSE_S, pause * 2)
        return True

    def _leaving(self, one: Waiting) -> bytes | None:
        """What of it may leave now: since it came, something may have been deleted, or other settings be in force."""
        if not self._leaves(one.signal):
            return None
        gone = self._deleted(one.since_us)
        return marked(one.signal, one.encoding, one.body, self._spool.mark, content=self._content, gone=gone)

    def _count(self, *, taken: bool, problem: str | None) -> None:
        with self._changed:
            if taken:
                self._sent += 1
            else:
                self._refused += 1
            self._told(problem)

    def _told(self, problem: str | None) -> None:
        """Say what is wrong when it begins, and that it is over."""
        if problem and problem != self._problem:
            _log.warning("what is forwarded is not taken: %s", problem)
        elif not problem and self._problem:
            _log.warning("what is forwarded is taken again")
        self._problem = problem or None
