"""A store for a command, opened and closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ai_dev_squad_dashboard.commands import CommandError
from ai_dev_squad_dashboard.store import Store, open_store

__all__ = ["opened"]


@contextmanager
def opened(place: Path | str, *, must_exist: bool) -> Iterator[Store]:
    """The store in the file ``place``, or of that URL. Raises ``CommandError`` when it is not there, ``StoreError`` when a dashboard has it open."""
    if must_exist and isinstance(place, Path) and not place.exists():
        raise CommandError(
            f"there is no store at {str(place)!r}; name the file that `ai-dev-squad dashboard` shows as Store"
        )
    store = open_store(place)
    try:
        yield store
    finally:
        store.close()
