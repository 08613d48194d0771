"""A series: spans that have all their names in common. Sums are kept for each, so there may not be too many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from .rows import SpanRow

__all__ = ["FIELDS", "MAX_SERIES", "OTHER", "Key", "keys_of", "together"]

MAX_SERIES: Final = 4_000
"""Combinations of names that one writer tells apart."""
OTHER: Final = "(other)"
"""What names are called that came after those."""

FIELDS: Final = ("framework", "operation", "provider", "model", "agent", "tool", "service", "root", "call")

Key: TypeAlias = tuple[Any, ...]
"""A combination, in the order of ``FIELDS``: names or ``None``, and two truths at the end."""


def keys_of(spans: Sequence[SpanRow]) -> Iterable[Key]:
    """The combination of each span."""
    return (
        (
            span.framework,
            span.operation,
            span.provider,
            span.model,
            span.agent,
            span.tool,
            span.service,
            span.parent_span_id is None,
            span.usage_source is not None,
        )
        for span in spans
    )


_COUNTED: Final = frozenset({"invoke_agent", "execute_tool"})


def together(key: Key) -> Key:
    """The same with names that can be many replaced; at most some dozens of these exist."""
    framework, operation, provider, model, agent, tool, service, root, call = key
    several = (provider, model, agent, tool, service)
    return (
        framework and OTHER,
        operation if operation in _COUNTED else OTHER,
        *(name and OTHER for name in several),
        root,
        call,
    )
