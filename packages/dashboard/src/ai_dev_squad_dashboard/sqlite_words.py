"""The indexes of words beside a store: whether this Python's SQLite can keep them, and where they are. Apart from the store, so that
asking needs no engine.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

__all__ = ["NO_FTS5", "WORDS", "is_available", "lines_beside", "traces_beside"]

WORDS: Final = "USING fts5(words, content = '', columnsize = 0, detail = none, tokenize = 'ascii')"
"""How a table of words is made: https://sqlite.org/fts5.html. They come folded and split: what is left is to split at spaces."""


NO_FTS5: Final = "this Python's SQLite has no FTS5: searches read the store, which takes seconds where it is large"


def traces_beside(store: Path) -> Path:
    """The index of the words of traces that belongs to a store's file."""
    return store.with_suffix(".search")


def lines_beside(traces: Path) -> Path:
    """The index of the lines of logs that belongs to that of traces."""
    return traces.with_name(f"{traces.name}.lines")


def is_available() -> bool:
    """Whether it can: some are built without FTS5."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(f"CREATE VIRTUAL TABLE words_1 {WORDS}")
        connection.execute("SELECT value FROM json_each('[1]')").fetchall()
    except sqlite3.Error:
        return False
    finally:
        connection.close()
    return True
