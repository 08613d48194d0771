"""Lines that are made when they are written, by the journal's thread: the program that is observed waits for a name and a time.

What a line is made of is looked at in one go for a whole batch, which takes a third of what it takes amid a framework's work.
"""

from __future__ import annotations

import msgspec

from ai_dev_squad.schema import JournalLine

__all__ = ["PendingLine"]


# `gc=False`: it waits in a queue and nothing it holds leads back to it.
class PendingLine(msgspec.Struct, gc=False):
    """Holds what a line will be made of. What may change until then, it holds as it was."""

    def line(self) -> JournalLine:
        """Make the line."""
        raise NotImplementedError
