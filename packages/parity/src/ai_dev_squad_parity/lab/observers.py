"""Who observes: our adapters, or a peer's instrumentation, so that both are scored by the same checks."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

__all__ = ["OBSERVERS", "Observer", "make"]

OBSERVERS = ("ours", "openinference", "openllmetry")
"""What ``--observer`` takes."""

_INSTRUMENTORS = {
    ("openinference", "langgraph"): "openinference.instrumentation.langchain:LangChainInstrumentor",
    ("openinference", "crewai"): "openinference.instrumentation.crewai:CrewAIInstrumentor",
    ("openinference", "autogen"): "openinference.instrumentation.autogen_agentchat:AutogenAgentChatInstrumentor",
    ("openllmetry", "langgraph"): "opentelemetry.instrumentation.langchain:LangchainInstrumentor",
    ("openllmetry", "crewai"): "opentelemetry.instrumentation.crewai:CrewAIInstrumentor",
    # OpenLLMetry has no instrumentation of AutoGen; its OpenAI one is what its users of AutoGen have.
    ("openllmetry", "autogen"): "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
}


class Observer(Protocol):
    """Observes one run after the other."""

    def observe(self, program: Any) -> Any:
        """The observed program."""

    def finish(self) -> list[Any]:
        """Stop observing. Returns the finished OpenTelemetry spans."""

    def state(self) -> dict[str, Any]:
        """What the observer says of itself: operations left open, failures of its own."""


def make(observer: str, framework: str, log_dir: Path, *, content: bool, budget_usd: float | None) -> Observer:
    """An observer that begins now. Raises ``ImportError`` when it is not installed."""
    if observer == "ours":
        return _Ours(framework, log_dir, content=content, budget_usd=budget_usd)
    return _Peer(_INSTRUMENTORS[observer, framework])


class _Ours:
    def __init__(self, framework: str, log_dir: Path, *, content: bool, budget_usd: float | None) -> None:
        import ai_dev_squad
        from ai_dev_squad import guard, operations

        self._failures: list[str] = []
        self._spans: Any = None
        self._open = operations.open_operations
        self._adapter = importlib.import_module(f"ai_dev_squad_{framework}")
        ai_dev_squad.configure(log_dir=str(log_dir), capture_content=content, handle_sigterm=False)
        guard.forget()
        if content:
            # Spans are looked at once, with content; where time is measured nobody receives any.
            self._spans = _memory_exporter()
            ai_dev_squad.get_trace_manager().add_span_processor(_processor(self._spans))
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
    """An OpenTelemetry instrumentor: it patches its framework, whatever the program is."""

    def __init__(self, name: str) -> None:
        from opentelemetry.sdk.trace import TracerProvider

        module, _, attribute = name.partition(":")
        make_instrumentor: Callable[[], Any] = getattr(importlib.import_module(module), attribute)
        self._spans = _memory_exporter()
        self._provider = TracerProvider()
        self._provider.add_span_processor(_processor(self._spans))
        self._instrumentor = make_instrumentor()
        self._instrumentor.instrument(tracer_provider=self._provider)

    def observe(self, program: Any) -> Any:
        return program

    def finish(self) -> list[Any]:
        self._instrumentor.uninstrument()
        self._provider.force_flush()
        return list(self._spans.get_finished_spans())

    def state(self) -> dict[str, Any]:
        return {"open": []}


def _memory_exporter() -> Any:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return InMemorySpanExporter()


def _processor(exporter: Any) -> Any:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    return SimpleSpanProcessor(exporter)
