"""Login sessions: a signed cookie that ends by itself, when its owner logs out, and when its credential is withdrawn.

The cookie is all that a session needs, so sessions outlive a restart. What is kept is which ones were ended before their time:
in memory, and in a file beside the key, so that a restart does not revive them.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from itsdangerous import BadSignature, Signer

from ai_dev_squad_dashboard.private_file import write_private
from ai_dev_squad_dashboard.roles import ROLES, Identity

if TYPE_CHECKING:
    from .session_list import Listed
    from .shared import SharedEnded

__all__ = ["LIFETIME_S", "Session", "Sessions"]

log = logging.getLogger("ai_dev_squad.dashboard")

LIFETIME_S: Final = 12 * 3600
"""Seconds after which everybody logs in again."""
MAX_COOKIE: Final = 2048
"""Characters. With a name of 200 characters that JSON writes as escapes a cookie has some 1,800."""


@dataclass(frozen=True)
class Session:
    """Someone who logged in."""

    id: str
    expires_s: int
    """Seconds since 1970."""
    credential: str
    """Which password or token it was, as a keyed hash."""
    identity: Identity
    """Whose it is, and what that person may do at this moment."""

    @property
    def name(self) -> str:
        """What the session is known by: whoever reads it cannot use it."""
        return sha256(self.id.encode()).hexdigest()[:32]


class Sessions:
    """Sessions that are signed with ``key``.

    ``known`` says whose a credential is (hashes and digests, never plain), with the same mapping until something changes: a
    session whose credential it no longer has is over. ``ended`` is the file of sessions that were logged out; without one
    they are known until the process ends. ``shared`` knows those that were logged out at other dashboards.
    """

    def __init__(
        self,
        key: str,
        known: Callable[[], Mapping[str, Identity]],
        *,
        ended: Path | None,
        shared: SharedEnded | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signer = Signer(key, salt="session", digest_method=sha256, key_derivation="hmac")
        self._key = key.encode()
        self._known = known
        self._marked: tuple[Mapping[str, Identity], dict[str, Identity]] = ({}, {})
        self._clock = clock
        self._path = ended
        self._shared = shared
        self._lock = threading.Lock()
        self._ended = self._read()

    def open(self, credential: str, identity: Identity | None = None) -> tuple[Session, str]:
        """A new session for whoever showed what belongs to ``credential``, and the value of its cookie.

        ``identity``: who it is, where the credential does not say, as it stands for everybody whom a provider sends.
        """
        expires_s = int(self._clock()) + LIFETIME_S
        own = identity or self._known()[credential]
        session = Session(secrets.token_urlsafe(24), expires_s, self._mark(credential), own)
        parts = [session.id, str(session.expires_s), session.credential]
        if identity is not None:
            told = json.dumps([identity.name, identity.role]).encode()
            parts.append(base64.urlsafe_b64encode(told).decode().rstrip("="))
        return session, self._signer.sign(".".join(parts)).decode()

    def of(self, cookie: str | None) -> Session | None:
        """The session of a cookie; ``None`` for one that is forged, over, logged out, or whose credential is gone."""
        if not cookie or len(cookie) > MAX_COOKIE:
            return None
        try:
            parts = self._signer.unsign(cookie.encode("utf-8", "replace")).decode().split(".")
        except BadSignature:
            return None
        identity = self._marks().get(parts[2])
        if identity is None or int(parts[1]) <= self._clock():
            return None
        session = Session(parts[0], int(parts[1]), parts[2], _told(parts[3]) if len(parts) > 3 else identity)
        return None if self._has_ended(session.name) else session

    def _has_ended(self, name: str) -> bool:
        with self._lock:
            if name in self._ended:
                return True
        return self._shared is not None and self._shared.has(name)

    def is_running(self, listed: Listed) -> bool:
        """Whether a session that was opened is neither ended nor withdrawn."""
        return listed.credential in self._marks() and not self._has_ended(listed.name)

    def _marks(self) -> dict[str, Identity]:
        known = self._known()
        of, marks = self._marked
        if known is not of:
            marks = {self._mark(credential): identity for credential, identity in known.items()}
            self._marked = known, marks
        return marks

    def end(self, name: str, expires_s: int) -> None:
        """Log out the session known as ``name``: its cookie is worth nothing from now on."""
        with self._lock:
            now = self._clock()
            self._ended = {each: until_s for each, until_s in self._ended.items() if until_s > now}
            self._ended[name] = expires_s
            try:
                self._write()
            except OSError as error:
                log.warning("a logout could not be kept; a restart before %s would undo it: %s", expires_s, error)
        if self._shared is not None:
            self._shared.add(name, expires_s)

    def _mark(self, credential: str) -> str:
        return hmac.new(self._key, b"credential:" + credential.encode(), sha256).hexdigest()[:24]

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
        lines = (f"{name} {expires_s}\n" for name, expires_s in self._ended.items())
        write_private(self._path, "".join(lines).encode("ascii"))


def _told(text: str) -> Identity:
    """Who a session says its owner is. It is signed, so it is as it was written."""
    name, role = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return Identity(name, role if role in ROLES else "look")
