"""What a process holds open that receives, and the one order in which it lets go of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ai_dev_squad.process import forget

from .forwarding.forwarder import Forwarder
from .ingest.otlp_grpc import GrpcServer
from .ingest.queue import IngestQueue
from .probes import Readiness
from .store import Store

if TYPE_CHECKING:
    from .shared_state import SharedState

__all__ = ["Held"]


@dataclass(kw_only=True)
class Held:
    """What a receiver holds open, and a dashboard too; ``close`` lets go of it."""

    store: Store
    queue: IngestQueue
    readiness: Readiness
    grpc: GrpcServer | None = None
    shared: SharedState | None = None
    forwarder: Forwarder | None = None
    _closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self, timeout: float = 5.0) -> None:
        """Take nothing more, write what was accepted, close the store. Twice is harmless. ``timeout`` is in seconds."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        forget(self.close)
        with ExitStack() as stack:
            # Each step is taken, whatever became of those before it; a stack starts with what was put on it last.
            for step in reversed(self._steps(timeout)):
                stack.callback(step)

    def _steps(self, timeout: float) -> list[Callable[[], object]]:
        """Who looks first, as it asks the store; then who brings something; then what was brought, and where it went."""
        return [*self._watching(timeout), *self._bringing(timeout), *self._keeping(timeout)]

    def _watching(self, timeout: float) -> list[Callable[[], object]]:
        """How to stop what only looks at the store."""
        return []

    def _bringing(self, timeout: float) -> list[Callable[[], object]]:
        """How to stop what puts rows into the queue: who was accepted is answered."""
        grpc = self.grpc
        return [] if grpc is None else [lambda: grpc.stop(timeout).wait(timeout)]

    def _keeping(self, timeout: float) -> list[Callable[[], object]]:
        """How to end with everything kept. What others are told of the last rows goes through what is shared, so that is last."""
        steps: list[Callable[[], object]] = [lambda: self.queue.close(timeout), self.store.close]
        forwarder = self.forwarder
        if forwarder is not None:
            steps.insert(1, lambda: forwarder.close(timeout))
        return steps if self.shared is None else [*steps, self.shared.close]
