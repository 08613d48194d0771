"""The combinations of names that sums are kept for. Their numbers are hashes, so that several writers give the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from ai_dev_squad_dashboard.store.rows import SpanRow
from ai_dev_squad_dashboard.store.series import FIELDS, OTHER, Key, keys_of, together

from .client import Client
from .incoming import mended

__all__ = ["SeriesBook"]

_NAMES: Final = FIELDS[:-2]


class SeriesBook:
    """What series there are, as far as this process knows. ``maximum`` is for one writer: beyond, names are put together."""

    def __init__(self, client: Client, maximum: int) -> None:
        self._client = client
        self._maximum = maximum
        self._names: dict[int, Key] = {}
        self._own: dict[Key, int] = {}
        self.dropped = 0
        """Spans whose names were put together, since the start."""
        self.reload()
        self._own.update((key, number) for number, key in self._names.items())

    def __len__(self) -> int:
        return len(self._names)

    @property
    def known(self) -> Mapping[int, Key]:
        """What numbers stand for, as far as it is known without asking."""
        return self._names

    def names(self, wanted: Sequence[int] | None = None) -> dict[int, Key]:
        """What numbers stand for; all that there are without ``wanted``."""
        if wanted is None or not self._names.keys() >= set(wanted):
            self.reload()
        return self._names

    def reload(self) -> None:
        """Learn what others have added."""
        rows = self._client.ask(f"SELECT id, {', '.join(FIELDS)} FROM series FINAL")
        self._names.update({number: (*names, bool(root), bool(call)) for number, *names, root, call in rows})

    def numbers(self, spans: Sequence[SpanRow]) -> list[int]:
        """The number of each span's combination. New ones are stored."""
        new: dict[Key, int] = {}
        found = [self._number(key, new) for key in keys_of(spans)]
        if new:
            columns: dict[str, Sequence[Any]] = {"id": list(new.values())}
            for place, name in enumerate(FIELDS):
                values = [key[place] for key in new]
                columns[name] = mended(values) if name in _NAMES else [int(value) for value in values]
            self._client.insert("series", columns)
            self._own |= new
            self._names.update((number, key) for key, number in new.items())
        return found

    def _number(self, key: Key, new: dict[Key, int]) -> int:
        if key in self._own:
            return self._own[key]
        key = (*mended(key[:-2]), *key[-2:])
        known = self._own.get(key, new.get(key))
        if known is None and len(self._own) + len(new) >= self._maximum and OTHER not in key:
            self.dropped += 1
            key = together(key)
            known = self._own.get(key, new.get(key))
        if known is None:
            known = new[key] = int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), "big")
        return known
