"""The guide's logger: the product's, with one method for every event type."""

from __future__ import annotations

from ai_dev_squad.compat.convenience import ConvenienceMethods
from ai_dev_squad.events.logger import EventLogger

__all__ = ["StructuredLogger"]


class StructuredLogger(ConvenienceMethods, EventLogger):
    """Writes events to the journal ``log_dir/ai_dev_squad.jsonl`` and, if asked, to the console.

    Session and correlation ids belong to the thread or asyncio task that sets them. Text and metadata are redacted.
    ``emit`` is the entry for finished lines: with neither filter nor console it is ``journal.write`` itself. Raises
    ``ValueError`` if ``log_dir`` is a file. The directory is created with the first line.
    """
