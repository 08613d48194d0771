"""What a dashboard shares with others on the same store, where a Redis is named; nothing of it is loaded where none is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .store.base import Store, StoreError

if TYPE_CHECKING:
    from .shared_events import SharedEvents
    from .shared_state import SharedState

__all__ = ["changes_of", "retains", "shared_events", "shared_state"]


def shared_state(url: str | None) -> SharedState | None:
    """The Redis at ``url``. Raises ``ValueError`` when its client is not installed."""
    if url is None:
        return None
    try:
        from .shared_state import SharedState
    except ImportError:
        raise ValueError(
            "redis (DASHBOARD_REDIS) needs its client, which is not installed; pip install 'ai-dev-squad-dashboard[redis]'"
        ) from None
    return SharedState(url)


def shared_events(shared: SharedState | None) -> SharedEvents | None:
    """Socket.IO's client manager that carries events between dashboards; ``None`` for the one of a single process."""
    if shared is None:
        return None
    from .shared_events import SharedEvents

    return SharedEvents(shared)


def retains(shared: SharedState | None, every_s: float) -> Callable[[], bool]:
    """Asks whether it is on this process to delete what is old: always where it is alone, else when it has the lease, which it
    keeps by asking every ``every_s`` seconds. While Redis is away nobody begins.
    """
    if shared is None:
        return lambda: True
    from .alerts.lease import Lease

    lease = Lease(shared, "retention", lasts_s=2 * every_s)

    def is_on_us() -> bool:
        lease.hold()
        return lease.is_held

    return is_on_us


def changes_of(store: Store, shared: SharedState | None, *, is_alone: bool) -> Callable[[], object]:
    """What differs once another process has written into ``store``: told by Redis, else asked of the store, unless nobody else can."""
    if shared is not None:
        return shared.writes
    if is_alone:
        return lambda: None
    newest = 0

    def look() -> int:
        nonlocal newest
        try:
            newest = store.newest_span(newest)
        except StoreError:
            pass  # the page that is rendered next says it better
        return newest

    return look
