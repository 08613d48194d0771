"""Second spans of an id: a sender's ids are not unique. The first one is kept, the others are counted, each once."""

from __future__ import annotations

from .clocks import EARLY_US
from .rows import SpanRow

__all__ = ["clashes_with"]


def clashes_with(span: SpanRow, start_us: int, name: str, operation: str) -> bool:
    """Whether ``span`` is another one than what is known by its id; a journal and OTLP may tell the same one a little differently."""
    return abs(span.start_us - start_us) > EARLY_US or (span.name != name and span.operation != operation)
