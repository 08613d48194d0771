"""Requests on their way to a second back end: a bounded queue in memory, and one thread that sends.

Whoever has sent them was answered before. What comes when the queue is full is dropped and counted; what cannot be delivered now is
tried again, ever more seldom; what the other end refuses for good is counted and left.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from ai_dev_squad.guard import report
from ai_dev_squad_dashboard.ingest.otlp_receive import Encoding, Signal
from ai_dev_squad_dashboard.otlp_post import Answer, endpoint_for, post

from .marked import marked

__all__ = ["Forwarded", "Forwarder"]

_log = logging.getLogger("ai_dev_squad_dashboard.forwarding")

Send = Callable[[str, bytes, Mapping[str, str]], Answer]

_TYPES: Final[dict[Encoding, str]] = {"protobuf": "application/x-protobuf", "json": "application/json"}
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_TIMEOUT_S: Final = 10.0
_FOR_GOOD: Final = frozenset({"too large", "unreadable", "refused"})


@dataclass(frozen=True)
class Forwarded:
    """How forwarding goes. Requests are counted since the start."""

    sent: int
    dropped: int
    """Those that came while the queue was full, or waited when the process ended."""
    refused: int
    """Those that the other end will never take."""
    retried: int
    """Attempts that were in vain and will be repeated."""
    waiting: int
    waiting_bytes: int
    last_problem: str | None


class _Waiting(NamedTuple):
    signal: Signal
    encoding: Encoding
    body: bytes


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    return post(url, body, headers, timeout=_TIMEOUT_S)


class Forwarder:
    """Sends requests on to ``url``, below which the paths of OTLP are. Every method may be called from any thread.

    ``content``: whether captured content, and logs, may leave. ``max_bytes`` bounds what waits. ``send`` posts one request.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], *, content: bool, max_bytes: int, send: Send = _post
    ) -> None:
        self._urls = {signal: endpoint_for(url, signal) for signal in ("traces", "logs", "metrics")}
        self._headers, self._content, self._max_bytes, self._send = dict(headers), content, max_bytes, send
        self._me = secrets.token_hex(8)
        self._changed = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._sent = self._dropped = self._refused = self._retried = 0
        self._problem: str | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ai-dev-squad-forwarder", daemon=True)
        self._thread.start()

    def offer(self, signal: Signal, encoding: Encoding, body: bytes) -> None:
        """Take a request that was stored. Never waits."""
        if signal == "logs" and not self._content:
            return  # a log says whatever a program writes, and our journals' lines have content in them
        with self._changed:
            if self._closing.is_set() or self._bytes + len(body) > self._max_bytes:
                self._dropped += 1
                return
            self._queue.append(_Waiting(signal, encoding, body))
            self._bytes += len(body)
            self._changed.notify()

    def state(self) -> Forwarded:
        """How it goes."""
        with self._changed:
            return Forwarded(
                self._sent, self._dropped, self._refused, self._retried, len(self._queue), self._bytes, self._problem
            )

    def close(self, timeout: float = 5.0) -> None:
        """Send what waits, for ``timeout`` seconds at most; the rest is dropped and counted. Twice is harmless."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
        self._thread.join(timeout)
        with self._changed:
            self._dropped += len(self._queue)
            if self._queue:
                _log.warning("%d requests were not forwarded: the process ended before", len(self._queue))
            self._queue.clear()
            self._bytes = 0

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing.is_set():
                    self._changed.wait()
                if not self._queue:
                    return
                one = self._queue[0]
            try:
                body = marked(one.signal, one.encoding, one.body, self._me, content=self._content)
                delivered = body is None or self._deliver(one, body)
            except Exception as error:  # noqa: BLE001 - one odd request must not end forwarding
                report("forwarding a request", error)
                delivered = True
                with self._changed:
                    self._refused += 1
            if not delivered:
                return
            with self._changed:
                if self._queue:  # ``close`` may have lost its patience
                    self._queue.popleft()
                    self._bytes -= len(one.body)

    def _deliver(self, one: _Waiting, body: bytes) -> bool:
        """Until it is taken, or refused for good. ``False`` when the process ends before."""
        pause = _FIRST_PAUSE_S
        headers = {**self._headers, "Content-Type": _TYPES[one.encoding]}
        while True:
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
