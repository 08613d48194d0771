"""A span that is current for the length of a block and ends with it, whatever ends the block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, set_span_in_context

from ai_dev_squad.context import attach, detach
from ai_dev_squad.tracing.decorator import wrap
from ai_dev_squad.tracing.lifetime import finish, open_span

if TYPE_CHECKING:
    from ai_dev_squad.tracing.manager import TraceManager

__all__ = ["SpanScope"]

F = TypeVar("F", bound="Callable[..., Any]")


class SpanScope:
    """``with`` makes the span current and yields it; leaving ends it. Also a decorator, for every kind of function.

    An exception passes through unchanged. It sets the span's status to ERROR with the redacted message, sets
    ``error.type`` and is recorded once; cancellation and early close end the span without an error.
    """

    __slots__ = ("_attributes", "_context", "_kind", "_links", "_manager", "_name", "_start_time", "_token", "span")

    span: Span

    def __init__(
        self,
        manager: TraceManager,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] | None = (),
        context: Context | None = None,
        start_time: int | None = None,
    ) -> None:
        self._manager, self._name, self._attributes = manager, name, attributes
        self._kind, self._links, self._context, self._start_time = kind, links, context, start_time
        self._token: Token[Context] | None = None

    def __enter__(self) -> Span:
        self.span = open_span(
            self._manager, self._name, self._attributes, self._kind, self._links, self._context, self._start_time
        )
        self._token = attach(set_span_in_context(self.span, self._context))
        return self.span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token, self._token = self._token, None
        if token is not None:
            detach(token)
            finish(self.span, error, self._manager.redact)

    def __call__(self, function: F) -> F:
        traced: F = wrap(function, lambda: (self._manager, self._name, self._attributes, self._kind))
        return traced
