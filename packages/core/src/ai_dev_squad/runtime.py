"""Setting up, flushing and closing: what is in force (``state``) is built, replaced and ended here.

Everything is built on first use, so the product works without any call, starts no thread at import and costs nothing
until something is observed. ``configure`` replaces only the parts whose settings changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ai_dev_squad import operations, state
from ai_dev_squad.assembly import Pipeline, assemble
from ai_dev_squad.guard import report
from ai_dev_squad.process import ExitOrder, at_exit
from ai_dev_squad.schema import EventType, JournalLine, utc_now
from ai_dev_squad.settings import Settings, asks_for_exporter
from ai_dev_squad.wire.switch import settle, switch, tell

if TYPE_CHECKING:
    from ai_dev_squad.compat.logger import StructuredLogger
    from ai_dev_squad.costs import CostTracker
    from ai_dev_squad.tracing import TraceManager

__all__ = [
    "Pipeline",
    "configure",
    "configure_cost_tracking",
    "configure_logging",
    "configure_tracing",
    "exchange",
    "flush",
    "get_cost_tracker",
    "get_logger",
    "get_settings",
    "get_trace_manager",
    "pipeline",
    "shutdown",
]


def pipeline() -> Pipeline:
    """What is configured now; built with the defaults if nothing was."""
    return state.current() or _build({})


def configure(**arguments: Any) -> None:
    """Set up everything in one call. Optional: without it, defaults and the environment apply.

    The arguments are the fields of ``Settings``; calling again changes only what is given. Raises ``ValueError`` for a
    bad value and ``TypeError`` for an unknown name, and leaves everything as it was.
    """
    _build(arguments)


def configure_logging(log_dir: str | None = None, enable_console: bool | None = None, **more: Any) -> StructuredLogger:
    """Set up the journal and the logger, and return the logger."""
    return _build({"log_dir": log_dir, "console": enable_console, **more}).logger


def configure_tracing(service_name: str | None = None, service_version: str | None = None, **more: Any) -> TraceManager:
    """Set up tracing and return its manager."""
    return _build({"service_name": service_name, "service_version": service_version, **more}).tracing


def configure_cost_tracking(**more: Any) -> CostTracker:
    """Set up cost tracking and return the tracker."""
    return _build(more).costs


def get_logger() -> StructuredLogger:
    """The logger that is in force."""
    return pipeline().logger


def get_trace_manager() -> TraceManager:
    """The trace manager that is in force."""
    return pipeline().tracing


def get_cost_tracker() -> CostTracker:
    """The cost tracker that is in force."""
    return pipeline().costs


def get_settings() -> Settings:
    """The settings in force."""
    return pipeline().settings


def exchange(pipeline: Pipeline | None, arguments: dict[str, Any]) -> tuple[Pipeline | None, dict[str, Any]]:
    """Put another pipeline in force and return the one before, with its arguments, to be put back. For tests."""
    before = state.exchange(pipeline, arguments)
    _switch(None if pipeline is None else pipeline.settings)
    return before


def _switch(wanted: Settings | None) -> None:
    """Watch client libraries as these settings say; without any, not at all."""
    on = wanted is not None and wanted.enabled
    switch(_emit, on=on, wire=wanted is not None and wanted.wire)


def flush(timeout: float | None = None) -> bool:
    """Return when everything handed over so far is on disk and exported; ``False`` if ``timeout`` (s) ran out."""
    current = state.current()
    if current is None:
        return True
    limit = current.settings.export_timeout_s if timeout is None else timeout
    began = time.monotonic()
    settle()
    saved = current.costs.budget_manager.flush()
    exported = current.tracing.force_flush(limit * 1000)
    left = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
    return current.logger.flush(left) and exported and saved


def shutdown(timeout: float | None = None) -> None:
    """End what is still open as abandoned, write everything, stop the threads.

    Later use starts anew, with the same settings.
    """
    closed = _close(timeout)
    _switch(None)
    with state.lock():
        if state.current() is closed:
            state.exchange(None, state.arguments())


def _close(timeout: float | None = None) -> Pipeline | None:
    """What ``shutdown`` does, but the closed parts stay in force, and write whatever comes after that at once.

    At exit it stays so: the interpreter takes no new threads, nor imports, and its finalizers may still observe.
    """
    current = state.current()
    if current is None:
        return None
    limit = current.settings.shutdown_timeout_s if timeout is None else timeout
    settle()
    operations.abandon_open_operations()
    for what, close in _closers(current, limit):
        try:
            close()
        except Exception as error:  # noqa: BLE001 - one part that fails to close must not keep the others from it
            report(f"closing {what}", error)
    return current


def _closers(current: Pipeline, limit: float) -> list[tuple[str, Callable[[], Any]]]:
    export_limit_ms = min(limit, current.settings.export_timeout_s) * 1000
    return [
        ("the self-check of the wire", lambda: tell(_emit)),
        ("budgets", current.costs.budget_manager.close),
        ("tracing", lambda: current.tracing.shutdown(export_limit_ms)),
        ("journal", lambda: current.logger.close(limit)),
    ]


# --- building ---------------------------------------------------------------------------------------------------------


def _build(arguments: dict[str, Any]) -> Pipeline:
    with state.lock():
        old = state.current()
        if not arguments and old is not None:
            return old
        merged = {**state.arguments(), **{name: value for name, value in arguments.items() if value is not None}}
        wanted = Settings.resolve(merged)
        new = assemble(wanted, old, _emit, asked=asks_for_exporter(merged))
        state.exchange(new, merged)
        _switch(wanted)
        _register_exit(wanted)
    if old is not None:
        _retire(old, new)
    return new


def _emit(event_type: EventType, level: str, message: str, metadata: dict[str, Any]) -> None:
    """Write a line that belongs to no operation."""
    current = state.current()
    if current is not None:
        line = JournalLine(
            timestamp=utc_now(),
            level=level,  # type: ignore[arg-type]
            event_type=event_type.value,
            message=message,
            metadata=metadata,
        )
        current.logger.emit(line)


def _register_exit(wanted: Settings) -> None:
    at_exit(_close, ExitOrder.OPERATIONS, sigterm=wanted.handle_sigterm)


def _retire(old: Pipeline, new: Pipeline) -> None:
    """Close the parts that were replaced, after the new ones took over."""
    if old.tracing is not new.tracing:
        old.tracing.shutdown(old.settings.export_timeout_s * 1000)
    if old.logger is not new.logger:
        old.logger.close(old.settings.shutdown_timeout_s)
