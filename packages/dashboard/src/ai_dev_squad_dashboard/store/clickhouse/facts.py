"""Single facts about the whole store."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from .client import Client

__all__ = ["KEY", "LATE", "RELAYED", "facts", "note_facts"]

KEY: Final = "tombstone_key"
"""What hashes of deleted names are keyed with."""
LATE: Final = "late"
"""The newest number that was given out for spans which were then stored late."""
RELAYED: Final = "relayed"
"""Whether lines of journals have come another way than by their file."""


def facts(client: Client) -> dict[str, str]:
    """All of them."""
    return dict(client.ask("SELECT name, value FROM facts FINAL"))


def note_facts(client: Client, new: Mapping[str, str]) -> None:
    """Note facts; the newest of a name holds."""
    client.insert("facts", {"name": list(new), "value": list(new.values()), "at_ns": [time.time_ns()] * len(new)})
