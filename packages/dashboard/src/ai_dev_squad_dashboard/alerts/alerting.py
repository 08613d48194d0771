"""The rules at work: reads what arrived, has the engine decide, keeps the decisions, and wakes who sends them."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ai_dev_squad_dashboard.budgets import watched
from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store.base import SETTLED_S, BadCursorError, Selection, Store, StoreError
from ai_dev_squad_dashboard.store.figures import FIGURE_NAMES, Figure

from .alert import Message, alert_of, trial
from .delivery import Delivery, ReceiverHealth
from .engine import Decision, Engine, Told
from .errors import DeliveryError, RuleFileError
from .events import EVENT_TYPES, dropped, event, levels
from .outbox import Outbox, OutboxError, Place, file_beside
from .rule_entries import read_rule
from .rule_file import Rules, read_rules, version_of
from .rules import Receiver, Rule
from .sending import Send, send
from .tally import STEPS, Group, step_of

__all__ = ["Alerting", "RuleState"]

log = logging.getLogger("ai_dev_squad.dashboard")

_EVERY_S: Final = 1.0
_LEVELS_US: Final = 60_000_000
_KEEP_US: Final = 30_000_000
"""How often the place is kept when nothing was decided: what came since is read again after a crash, which changes nothing."""
_CHUNK: Final = 50_000
_FOREVER: Final = 1 << 62


@dataclass(frozen=True)
class RuleState:
    """A rule, and how it stands for the groups that hold, or that come nearest to it."""

    rule: Rule
    from_file: bool
    firing: int
    """For how many groups it holds."""
    groups: tuple[tuple[Group, float | None, bool, int | None], ...]
    """(group, value, whether it holds, since when it was told), those that hold first."""
    crowded: bool
    """Whether there are more groups than are told apart."""


class Alerting:
    """What watches. ``tick`` does one round; ``start`` has a thread do it every second. ``clock`` is microseconds since 1970.

    ``rules`` are those of the file. Nothing is opened before there is one. Raises ``OutboxError``.
    """

    def __init__(
        self,
        store: Store,
        queue: IngestQueue,
        settings: DashboardSettings,
        rules: Rules,
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
        sender: Send = send,
    ) -> None:
        self._store = store
        self._queue = queue
        self._settings = settings
        self._clock = clock
        self._send = sender
        self._lock = threading.RLock()
        self._path = file_beside(settings.db)
        self._outbox: Outbox | None = None
        self._delivery: Delivery | None = None
        self._engine: Engine | None = None
        self._place: Place | None = None
        self._kept_us = 0
        self._levels_us = 0
        self._lost = 0
        self._late: int | None = None
        self._pending: list[Decision] = []
        self._since_us = clock()
        self._version: tuple[int, int] | None = None
        self._file_rules = rules
        self._rules: tuple[Rule, ...] = ()
        self._told: dict[str, str] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.tested: dict[str, tuple[int, str]] = {}
        """Receiver → when it was last tested, and what went wrong."""
        self.problem: str | None = None
        """Why the file as it is now is not in force; the one before it is."""
        if settings.alerts is not None:
            self._version = version_of(settings.alerts)
        if self._is_wanted():
            self._open()
            self._apply()

    def start(self) -> None:
        """Watch from a thread."""
        self._thread = threading.Thread(target=self._run, name="ai-dev-squad-alerts", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop watching and sending; what waits is sent after the next start. ``timeout`` is in seconds."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout)
        if self._delivery is not None:
            self._delivery.stop(timeout)
        if self._outbox is not None:
            self._outbox.close()

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            try:
                self.tick()
            except Exception as error:  # noqa: BLE001 - the thread outlives whatever the store or a disk does
                self._say("round", f"{type(error).__name__}: {error}", error)
            else:
                self._told.pop("round", None)

    def _say(self, what: str, text: str, error: Exception) -> None:
        if self._told.get(what) != text:
            self._told[what] = text
            expected = isinstance(error, (StoreError, OutboxError))
            log.warning("alerts: %s; it is tried again", text, exc_info=None if expected else error)

    def tick(self) -> None:
        """Read what arrived, decide, keep. Raises ``StoreError``, ``OutboxError``."""
        with self._lock:
            self._reread()
            if self._engine is None or self._outbox is None:
                return
            self._look_for_late()
            engine, outbox = self._engine, self._outbox
            more = True
            while more:
                more = self._round(engine, outbox)

    def _look_for_late(self) -> None:
        """Count the windows anew when spans came too late to be read in their turn."""
        late, before = self._store.late_spans(), self._late
        self._late = late
        if before is not None and late != before:
            self._apply()

    def _round(self, engine: Engine, outbox: Outbox) -> bool:
        """Take in a bounded part of what arrived. Whether there is more."""
        now_us = self._clock()
        place = self._place
        if place is None:
            place = self._place = self._caught_up(engine, outbox, now_us)
        until = self._store.newest_span(place.span, settled_s=SETTLED_S, at_most=_CHUNK)
        if until < place.span:
            # The newest were deleted, or another store is in its place: what comes is new.
            place = Place(until, place.logs)
        figures = list(self._spans(engine, place.span, until, now_us))
        logs = self._logs(place.logs)
        figures += [found for row in logs.rows if (found := event(row, now_us)) is not None]
        figures += self._losses(now_us)
        spent = self._levels(now_us)
        # From here on nothing is asked of the store, which may be away: what was read is taken in, or read again.
        self._place = Place(until, logs.newest or place.logs)
        self._pending += engine.step(now_us, figures, spent)
        self._keep(engine, outbox, now_us)
        return until > place.span or len(logs.rows) >= _LOG_LINES

    def _spans(self, engine: Engine, after: int, until: int, now_us: int) -> Iterable[Figure]:
        if until <= after:
            return ()
        return self._store.figures(
            after, until, by=engine.names, step_us=engine.step_us, now_us=now_us, latency=engine.needs_latency
        )

    def _logs(self, after: str) -> Any:
        try:
            return self._read(after)
        except BadCursorError:
            return self._read(self._store.logs(_ALL, settled_s=SETTLED_S, limit=1).newest or "")

    def _read(self, after: str) -> Any:
        return self._store.logs(_ALL, event_types=EVENT_TYPES, after=after, settled_s=SETTLED_S, limit=_LOG_LINES)

    def _losses(self, now_us: int) -> list[Figure]:
        state = self._queue.state()
        lost, self._lost = state.dropped - self._lost, state.dropped
        return [dropped(lost, now_us)] if lost > 0 else []

    def _levels(self, now_us: int) -> list[Figure] | None:
        if now_us < self._levels_us + _LEVELS_US:
            return None
        self._levels_us = now_us
        return levels(watched(self._store, self._settings.budgets, now_us), now_us)

    def _keep(self, engine: Engine, outbox: Outbox, now_us: int) -> None:
        idle = not self._pending and not engine.changed and now_us < self._kept_us + _KEEP_US
        if self._place is None or idle:
            return
        rules = engine.rules
        told = [(key, rules[key[0]].condition, engine.told.get(key)) for key in engine.changed if key[0] in rules]
        alerts = [
            (alert_of(rule, decision), rule.notify)
            for decision in self._pending
            if (rule := rules.get(decision.rule)) is not None
        ]
        # When this raises, nothing is kept, and all of it is there for the next round.
        waking = outbox.commit(self._place, alerts, told)
        self._pending, self._kept_us = [], now_us
        engine.changed.clear()
        if self._delivery is not None:
            self._delivery.wake(waking)

    def _is_wanted(self) -> bool:
        return bool(self._file_rules.rules or self._file_rules.receivers or self._path.exists())

    def _new_outbox(self) -> Outbox:
        return Outbox(self._path)

    def _open(self) -> Outbox:
        if self._outbox is None:
            self._outbox = self._new_outbox()
            self._delivery = Delivery(self._outbox, clock=self._clock, sender=self._send)
        return self._outbox

    def _apply(self) -> None:
        """Have the rules of the file and of the page in force."""
        if self._outbox is None or self._delivery is None:
            return
        made = [self._made(name, text) for name, text in self._outbox.rules().items()]
        named = {rule.name for rule in self._file_rules.rules}
        self._rules = (*self._file_rules.rules, *(rule for rule in made if rule is not None and rule.name not in named))
        if self._engine is not None:
            # What was told so far is kept under the rules that told it.
            self._keep(self._engine, self._outbox, self._kept_us + _KEEP_US)
        self._place = None
        self._levels_us = 0
        told: dict[tuple[str, Group], Told] = self._outbox.told({rule.name: rule.condition for rule in self._rules})
        self._engine = Engine(self._rules, self._since_us, told) if self._rules else None
        self._delivery.use(self._file_rules.receivers)
        self._delivery.wake()

    def _made(self, name: str, text: Mapping[str, Any]) -> Rule | None:
        try:
            return read_rule(text)
        except RuleFileError as error:
            self._say(f"rule {name}", f"the rule {name!r} of the page is left out: {error}", error)
            return None

    def _reread(self) -> None:
        path = self._settings.alerts
        if path is None or (version := version_of(path)) == self._version:
            return
        self._version = version
        try:
            self._file_rules = read_rules(path)
        except RuleFileError as error:
            self.problem = str(error)
            log.warning("alerts: %s is not in force, the rules before it are: %s", path, error)
            return
        self.problem = None
        self._open()
        self._apply()

    def _caught_up(self, engine: Engine, outbox: Outbox, now_us: int) -> Place:
        """Fill the windows with what they held, up to the place that was read to."""
        place = outbox.place()
        newest = self._store.logs(_ALL, settled_s=SETTLED_S, limit=1)
        if place is None:
            place = Place(self._store.newest_span(settled_s=SETTLED_S), newest.newest or "")
        elif not newest.rows:
            # Lines are numbered anew once all were deleted.
            place = Place(place.span, newest.newest or "")
        for over_us in engine.windows:
            step_us = step_of(over_us)
            since_us = (now_us // step_us - STEPS + 1) * step_us
            figures = self._store.figures(
                0,
                place.span,
                by=engine.names,
                step_us=step_us,
                now_us=now_us,
                since_us=since_us,
                latency=engine.needs_latency,
            )
            engine.load(figures, now_us, over_us)
        return place

    @property
    def receivers(self) -> tuple[Receiver, ...]:
        """Who may be told."""
        return self._file_rules.receivers

    @property
    def outbox(self) -> Outbox | None:
        """What is kept; ``None`` as long as there is no rule."""
        return self._outbox

    def health(self) -> Mapping[str, ReceiverHealth]:
        """How each receiver does."""
        return {} if self._delivery is None else self._delivery.health()

    def states(self, limit: int, groups: int = 5) -> tuple[int, int, tuple[RuleState, ...]]:
        """How many rules there are, how many hold, and so many of them, those that hold first."""
        with self._lock:
            engine = self._engine
            if engine is None:
                return 0, 0, ()
            holding = Counter(name for (name, _), told in engine.told.items() if told.firing)
            ordered = sorted(self._rules, key=lambda rule: not holding[rule.name])
            named = {rule.name for rule in self._file_rules.rules}
            crowded = set(engine.crowded)
            shown = tuple(
                RuleState(
                    rule,
                    rule.name in named,
                    holding[rule.name],
                    self._groups(engine, rule, groups),
                    rule.name in crowded,
                )
                for rule in ordered[:limit]
            )
            return len(self._rules), len(holding), shown

    @staticmethod
    def _groups(engine: Engine, rule: Rule, limit: int) -> tuple[tuple[Group, float | None, bool, int | None], ...]:
        def since(group: Group) -> int | None:
            told = engine.told.get((rule.name, group))
            return told.since_us if told is not None and told.firing else None

        found = ((group, value, holds, since(group)) for group, value, holds in engine.state_of(rule.name))
        return tuple(heapq.nsmallest(limit, found, key=lambda each: (not each[2], rule.distance(each[1]))))

    def make_rule(self, text: Mapping[str, Any]) -> Rule:
        """Make a rule, or replace the one of the page that has its name. Raises ``RuleFileError``."""
        rule = read_rule(text)
        with self._lock:
            if any(rule.name == other.name for other in self._file_rules.rules):
                raise RuleFileError(
                    [f"a rule {rule.name!r} stands in the file; change it there, or choose another name"]
                )
            unknown = [name for name in rule.notify if name not in {receiver.name for receiver in self.receivers}]
            if unknown:
                raise RuleFileError([f"receiver {unknown[0]!r} is not in the file of rules; choose one that is"])
            self._open().keep_rule(rule.name, text, self._clock())
            self._apply()
            # What it finds is seen at once.
            with suppress(StoreError):
                self.tick()
        return rule

    def drop_rule(self, name: str) -> bool:
        """Delete a rule of the page. Whether there was one."""
        with self._lock:
            if self._outbox is None or not self._outbox.drop_rule(name):
                return False
            self._apply()
            return True

    def test(self, receiver: str) -> str | None:
        """Send a receiver a test, now, past quiet hours and grouping. What went wrong, ``None`` when it took it.

        Raises ``KeyError`` for a receiver that is not there.
        """
        one = {each.name: each for each in self.receivers}[receiver]
        now_us = self._clock()
        message = Message(f"msg_test_{now_us:x}", receiver, now_us, 0, (trial(now_us),))
        problem = None
        try:
            self._send(one, message, now_us)
        except DeliveryError as error:
            problem = str(error)
        self.tested[receiver] = (self._clock(), problem or "")
        return problem

    def mentions(self, name: str, value: str) -> bool:
        """Whether anything was told of this user or session. Raises ``OutboxError``."""
        return self._outbox is not None and name in FIGURE_NAMES and self._outbox.mentions(name, value)

    def forget(self, name: str, value: str) -> None:
        """Delete what was told of one user or session, and count its windows anew. Raises ``OutboxError``."""
        with self._lock:
            if self._outbox is not None and name in FIGURE_NAMES:
                self._outbox.forget(name, value)
                self._apply()


_LOG_LINES: Final = 5000
_ALL: Final = Selection(0, _FOREVER)
