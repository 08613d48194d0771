"""The key that signs sessions: given, or made once and kept beside the store for its owner only."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

__all__ = ["MIN_KEY", "kept_key", "key_file"]

MIN_KEY: Final = 32
"""Characters of a key that cannot be guessed."""


def key_file(db: Path) -> Path:
    """Where the key of the store at ``db`` is kept."""
    return db.with_name(db.name + ".key")


def kept_key(path: Path) -> str:
    """The key in ``path``, made there with mode 0600 when there is none.

    Raises ``ValueError`` for a file that others may read or that holds no key; the message names the cure.
    """
    if not path.exists():
        _make(path)
    try:
        # A link could make us read, and trust, what somebody else wrote.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise ValueError(f"the key of the login sessions in {str(path)!r} cannot be read: {error}; {_CURE}") from error
    with os.fdopen(descriptor, encoding="utf-8") as file:
        status = os.fstat(file.fileno())
        key = file.read(4096).strip()
    if os.name == "posix" and (stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid()):
        raise ValueError(
            f"the key of the login sessions in {str(path)!r} can be read by others (mode "
            f"{stat.S_IMODE(status.st_mode):04o}); {_CURE}"
        )
    if len(key) < MIN_KEY:
        raise ValueError(f"{str(path)!r} holds no key of {MIN_KEY} characters or more; {_CURE}")
    return key


_CURE = "delete it, and a new one is made, or set DASHBOARD_SECRET_KEY"


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(48))
        # Linked and not renamed: of two that start at once one wins, and neither reads half a key.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
