"""Whether this Python's SQLite can keep an index of words. Apart from the store, so that asking needs no engine."""

from __future__ import annotations

import sqlite3
from typing import Final

__all__ = ["WORDS", "is_available"]

WORDS: Final = "USING fts5(words, content = '', columnsize = 0, detail = none, tokenize = 'ascii')"
"""How a table of words is made: https://sqlite.org/fts5.html. They come folded and split: what is left is to split at spaces."""


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
