"""The outbox of several dashboards: its rows are in Redis, and each works on a copy.

What one transaction changes is written there in one step, if nobody has written meanwhile; else nothing is, and the copy is read
anew. So of two that take themselves for the one who watches, one is told that it is wrong, and each decision is kept once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import redis

from ai_dev_squad_dashboard.shared_state import SharedState

from .alert import Message
from .outbox import Outbox, OutboxError

__all__ = ["SharedOutbox"]

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "meta": ("key",),
    "told": ("rule", "grp"),
    "alerts": ("id",),
    "deliveries": ("alert", "receiver"),
    "messages": ("id",),
    "rules": ("name",),
}
"""Table → what identifies a row; what refers to another comes after it."""
_TRIES: Final = 5
_COME_AGAIN_US: Final = 2_000_000

_PUSH: Final = """
if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return -1 end
local revision = redis.call('INCR', KEYS[1])
for number = 2, #ARGV, 2 do
  if ARGV[number + 1] == '' then redis.call('HDEL', KEYS[2], ARGV[number])
  else redis.call('HSET', KEYS[2], ARGV[number], ARGV[number + 1]) end
  redis.call('ZADD', KEYS[3], revision, ARGV[number])
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', revision - 1000)
return revision
"""
_PULL: Final = """
local known, revision = tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or '0')
if revision == known then return {revision, 0, {}} end
if known < 0 or revision < known or revision - known >= 1000 then return {revision, 1, redis.call('HGETALL', KEYS[2])} end
local rows = {}
for _, field in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. known, '+inf')) do
  rows[#rows + 1] = field
  rows[#rows + 1] = redis.call('HGET', KEYS[2], field) or ''
end
return {revision, 0, rows}
"""
"""What changed since a revision; everything when that is too long ago, or Redis has forgotten."""
_T = TypeVar("_T")


class _Meanwhile(OutboxError):
    """Somebody else has written."""


class SharedOutbox(Outbox):
    """``is_watching`` says whether this process is the one that sends."""

    def __init__(self, state: SharedState, is_watching: Callable[[], bool]) -> None:
        self._state = state
        self._is_watching = is_watching
        self._revision = -1
        self.moved = 0
        """How often others have written."""
        self._push = state.client.register_script(_PUSH)
        self._pull = state.client.register_script(_PULL)
        self._keys = [state.key("alerts", name) for name in ("revision", "rows", "changed")]
        super().__init__(Path(":memory:"))
        self.path = state.place
        self._connection.execute("CREATE TEMP TABLE changed (tab TEXT, id TEXT, PRIMARY KEY (tab, id))")
        for table, names in _KEYS.items():
            for event, row in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")):
                given = ", ".join(f"{row}.{name}" for name in names)
                self._connection.execute(
                    f"CREATE TEMP TRIGGER {table}_{event} AFTER {event} ON main.{table} BEGIN "  # noqa: S608
                    f"INSERT OR IGNORE INTO changed VALUES ('{table}', json_array({given})); END"
                )
        # While Redis is away a dashboard starts all the same, and knows no alerts.
        with suppress(OutboxError):
            self.refresh()

    def refresh(self) -> None:
        """Take over what others have written. Raises ``OutboxError`` while Redis is away."""
        with self._explained(), self._lock:
            arguments = [self._revision]
            revision, is_all, pairs = self._asked(lambda: self._pull(keys=self._keys, args=arguments))
            if revision != self._revision:
                self._take_over(bool(is_all), dict(zip(pairs[::2], pairs[1::2], strict=True)))
                self._revision = revision
                self.moved += 1

    def _take_over(self, is_all: bool, rows: Mapping[bytes, bytes]) -> None:
        connection = self._connection
        # Rows come in any order, and what goes with another is told of by itself.
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN")
        try:
            if is_all:
                for table in _KEYS:
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608
            for field, text in rows.items():
                self._take(*field.decode().partition(":")[::2], text)
            connection.execute("DELETE FROM changed")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.execute("PRAGMA foreign_keys = ON")

    def _take(self, table: str, key: str, text: bytes) -> None:
        where = " AND ".join(f"{name} = ?" for name in _KEYS[table])
        self._connection.execute(f"DELETE FROM {table} WHERE {where}", msgspec.json.decode(key))  # noqa: S608
        if text:
            row = msgspec.json.decode(text)
            if table == "alerts":
                row[-1] = row[-1].encode()
            self._connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.refresh()
        with self._explained(), self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._write()
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _write(self) -> None:
        """What the transaction changed, to all. Raises ``_Meanwhile`` when somebody was faster."""
        changed = self._connection.execute("SELECT tab, id FROM changed").fetchall()
        if not changed:
            return
        pairs: list[bytes | str] = []
        for table, key in changed:
            where = " AND ".join(f"{name} = ?" for name in _KEYS[table])
            question = f"SELECT * FROM {table} WHERE {where}"  # noqa: S608
            row = self._connection.execute(question, msgspec.json.decode(key)).fetchone()
            kept = None if row is None else [each.decode() if isinstance(each, bytes) else each for each in row]
            pairs += f"{table}:{key}", b"" if kept is None else msgspec.json.encode(kept)
        arguments = [str(self._revision), *pairs]
        revision = int(self._asked(lambda: self._push(keys=self._keys, args=arguments)))
        if revision < 0:
            raise _Meanwhile(
                f"{self.path}, where alerts are kept, was written by another dashboard meanwhile; try it again"
            )
        self._connection.execute("DELETE FROM changed")
        self._revision = revision

    def _asked(self, act: Callable[[], _T]) -> _T:
        try:
            return act()
        except redis.RedisError as error:
            raise OutboxError(
                f"{self.path}, where dashboards keep alerts together, does not answer ({error}); start it, or correct "
                "DASHBOARD_REDIS"
            ) from error

    def _again(self, act: Callable[[], _T]) -> _T:
        """What people ask for, also while whoever watches writes all the time."""
        for _ in range(_TRIES - 1):
            try:
                return act()
            except _Meanwhile:
                continue
        return act()

    def next_message(
        self, receiver: str, now_us: int, *, group_us: int, limit: int, only_critical: bool
    ) -> tuple[Message | None, int | None]:
        """The same, for the one who watches; others look again later, as they may have to take over."""
        if not self._is_watching():
            return None, now_us + _COME_AGAIN_US
        return self._again(
            lambda: Outbox.next_message(
                self, receiver, now_us, group_us=group_us, limit=limit, only_critical=only_critical
            )
        )

    def _end(self, message: Message, state: str, error: str) -> None:
        self._again(lambda: Outbox._end(self, message, state, error))

    def again(self, message: Message, next_us: int, error: str) -> None:
        """It is tried again at ``next_us``."""
        self._again(lambda: Outbox.again(self, message, next_us, error))

    def keep_rule(self, name: str, text: Mapping[str, Any], now_us: int) -> None:
        """Keep a rule of the page, in the place of the one of that name."""
        self._again(lambda: Outbox.keep_rule(self, name, text, now_us))

    def drop_rule(self, name: str) -> bool:
        """Delete a rule of the page, and what was told of it. Whether there was one."""
        return self._again(lambda: Outbox.drop_rule(self, name))

    def forget(self, name: str, value: str) -> int:
        """Delete every alert about this user, session and so on, sent or not. Returns how many there were."""
        self.refresh()
        return self._again(lambda: Outbox.forget(self, name, value))

    def _rows(self, question: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        # While Redis is away a page shows what was known last.
        if self._state.ask(lambda client: client.get(self._keys[0]), b"") != str(self._revision).encode():
            with suppress(OutboxError):
                self.refresh()
        return super()._rows(question, values)
