"""The developer guide's own tests and examples, with only the imports changed (its dashboard tests come with the dashboard)."""

from __future__ import annotations

import unittest
from datetime import datetime
from typing import Any

import pytest

from ai_dev_squad import (
    CostTracker,
    EventFilter,
    EventType,
    LogEvent,
    LogLevel,
    ModelPricing,
    ModelProvider,
    OptimizedCostTracker,
    StructuredLogger,
    TraceManager,
    configure_cost_tracking,
    configure_logging,
    configure_tracing,
    flush,
    get_cost_tracker,
    get_logger,
    get_trace_manager,
    guard,
    read_journal,
    trace_function,
)

# `datetime.utcnow()` is deprecated since Python 3.12; the guide uses it, so it must keep working.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


class TestStructuredLogger(unittest.TestCase):
    """The guide's unit tests of the logger."""

    def setUp(self) -> None:
        self.logger = StructuredLogger(log_dir="test_logs", enable_console=False)

    def test_log_event(self) -> None:
        """Test basic event logging."""
        event = LogEvent(
            event_type=EventType.AGENT_START,
            timestamp=datetime.utcnow(),
            level=LogLevel.INFO,
            message="Test message",
        )

        # Should not raise exception
        self.logger.log_event(event)

    def test_session_context(self) -> None:
        """Test session context setting."""
        self.logger.set_session_context("session_123", "correlation_456")

        self.assertEqual(self.logger.session_id, "session_123")
        self.assertEqual(self.logger.correlation_id, "correlation_456")


class TestCostTracker(unittest.TestCase):
    """The guide's unit tests of the cost tracker."""

    def setUp(self) -> None:
        self.cost_tracker = CostTracker()

    def test_track_llm_usage(self) -> None:
        """Test LLM usage tracking."""
        entry = self.cost_tracker.track_llm_usage(
            model_name="gpt-3.5-turbo", provider="openai", input_tokens=100, output_tokens=50, duration_ms=1500
        )

        self.assertEqual(entry.model_name, "gpt-3.5-turbo")
        self.assertEqual(entry.input_tokens, 100)
        self.assertEqual(entry.output_tokens, 50)
        self.assertGreater(entry.cost_usd, 0)

    def test_cost_estimation(self) -> None:
        """Test cost estimation."""
        estimate = self.cost_tracker.estimate_cost("Hello world", "gpt-3.5-turbo", "openai")

        self.assertIn("estimated_cost_usd", estimate)
        self.assertIn("input_tokens", estimate)
        self.assertGreater(estimate["estimated_cost_usd"], 0)


class TestObservabilityIntegration(unittest.TestCase):
    """The guide's integration test, without its dashboard."""

    def setUp(self) -> None:
        """Set up the full observability stack."""
        self.logger = configure_logging(log_dir="test_logs")
        self.tracer = configure_tracing(service_name="test_service")
        self.cost_tracker = configure_cost_tracking()

    def test_end_to_end_flow(self) -> None:
        """Test complete observability flow."""
        # Start tracing
        with self.tracer.trace_operation("test_operation") as span:
            # Log events
            self.logger.log_agent_start("test_agent", "developer", "test_framework")

            # Track costs
            cost_entry = self.cost_tracker.track_llm_usage(
                model_name="gpt-3.5-turbo", provider="openai", input_tokens=100, output_tokens=50, duration_ms=1500
            )

            # Verify data is connected
            self.assertIsNotNone(cost_entry)
            self.assertIsNotNone(span)


def test_the_logger_event_is_written_below_the_span() -> None:
    """An event logged inside a traced operation carries that operation's trace and span id."""
    logger = configure_logging(log_dir="test_logs")
    tracer = configure_tracing(service_name="test_service")

    with tracer.trace_operation("test_operation") as span:
        logger.log_agent_start("test_agent", "developer", "test_framework", capabilities=["code"])
        ids = span.get_span_context()
    assert flush()

    (line,) = read_journal("test_logs")
    assert (line.trace_id, line.span_id) == (f"{ids.trace_id:032x}", f"{ids.span_id:016x}")
    assert line.metadata == {"agent_type": "developer", "capabilities": ["code"]}


def test_the_getters_return_what_was_configured() -> None:
    """``get_logger``, ``get_trace_manager`` and ``get_cost_tracker`` return what the ``configure_*`` calls returned."""
    logger = configure_logging(log_dir="test_logs")
    tracer = configure_tracing(service_name="test_service")
    costs = configure_cost_tracking()

    assert (get_logger(), get_trace_manager(), get_cost_tracker()) == (logger, tracer, costs)


def test_filters_of_the_guide() -> None:
    """Level, framework and custom filters decide together, the custom ones by a mapping of the event's fields."""
    chosen = EventFilter()
    chosen.set_level_filter(LogLevel.WARNING)
    chosen.set_framework_filter(["langgraph"])
    chosen.add_custom_filter(lambda event: event["message"] != "noise")

    def decides(level: LogLevel, framework: str, message: str) -> bool:
        event = LogEvent(EventType.SYSTEM_ERROR, datetime.utcnow(), level, message, framework=framework)
        return chosen.should_log(event)

    assert [
        decides(LogLevel.ERROR, "langgraph", "kept"),
        decides(LogLevel.INFO, "langgraph", "too low"),
        decides(LogLevel.ERROR, "crewai", "elsewhere"),
        decides(LogLevel.ERROR, "langgraph", "noise"),
    ] == [True, False, False, False]


def test_spans_of_the_guide() -> None:
    """The guide's span helpers and its decorator pass values and exceptions through."""
    manager = TraceManager("guide-service", "2.0.0")

    @trace_function(operation_name="data_processing", attributes={"component": "data_pipeline"})
    def process_data(data: int) -> int:
        return data + 1

    with manager.trace_agent_operation("agent-1", "langgraph", "plan"):
        assert process_data(1) == 2
    with pytest.raises(KeyError, match="broken"), manager.trace_llm_interaction("gpt-4", "openai", "agent-1"):
        raise KeyError("broken")


def test_an_unknown_exporter_is_refused() -> None:
    """``add_exporter`` raises for a type it doesn't know, as the guide has it."""
    with pytest.raises(ValueError, match="zipkin"):
        TraceManager("guide-service").add_exporter("zipkin")


def test_pricing_of_the_guide() -> None:
    """A price that the program adds is used for its model."""
    tracker = CostTracker()
    tracker.add_pricing_model(ModelPricing("my-model", ModelProvider.CUSTOM, 0.5, 1.0, 4096))

    entry = tracker.track_llm_usage("my-model", "custom", input_tokens=1000, output_tokens=2000, duration_ms=10)

    assert entry.cost_usd == pytest.approx(2.5)
    assert "openai:gpt-4" in tracker.pricing_models


def test_a_provider_of_the_programs_own() -> None:
    """A custom provider supplies prices and counts tokens."""

    class CustomProvider:
        def get_pricing(self, model_name: str) -> ModelPricing:
            return ModelPricing(model_name, ModelProvider.CUSTOM, 1.0, 1.0, 1000)

        def count_tokens(self, text: str, model_name: str) -> int:
            return len(text)

    tracker = CostTracker()
    tracker.add_provider("custom", CustomProvider())

    estimate = tracker.estimate_cost("12345", "anything", "custom")

    assert estimate["input_tokens"] == 5
    assert estimate["input_cost_usd"] == pytest.approx(0.005)


def test_the_optimized_tracker_keeps_the_latest_entries() -> None:
    """``OptimizedCostTracker`` keeps at most ``max_entries``, the most recent ones."""
    tracker = OptimizedCostTracker(max_entries=3)

    for tokens in range(5):
        tracker.track_llm_usage("gpt-4", "openai", input_tokens=tokens, output_tokens=0, duration_ms=1)

    assert [entry.input_tokens for entry in tracker.entries] == [2, 3, 4]


def test_budgets_of_the_guide() -> None:
    """A threshold alerts once, with the guide's keys, and a raising callback does no harm."""
    guard.set_strict(False)
    tracker = CostTracker()
    alerts: list[dict[str, Any]] = []

    def broken(alert: dict[str, Any]) -> None:
        raise RuntimeError("callback")

    tracker.budget_manager.set_budget("daily", 0.01, "daily", [0.5])
    tracker.budget_manager.alert_callbacks.extend([broken, alerts.append])

    for _ in range(3):
        tracker.track_llm_usage("gpt-4", "openai", input_tokens=100, output_tokens=50, duration_ms=1)

    (alert,) = alerts
    assert alert["budget_name"] == "daily"
    assert alert["limit_usd"] == 0.01
    assert alert["current_spend_usd"] == pytest.approx(0.006)
    assert alert["spend_ratio"] == pytest.approx(0.6)
    assert isinstance(alert["timestamp"], datetime)


def test_a_custom_event() -> None:
    """The guide's custom event is an event type with a convenience method."""
    logger = configure_logging(log_dir="test_logs")

    logger.log_custom_event({"release": "1.2.3"})
    assert flush()

    (line,) = read_journal("test_logs")
    assert (line.event_type, line.metadata) == ("custom.event", {"release": "1.2.3"})
