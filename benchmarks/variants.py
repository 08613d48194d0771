"""How each product is switched on, in its documented way, and how it is made to hand over what it holds.

A variant returns ``(graph, flush)``. Peers patch their frameworks for the whole process, so each runs in its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import environments
from workload import build_graph

__all__ = ["VARIANTS", "VERSIONS", "ours_to", "provider_to", "switch_on"]

Flush = Callable[[], object]

VARIANTS = {
    "bare": environments.OURS,
    "ours: journal, costs": environments.OURS,
    "ours: journal, costs, OTLP": environments.OURS,
    "ours: journal, costs, OTLP, content": environments.OURS,
    "OpenInference": "openinference",
    "OpenInference, content off": "openinference",
    "OpenLLMetry": "openllmetry",
    "OpenLLMetry, content off": "openllmetry",
    "OpenLIT": "openlit",
    "OpenLIT, content off": "openlit",
}
"""Every variant and the environment it runs in."""

VERSIONS = (
    "langgraph",
    "langchain-core",
    "opentelemetry-sdk",
    "ai-dev-squad",
    "ai-dev-squad-langgraph",
    "openinference-instrumentation-langchain",
    "opentelemetry-instrumentation-langchain",
    "openlit",
)


def switch_on(name: str, endpoint: str | None) -> tuple[Any, Flush]:
    """Observe the workload as ``name`` says, spans going to the OTLP ``endpoint``, and return graph and flush."""
    if name == "bare":
        return build_graph(), lambda: None
    product, _, options = name.partition(": ") if name.startswith("ours") else name.partition(", ")
    return _PRODUCTS[product](name, options, endpoint)


def _ours(name: str, options: str, endpoint: str | None) -> tuple[Any, Flush]:
    from ai_dev_squad_langgraph import observe

    flush = ours_to(name, endpoint, capture_content="content" in options)
    return observe(build_graph()), flush


def ours_to(name: str, endpoint: str | None, **more: Any) -> Flush:
    """Configure ours as ``name`` says, with ``more`` settings, and return flush."""
    import ai_dev_squad

    settings: dict[str, Any] = {"log_dir": tempfile.mkdtemp(prefix="bench-journal-"), "service_name": name}
    if "OTLP" in name:
        settings |= {"exporter": "otlp", "endpoint": endpoint, "protocol": "http/protobuf"}
    ai_dev_squad.configure(**settings, **more)
    return ai_dev_squad.flush


def provider_to(name: str, endpoint: str | None) -> Any:
    """An SDK provider as the peers' documentation sets it up: batches over OTLP/HTTP, defaults throughout."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    if endpoint:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    return provider


def _openinference(name: str, options: str, endpoint: str | None) -> tuple[Any, Flush]:
    if options == "content off":
        os.environ |= {"OPENINFERENCE_HIDE_INPUTS": "true", "OPENINFERENCE_HIDE_OUTPUTS": "true"}
    from openinference.instrumentation.langchain import LangChainInstrumentor

    provider = provider_to(name, endpoint)
    LangChainInstrumentor().instrument(tracer_provider=provider)
    return build_graph(), provider.force_flush


def _openllmetry(name: str, options: str, endpoint: str | None) -> tuple[Any, Flush]:
    if options == "content off":
        os.environ["TRACELOOP_TRACE_CONTENT"] = "false"
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor

    provider = provider_to(name, endpoint)
    LangchainInstrumentor().instrument(tracer_provider=provider)
    return build_graph(), provider.force_flush


def _openlit(name: str, options: str, endpoint: str | None) -> tuple[Any, Flush]:
    # OpenLIT fetches its prices from GitHub when it starts, unless it is given a file.
    prices = Path(tempfile.mkdtemp(prefix="bench-openlit-")) / "prices.json"
    prices.write_text(json.dumps({"chat": {}, "embeddings": {}, "images": {}, "audio": {}}), encoding="utf-8")
    with contextlib.suppress(ImportError):
        import langchain_core  # noqa: F401 - it instruments what is imported already
    import openlit
    from opentelemetry import trace

    openlit.init(
        service_name=name,
        application_name=name,
        otlp_endpoint=endpoint,
        pricing_json=str(prices),
        capture_message_content=options != "content off",
    )
    return build_graph(), getattr(trace.get_tracer_provider(), "force_flush", lambda: None)


_PRODUCTS = {"ours": _ours, "OpenInference": _openinference, "OpenLLMetry": _openllmetry, "OpenLIT": _openlit}
