"""Events: the logger, the journal that keeps them, and the readers of the journal."""

from __future__ import annotations

from ai_dev_squad.events.bridge import JournalHandler
from ai_dev_squad.events.console import Console
from ai_dev_squad.events.filters import EventFilter
from ai_dev_squad.events.follow import JournalFollower, JournalPosition, follow_journal
from ai_dev_squad.events.journal import JOURNAL_FILE_NAME, Journal, JournalStats, NullJournal
from ai_dev_squad.events.logger import EventLogger
from ai_dev_squad.events.reader import BadLine, JournalError, read_journal

__all__ = [
    "JOURNAL_FILE_NAME",
    "BadLine",
    "Console",
    "EventFilter",
    "EventLogger",
    "Journal",
    "JournalError",
    "JournalFollower",
    "JournalHandler",
    "JournalPosition",
    "JournalStats",
    "NullJournal",
    "follow_journal",
    "read_journal",
]
