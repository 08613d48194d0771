"""Tracer providers: the application's, one of ours, and one that follows a manager wherever it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Tracer, TracerProvider
from opentelemetry.util.types import Attributes

from ai_dev_squad.tracing.identity import generate_span_id, generate_trace_id, start_identity
from ai_dev_squad.tracing.scope import SpanScope

if TYPE_CHECKING:
    from ai_dev_squad.tracing.manager import TraceManager

__all__ = ["FollowingProvider", "FollowingTracer", "application_provider", "become_global", "build_own_provider"]


_OURS = "_ai_dev_squad_manager"


def application_provider() -> TracerProvider | None:
    """The global TracerProvider if somebody else set one that makes spans."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider)) or hasattr(provider, _OURS):
        return None
    return provider


def build_own_provider(resource_attributes: Mapping[str, Any], sampler: Any, ratio: float | None) -> TracerProvider:
    """A provider of the SDK, which is imported now."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    from ai_dev_squad.tracing.sampling import build_sampler

    class UniqueIds(IdGenerator):
        """Unlike the SDK's, it stays random when the program seeds the ``random`` module."""

        def generate_trace_id(self) -> int:
            return generate_trace_id()

        def generate_span_id(self) -> int:
            return generate_span_id()

        def is_trace_id_random(self) -> bool:
            return True

    return SdkTracerProvider(
        resource=Resource.create(dict(resource_attributes)),
        sampler=build_sampler(sampler, ratio),
        id_generator=UniqueIds(),
        shutdown_on_exit=False,  # the SDK's own waits for dead endpoints; ours is bounded
    )


class FollowingTracer(Tracer):
    """A tracer whose spans come from wherever its manager's come from at that moment."""

    def __init__(self, following: Any, name: str, version: str | None, schema_url: str | None = None) -> None:
        self._following = following
        self._scope = name, version, schema_url
        self._provider: TracerProvider | None = None
        self._start: Callable[..., Span] = start_identity

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        provider = self._following._ai_dev_squad_manager.provider
        if provider is not self._provider:
            self._start = start_identity if provider is None else provider.get_tracer(*self._scope).start_span
            self._provider = provider
        return self._start(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )

    def start_as_current_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Any:
        if not (record_exception and set_status_on_exception and end_on_exit):
            span = self.start_span(name, context, kind, attributes, links, start_time)
            return trace.use_span(span, end_on_exit, record_exception, set_status_on_exception)
        return SpanScope(self._following._ai_dev_squad_manager, name, attributes, kind, links, context, start_time)


class FollowingProvider(TracerProvider):
    """Hands out following tracers; for whoever wants a tracer or provider once and for all."""

    def __init__(self, manager: TraceManager) -> None:
        self._ai_dev_squad_manager = manager

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Tracer:
        return FollowingTracer(self, instrumenting_module_name, instrumenting_library_version, schema_url)


def become_global(manager: TraceManager) -> bool:
    """Make the process's global provider follow ``manager``; ``False`` if the application has set its own.

    A global provider can be set once only, so ours stays and follows the newest manager.
    """
    if application_provider() is not None:
        return False
    current = trace.get_tracer_provider()
    if hasattr(current, _OURS):
        setattr(current, _OURS, manager)
        return True
    trace.set_tracer_provider(_global_provider_class()(manager))
    return True


@cache
def _global_provider_class() -> Any:
    """The SDK's class made to follow a manager: other libraries ask the global provider for its class."""
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider

    class GlobalProvider(SdkTracerProvider):
        def __init__(self, manager: TraceManager) -> None:
            super().__init__(shutdown_on_exit=False)
            self._ai_dev_squad_manager = manager

        def get_tracer(
            self,
            instrumenting_module_name: str,
            instrumenting_library_version: str | None = None,
            schema_url: str | None = None,
            attributes: Attributes = None,
        ) -> Tracer:
            return FollowingTracer(self, instrumenting_module_name, instrumenting_library_version, schema_url)

        def add_span_processor(self, span_processor: Any) -> None:
            self._ai_dev_squad_manager.add_span_processor(span_processor)

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return self._ai_dev_squad_manager.force_flush(timeout_millis)

        def shutdown(self) -> None:
            self._ai_dev_squad_manager.shutdown()

    return GlobalProvider
