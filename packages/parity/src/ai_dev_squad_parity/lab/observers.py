"""Who observes: our adapters, or a peer's instrumentation, so that both are scored by the same checks."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from ai_dev_squad.frameworks import Instrumentor, adapted_frameworks, known_frameworks

__all__ = ["DOCUMENTATION", "OBSERVERS", "Observer", "make"]

OBSERVERS = ("ours", "openinference", "openllmetry")
"""What ``--observer`` takes."""

DOCUMENTATION = {
    "openinference": "https://arize-ai.github.io/openinference/",
    "openllmetry": "https://www.traceloop.com/docs/openllmetry/introduction",
}
"""Where a peer says what it does."""


class Observer(Protocol):
    """Observes one run after the other."""

    def observe(self, program: Any) -> Any:
        """The observed program."""

    def finish(self) -> list[Any]:
        """Stop observing. Returns the finished OpenTelemetry spans."""

    def state(self) -> dict[str, Any]:
        """What the observer says of itself: operations left open, failures of its own."""


def make(
    observer: str,
    framework: str,
    log_dir: Path,
    *,
    content: bool,
    budget_usd: float | None,
    gateway: str | None = None,
) -> Observer:
    """An observer that begins now. At the address ``gateway`` published prices hold, whoever answers there. Raises
    ``ImportError`` when it is not installed.
    """
    if observer == "ours":
        return _Ours(framework, log_dir, content=content, budget_usd=budget_usd, gateway=gateway)
    instrumentors = known_frameworks()[framework].instrumentors.get(observer, ())
    if not instrumentors:
        raise ImportError(
            f"{observer} has no instrumentor of {framework} that this lab knows; see {DOCUMENTATION[observer]}"
        )
    return _Peer(instrumentors, everywhere=observer == "openllmetry")


class _Ours:
    def __init__(
        self, framework: str, log_dir: Path, *, content: bool, budget_usd: float | None, gateway: str | None
    ) -> None:
        import ai_dev_squad
        from ai_dev_squad import guard, operations

        self._left: list[str] = []
        self._spans: Any = None
        self._open = operations.open_operations
        self._adapter = importlib.import_module(str(adapted_frameworks()[framework].module))
        ai_dev_squad.configure(log_dir=str(log_dir), capture_content=content, handle_sigterm=False)
        guard.forget()
        if content:
            # Spans are looked at once, with content; where time is measured nobody receives any.
            self._spans = _memory_exporter()
            ai_dev_squad.get_trace_manager().add_span_processor(_processor(self._spans))
        if gateway is not None:
            ai_dev_squad.get_cost_tracker().declare_gateway(gateway)
        if budget_usd is not None:
            ai_dev_squad.get_cost_tracker().budget_manager.set_budget(
                "lab", budget_usd, "run", framework=framework, on_exceed="stop", unknown_price="stop"
            )

    def observe(self, program: Any) -> Any:
        return self._adapter.observe(program)

    def finish(self) -> list[Any]:
        import ai_dev_squad

        self._left = [f"{operation.kind.operation} {operation.name}" for operation in self._open()]
        ai_dev_squad.shutdown()
        return list(self._spans.get_finished_spans()) if self._spans is not None else []

    def state(self) -> dict[str, Any]:
        return {"open": self._left}


class _Peer:
    """OpenTelemetry instrumentors, which patch their framework, whatever the program is; or what translates its own spans."""

    def __init__(self, instrumentors: Sequence[Instrumentor], *, everywhere: bool) -> None:
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

        # OpenLLMetry's own set-up makes its provider that of the process, so that a framework's own spans come along; they go nowhere else.
        own_spans = everywhere or any(one.switch for one in instrumentors)
        self._provider = _of_the_process() if own_spans else TracerProvider()
        self._instrumentors = []
        for one in instrumentors:
            if one.switch:
                _named(one.switch)(**one.switch_options)
            kind = _named(one.name)
            if issubclass(kind, SpanProcessor):
                self._provider.add_span_processor(kind(**one.options))
                continue
            instrumentor = kind()
            instrumentor.instrument(tracer_provider=self._provider, **one.options)
            self._instrumentors.append(instrumentor)
        # What translates spans as they end does so before they are kept.
        self._spans = _memory_exporter()
        self._provider.add_span_processor(_processor(self._spans))

    def observe(self, program: Any) -> Any:
        return program

    def finish(self) -> list[Any]:
        for instrumentor in self._instrumentors:
            instrumentor.uninstrument()
        self._provider.force_flush()
        spans = list(self._spans.get_finished_spans())
        self._spans.shutdown()  # the provider may outlive this observer
        return spans

    def state(self) -> dict[str, Any]:
        return {"open": []}


def _named(name: str) -> Any:
    """``module:attribute``, or ``module:attribute.attribute``."""
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for attribute in path.split("."):
        found = getattr(found, attribute)
    return found


def _of_the_process() -> Any:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    return trace.get_tracer_provider()


def _memory_exporter() -> Any:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return InMemorySpanExporter()


def _processor(exporter: Any) -> Any:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    return SimpleSpanProcessor(exporter)
