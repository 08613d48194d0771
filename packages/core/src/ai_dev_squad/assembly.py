"""Builds what operations are sent to from the settings, and keeps what a change of settings doesn't touch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from ai_dev_squad import lines, model_calls
from ai_dev_squad.guard import report
from ai_dev_squad.schema import ErrorInfo, EventType, LogLevel
from ai_dev_squad.settings import Settings

if TYPE_CHECKING:
    from ai_dev_squad.compat.logger import StructuredLogger
    from ai_dev_squad.costs import BudgetManager, CostTracker
    from ai_dev_squad.loops import LoopGuard
    from ai_dev_squad.operations import Operation
    from ai_dev_squad.prometheus import ProgramMetrics
    from ai_dev_squad.redaction import Redactor
    from ai_dev_squad.tracing import TraceManager
    from ai_dev_squad.tracing.metrics import GenAIMetrics

__all__ = ["Emit", "Pipeline", "Receiver", "assemble"]

Emit = Callable[[EventType, str, str, dict[str, Any]], None]
"""Writes a line that belongs to no operation: its event type, level, message and metadata."""

Receiver = tuple[str, Callable[["Operation", "ErrorInfo | None"], None]]
"""Who hears of the end of an operation, and of the error that it ended with; and what that is called if it fails."""


@dataclass(frozen=True)
class Pipeline:
    """Where operations go: compiled when configured, so that a call decides nothing."""

    settings: Settings
    logger: StructuredLogger
    tracing: TraceManager
    costs: CostTracker
    metrics: GenAIMetrics | None
    prometheus: ProgramMetrics | None
    redactor: Redactor
    capture_content: bool
    loops: LoopGuard | None = field(init=False)
    """Looks for loops; ``None`` where nobody wants to know."""
    receivers: tuple[Receiver, ...] = field(init=False)
    """Who hears of the end of an operation, in this order."""
    model_call_receivers: tuple[Receiver, ...] = field(init=False)
    """Who hears of the end of a model call: the ledger first, because the others tell its cost."""

    def __post_init__(self) -> None:
        receivers: list[Receiver] = [("writing the end of an operation", lines.write_closing)]
        if self.metrics is not None:
            receivers.append(("recording metrics", self.metrics.operation_ended))
        if self.prometheus is not None:
            receivers.append(("counting for a Prometheus", self.prometheus.operation_ended))
        if self.settings.genai_events and self.settings.enabled:
            from ai_dev_squad.tracing.inference_events import emit_details

            receivers.append(("telling of a model call", emit_details))
        loops = _loops(self.settings)
        if loops is not None:
            receivers.append(("looking for loops", loops.ended))
        object.__setattr__(self, "loops", loops)
        ledger: Receiver = "entering a model call in the ledger", model_calls.settle
        object.__setattr__(self, "receivers", tuple(receivers))
        object.__setattr__(self, "model_call_receivers", (ledger, *receivers))

    def content_text(self, text: str) -> str:
        """Text that is content, such as what a tool says of its failure: redacted, and empty where none is captured."""
        return self.redactor.text(text) if self.capture_content else ""

    def error_info(self, error: BaseException, *, with_stack: bool) -> ErrorInfo:
        """What the journal says of an error, redacted."""
        info = self.redactor.exception(error)
        if not with_stack or error.__traceback__ is None:
            return info
        from ai_dev_squad.genai.errors import stack_trace

        return structs.replace(info, stacktrace=stack_trace(error, self.redactor.text))

    def with_logger(self, logger: StructuredLogger) -> Pipeline:
        """The same, writing to another logger."""
        return replace(self, logger=logger)


def assemble(wanted: Settings, old: Pipeline | None, emit: Emit, *, asked: bool) -> Pipeline:
    """Build what changed. Whatever may fail comes first; what changes a part that stays comes last."""

    def kept(part: str) -> bool:
        return old is not None and old.settings.part(part) == wanted.part(part)

    redactor = old.redactor if old and kept("redaction") else _redactor(wanted)
    logger = old.logger if old and kept("logging") and kept("redaction") else _logger(wanted, redactor)
    metrics = old.metrics if old and kept("metrics") else _metrics(wanted)
    prometheus = _prometheus(wanted, old)
    if wanted.prices_file is not None:
        from ai_dev_squad.costs.prices.price_file import read_prices

        read_prices(wanted.prices_file)
    # What OTEL_* variables asked for may have failed quietly; who asks us for it now hears why.
    exports = not asked or wanted.exporter in {None, "none"} or (old is not None and old.tracing.recording)
    tracing = old.tracing if old and kept("tracing") and exports else _tracing(wanted, redactor, emit, asked=asked)
    if isinstance(tracing.redact, _Redaction):
        tracing.redact.text = redactor.text
    costs = _costs(wanted, old)
    costs.budget_manager.on_event = emit
    return Pipeline(wanted, logger, tracing, costs, metrics, prometheus, redactor, wanted.capture_content)


class _Redaction:
    """What tracing redacts with: exporters stay when the redactor is replaced."""

    def __init__(self, text: Callable[[str], str]) -> None:
        self.text = text

    def __call__(self, text: str) -> str:
        return self.text(text)


def _loops(wanted: Settings) -> LoopGuard | None:
    if wanted.on_loop == "off" or not wanted.enabled:
        return None
    from ai_dev_squad.loops import LoopGuard

    return LoopGuard(wanted.loop_limit, stops=wanted.on_loop == "stop")


def _redactor(wanted: Settings) -> Redactor:
    from ai_dev_squad.redaction import Redactor

    return Redactor(
        patterns=wanted.redact_patterns,
        emails=wanted.redact_emails,
        cards=wanted.redact_cards,
        drop_keys=wanted.drop_keys,
        max_string=wanted.max_content_chars,
        max_items=max(100, wanted.max_messages + 1),  # with what is said of those that are missing
    )


def _is_file(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except OSError:
        return False  # what can't even be looked at is no wrong setting: the journal tells it, and the program goes on


def _logger(wanted: Settings, redactor: Redactor) -> StructuredLogger:
    from ai_dev_squad.compat.logger import StructuredLogger
    from ai_dev_squad.events import EventFilter, Journal, NullJournal

    if wanted.journal and _is_file(Path(wanted.log_dir)):
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


def _tracing(wanted: Settings, redactor: Redactor, emit: Emit, *, asked: bool) -> TraceManager:
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
        shutdown_at_exit=False,  # the runtime's `shutdown` sees to it
        redact=_Redaction(redactor.text),
        on_lost=lambda count, reason: _spans_lost(emit, count, reason),
    )
    if not wanted.enabled:
        return manager
    if wanted.exporter not in {None, "none"}:
        try:
            # What OTEL_* variables ask for is asked of every program: an application that exports does so already.
            manager.add_exporter(wanted.exporter, unless_application_exports=not asked, **_exporter_options(wanted))
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


def _spans_lost(emit: Emit, count: int, reason: str) -> None:
    message = f"{count} spans could not be delivered: {reason}"
    emit(EventType.TELEMETRY_DROPPED, "WARNING", message, {"spans": count, "reason": reason})


def _costs(wanted: Settings, old: Pipeline | None) -> CostTracker:
    from ai_dev_squad.costs import CostTracker
    from ai_dev_squad.costs.prices.catalog import catalog

    if old is None:
        # Read while settings are made: the first model call may stand in an event loop, where reading a file holds all others up.
        catalog()
        return CostTracker(
            max_entries=wanted.ledger_size,
            budget_manager=_budgets(wanted),
            prices_file=wanted.prices_file,
        )
    # The tracker stays: it holds the program's own prices and what was spent.
    tracker = old.costs
    if wanted.prices_file not in {None, old.settings.prices_file}:
        tracker.import_prices(str(wanted.prices_file))
    tracker.max_entries = wanted.ledger_size
    if _budgets_of(wanted) != _budgets_of(old.settings):
        before = tracker.budget_manager
        budgets = _budgets(wanted)
        for name, budget in before.budgets.items():
            budgets.budgets[name] = budget
        budgets.alert_callbacks.extend(before.alert_callbacks)
        tracker.budget_manager = budgets
        before.close()
    return tracker


def _budgets(wanted: Settings) -> BudgetManager:
    """Budgets that are kept where the settings say."""
    from ai_dev_squad.costs import BudgetManager
    from ai_dev_squad.costs.stores import open_ledger

    path = _budget_file(wanted)
    ledger = None
    if wanted.enabled:
        shared = wanted.budget_file or wanted.journal_path.with_name("budgets.sqlite3")
        ledger = open_ledger(wanted.budget_store, Path(shared), wanted.budget_store_timeout_s)
    return BudgetManager(
        state_path=path if ledger is None else None,
        ledger=ledger,
        lease_s=wanted.budget_lease_s,
        store_timeout_s=wanted.budget_store_timeout_s,
        when_away="refuse" if wanted.budget_store_away == "refuse" else "allow",
    )


def _budgets_of(wanted: Settings) -> tuple[object, ...]:
    """The settings that budgets depend on."""
    return (
        _budget_file(wanted),
        wanted.budget_store,
        wanted.budget_store_away,
        wanted.budget_store_timeout_s,
        wanted.budget_lease_s,
        wanted.enabled,
    )


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

    return create_metrics(wanted.meter_provider, legacy=wanted.legacy_metrics)


def _prometheus(wanted: Settings, old: Pipeline | None) -> ProgramMetrics | None:
    """What counts stays whatever else changes: counters only grow."""
    if not wanted.prometheus or not wanted.enabled:
        return None
    if old is not None and old.prometheus is not None:
        return old.prometheus
    from ai_dev_squad.prometheus import load

    try:
        return load()
    except ImportError as error:  # a variable that was set must not keep a program from running
        report("counting for a Prometheus", error)
        return None
