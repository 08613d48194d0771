"""A span on its way to being an operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from ai_dev_squad.kinds import Kind
    from ai_dev_squad.operations import Operation
    from ai_dev_squad.schema import Usage

__all__ = ["Node"]


class Node:
    """A span: what it is in, and what was found out about it."""

    __slots__ = (
        "above",
        "has_calls",
        "is_over",
        "is_undecided",
        "kind",
        "native",
        "operation",
        "part_of",
        "span",
        "usages",
    )

    def __init__(self, span: ReadableSpan, above: Node | None, native: Operation | None) -> None:
        self.span = span
        self.above = above
        """The span that it is in, if that is known here."""
        self.native = native
        """The operation of an adapter that it is in, if that is nearer."""
        self.is_undecided = True
        self.operation: Operation | None = None
        """What it tells of; ``None`` as long as that isn't known, and for what is nothing of ours."""
        self.part_of: Node | None = None
        """The model call that this span tells of once more."""
        self.kind: Kind | None = None
        """What it is, as far as it has said so."""
        self.has_calls = False
        """Whether a model is called within it, as far as is known."""
        self.is_over = False
        self.usages: list[Usage] = []
        """What the spans that tell of this call once more have stated."""
