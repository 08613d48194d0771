"""Listening to the application's TracerProvider, and no longer."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.trace import TracerProvider

from ai_dev_squad.adopting.processor import AdoptingProcessor
from ai_dev_squad.adopting.tree import SpanTree
from ai_dev_squad.context import look_up_with
from ai_dev_squad.process import ForkSafeLock

__all__ = ["Adoption", "adopt_spans"]

_lock = ForkSafeLock()
_tree = SpanTree()
# A provider takes processors and gives none back: one for each, which adopts or does nothing.
_processors: WeakKeyDictionary[TracerProvider, AdoptingProcessor] = WeakKeyDictionary()
_adopting: set[AdoptingProcessor] = set()


class Adoption:
    """Spans of ``provider`` are adopted until ``close``, or the end of a ``with`` block."""

    def __init__(self, provider: TracerProvider, processor: AdoptingProcessor) -> None:
        self.provider = provider
        """Whose spans they are: what an instrumentor that takes one is given as ``tracer_provider``."""
        self._processor = processor

    def close(self) -> None:
        """Adopt no more; what is open ends as abandoned. Harmless when repeated. The provider itself stays as it is."""
        with _lock:
            self._processor.tree = None
            _adopting.discard(self._processor)
            if not _adopting:
                look_up_with(None)
                _tree.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def adopt_spans(provider: TracerProvider | None = None) -> Adoption:
    """From now on, spans that other instrumentations make with ``provider`` are operations of ours.

    Spans of OpenInference, OpenLLMetry, OpenTelemetry's GenAI instrumentations and frameworks that trace themselves
    give runs their structure: journal, tree, sessions, agents, tools. Tokens and money are what the wire sees of a model
    call, and what its span says where the wire sees nothing. Budgets that stop, stop before the request leaves.

    ``provider`` is the application's TracerProvider; without one, the one that it made global. Nothing of it is
    replaced and no exporter is needed; spans that it doesn't sample are not seen. Called again, it changes nothing.
    Spans of ours are never adopted, nor those of a framework in a run that its adapter observes. Raises ``ValueError``
    where there is no provider whose spans could be adopted.
    """
    target: Any = trace.get_tracer_provider() if provider is None else provider
    if not hasattr(target, "add_span_processor"):
        raise ValueError(
            f"{type(target).__name__} makes no spans that could be adopted; make a provider, "
            "provider = opentelemetry.sdk.trace.TracerProvider(), set it by opentelemetry.trace.set_tracer_provider(provider) "
            "or give it to the instrumentor, .instrument(tracer_provider=provider), and call adopt_spans(provider)"
        )
    with _lock:
        processor = _processors.get(target)
        if processor is None:
            processor = _processors[target] = AdoptingProcessor()
            target.add_span_processor(processor)
        processor.tree = _tree
        _adopting.add(processor)
        look_up_with(_tree)
    return Adoption(target, processor)
