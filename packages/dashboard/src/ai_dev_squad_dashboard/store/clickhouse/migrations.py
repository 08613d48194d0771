"""Making the tables, and bringing those of an older version to this one, step by step.

Every step may be run twice. What is done is recorded after each step, so whoever comes after an interruption goes on behind it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from ai_dev_squad_dashboard.store.base import StoreError

from .client import Client
from .schema import COLD, TABLES, statements
from .words import INDEXES

__all__ = ["SCHEMA_VERSION", "migrate", "steps_of"]

SCHEMA_VERSION: Final = 3
_RECORD: Final = (
    "CREATE TABLE IF NOT EXISTS {}.schema_versions (version UInt32, step UInt32, at_us Int64) "
    "ENGINE = ReplacingMergeTree(at_us) ORDER BY (version, step)"
)


def steps_of(version: int, database: str) -> Sequence[str]:
    """The statements that make ``version`` of the one before."""
    if version == 1:
        return [each for name in TABLES for each in statements(name, database)]
    if version == 2:
        # Parts that are there already get their indexes in the background; until then their words are read.
        added = ", ".join(f"ADD INDEX IF NOT EXISTS {name} {of}" for name, of in INDEXES.items())
        made = ", ".join(f"MATERIALIZE INDEX {name}" for name in INDEXES)
        return [
            f"ALTER TABLE {database}.{table} {each} SETTINGS mutations_sync = 0"
            for table in ("content", "logs")
            for each in (f"{added}, DROP INDEX IF EXISTS of_words", made)
        ]
    if version == 3:
        return [f"ALTER TABLE {database}.{name} MODIFY SETTING {COLD}" for name, table in TABLES.items() if table.time]
    raise ValueError(f"version {version!r} is unknown; this program knows 1 to {SCHEMA_VERSION}")


def migrate(client: Client) -> None:
    """Bring the database to this version. Raises ``StoreError`` for one of a newer version."""
    database = client.address.database
    known = {"database": ""}  # the database may not be there yet
    client.do(f"CREATE DATABASE IF NOT EXISTS {database}", settings=known)
    client.do(_RECORD.format(database), settings=known)
    done = set(client.ask("SELECT version, step FROM schema_versions FINAL"))
    newest = max((version for version, _ in done), default=0)
    if newest > SCHEMA_VERSION:
        raise StoreError(
            f"{client.address} was written by a newer version of the dashboard (its tables have version {newest}, this one knows "
            f"{SCHEMA_VERSION}); upgrade ai-dev-squad-dashboard, or name another database"
        )
    for version in range(1, SCHEMA_VERSION + 1):
        for step, statement in enumerate(steps_of(version, database)):
            if (version, step) not in done:
                client.do(statement)
                client.do(f"INSERT INTO schema_versions VALUES ({version}, {step}, {time.time_ns() // 1000})")
