"""Opening a store: by the path of a file, or by a URL, whose scheme names an engine.

Further engines are found through the entry point group ``ai_dev_squad.stores``: the name is the scheme, and the value a function
``open(url, *, memory_limit_mib)`` that returns a ``Store`` or raises ``StoreError``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from ai_dev_squad_dashboard.sqlite_words import traces_beside
from ai_dev_squad_dashboard.store_url import is_url, path_of, without_password

from .base import Store, StoreError
from .duckdb_file import File
from .duckdb_store import DuckDBStore

__all__ = ["GROUP", "open_memory_store", "open_store"]

GROUP: Final = "ai_dev_squad.stores"
_BUILT_IN: Final = {
    "clickhouse": "ai_dev_squad_dashboard.store.clickhouse:open_url",
    "duckdb": "ai_dev_squad_dashboard.store.opening:open_file",
}
"""Scheme → what opens its stores."""


def open_store(place: Path | str, *, memory_limit_mib: int = 1024) -> Store:
    """The store in the file ``place``, made when it is missing, or the one that a URL names, such as ``clickhouse://…``.

    Raises ``StoreError`` for a file that another process uses, that is damaged, no store, or of a newer version, and for a URL
    that names no engine that is installed.
    """
    if isinstance(place, str) and is_url(place):
        return _opener(place)(place, memory_limit_mib=memory_limit_mib)
    path = Path(place)
    return DuckDBStore(File(path, memory_limit_mib), index=traces_beside(path))


def open_file(url: str, *, memory_limit_mib: int) -> Store:
    """The store of a URL such as ``duckdb:///logs/dashboard.duckdb``; a path from the root has four slashes."""
    path = path_of(url)
    if path is None:
        raise StoreError(
            f"store {url!r} names no file; use duckdb:///logs/dashboard.duckdb, with four slashes for a path from the root"
        )
    return open_store(path, memory_limit_mib=memory_limit_mib)


def open_memory_store() -> Store:
    """A store that is gone with its process, for tests."""
    return DuckDBStore(File(None, 1024))


def _opener(url: str) -> Callable[..., Store]:
    scheme = url.partition("://")[0].lower()
    if scheme in _BUILT_IN:
        module, _, name = _BUILT_IN[scheme].partition(":")
        opener: Any = getattr(import_module(module), name)
        return opener  # type: ignore[no-any-return]
    from importlib import metadata  # takes longer to load than a path takes to open

    found = {point.name: point for point in metadata.entry_points(group=GROUP)}
    if scheme not in found:
        raise StoreError(
            f"store {without_password(url)!r} is of an engine that is not installed; use one of "
            f"{', '.join(sorted({*_BUILT_IN, *found}))}, or the path of a file, or install the package of that engine"
        )
    return found[scheme].load()  # type: ignore[no-any-return]
