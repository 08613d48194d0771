"""Passwords of people. A wrong name costs as much time as a wrong password, and nobody can make us hash without end."""

from __future__ import annotations

import threading
from collections.abc import Callable
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
    """Checks names and passwords.

    ``hash_of`` gives the hash to check a name's password against and the credential that a right one stands for, which is empty
    for a stranger's name. ``parallel`` is how many may be checked at the same time (each takes the memory that its hash
    names), ``patience_s`` how many seconds a further one waits for its turn.
    """

    def __init__(
        self, hash_of: Callable[[str], tuple[str | None, str]], *, parallel: int = 2, patience_s: float = 3.0
    ) -> None:
        self._hash_of = hash_of
        self._patience_s = patience_s
        self._turns = threading.BoundedSemaphore(parallel)
        self._hasher = PasswordHasher()

    def match(self, user: str, password: str) -> str | None:
        """The credential when both are right, else ``None``. Raises ``TooBusyError``."""
        hashed, credential = self._hash_of(user)
        if hashed is None or len(password) > MAX_PASSWORD:
            return None
        if not self._turns.acquire(timeout=self._patience_s):
            raise TooBusyError
        try:
            self._hasher.verify(hashed, password.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return None
        finally:
            self._turns.release()
        # A stranger's name was checked as well: how long the answer takes must not tell which of the two was wrong.
        return credential or None
