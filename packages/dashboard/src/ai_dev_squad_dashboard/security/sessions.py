"""Login sessions: a signed cookie that ends by itself, when its owner logs out, and when its credential is withdrawn.

Nothing is kept about sessions that run, so they outlive a restart. What is kept is which ones were ended before their time:
in memory, and in a file beside the key, so that a restart does not revive them.
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from itsdangerous import BadSignature, Signer

__all__ = ["LIFETIME_S", "Session", "Sessions"]

log = logging.getLogger("ai_dev_squad.dashboard")

LIFETIME_S: Final = 12 * 3600
"""Seconds after which everybody logs in again."""


@dataclass(frozen=True)
class Session:
    """Someone who logged in."""

    id: str
    expires_s: int
    """Seconds since 1970."""
    credential: str
    """Which password or token it was, as a keyed hash."""


class Sessions:
    """Sessions that are signed with ``key`` and were opened with one of ``credentials`` (hashes and digests, never plain).

    ``ended`` is the file of sessions that were logged out; without one they are known until the process ends.
    """

    def __init__(
        self, key: str, credentials: Iterable[str], *, ended: Path | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._signer = Signer(key, salt="session", digest_method=sha256, key_derivation="hmac")
        self._key = key.encode()
        self._credentials = frozenset(self._mark(credential) for credential in credentials)
        self._clock = clock
        self._path = ended
        self._lock = threading.Lock()
        self._ended = self._read()

    def open(self, credential: str) -> tuple[Session, str]:
        """A new session for whoever showed what belongs to ``credential``, and the value of its cookie."""
        expires_s = int(self._clock()) + LIFETIME_S
        session = Session(secrets.token_urlsafe(24), expires_s, self._mark(credential))
        value = f"{session.id}.{session.expires_s}.{session.credential}"
        return session, self._signer.sign(value).decode()

    def of(self, cookie: str | None) -> Session | None:
        """The session of a cookie; ``None`` for one that is forged, over, logged out, or whose credential is gone."""
        if not cookie or len(cookie) > 512:
            return None
        try:
            parts = self._signer.unsign(cookie.encode("utf-8", "replace")).decode().split(".")
        except BadSignature:
            return None
        session = Session(parts[0], int(parts[1]), parts[2])
        if session.expires_s <= self._clock() or session.credential not in self._credentials:
            return None
        with self._lock:
            return None if self._name(session) in self._ended else session

    def was_opened_with(self, session: Session, credentials: Iterable[str]) -> str | None:
        """The one of ``credentials`` that ``session`` was opened with, or ``None``."""
        marks = {self._mark(credential): credential for credential in credentials}
        return marks.get(session.credential)

    def end(self, session: Session) -> None:
        """Log out: the cookie is worth nothing from now on."""
        with self._lock:
            now = self._clock()
            self._ended = {name: expires_s for name, expires_s in self._ended.items() if expires_s > now}
            self._ended[self._name(session)] = session.expires_s
            try:
                self._write()
            except OSError as error:
                log.warning(
                    "a logout could not be kept; a restart before %s would undo it: %s", session.expires_s, error
                )

    def _mark(self, credential: str) -> str:
        return hmac.new(self._key, b"credential:" + credential.encode(), sha256).hexdigest()[:24]

    @staticmethod
    def _name(session: Session) -> str:
        return sha256(session.id.encode()).hexdigest()[:32]

    def _read(self) -> dict[str, int]:
        if self._path is None or not self._path.exists():
            return {}
        now, ended = self._clock(), {}
        for line in self._path.read_text(encoding="ascii", errors="replace").splitlines():
            name, _, expires_s = line.partition(" ")
            if expires_s.isdecimal() and int(expires_s) > now:
                ended[name] = int(expires_s)
        return ended

    def _write(self) -> None:
        if self._path is None:
            return
        draft = self._path.with_name(self._path.name + ".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.writelines(f"{name} {expires_s}\n" for name, expires_s in self._ended.items())
        draft.replace(self._path)
