"""A store for a command, opened and closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ai_dev_squad_dashboard.commands import CommandError
from ai_dev_squad_dashboard.store import Store, open_store

__all__ = ["opened"]


@contextmanager
def opened(db: Path, *, must_exist: bool) -> Iterator[Store]:
    """The store in ``db``. Raises ``CommandError`` when it is not there, ``StoreError`` when a dashboard has it open."""
    if must_exist and not db.exists():
        raise CommandError(
            f"there is no store at {str(db)!r}; name the file that `ai-dev-squad dashboard` shows as Store"
        )
    store = open_store(db)
    try:
        yield store
    finally:
        store.close()
