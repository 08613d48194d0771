"""The span of one call of a traced function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, set_span_in_context

from ai_dev_squad import attributes as keys
from ai_dev_squad.context import attach, current_context, detach
from ai_dev_squad.steps import Steps
from ai_dev_squad.tracing.lifetime import finish, open_span

if TYPE_CHECKING:
    from ai_dev_squad.tracing.manager import TraceManager

__all__ = ["Call", "Opened", "Opening"]

Opened: TypeAlias = "tuple[TraceManager, str, Mapping[str, Any] | None, SpanKind | None]"
"""Which manager makes a span, how it's called, what it carries, and of which kind it is, if not ``INTERNAL``."""
Opening: TypeAlias = Callable[[], "Opened | None"]
"""Asked at each call; ``None``: this call isn't traced."""


class Call(Steps):
    """The call's span is current within each step, and ends with the call."""

    __slots__ = ("_context", "_manager", "_result_type", "_span")

    def __init__(self, opening: Opening, result_type: bool) -> None:
        self._span: Span | None = None
        self._context: Context | None = None
        self._result_type = result_type
        opened = opening()
        if opened is not None:
            self._manager, name, attributes, kind = opened
            self._span = open_span(self._manager, name, attributes, kind or SpanKind.INTERNAL)
            self._context = set_span_in_context(self._span)

    def enter(self) -> Any:
        """Make the span current."""
        return None if self._context is None else attach(self._context)

    def leave(self, token: Any) -> None:
        """Make current what was before. A span that the body has made current over its ``yield`` is current again when
        the body goes on.
        """
        if token is not None:
            self._context = current_context()
            detach(token)

    def returned(self, result: Any) -> None:
        """Note what kind of thing came out, and end the span."""
        if self._result_type and self._span is not None:
            self._span.set_attribute(keys.FUNCTION_RESULT_TYPE, type(result).__name__)
        self._finish(None)

    def raised(self, error: BaseException) -> None:
        """End the span with what went wrong."""
        self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        span, self._span = self._span, None
        if span is not None:
            finish(span, error, self._manager.redact)
