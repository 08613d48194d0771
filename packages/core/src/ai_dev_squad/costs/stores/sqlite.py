"""One ledger for the processes of one machine: a SQLite file in WAL mode, one short transaction an exchange.

Leases are counted by the machine's monotonic clock, which all processes share and nobody can set. Amounts are decimal
text, so that no sum is too large.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ai_dev_squad.costs.stores.exchange import Ask, Exchange, Held, Line, Reply, Sums, key_of_text, text_of_key

__all__ = ["SQLiteLedger"]

_MOST_ACCOUNTS = 100_000
_MOST_IDS = 500  # of one statement; SQLite allows 999 in releases of old
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.0002, 0.002
_FORMAT = 1
_random = random.Random()  # noqa: S311 - no secret; the program's own sequence of chances is not ours to advance
_TABLES = """
CREATE TABLE IF NOT EXISTS account (
    budget TEXT NOT NULL, key TEXT NOT NULL, spent TEXT NOT NULL, reserved TEXT NOT NULL, unpriced INTEGER NOT NULL,
    alerted TEXT NOT NULL, touched INTEGER NOT NULL, PRIMARY KEY (budget, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hold (
    id TEXT NOT NULL, budget TEXT NOT NULL, key TEXT NOT NULL, amount TEXT NOT NULL, renewed REAL NOT NULL,
    until REAL NOT NULL, PRIMARY KEY (id, budget, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hold_until ON hold (until);
CREATE TABLE IF NOT EXISTS sender (id TEXT PRIMARY KEY, number INTEGER NOT NULL, touched INTEGER NOT NULL) WITHOUT ROWID;
"""
_inherited: list[sqlite3.Connection] = []  # a child that closed its parent's would take the parent's locks


class _Account:
    """One account while a transaction is under way."""

    __slots__ = ("alerted", "crossed", "reserved", "spent", "unpriced")

    def __init__(self, row: tuple[str, str, int, str] | None) -> None:
        spent, reserved, self.unpriced, alerted = row or ("0", "0", 0, "")
        self.spent, self.reserved = int(spent), int(reserved)
        self.alerted = set(alerted.split())
        self.crossed: tuple[str, ...] = ()

    def sums(self) -> Sums:
        return Sums(self.spent, self.reserved, self.unpriced, tuple(sorted(self.alerted)), self.crossed)


class SQLiteLedger:
    """A ledger in the file at ``path``. An exchange waits at most ``timeout_s`` seconds for the others."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.place = str(path)
        self._path = path
        self._timeout_s = timeout_s
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return self._connection is not None

    def exchange(self, exchange: Exchange) -> Reply:
        """Do all of it in one transaction, or raise."""
        connection = self._open()
        try:
            self._begin(connection)
            reply = _Transaction(connection, exchange).run()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return reply

    def keys(self, budget: str, most: int) -> list[str | None]:
        """The keys under which something was spent, the latest first."""
        rows = self._open().execute(
            "SELECT key FROM account WHERE budget = ? AND (spent <> '0' OR unpriced > 0) ORDER BY touched DESC LIMIT ?",
            (budget, most),
        )
        return [key_of_text(text) for (text,) in rows]

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def after_fork(self) -> None:
        """Leave the parent's connection alone and open another."""
        if self._connection is not None:
            _inherited.append(self._connection)
        self._connection = None

    def _open(self) -> sqlite3.Connection:
        connection = self._connection
        if connection is not None:
            # Whoever deletes the file means to begin anew; those that keep the old one would no longer share anything.
            if _inode(self._path) == self._inode:
                return connection
            self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._inode = connection, _inode(self._path)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Asked first: what is not ours to read is not ours to change.
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in {0, _FORMAT}:
            raise sqlite3.DatabaseError(f"format {version} of {self._path} is unknown; this version writes {_FORMAT}")
        # A transaction changes a row in each of three tables: less is written of smaller pages.
        connection.execute("PRAGMA page_size = 1024")
        connection.execute("PRAGMA journal_mode = WAL")
        # Whatever is committed survives the death of any process; only a power cut may take the last moments.
        connection.execute("PRAGMA synchronous = NORMAL")
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_FORMAT}; COMMIT;")
        connection.execute("PRAGMA busy_timeout = 0")
        self._begin(connection)
        connection.execute(
            "DELETE FROM account WHERE touched < (SELECT touched FROM account ORDER BY touched DESC LIMIT 1 OFFSET ?)",
            (_MOST_ACCOUNTS,),
        )
        connection.execute(
            "DELETE FROM sender WHERE touched < (SELECT touched FROM sender ORDER BY touched DESC LIMIT 1 OFFSET ?)",
            (_MOST_ACCOUNTS // 10,),
        )
        # The monotonic clock begins anew with the machine: a lease that was renewed in the future is of another life. Asked
        # for now, as the one writer: what others renew while this waits would lie in the future of an earlier moment.
        now = time.monotonic()
        connection.execute("UPDATE hold SET until = :now, renewed = :now WHERE renewed > :now", {"now": now})
        connection.execute("COMMIT")

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Become the one writer. SQLite's own way of waiting sleeps far longer than a transaction here takes."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"another process has held {self._path} for over {self._timeout_s:g} s"
                    ) from error
                time.sleep(_random.uniform(_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S))
            else:
                return


class _Transaction:
    """One exchange, between BEGIN and COMMIT."""

    def __init__(self, connection: sqlite3.Connection, exchange: Exchange) -> None:
        self._execute = connection.execute
        self._exchange = exchange
        self._now = time.monotonic()
        self._accounts: dict[tuple[str, str], _Account] = {}

    def run(self) -> Reply:
        exchange = self._exchange
        self._drop_lapsed()
        accounts = [self._account(line.budget, text_of_key(line.key)) for line in exchange.lines]
        if self._is_new():
            for line, account in zip(exchange.lines, accounts, strict=True):
                account.spent = max(account.spent, line.known) + line.charge
                account.unpriced = max(account.unpriced, line.known_unpriced) + line.unpriced
        for start in range(0, len(exchange.given_back), _MOST_IDS):
            ids = [held.hold for held in exchange.given_back[start : start + _MOST_IDS]]
            self._drop(f"id IN ({', '.join('?' * len(ids))})", ids)
        for held in exchange.kept:
            self._keep(held)
        for line, account in zip(exchange.lines, accounts, strict=True):
            _alert(line, account)
        refused = [self._ask(ask, accounts) for ask in exchange.asks]
        self._write()
        return Reply([account.sums() for account in accounts], refused)

    def _is_new(self) -> bool:
        """Whether these charges were not made before. An exchange without any is not worth remembering."""
        exchange = self._exchange
        if not any(line.charge or line.unpriced for line in exchange.lines):
            return True
        row = self._execute("SELECT number FROM sender WHERE id = ?", (exchange.sender,)).fetchone()
        if row is not None and row[0] >= exchange.number:
            return False
        self._execute(
            "INSERT INTO sender VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET number = excluded.number, touched = excluded.touched",
            (exchange.sender, exchange.number, int(time.time())),
        )
        return True

    def _account(self, budget: str, key: str) -> _Account:
        account = self._accounts.get((budget, key))
        if account is None:
            row = self._execute(
                "SELECT spent, reserved, unpriced, alerted FROM account WHERE budget = ? AND key = ?", (budget, key)
            ).fetchone()
            account = self._accounts[budget, key] = _Account(row)
        return account

    def _drop_lapsed(self) -> None:
        self._drop("until <= ?", (self._now,))

    def _drop(self, condition: str, values: Sequence[object]) -> None:
        rows = self._execute(f"SELECT budget, key, amount FROM hold WHERE {condition}", values).fetchall()  # noqa: S608 - conditions are of this class
        for budget, key, amount in rows:
            self._account(budget, key).reserved -= int(amount)
        if rows:
            self._execute(f"DELETE FROM hold WHERE {condition}", values)  # noqa: S608 - as above

    def _keep(self, held: Held) -> None:
        until = self._now + self._exchange.lease_s
        renewed = self._execute("UPDATE hold SET renewed = ?, until = ? WHERE id = ?", (self._now, until, held.hold))
        if renewed.rowcount == 0:
            self._hold(held.hold, held.amounts)

    def _hold(self, hold: str, amounts: Iterable[tuple[int, int]]) -> None:
        until = self._now + self._exchange.lease_s
        for position, amount in amounts:
            line = self._exchange.lines[position]
            if amount:
                key = text_of_key(line.key)
                self._account(line.budget, key).reserved += amount
                self._execute(
                    "INSERT INTO hold VALUES (?, ?, ?, ?, ?, ?)",
                    (hold, line.budget, key, str(amount), self._now, until),
                )

    def _ask(self, ask: Ask, accounts: list[_Account]) -> int | None:
        if self._execute("SELECT 1 FROM hold WHERE id = ?", (ask.hold,)).fetchone():
            return None
        for number, (position, limit, needed, _) in enumerate(ask.claims):
            account = accounts[position]
            if account.spent + account.reserved + needed > limit:
                return number
        self._hold(ask.hold, ((position, amount) for position, _, _, amount in ask.claims))
        return None

    def _write(self) -> None:
        for (budget, key), account in self._accounts.items():
            self._execute(
                "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (budget, key) DO UPDATE SET spent = excluded.spent, "
                "reserved = excluded.reserved, unpriced = excluded.unpriced, alerted = excluded.alerted, "
                "touched = excluded.touched",
                (
                    budget,
                    key,
                    str(account.spent),
                    str(account.reserved),
                    account.unpriced,
                    " ".join(sorted(account.alerted)),
                    int(time.time()),
                ),
            )


def _alert(line: Line, account: _Account) -> None:
    account.alerted.update(line.alerted)
    reached = [name for amount, name in line.thresholds if amount <= account.spent]
    # A limit that was raised since has thresholds ahead again.
    account.alerted.difference_update({name for _, name in line.thresholds}.difference(reached))
    account.crossed = tuple(name for name in reached if name not in account.alerted)
    account.alerted.update(reached)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
