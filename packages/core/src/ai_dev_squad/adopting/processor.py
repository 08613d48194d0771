"""What a TracerProvider tells of its spans: that they start, and that they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from ai_dev_squad.guard import report

if TYPE_CHECKING:
    from ai_dev_squad.adopting.tree import SpanTree

__all__ = ["AdoptingProcessor"]


class AdoptingProcessor(SpanProcessor):
    """Hands spans to a tree while it has one. Never raises into the program, never waits, delivers nothing."""

    exports_nothing = True
    """For whoever asks whether a provider's spans go anywhere."""

    def __init__(self) -> None:
        self.tree: SpanTree | None = None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """A span starts. What it is may be said later."""
        tree = self.tree
        if tree is not None:
            try:
                tree.started(span, parent_context)
            except Exception as error:  # noqa: BLE001 - the user's program comes first
                report("adopting a span", error)

    def on_end(self, span: ReadableSpan) -> None:
        """A span ended."""
        tree = self.tree
        if tree is not None:
            try:
                tree.ended(span)
            except Exception as error:  # noqa: BLE001 - the user's program comes first
                report("ending an adopted span", error)
