"""Logs, traces, tokens, cost and budgets for AI agents.

Nothing is needed to begin: an adapter's ``observe`` works with defaults. ``configure`` sets everything in one call,
``flush`` waits until everything is on disk and exported. Names are loaded when first used, so that importing this
package costs next to nothing.
"""

from __future__ import annotations

import importlib

from ai_dev_squad import state

TYPE_CHECKING = False  # as `typing` has it; that module takes longer to import than all of this package
if TYPE_CHECKING:
    from ai_dev_squad.adopting import Adoption, adopt_spans
    from ai_dev_squad.attribution import Attribution
    from ai_dev_squad.compat.costs import OptimizedCostTracker
    from ai_dev_squad.compat.logger import StructuredLogger
    from ai_dev_squad.context import current_operation, session
    from ai_dev_squad.costs import (
        Budget,
        BudgetExceeded,
        BudgetManager,
        CostEntry,
        CostTracker,
        ModelPricing,
        ModelProvider,
    )
    from ai_dev_squad.costs.advice import savings_report
    from ai_dev_squad.evaluation import feedback
    from ai_dev_squad.events import (
        EventFilter,
        Journal,
        JournalHandler,
        follow_journal,
        read_journal,
    )
    from ai_dev_squad.loops import LoopDetected
    from ai_dev_squad.redaction import Redactor
    from ai_dev_squad.refusal import CallRefused
    from ai_dev_squad.runtime import (
        configure,
        configure_cost_tracking,
        configure_logging,
        configure_tracing,
        flush,
        get_cost_tracker,
        get_logger,
        get_settings,
        get_trace_manager,
        shutdown,
    )
    from ai_dev_squad.schema import (
        Cost,
        EventType,
        JournalLine,
        LogEvent,
        LogLevel,
        Usage,
        register_event_type,
    )
    from ai_dev_squad.serving import metrics_collector, serve_metrics
    from ai_dev_squad.settings import Settings
    from ai_dev_squad.tracing import TraceManager, continue_trace, extract, inject, trace_function
    from ai_dev_squad.wire.coverage import Coverage, coverage

_HOMES = {
    "adopting": ("Adoption", "adopt_spans"),
    "attribution": ("Attribution",),
    "compat.costs": ("OptimizedCostTracker",),
    "compat.logger": ("StructuredLogger",),
    "context": ("current_operation", "session"),
    "costs": (
        "Budget",
        "BudgetExceeded",
        "BudgetManager",
        "CostEntry",
        "CostTracker",
        "ModelPricing",
        "ModelProvider",
    ),
    "costs.advice": ("savings_report",),
    "events": (
        "EventFilter",
        "Journal",
        "JournalHandler",
        "follow_journal",
        "read_journal",
    ),
    "evaluation": ("feedback",),
    "loops": ("LoopDetected",),
    "redaction": ("Redactor",),
    "refusal": ("CallRefused",),
    "runtime": (
        "configure",
        "configure_cost_tracking",
        "configure_logging",
        "configure_tracing",
        "flush",
        "get_cost_tracker",
        "get_logger",
        "get_settings",
        "get_trace_manager",
        "shutdown",
    ),
    "schema": ("Cost", "EventType", "JournalLine", "LogEvent", "LogLevel", "Usage", "register_event_type"),
    "serving": ("metrics_collector", "serve_metrics"),
    "settings": ("Settings",),
    "wire.coverage": ("Coverage", "coverage"),
    "tracing": ("TraceManager", "continue_trace", "extract", "inject", "trace_function"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Adoption",
    "Attribution",
    "Budget",
    "BudgetExceeded",
    "BudgetManager",
    "CallRefused",
    "Cost",
    "CostEntry",
    "CostTracker",
    "Coverage",
    "EventFilter",
    "EventType",
    "Journal",
    "JournalHandler",
    "JournalLine",
    "LogEvent",
    "LogLevel",
    "LoopDetected",
    "ModelPricing",
    "ModelProvider",
    "OptimizedCostTracker",
    "Redactor",
    "Settings",
    "StructuredLogger",
    "TraceManager",
    "Usage",
    "adopt_spans",
    "configure",
    "configure_cost_tracking",
    "configure_logging",
    "configure_tracing",
    "continue_trace",
    "coverage",
    "current_operation",
    "extract",
    "feedback",
    "flush",
    "follow_journal",
    "get_cost_tracker",
    "get_logger",
    "get_settings",
    "get_trace_manager",
    "inject",
    "metrics_collector",
    "read_journal",
    "register_event_type",
    "savings_report",
    "serve_metrics",
    "session",
    "shutdown",
    "trace_function",
]


# The one place where what is below learns of what is above: nothing needs to be configured before it is used.
state.build_with(lambda: importlib.import_module("ai_dev_squad.runtime").pipeline())


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is not None:
        value = getattr(importlib.import_module(f"ai_dev_squad.{home}"), name)
        globals()[name] = value
        return value
    if name == "__version__":
        from importlib.metadata import version

        return version("ai-dev-squad")
    raise AttributeError(f"module 'ai_dev_squad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
