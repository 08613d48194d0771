"""Alerts that one of several dashboards watches, under a lease; the others show them, and one takes over when it dies."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from ai_dev_squad_dashboard.shared_state import SharedState

from .alerting import Alerting, RuleState
from .engine import Engine
from .lease import LASTS_S, Lease
from .outbox import Outbox
from .shared_outbox import SharedOutbox
from .tally import Group

__all__ = ["SharedAlerting"]

_TOLD_EVERY_S: Final = 5.0
_TOLD_FOR_S: Final = 60
_TOLD_RULES: Final = 500
_TOLD_GROUPS: Final = 20
_Shown = tuple[int, tuple[tuple[Group, float | None, bool, int | None], ...], bool]
"""Of a rule: for how many groups it holds, the first of them, and whether there are more than are told apart."""


class SharedAlerting(Alerting):
    """``Alerting`` with its memory in ``shared``. Whoever holds the lease reads, decides and sends."""

    def __init__(self, *arguments: Any, shared: SharedState, lasts_s: float = LASTS_S, **options: Any) -> None:
        self._lease = Lease(shared, "alerts", lasts_s=lasts_s)
        self._shared = shared
        self._moved = 0
        self._watched = False
        self._tell_at = 0.0
        self._shown = shared.key("alerts", "states")
        super().__init__(*arguments, **options)

    def _is_wanted(self) -> bool:
        return True

    def _new_outbox(self) -> Outbox:
        return SharedOutbox(self._shared, lambda: self._lease.is_held)

    def stop(self, timeout: float = 5.0) -> None:
        """Stop watching and sending, and let another do it at once. ``timeout`` is in seconds."""
        super().stop(timeout)
        self._lease.release()

    def tick(self) -> None:
        """Watch, if it is on us, else know what the one who watches has told. Raises ``StoreError``, ``OutboxError``."""
        with self._lock:
            is_new = self._lease.hold()
            watches = self._lease.is_held
            outbox = self._open()
            if is_new or (self._watched and not watches):
                # What was decided under an earlier lease and not kept is decided by whoever watches now.
                self._pending.clear()
                self._engine = self._place = None
                self._moved = -1
            self._watched = watches
            if isinstance(outbox, SharedOutbox):
                outbox.refresh()
                if outbox.moved != self._moved:
                    self._apply()
                    self._moved = outbox.moved
            if watches:
                super().tick()
                self._tell_others()
            else:
                self._reread()

    def _tell_others(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._tell_at:
            self._tell_at = now_s + _TOLD_EVERY_S
            count, holding, shown = super().states(_TOLD_RULES, _TOLD_GROUPS)
            states = {each.rule.name: (each.firing, each.groups, each.crowded) for each in shown}
            text = msgspec.json.encode((count, holding, states))
            self._shared.ask(lambda client: client.set(self._shown, text, ex=_TOLD_FOR_S), None)

    def states(self, limit: int, groups: int = 5) -> tuple[int, int, tuple[RuleState, ...]]:
        """How many rules there are, how many hold, and so many of them, as the dashboard sees them that watches."""
        told = None if self._lease.is_held else self._shared.ask(lambda client: client.get(self._shown), None)
        if told is None:
            return super().states(limit, groups)
        count, holding, states = msgspec.json.decode(told, type=tuple[int, int, dict[str, _Shown]])
        with self._lock:
            rules = {rule.name: rule for rule in self._rules}
            of_file = {rule.name for rule in self._file_rules.rules}
        known = [(rules[name], state) for name, state in states.items() if name in rules][:limit]
        return (
            count,
            holding,
            tuple(
                RuleState(rule, rule.name in of_file, firing, seen[:groups], is_crowded)
                for rule, (firing, seen, is_crowded) in known
            ),
        )

    def _keep(self, engine: Engine, outbox: Outbox, now_us: int) -> None:
        if self._lease.is_held:
            super()._keep(engine, outbox, now_us)
