"""The trace manager: where spans come from and where they go, decided when it's configured."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Tracer, TracerProvider
from opentelemetry.util.types import Attributes

from ai_dev_squad import attributes as keys
from ai_dev_squad.guard import report
from ai_dev_squad.process import ForkSafeLock, bounded
from ai_dev_squad.tracing.identity import start_identity
from ai_dev_squad.tracing.providers import (
    FollowingProvider,
    application_provider,
    become_global,
    build_own_provider,
)
from ai_dev_squad.tracing.sampling import check_sampler
from ai_dev_squad.tracing.scope import SpanScope

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from ai_dev_squad.tracing.delivery import SpanDelivery

__all__ = ["StartSpan", "TraceManager"]

_log = logging.getLogger("ai_dev_squad")

SCOPE_NAME = "ai_dev_squad"
"""The instrumentation scope of the spans."""


class StartSpan(Protocol):
    """How ``TraceManager.start_span`` is called; times in Unix nanoseconds."""

    def __call__(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span: ...


class TraceManager:
    """Makes spans and sends them to the exporters that were added.

    Spans come from the application's own TracerProvider when it has one (``provider``, or the global one unless
    ``use_global=False``; one that is set later is picked up by ``refresh``). Otherwise from a provider of ours, which
    becomes the global one only with ``set_global=True``. While nobody receives spans, ``start_span`` returns spans that
    only carry ids, and the OpenTelemetry SDK is not imported.

    With the application's provider, ``sampler`` and the resource attributes are the application's business and ours are
    ignored; exporters added here then receive its own spans too.

    ``sampler``: a name as in ``OTEL_TRACES_SAMPLER`` with ``sample_ratio``, a ratio alone, or a sampler object.
    ``redact`` is applied to exception texts, attribute texts and, in our exporters, to every span that leaves.
    ``shutdown_timeout_ms`` bounds ``force_flush`` and ``shutdown`` when they are given no time of their own.
    ``on_lost(count, reason)`` hears of spans that could not be delivered. Raises ``ValueError`` for bad values.
    """

    start_span: StartSpan
    """Start a span below the current one (or that of ``context``). Re-bound when it changes who receives spans."""
    start_operation_span: StartSpan
    """The same for an operation's span, whose attributes are plain and redacted: cheaper where only we receive spans."""
    recording: bool
    """Whether somebody receives spans, so that attributes are worth computing."""
    redacts: bool
    """Whether it was given something to redact with."""

    def __init__(
        self,
        service_name: str = "ai-dev-squad",
        service_version: str = "1.0.0",
        *,
        provider: TracerProvider | None = None,
        use_global: bool = True,
        set_global: bool = False,
        environment: str | None = None,
        resource_attributes: Mapping[str, Any] | None = None,
        sampler: Any = None,
        sample_ratio: float | None = None,
        max_queue_size: int | None = None,
        max_batch_size: int | None = None,
        batch_delay_ms: float | None = None,
        shutdown_timeout_ms: float = 2_000,
        shutdown_at_exit: bool = True,
        redact: Callable[[str], str] | None = None,
        on_lost: Callable[[int, str], None] | None = None,
        instrument_requests: bool = False,
    ) -> None:
        if not service_name or not service_name.strip():
            raise ValueError(f"service_name={service_name!r} is empty; name your service, such as 'checkout-agent'")
        check_sampler(sampler, sample_ratio)
        self.service_name, self.service_version = service_name, service_version
        self.redact: Callable[[str], str] = redact or _unchanged
        self.redacts = redact is not None
        self._resource = {
            keys.SERVICE_NAME: service_name,
            keys.SERVICE_VERSION: service_version,
            **({keys.DEPLOYMENT_ENVIRONMENT: environment} if environment else {}),
            **(resource_attributes or {}),
        }
        self._sampler, self._sample_ratio = sampler, sample_ratio
        self._batching = _batch_settings(max_queue_size, max_batch_size, batch_delay_ms)
        self._shutdown_timeout_ms, self._at_exit, self._on_lost = shutdown_timeout_ms, shutdown_at_exit, on_lost
        self._use_global = use_global and provider is None
        self._application = provider
        self._own: TracerProvider | None = None
        self._own_processors: list[Any] = []
        self._deliveries: list[SpanDelivery] = []
        self._instrumented = ExitStack()
        self._lock = ForkSafeLock()
        self.provider: TracerProvider | None = None
        """Where spans come from; ``None`` while nobody receives them."""
        self.tracer: Tracer = FollowingProvider(self).get_tracer(SCOPE_NAME, service_version)
        """An OpenTelemetry tracer that always follows this manager, also over later configuration."""
        self._bind()
        self.refresh()
        if set_global and not become_global(self):
            _log.info("set_global: the application has a TracerProvider of its own already; that one is used")
        if instrument_requests:
            self.instrument_requests()

    # --- who receives spans -------------------------------------------------------------------------------------------

    def add_exporter(
        self, exporter_type: str | SpanExporter, *, unless_application_exports: bool = False, **options: Any
    ) -> None:
        """Send spans to an exporter: ``"otlp"``, ``"jaeger"``, ``"console"``, or an OpenTelemetry exporter object.

        ``unless_application_exports``: only while the application's own provider has no span processor of its own.

        ``otlp`` takes endpoint (default ``http://localhost:4317``), protocol (``grpc`` or ``http/protobuf``), headers,
        insecure, timeout (s), compression, certificate_file, client_key_file, client_certificate_file; ``jaeger`` host
        and port besides; ``console`` out. Raises ``ValueError`` for an unknown type or a bad value, ``TypeError`` for an
        unknown option, ``ImportError`` with the line to install when a package is missing.
        """
        from ai_dev_squad.tracing.delivery import SpanDelivery  # needs the SDK
        from ai_dev_squad.tracing.exporters import build_exporter

        self.refresh()
        application = self._application
        if application is not None and not hasattr(application, "add_span_processor"):
            raise TypeError(
                f"the application's {type(application).__name__} takes no span processors, so no exporter can be added "
                "to it; add the exporter there, or use TraceManager(use_global=False)"
            )
        if isinstance(exporter_type, str):
            exporter, destination = build_exporter(exporter_type, options)
        elif hasattr(exporter_type, "export") and not options:
            exporter, destination = exporter_type, type(exporter_type).__name__
        else:
            raise TypeError(f"{exporter_type!r} is no exporter object without options; give a type name or an exporter")
        delivery = SpanDelivery(
            exporter,
            destination,
            shutdown_timeout_ms=self._shutdown_timeout_ms,
            at_exit=self._at_exit,
            redact=self.redact if self.redacts else None,
            on_lost=self._on_lost,
            stands_aside=self._application_exports if unless_application_exports else None,
            **self._batching,
        )
        with self._lock:
            self._deliveries.append(delivery)
            self.add_span_processor(delivery)

    def _application_exports(self) -> bool:
        """Whether spans also go where the application sends them, so that they would arrive twice.

        A provider that doesn't show its processors is the application's affair altogether.
        """
        from ai_dev_squad.tracing.delivery import SpanDelivery

        if self._application is None:
            return False
        processors = getattr(getattr(self._application, "_active_span_processor", None), "_span_processors", None)
        return processors is None or any(
            not isinstance(processor, SpanDelivery) and not getattr(processor, "exports_nothing", False)
            for processor in processors
        )

    def refresh(self) -> None:
        """Pick up a TracerProvider that the application made global since. Cheap: called at the start of every run."""
        if not self._use_global:
            return
        found = application_provider()
        if found is None or found is self._application:
            return
        with self._lock:
            self._application = found
            # Looked for once more only if there was none: a global provider can't be replaced.
            self._use_global = False
            add = getattr(found, "add_span_processor", None)
            for delivery in self._deliveries:
                if add is not None:
                    add(delivery)
            self._bind()

    def add_span_processor(self, processor: Any) -> None:
        """Hand every span to an OpenTelemetry span processor of your own as well."""
        with self._lock:
            target: Any = self._application
            if target is None:
                if self._own is None:
                    self._own = build_own_provider(self._resource, self._sampler, self._sample_ratio)
                target = self._own
                self._own_processors.append(processor)
            target.add_span_processor(processor)
            self._bind()

    def _bind(self) -> None:
        provider = self._application or self._own
        tracer = None if provider is None else provider.get_tracer(SCOPE_NAME, self.service_version)
        # A disabled SDK (OTEL_SDK_DISABLED) makes spans without ids of their own; the journal needs them.
        if tracer is None or isinstance(tracer, trace.NoOpTracer):
            self.provider, self.recording, self.start_span = None, False, start_identity
            self.start_operation_span = start_identity
            return
        self.provider, self.recording, self.start_span = provider, True, tracer.start_span
        self.start_operation_span = tracer.start_span if self._application is not None else self._own_spans()

    def _own_spans(self) -> StartSpan:
        from ai_dev_squad.tracing.own_span import OwnSpans  # needs the SDK

        own: Any = self._own
        return OwnSpans(own, self._own_processors, SCOPE_NAME, self.service_version).start

    # --- spans around blocks ------------------------------------------------------------------------------------------

    def trace_operation(
        self,
        operation_name: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
    ) -> SpanScope:
        """``with`` this, a span is current and ends with the block; an exception marks it and passes on."""
        return SpanScope(self, operation_name, attributes, kind, links)

    def trace_agent_operation(self, agent_id: str, framework: str, operation: str) -> SpanScope:
        """A span around something that an agent does."""
        attributes = {
            keys.AGENT_ID: agent_id,
            keys.AGENT_FRAMEWORK: framework,
            keys.AGENT_OPERATION: operation,
            keys.OPERATION_NAME: "invoke_agent",
            keys.GEN_AI_AGENT_NAME: agent_id,
            keys.FRAMEWORK: framework,
        }
        return SpanScope(self, f"agent.{operation}", attributes)

    def trace_llm_interaction(self, model_name: str, provider: str, agent_id: str) -> SpanScope:
        """A span around a call to a model."""
        attributes = {
            keys.LLM_MODEL: model_name,
            keys.LLM_PROVIDER: provider,
            keys.AGENT_ID: agent_id,
            keys.OPERATION_NAME: "chat",
            keys.REQUEST_MODEL: model_name,
            keys.PROVIDER_NAME: provider,
            keys.GEN_AI_AGENT_NAME: agent_id,
        }
        return SpanScope(self, "llm.interaction", attributes, SpanKind.CLIENT)

    # --- other libraries ----------------------------------------------------------------------------------------------

    def instrument_requests(self) -> ExitStack:
        """Trace calls made with the ``requests`` library, and send trace headers along.

        Closing the returned object, or shutting the manager down, undoes it. Does nothing when the application has
        instrumented ``requests`` itself. Raises ``ImportError`` with the line to install.
        """
        from ai_dev_squad.tracing.http_clients import instrument_requests

        undo = ExitStack()
        undo.callback(instrument_requests(FollowingProvider(self)))
        self._instrumented.push(undo)
        return undo

    # --- the end ------------------------------------------------------------------------------------------------------

    def force_flush(self, timeout_ms: float | None = None) -> bool:
        """Return when the spans that ended so far were handed to our exporters; ``False`` if the time ran out."""
        limit_ms = self._shutdown_timeout_ms if timeout_ms is None else timeout_ms
        deadline = time.monotonic() + limit_ms / 1000
        waiting = [asked for delivery in self._deliveries if (asked := delivery.begin_flush()) is not None]
        # One deadline for all: they export at the same time.
        return all(asked.wait(deadline - time.monotonic()) and asked.result for asked in waiting)

    def shutdown(self, timeout_ms: float | None = None) -> None:
        """Deliver what is queued, then stop our exporters, all within ``timeout_ms``. A provider of ours goes with them;
        the application's stays as it is. Exporters may be added again afterwards.
        """
        limit_ms = self._shutdown_timeout_ms if timeout_ms is None else timeout_ms
        deadline = time.monotonic() + limit_ms / 1000
        self._instrumented.close()
        with self._lock:
            deliveries, self._deliveries = self._deliveries, []
            own, self._own = self._own, None
            self._own_processors = []
            self._bind()
        self._wait_for(deliveries, deadline)
        for delivery in deliveries:
            delivery.shutdown(max(0.0, deadline - time.monotonic()) * 1000)
        if own is not None:
            from ai_dev_squad.tracing.delivery import quietly

            close: Callable[[], Any] = own.shutdown  # type: ignore[attr-defined]
            bounded(quietly(close), max(0.05, deadline - time.monotonic()), "shutting the tracer provider down")

    @staticmethod
    def _wait_for(deliveries: list[SpanDelivery], deadline: float) -> None:
        """Let all deliver at the same time, so that a dead endpoint takes no time from a living one."""
        waiting = [delivery.begin_flush() for delivery in deliveries]
        share = 0.7 * max(0.0, deadline - time.monotonic())
        until = time.monotonic() + share
        for asked in waiting:
            if asked is not None:
                asked.wait(until - time.monotonic())

    @property
    def lost(self) -> int:
        """Spans that could not be delivered so far."""
        return sum(delivery.lost for delivery in self._deliveries)

    @property
    def exported(self) -> int:
        """Spans that were delivered so far, over all exporters."""
        return sum(delivery.exported for delivery in self._deliveries)


def _unchanged(text: str) -> str:
    return text


def _batch_settings(queue_size: int | None, batch_size: int | None, delay_ms: float | None) -> dict[str, Any]:
    wanted = {
        "max_queue_size": (queue_size, "OTEL_BSP_MAX_QUEUE_SIZE", 8_192, "max_queue_size"),
        "max_batch_size": (batch_size, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, "max_batch_size"),
        "delay_ms": (delay_ms, "OTEL_BSP_SCHEDULE_DELAY", 5_000, "batch_delay_ms"),
    }
    settings: dict[str, Any] = {}
    for name, (given, variable, default, argument) in wanted.items():
        value, source = (given, argument) if given is not None else (os.environ.get(variable) or default, variable)
        try:
            number = float(value) if name == "delay_ms" else int(value)
        except (TypeError, ValueError):
            number = 0
        if number <= 0:
            error = ValueError(f"{source}={value!r} is not a positive number; the default is {default}")
            if given is not None:
                raise error
            # OTEL_* variables speak to every OpenTelemetry program; one we don't understand isn't an error.
            report(f"reading {variable}", error)
            number = default
        settings[name] = number
    settings["max_batch_size"] = min(settings["max_batch_size"], settings["max_queue_size"])
    return settings
