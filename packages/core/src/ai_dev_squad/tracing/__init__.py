"""Spans, their exporters, GenAI metrics and trace propagation.

The names load on first use: ``trace_function`` alone needs no OpenTelemetry, and the OpenTelemetry SDK is imported
only when somebody receives spans or metrics.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_dev_squad.genai.errors import error_type, register_control_flow
    from ai_dev_squad.tracing.decorator import trace_function
    from ai_dev_squad.tracing.manager import TraceManager
    from ai_dev_squad.tracing.metrics import GenAIMetrics, create_metrics
    from ai_dev_squad.tracing.propagation import continue_trace, environment, extract, inject

__all__ = [
    "GenAIMetrics",
    "TraceManager",
    "continue_trace",
    "create_metrics",
    "environment",
    "error_type",
    "extract",
    "inject",
    "register_control_flow",
    "trace_function",
]

_HOMES = {
    "GenAIMetrics": "metrics",
    "TraceManager": "manager",
    "continue_trace": "propagation",
    "create_metrics": "metrics",
    "environment": "propagation",
    "error_type": "ai_dev_squad.genai.errors",
    "extract": "propagation",
    "inject": "propagation",
    "register_control_flow": "ai_dev_squad.genai.errors",
    "trace_function": "decorator",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home if "." in home else f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
