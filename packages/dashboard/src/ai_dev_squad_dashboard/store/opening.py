"""Opening a store."""

from __future__ import annotations

from pathlib import Path

from ai_dev_squad_dashboard.sqlite_words import traces_beside

from .base import Store
from .duckdb_file import File
from .duckdb_store import DuckDBStore

__all__ = ["open_memory_store", "open_store"]


def open_store(path: Path, *, memory_limit_mib: int = 1024) -> Store:
    """The store in the file ``path``, made when it is missing.

    Raises ``StoreError`` for a file that another process uses, that is damaged, no store, or of a newer version.
    """
    return DuckDBStore(File(Path(path), memory_limit_mib), index=traces_beside(Path(path)))


def open_memory_store() -> Store:
    """A store that is gone with its process, for tests."""
    return DuckDBStore(File(None, 1024))
