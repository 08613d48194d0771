"""The only module with global state: what is configured, and what was built from it.

Everything is built on first use, so the product works without any call, starts no thread at import and costs nothing
until something is observed. ``configure`` replaces only the parts whose settings changed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from ai_dev_squad.guard import report
from ai_dev_squad.schema import ErrorInfo, EventType, JournalLine, LogLevel, utc_now
from ai_dev_squad.settings import Settings, asks_for_exporter

if TYPE_CHECKING:
    from ai_dev_squad.costs import CostTracker
    from ai_dev_squad.events import StructuredLogger
    from ai_dev_squad.redaction import Redactor
    from ai_dev_squad.tracing import TraceManager
    from ai_dev_squad.tracing.metrics import GenAIMetrics

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


@dataclass(frozen=True)
class Pipeline:
    """Where operations go: compiled when configured, so that a call decides nothing."""

    settings: Settings
    logger: StructuredLogger
    tracing: TraceManager
    costs: CostTracker
    metrics: GenAIMetrics | None
    redactor: Redactor
    capture_content: bool

    def error_info(self, error: BaseException, *, with_stack: bool) -> ErrorInfo:
        """What the journal says of an error, redacted."""
        info = self.redactor.exception(error)
        if not with_stack or error.__traceback__ is None:
            return info
        from ai_dev_squad.tracing.errors import stack_trace

        return structs.replace(info, stacktrace=stack_trace(error, self.redactor.text))

    def with_logger(self, logger: StructuredLogger) -> Pipeline:
        """The same, writing to another logger."""
        return replace(self, logger=logger)


@dataclass
class _State:
    arguments: dict[str, Any] = field(default_factory=dict)
    pipeline: Pipeline | None = None


_state = _State()
_lock = threading.RLock()


def _after_fork() -> None:
    """A forked child gets a lock of its own: another thread of its parent may hold this one for ever."""
    global _lock  # noqa: PLW0603 - one lock for the process
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def pipeline() -> Pipeline:
    """What is configured now; built with the defaults if nothing was."""
    return _state.pipeline or _build({})


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
    with _lock:
        before = _state.pipeline, _state.arguments
        _state.pipeline, _state.arguments = pipeline, arguments
        return before


def flush(timeout: float | None = None) -> bool:
    """Return when everything handed over so far is on disk and exported; ``False`` if ``timeout`` (s) ran out."""
    current = _state.pipeline
    if current is None:
        return True
    limit = current.settings.export_timeout_s if timeout is None else timeout
    began = time.monotonic()
    saved = current.costs.budget_manager.flush()
    exported = current.tracing.force_flush(limit * 1000)
    left = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
    return current.logger.flush(left) and exported and saved


def shutdown(timeout: float | None = None) -> None:
    """End what is still open as abandoned, write everything, stop the threads.

    Later use starts anew, with the same settings.
    """
    closed = _close(timeout)
    with _lock:
        if _state.pipeline is closed:
            _state.pipeline = None


def _close(timeout: float | None = None) -> Pipeline | None:
    """What ``shutdown`` does, but the closed parts stay in force, and write whatever comes after that at once.

    At exit it stays so: the interpreter takes no new threads, nor imports, and its finalizers may still observe.
    """
    current = _state.pipeline
    if current is None:
        return None
    from ai_dev_squad.operations import abandon_open_operations

    limit = current.settings.shutdown_timeout_s if timeout is None else timeout
    abandon_open_operations()
    for what, close in _closers(current, limit):
        try:
            close()
        except Exception as error:  # noqa: BLE001 - one part that fails to close must not keep the others from it
            report(f"closing {what}", error)
    return current


def _closers(current: Pipeline, limit: float) -> list[tuple[str, Callable[[], Any]]]:
    export_limit_ms = min(limit, current.settings.export_timeout_s) * 1000
    return [
        ("budgets", current.costs.budget_manager.close),
        ("tracing", lambda: current.tracing.shutdown(export_limit_ms)),
        ("journal", lambda: current.logger.close(limit)),
    ]


# --- building ---------------------------------------------------------------------------------------------------------


def _build(arguments: dict[str, Any]) -> Pipeline:
    with _lock:
        if not arguments and _state.pipeline is not None:
            return _state.pipeline
        merged = {**_state.arguments, **{name: value for name, value in arguments.items() if value is not None}}
        wanted = Settings.resolve(merged)
        old = _state.pipeline
        new = _assemble(wanted, old, asked=asks_for_exporter(merged))
        _state.arguments, _state.pipeline = merged, new
        _register_exit(wanted)
    if old is not None:
        _retire(old, new)
    return new


def _assemble(wanted: Settings, old: Pipeline | None, *, asked: bool) -> Pipeline:
    """Build what changed. Whatever may fail comes first; what changes a part that stays comes last."""

    def kept(part: str) -> bool:
        return old is not None and old.settings.part(part) == wanted.part(part)

    redactor = old.redactor if old and kept("redaction") else _redactor(wanted)
    logger = old.logger if old and kept("logging") and kept("redaction") else _logger(wanted, redactor)
    metrics = old.metrics if old and kept("metrics") else _metrics(wanted)
    if wanted.prices_file is not None:
        from ai_dev_squad.costs.price_file import read_prices

        read_prices(wanted.prices_file)
    # What OTEL_* variables asked for may have failed quietly; who asks us for it now hears why.
    exports = not asked or wanted.exporter in {None, "none"} or (old is not None and old.tracing.recording)
    tracing = old.tracing if old and kept("tracing") and exports else _tracing(wanted, redactor, asked=asked)
    if isinstance(tracing.redact, _Redaction):
        tracing.redact.text = redactor.text
    costs = _costs(wanted, old)
    costs.budget_manager.on_event = _emit
    return Pipeline(wanted, logger, tracing, costs, metrics, redactor, wanted.capture_content)


class _Redaction:
    """What tracing redacts with: exporters stay when the redactor is replaced."""

    def __init__(self, text: Callable[[str], str]) -> None:
        self.text = text

    def __call__(self, text: str) -> str:
        return self.text(text)


def _redactor(wanted: Settings) -> Redactor:
    from ai_dev_squad.redaction import Redactor

    return Redactor(
        patterns=wanted.redact_patterns,
        emails=wanted.redact_emails,
        cards=wanted.redact_cards,
        drop_keys=wanted.drop_keys,
        max_string=wanted.max_content_chars,
    )


def _logger(wanted: Settings, redactor: Redactor) -> StructuredLogger:
    from ai_dev_squad.events import EventFilter, Journal, NullJournal, StructuredLogger

    directory = Path(wanted.log_dir)
    if wanted.journal and directory.exists() and not directory.is_dir():
        raise ValueError(f"log_dir={wanted.log_dir!r} is a file; give a directory, it's created when needed")
    journal = (
        Journal(
            wanted.journal_path,
            queue_size=wanted.queue_size,
            on_full="block" if wanted.on_full == "block" else "drop",
            max_bytes=wanted.max_bytes or None,
            max_age=wanted.max_age_s or None,
            keep=wanted.keep_files,
            compress=wanted.compress,
            fsync=wanted.fsync,
        )
        if wanted.journal and wanted.enabled
        else NullJournal()
    )
    console = wanted.console and wanted.enabled
    event_filter = None
    if wanted.log_level != "DEBUG":
        event_filter = EventFilter()
        event_filter.set_level_filter(LogLevel[wanted.log_level])
    return StructuredLogger(wanted.log_dir, console, journal=journal, filter=event_filter, redactor=redactor)


def _tracing(wanted: Settings, redactor: Redactor, *, asked: bool) -> TraceManager:
    from ai_dev_squad.tracing import TraceManager
    from ai_dev_squad.tracing.providers import become_global

    manager = TraceManager(
        wanted.service_name,
        wanted.service_version,
        environment=wanted.environment,
        resource_attributes=wanted.resource_attributes,
        sampler=wanted.sampler,
        use_global=wanted.enabled,
        shutdown_timeout_ms=wanted.export_timeout_s * 1000,
        shutdown_at_exit=False,  # `shutdown` of this module sees to it
        redact=_Redaction(redactor.text),
        on_lost=_spans_lost,
    )
    if not wanted.enabled:
        return manager
    if wanted.exporter not in {None, "none"}:
        try:
            manager.add_exporter(wanted.exporter, **_exporter_options(wanted))
        except (ImportError, TypeError, ValueError) as error:
            if asked:
                raise
            report("exporting to where OTEL_* variables say", error)
    if wanted.instrument_requests:
        manager.instrument_requests()
    if wanted.set_global:
        become_global(manager)
    return manager


def _exporter_options(wanted: Settings) -> dict[str, Any]:
    if wanted.exporter not in {"otlp", "jaeger"}:
        return {}
    given = {"endpoint": wanted.endpoint, "protocol": wanted.protocol, "headers": wanted.headers}
    return {name: value for name, value in given.items() if value}


def _spans_lost(count: int, reason: str) -> None:
    message = f"{count} spans could not be delivered: {reason}"
    _emit(EventType.TELEMETRY_DROPPED, "WARNING", message, {"spans": count, "reason": reason})


def _costs(wanted: Settings, old: Pipeline | None) -> CostTracker:
    from ai_dev_squad.costs import BudgetManager, CostTracker

    if old is None:
        return CostTracker(
            max_entries=wanted.ledger_size,
            budget_manager=BudgetManager(state_path=_budget_file(wanted)),
            prices_file=wanted.prices_file,
        )
    # The tracker stays: it holds the program's own prices and what was spent.
    tracker = old.costs
    if wanted.prices_file not in {None, old.settings.prices_file}:
        tracker.import_prices(str(wanted.prices_file))
    tracker.max_entries = wanted.ledger_size
    if _budget_file(wanted) != _budget_file(old.settings):
        before = tracker.budget_manager
        budgets = BudgetManager(state_path=_budget_file(wanted))
        for name, budget in before.budgets.items():
            budgets.budgets[name] = budget
        budgets.alert_callbacks.extend(before.alert_callbacks)
        tracker.budget_manager = budgets
        before.close()
    return tracker


def _budget_file(wanted: Settings) -> str | None:
    if not wanted.enabled:
        return None
    if wanted.budget_file is not None:
        return wanted.budget_file
    return str(wanted.journal_path.with_name("budgets.json")) if wanted.journal else None


def _metrics(wanted: Settings) -> GenAIMetrics | None:
    if wanted.meter_provider is None or not wanted.enabled:
        return None
    from ai_dev_squad.tracing import create_metrics

    return create_metrics(wanted.meter_provider)


def _emit(event_type: EventType, level: str, message: str, metadata: dict[str, Any]) -> None:
    """Write a line that belongs to no operation."""
    current = _state.pipeline
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
    from ai_dev_squad.exit import at_exit

    at_exit(_close, sigterm=wanted.handle_sigterm)


def _retire(old: Pipeline, new: Pipeline) -> None:
    """Close the parts that were replaced, after the new ones took over."""
    if old.tracing is not new.tracing:
        old.tracing.shutdown(old.settings.export_timeout_s * 1000)
    if old.logger is not new.logger:
        old.logger.close(old.settings.shutdown_timeout_s)
