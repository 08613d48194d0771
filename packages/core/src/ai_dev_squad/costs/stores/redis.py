"""One ledger for many hosts: Redis, where a script does a whole exchange at once, in one round trip.

Leases are counted by the server's clock. Everything lies under one hash tag, so that a cluster keeps it in one place.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ai_dev_squad.costs.money import PICO
from ai_dev_squad.costs.stores.exchange import Exchange, Line, Reply, Sums, key_of_text, text_of_key

__all__ = ["RedisLedger"]

_PREFIX = "{ai-dev-squad}:budget"
_LARGEST = 10**15 * PICO
"""A quadrillion dollars: sums of some thousand of these are still exact in the server's doubles, up to 2**53 dollars."""
_FIELDS = 5
_inherited: list[redis.Redis] = []


class RedisLedger:
    """A ledger in the Redis at ``url``. No command takes longer than ``timeout_s`` seconds, nor does connecting."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.place = _without_password(url)
        self._url, self._timeout_s = url, timeout_s
        self._client: redis.Redis | None = None
        self._script: Any = None
        self._is_connected = False

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._is_connected

    def exchange(self, exchange: Exchange) -> Reply:
        """Do all of it by one script, or raise."""
        client = self._open()
        keys = [f"{_PREFIX}:sender:{exchange.sender}"]
        for line in exchange.lines:
            account = f"{_PREFIX}:{line.budget}:{text_of_key(line.key)}"
            keys += account, f"{account}:leases", f"{_PREFIX}:{line.budget}:keys"
        text = msgspec.json.encode(_as_json(exchange))
        try:
            try:
                answer = self._script(keys=keys, args=[text], client=client)
            except redis.TimeoutError:
                raise
            except redis.ConnectionError:
                # The server closed a connection that was kept for long; it may be sent again safely.
                answer = self._script(keys=keys, args=[text], client=client)
        except BaseException:
            # A signal handler may have raised between question and answer: the next would be given this one's.
            self.close()
            raise
        self._is_connected = True
        return _reply(exchange, answer)

    def keys(self, budget: str, most: int) -> list[str | None]:
        """The keys under which something was spent, the latest first."""
        found: Any = self._open().zrange(f"{_PREFIX}:{budget}:keys", 0, most - 1, desc=True)
        return [key_of_text(key.decode()) for key in found]

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        self._is_connected = False
        if client is not None:
            client.close()

    def after_fork(self) -> None:
        """Leave the parent's connection alone and open another."""
        if self._client is not None:
            _inherited.append(self._client)
        self._client = None
        self._is_connected = False

    def _open(self) -> redis.Redis:
        if self._client is None:
            client = redis.Redis.from_url(
                self._url,
                socket_timeout=self._timeout_s,
                socket_connect_timeout=self._timeout_s,
                # Trying again, and when, is decided by whoever knows that a call is waiting.
                retry=Retry(NoBackoff(), 0),
                max_connections=1,
                client_name=f"ai-dev-squad-{os.getpid()}",
            )
            # Both or none: a signal handler may raise between.
            self._script, self._client = client.register_script(_source()), client
        return self._client


@cache
def _source() -> str:
    return files(__package__).joinpath("exchange.lua").read_text(encoding="utf-8")


def _as_json(exchange: Exchange) -> dict[str, Any]:
    # Lua counts from one.
    return {
        "number": exchange.number,
        "lease_ms": round(exchange.lease_s * 1000),
        "charges": any(line.charge or line.unpriced for line in exchange.lines),
        "lines": [_line(line) for line in exchange.lines],
        "given_back": [
            {"hold": held.hold, "lines": [position + 1 for position, _ in held.amounts]} for held in exchange.given_back
        ],
        "kept": [
            {
                "hold": held.hold,
                "amounts": [[position + 1, *_pair(amount)] for position, amount in held.amounts if amount],
            }
            for held in exchange.kept
        ],
        "asks": [
            {
                "hold": ask.hold,
                "claims": [
                    [position + 1, *_pair(limit), *_pair(needed), *_pair(amount)]
                    for position, limit, needed, amount in ask.claims
                ],
            }
            for ask in exchange.asks
        ],
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "key": text_of_key(line.key),
        "charge": _pair(line.charge),
        "unpriced": line.unpriced,
        "known": _pair(line.known),
        "known_unpriced": line.known_unpriced,
        "thresholds": [[*_pair(amount), name] for amount, name in line.thresholds],
        "alerted": line.alerted,
        "lasts_ms": 0 if line.lasts_s is None else round(line.lasts_s * 1000),
    }


def _reply(exchange: Exchange, answer: list[Any]) -> Reply:
    sums = []
    for start in range(0, _FIELDS * len(exchange.lines), _FIELDS):
        spent, reserved, unpriced, alerted, crossed = (text.decode() for text in answer[start : start + _FIELDS])
        sums.append(
            Sums(
                _amount(spent), _amount(reserved), int(unpriced), tuple(sorted(alerted.split())), tuple(crossed.split())
            )
        )
    refused = [int(position) - 1 for position in answer[_FIELDS * len(exchange.lines) :]]
    return Reply(sums, [None if position < 0 else position for position in refused])


def _pair(amount: int) -> tuple[int, int]:
    return divmod(min(amount, _LARGEST), PICO)


def _amount(text: str) -> int:
    whole, _, rest = text.partition(" ")
    return int(whole) * PICO + int(rest)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
