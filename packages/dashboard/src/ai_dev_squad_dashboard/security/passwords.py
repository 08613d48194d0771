"""The password of the one user. A wrong name costs as much time as a wrong password, and nobody can make us hash without end."""

from __future__ import annotations

import hmac
import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

__all__ = ["MAX_PASSWORD", "Passwords", "TooBusyError", "hash_password"]

MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 1024
"""Characters. A longer text is no password but an attempt to keep us busy."""


class TooBusyError(Exception):
    """As many passwords are being checked as the machine is meant to check at once."""


def hash_password(password: str) -> str:
    """The argon2id hash of ``password`` for the setting ``password_hash``, with 64 MiB of memory as RFC 9106 advises.

    Raises ``ValueError`` for one that is too short or too long.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ValueError(
            f"the password has {len(password)} characters; use {MIN_PASSWORD} to {MAX_PASSWORD}, such as four random words"
        )
    return PasswordHasher().hash(password)


class Passwords:
    """Checks a name and a password against the settings.

    ``parallel`` is how many may be checked at the same time (each takes the memory that its hash names), ``patience_s``
    how many seconds a further one waits for its turn.
    """

    def __init__(self, user: str, password_hash: str | None, *, parallel: int = 2, patience_s: float = 3.0) -> None:
        self._user = user.encode()
        self._hash = password_hash
        self._patience_s = patience_s
        self._turns = threading.BoundedSemaphore(parallel)
        self._hasher = PasswordHasher()

    def match(self, user: str, password: str) -> bool:
        """Whether both are right. Raises ``TooBusyError``."""
        if self._hash is None or len(password) > MAX_PASSWORD:
            return False
        if not self._turns.acquire(timeout=self._patience_s):
            raise TooBusyError
        try:
            right: bool = self._hasher.verify(self._hash, password.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            right = False
        finally:
            self._turns.release()
        # Compared after hashing, whatever came out: how long the answer takes must not tell which of the two was wrong.
        return hmac.compare_digest(user.encode("utf-8", "surrogatepass"), self._user) and right
