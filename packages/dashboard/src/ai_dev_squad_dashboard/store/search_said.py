"""What of the captured text is stored for the search: a call repeats the conversation before it, and the words of a trace count once.

All that was captured stands in a span's details; its text is only looked through for words, of which it does not matter in which of a
trace's spans they stand. So long texts are stored without what an earlier span of the trace has said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .rows import SpanRow
from .search_pieces import Pieces

__all__ = ["LONG", "Said"]

LONG: Final = 2_000
"""Characters from which on a text is looked through for what was said before: to store a shorter one takes no longer."""
_KNOWN: Final = 100_000
_DAY_US: Final = 86_400_000_000


class Said:
    """The lines of long texts that are stored. What is not on disk must be forgotten."""

    def __init__(self) -> None:
        self._pieces: Pieces[tuple[str, int]] = Pieces(_KNOWN)

    def unsaid(self, spans: Sequence[SpanRow]) -> list[str | None]:
        """The texts of ``spans`` without what others of their trace have said, which from now on these have as well.

        Said on the same day: days are deleted as a whole, and another one must not lose words with them.
        """
        return [
            span.text
            if span.text is None or len(span.text) < LONG
            else self._pieces.rest((span.trace_id, span.start_us // _DAY_US), span.text)
            for span in spans
        ]

    def forget(self) -> None:
        """Begin anew: what was taken for stored may not be."""
        self._pieces.forget()
