"""What must outlive the process: where reading has come to, what was told, and what is still to be sent.

A SQLite file beside the store. A decision, the memory that it was made and the place that was read up to are one transaction, so
whatever is killed whenever, each decision is made once; a message keeps its id until its receiver has answered.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from .alert import Alert, Message
from .engine import Told
from .tally import Group

__all__ = ["KEPT_ALERTS", "MAX_WAITING", "Outbox", "OutboxError", "Past", "Place", "Waiting", "file_beside"]

KEPT_ALERTS: Final = 10_000
"""Alerts of the history; older ones go once they are sent."""
MAX_WAITING: Final = 10_000
"""Alerts that may wait for one receiver; what comes beyond is in the history only, which says so."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS told (
    rule TEXT NOT NULL, grp TEXT NOT NULL, condition TEXT NOT NULL, firing INTEGER NOT NULL, since_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL, PRIMARY KEY (rule, grp)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alerts (id INTEGER PRIMARY KEY AUTOINCREMENT, time_us INTEGER NOT NULL, alert BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    alert INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE, receiver TEXT NOT NULL, critical INTEGER NOT NULL,
    message TEXT, state TEXT NOT NULL, time_us INTEGER NOT NULL, PRIMARY KEY (alert, receiver)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON deliveries (receiver, state, critical, alert);
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY, receiver TEXT NOT NULL, critical INTEGER NOT NULL, created_us INTEGER NOT NULL,
    attempts INTEGER NOT NULL, next_us INTEGER NOT NULL, state TEXT NOT NULL, error TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS due ON messages (receiver, state, next_us);
CREATE TABLE IF NOT EXISTS rules (name TEXT PRIMARY KEY, text TEXT NOT NULL, made_us INTEGER NOT NULL) WITHOUT ROWID;
"""
_encode: Final = msgspec.json.Encoder().encode
_alert: Final = msgspec.json.Decoder(Alert).decode


def file_beside(db: Path) -> Path:
    """Where the outbox of the store at ``db`` is."""
    return db.with_name(db.name + ".alerts")


class OutboxError(Exception):
    """What is to be kept cannot be kept. The message names the file and the cure."""


@dataclass(frozen=True)
class Place:
    """How far was read: the number of the newest span, and the cursor behind the newest log line."""

    span: int
    logs: str


@dataclass(frozen=True)
class Waiting:
    """What waits for a receiver."""

    alerts: int = 0
    failed: int = 0
    """Alerts that were given up, among those of the history."""
    oldest_us: int | None = None


@dataclass(frozen=True)
class Past:
    """An alert of the history, and what became of it."""

    id: int
    alert: Alert
    deliveries: tuple[tuple[str, str, str], ...]
    """(receiver, ``waiting``, ``sent``, ``failed`` or ``crowded``, the last error)."""


class Outbox:
    """The file. Every method may be called from any thread. Methods raise ``OutboxError``."""

    def __init__(self, path: Path) -> None:
        self.path: Path | str = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            # What is deleted is gone from the file as well.
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise OutboxError(
                f"{path}, where alerts are kept, cannot be opened ({error}); move it away, or correct --db"
            ) from error

    def close(self) -> None:
        """Let go of the file. Twice is harmless."""
        with self._lock:
            self._connection.close()

    # --- deciding -----------------------------------------------------------------------------------------------------

    def place(self) -> Place | None:
        """How far was read; ``None`` before the first time."""
        found = dict(self._rows("SELECT key, value FROM meta WHERE key IN ('span', 'logs')"))
        return Place(int(found["span"]), found["logs"]) if "span" in found else None

    def told(self, conditions: Mapping[str, str]) -> dict[tuple[str, Group], Told]:
        """What was told of the rules that still ask the same."""
        return {
            (rule, tuple(json.loads(group))): Told(bool(firing), since_us, last_us)
            for rule, group, condition, firing, since_us, last_us in self._rows(
                "SELECT rule, grp, condition, firing, since_us, last_us FROM told"
            )
            if conditions.get(rule) == condition
        }

    def commit(
        self,
        place: Place,
        alerts: Sequence[tuple[Alert, Sequence[str]]],
        told: Iterable[tuple[tuple[str, Group], str, Told | None]],
    ) -> set[str]:
        """Keep decisions with their receivers, what was told (key, condition, memory), and the place, all or nothing.

        Returns the receivers that are to be told.
        """
        waiting: dict[str, int] = {}
        with self._transaction() as connection:
            for alert, names in alerts:
                number = connection.execute(
                    "INSERT INTO alerts (time_us, alert) VALUES (?, ?)", (alert.time_us, _encode(alert))
                ).lastrowid
                for name in names:
                    if name not in waiting:
                        waiting[name] = self._waiting(connection, name)
                    state = "waiting" if waiting[name] < MAX_WAITING else "crowded"
                    waiting[name] += 1
                    connection.execute(
                        "INSERT INTO deliveries VALUES (?, ?, ?, NULL, ?, ?)",
                        (number, name, alert.severity == "critical", state, alert.time_us),
                    )
            for (rule, group), condition, memory in told:
                key = (rule, json.dumps(group))
                if memory is None:
                    connection.execute("DELETE FROM told WHERE rule = ? AND grp = ?", key)
                else:
                    connection.execute(
                        "INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, ?, ?)",
                        (*key, condition, memory.firing, memory.since_us, memory.last_us),
                    )
            connection.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", [("span", str(place.span)), ("logs", place.logs)]
            )
            if alerts:
                self._prune(connection)
        return set(waiting)

    @staticmethod
    def _waiting(connection: sqlite3.Connection, receiver: str) -> int:
        question = "SELECT count(*) FROM deliveries WHERE receiver = ? AND state = 'waiting'"
        return int(connection.execute(question, (receiver,)).fetchone()[0])

    @staticmethod
    def _prune(connection: sqlite3.Connection) -> None:
        connection.execute(
            "DELETE FROM alerts WHERE id <= (SELECT max(id) FROM alerts) - ? "
            "AND id NOT IN (SELECT alert FROM deliveries WHERE state = 'waiting')",
            (KEPT_ALERTS,),
        )
        connection.execute(
            "DELETE FROM messages WHERE state <> 'waiting' AND id NOT IN (SELECT message FROM deliveries WHERE message IS NOT NULL)"
        )

    # --- sending ------------------------------------------------------------------------------------------------------

    def next_message(
        self, receiver: str, now_us: int, *, group_us: int, limit: int, only_critical: bool
    ) -> tuple[Message | None, int | None]:
        """The message to send now, if any; else when to look again, as far as that is known.

        One that was tried before comes first. A new one takes what waits once the oldest has waited for ``group_us``, or at once
        where something is critical. Its id and what it holds are kept before it is given out.
        """
        critical = "AND critical" if only_critical else ""
        with self._transaction() as connection:
            again = connection.execute(
                f"SELECT id, created_us, attempts, next_us FROM messages WHERE receiver = ? AND state = 'waiting' {critical} "  # noqa: S608
                "ORDER BY next_us, id LIMIT 1",
                (receiver,),
            ).fetchone()
            if again is not None and again[3] <= now_us:
                return self._message(connection, receiver, *again[:3]), None
            ready = None if again is None else int(again[3])
            rows = connection.execute(
                f"SELECT alert, critical, time_us FROM deliveries WHERE receiver = ? AND state = 'waiting' AND message IS NULL "  # noqa: S608
                f"{critical} ORDER BY alert LIMIT ?",
                (receiver, limit),
            ).fetchall()
            if not rows:
                return None, ready
            due_us = rows[0][2] + group_us
            urgent = self._has_urgent(connection, receiver)
            if due_us > now_us and len(rows) < limit and not urgent:
                return None, due_us if ready is None else min(ready, due_us)
            name = f"msg_{secrets.token_hex(16)}"
            connection.execute(
                "INSERT INTO messages VALUES (?, ?, ?, ?, 0, ?, 'waiting', '')",
                (name, receiver, any(row[1] for row in rows), now_us, now_us),
            )
            connection.executemany(
                "UPDATE deliveries SET message = ? WHERE alert = ? AND receiver = ?",
                [(name, row[0], receiver) for row in rows],
            )
            return self._message(connection, receiver, name, now_us, 0), None

    @staticmethod
    def _has_urgent(connection: sqlite3.Connection, receiver: str) -> bool:
        question = (
            "SELECT 1 FROM deliveries WHERE receiver = ? AND state = 'waiting' AND critical AND message IS NULL LIMIT 1"
        )
        return connection.execute(question, (receiver,)).fetchone() is not None

    @staticmethod
    def _message(connection: sqlite3.Connection, receiver: str, name: str, created_us: int, attempts: int) -> Message:
        rows = connection.execute(
            "SELECT a.alert FROM deliveries d JOIN alerts a ON a.id = d.alert WHERE d.receiver = ? AND d.state = 'waiting' "
            "AND d.message = ? ORDER BY a.id",
            (receiver, name),
        ).fetchall()
        return Message(name, receiver, created_us, attempts, tuple(_alert(row[0]) for row in rows))

    def sent(self, message: Message) -> None:
        """The receiver has it."""
        self._end(message, "sent", "")

    def failed(self, message: Message, error: str) -> None:
        """It is given up."""
        self._end(message, "failed", error)

    def again(self, message: Message, next_us: int, error: str) -> None:
        """It is tried again at ``next_us``."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE messages SET attempts = attempts + 1, next_us = ?, error = ? WHERE id = ?",
                (next_us, error, message.id),
            )

    def _end(self, message: Message, state: str, error: str) -> None:
        with self._transaction() as connection:
            connection.execute(
                "UPDATE messages SET attempts = attempts + 1, state = ?, error = ? WHERE id = ?",
                (state, error, message.id),
            )
            connection.execute(
                "UPDATE deliveries SET state = ? WHERE receiver = ? AND message = ? AND state = 'waiting'",
                (state, message.receiver, message.id),
            )

    def waiting(self) -> dict[str, Waiting]:
        """What waits, by receiver."""
        return {
            name: Waiting(waiting, failed, oldest)
            for name, waiting, failed, oldest in self._rows(
                "SELECT receiver, count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state IN ('failed', 'crowded')), "
                "min(time_us) FILTER (WHERE state = 'waiting') FROM deliveries GROUP BY receiver"
            )
        }

    def history(self, limit: int = 100, before: int | None = None) -> tuple[Past, ...]:
        """The newest alerts, newest first; with ``before`` those that are older than it."""
        rows = self._rows(
            "SELECT id, alert FROM alerts WHERE id < ? ORDER BY id DESC LIMIT ?", (before or 1 << 62, limit)
        )
        if not rows:
            return ()
        became: dict[int, list[tuple[str, str, str]]] = {}
        for number, receiver, state, error in self._rows(
            "SELECT d.alert, d.receiver, d.state, coalesce(m.error, '') FROM deliveries d LEFT JOIN messages m ON m.id = d.message "
            "WHERE d.alert BETWEEN ? AND ? ORDER BY d.receiver",
            (rows[-1][0], rows[0][0]),
        ):
            became.setdefault(number, []).append((receiver, state, error))
        return tuple(Past(number, _alert(alert), tuple(became.get(number, ()))) for number, alert in rows)

    # --- rules of the page --------------------------------------------------------------------------------------------

    def rules(self) -> dict[str, dict[str, Any]]:
        """The rules that were made on the page, as they were written."""
        return {name: json.loads(text) for name, text in self._rows("SELECT name, text FROM rules ORDER BY name")}

    def keep_rule(self, name: str, text: Mapping[str, Any], now_us: int) -> None:
        """Keep a rule of the page, in the place of the one of that name."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO rules VALUES (?, ?, ?)", (name, json.dumps(text), now_us))

    def drop_rule(self, name: str) -> bool:
        """Delete a rule of the page, and what was told of it. Whether there was one."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM told WHERE rule = ?", (name,))
            return connection.execute("DELETE FROM rules WHERE name = ?", (name,)).rowcount > 0

    def mentions(self, name: str, value: str) -> bool:
        """Whether an alert, or the memory of one, is about this user, session and so on."""
        return any(self._about(name, value))

    def forget(self, name: str, value: str) -> int:
        """Delete every alert about this user, session and so on, sent or not. Returns how many there were."""
        alerts, told = self._about(name, value)
        with self._transaction() as connection:
            connection.executemany("DELETE FROM alerts WHERE id = ?", alerts)
            connection.executemany("DELETE FROM told WHERE rule = ? AND grp = ?", told)
            # What a receiver answered may repeat what it was sent.
            connection.execute(
                "DELETE FROM messages WHERE id NOT IN (SELECT message FROM deliveries WHERE message IS NOT NULL)"
            )
        with self._explained(), self._lock:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return len(alerts)

    def _about(self, name: str, value: str) -> tuple[list[tuple[int]], list[tuple[str, str]]]:
        """The numbers of alerts, and the keys of what was told."""
        alerts = [
            (number,)
            for number, alert in self._rows("SELECT id, alert FROM alerts")
            if _alert(alert).group.get(name) == value
        ]
        # The names of a group are not kept here, so any that has the value goes: at worst it is told of once more.
        told = [(rule, group) for rule, group in self._rows("SELECT rule, grp FROM told") if value in json.loads(group)]
        return alerts, told

    # --- the file -----------------------------------------------------------------------------------------------------

    def _rows(self, question: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._explained(), self._lock:
            return self._connection.execute(question, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._explained(), self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutboxError(
                f"{self.path}, where alerts are kept, cannot be used ({error}); free space on its disk, or move the file away"
            ) from error
