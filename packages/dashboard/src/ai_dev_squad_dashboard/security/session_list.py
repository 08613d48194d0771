"""Who is logged in: a list for people, beside the key. No session depends on it, so losing it logs nobody out."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from ai_dev_squad_dashboard.private_file import write_private

from .sessions import Session

__all__ = ["MAX_LISTED", "Listed", "SessionList"]

log = logging.getLogger("ai_dev_squad.dashboard")

MAX_LISTED: Final = 10_000
"""Sessions that are listed; the oldest leave first."""
_MAX_TEXT: Final = 200


@dataclass(frozen=True)
class Listed:
    """A session as it is shown. Times are seconds since 1970."""

    name: str
    """What the session is known by; it opens nothing."""
    person: str
    credential: str
    """Which password, token or provider it was, as a keyed hash."""
    opened_s: int
    expires_s: int
    address: str
    """From where it was opened."""
    browser: str
    """What the browser said it was."""


class SessionList:
    """The sessions that were opened and have not ended, kept in ``path``; ``None``: until the process ends."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._listed = self._read()

    def add(self, session: Session, *, now_s: int, address: str, browser: str) -> None:
        """Somebody logged in."""
        listed = Listed(
            session.name,
            session.identity.name,
            session.credential,
            now_s,
            session.expires_s,
            address[:_MAX_TEXT],
            browser[:_MAX_TEXT],
        )
        with self._lock:
            running = [each for each in self._listed.values() if each.expires_s > now_s]
            self._listed = {each.name: each for each in [*running[1 - MAX_LISTED :], listed]}
            self._write()

    def remove(self, name: str) -> None:
        """The session known as ``name`` has ended."""
        with self._lock:
            if self._listed.pop(name, None) is not None:
                self._write()

    def running(self, now_s: int) -> tuple[Listed, ...]:
        """Sessions that have not ended by themselves, the newest first."""
        with self._lock:
            return tuple(each for each in reversed(self._listed.values()) if each.expires_s > now_s)

    def _read(self) -> dict[str, Listed]:
        if self._path is None:
            return {}
        try:
            listed = msgspec.json.decode(self._path.read_bytes(), type=list[Listed])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("who is logged in is not known any more: %s cannot be read (%s)", self._path, error)
            return {}
        return {each.name: each for each in listed}

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            write_private(self._path, msgspec.json.encode(list(self._listed.values())))
        except OSError as error:
            log.warning("who is logged in could not be kept; a restart would forget it: %s", error)
