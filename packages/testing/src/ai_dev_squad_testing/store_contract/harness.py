"""How the contract gets at stores: what an engine's tests say, and the stores that tests ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

import pytest

from ai_dev_squad_dashboard.engine import Capability, Store, Written, open_store
from ai_dev_squad_testing.store_contract.sample import ALL, morning

__all__ = ["Opens", "needs", "pages"]


class Opens:
    """What an engine's tests say of it. Define ``place`` in a class whose name begins with ``Test``."""

    framework: ClassVar[str] = "store"
    """The name of the engine, which stands in the report."""
    lacks: ClassVar[Mapping[str, str]] = {}
    """What the engine lacks, with the reason: taken from ``Store.lacks`` when the first store is opened."""
    examples: ClassVar[int] = 15
    """How many random sets of rows each property is tried with, where opening a store takes long."""

    def place(self) -> AbstractContextManager[str]:
        """Where there is no store yet, as a URL that ``open_store`` takes; what the block leaves behind may be removed."""
        raise NotImplementedError

    def open(self, place: str) -> Store:
        """The store in a place, made when it is missing. To be replaced only where the engine's own settings are tried."""
        return open_store(place)

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """An empty store, closed afterwards."""
        with self.place() as place:
            store = self.open(place)
            type(self).lacks = {str(name): reason for name, reason in store.lacks.items()}
            try:
                yield store
            finally:
                store.close()

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """An empty store."""
        with self.opened() as store:
            yield store

    @pytest.fixture(scope="class")
    @classmethod
    def asked(cls) -> Iterator[Store]:
        """A store with the morning's runs that several tests ask and none writes to."""
        with cls().opened() as store:
            store.write(morning())
            yield store

    @pytest.fixture
    def filled(self, store: Store) -> Store:
        """A store with the morning's runs, for one test."""
        assert store.write(morning()) == Written(spans=6, duplicates=0, logs=3)
        return store


def pages(ask: Callable[..., Any], **question: Any) -> Iterator[Any]:
    """The pages of a list from the first to the last: what ``ask`` answers, each with the cursor of the one before."""
    cursor = None
    while True:
        page = ask(ALL, cursor=cursor, **question)
        yield page
        cursor = page.next
        if cursor is None:
            return


def needs(store: Store, capability: Capability) -> None:
    """Skip where the engine says that it lacks it."""
    if capability in store.lacks:
        pytest.skip(f"this engine lacks {capability}: {store.lacks[capability]}")
