"""The span of one call of a traced function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, set_span_in_context

from ai_dev_squad import attributes as keys
from ai_dev_squad.tracing.lifetime import detach, finish, open_span

if TYPE_CHECKING:
    from ai_dev_squad.tracing.manager import TraceManager

__all__ = ["Call"]


class Call:
    """Current within ``with call``, which also ends the span, or step by step within ``with call.resumed()``."""

    __slots__ = ("_context", "_manager", "_span", "_token")

    def __init__(
        self, opening: Callable[[], tuple[TraceManager, str, Mapping[str, Any] | None, SpanKind | None] | None]
    ) -> None:
        self._span: Span | None = None
        self._context: Context | None = None
        self._token: Any = None
        opened = opening()
        if opened is not None:
            self._manager, name, attributes, kind = opened
            self._span = open_span(self._manager, name, attributes, kind or SpanKind.INTERNAL)
            self._context = set_span_in_context(self._span)

    def succeeded(self, result: Any, result_type: bool) -> None:
        """Note what kind of thing came out."""
        if result_type and self._span is not None:
            self._span.set_attribute(keys.FUNCTION_RESULT_TYPE, type(result).__name__)

    def suspended(self) -> _Suspended:
        """The whole life of a generator: the span ends with it, but is current only while it's resumed."""
        return _Suspended(self)

    def resumed(self) -> _Resumed:
        """One step of a generator's body."""
        return _Resumed(self)

    def __enter__(self) -> None:
        self.attach()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()
        self.finish(error)

    def attach(self) -> None:
        """Make the span current."""
        if self._context is not None:
            self._token = otel_context.attach(self._context)

    def detach(self, *, keep: bool = False) -> None:
        """Make current what was before. With ``keep``, a span that the body has made current over its ``yield`` is
        current again when the body goes on.
        """
        token, self._token = self._token, None
        if token is not None:
            if keep:
                self._context = otel_context.get_current()
            detach(token)

    def finish(self, error: BaseException | None) -> None:
        """End the span; later calls change nothing."""
        span, self._span = self._span, None
        if span is not None:
            finish(span, error, self._manager.redact)


class _Suspended:
    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call.finish(error)


class _Resumed:
    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._call.attach()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call.detach(keep=True)
