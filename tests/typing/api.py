"""A program that uses the public names as a user would. It is never run: mypy --strict has to accept it.

A name that loses its type, or a call of the guide that no longer fits, is an error of `nox -s types`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timezone
from typing import Any, TypedDict, assert_type

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from opentelemetry.trace import SpanContext

import ai_dev_squad
from ai_dev_squad import (
    Budget,
    BudgetExceeded,
    BudgetManager,
    Cost,
    CostEntry,
    CostTracker,
    EventFilter,
    EventType,
    JournalLine,
    LogEvent,
    LogLevel,
    ModelPricing,
    ModelProvider,
    OptimizedCostTracker,
    Settings,
    StructuredLogger,
    TraceManager,
    Usage,
    configure_cost_tracking,
    configure_logging,
    configure_tracing,
    continue_trace,
    current_operation,
    get_cost_tracker,
    get_logger,
    get_trace_manager,
    inject,
    operations,
    read_journal,
    register_event_type,
    savings_report,
    trace_function,
)
from ai_dev_squad.context import attached
from ai_dev_squad.operations import Operation
from ai_dev_squad_langgraph import ObservableLangGraphAdapter, observe
from ai_dev_squad_testing import Captured, capture, fixed_ids_and_clock

# Set-up

ai_dev_squad.configure(log_dir="logs", console=True, capture_content=False, service_name="squad")
assert_type(configure_logging(log_dir="logs", enable_console=False), StructuredLogger)
assert_type(configure_tracing(service_name="squad"), TraceManager)
assert_type(configure_cost_tracking(), CostTracker)
logger: StructuredLogger = get_logger()
tracer: TraceManager = get_trace_manager()
tracker: CostTracker = get_cost_tracker()
assert_type(ai_dev_squad.flush(timeout=5.0), bool)
ai_dev_squad.shutdown()


assert_type(ai_dev_squad.get_settings(), Settings)
assert_type(ai_dev_squad.get_settings().environment, str | None)
with ai_dev_squad.session("session", "correlation", user_id="ada"):
    assert_type(current_operation(), Operation | None)


# Events

event = LogEvent(
    event_type=EventType.AGENT_START,
    timestamp=datetime.now(timezone.utc),
    level=LogLevel.INFO,
    message="planner starts",
    agent_id="planner",
    framework="langgraph",
    metadata={"capabilities": ["planning"]},
)
logger.log_event(event)
logger.log_event(LogEvent(register_event_type("deploy.finished"), event.timestamp, LogLevel.WARNING, "deployed"))
logger.set_session_context("session", "correlation")
logger.log_agent_start("planner", "developer", "langgraph", capabilities=["planning"])
logger.log_agent_stop("planner", "langgraph")
logger.log_task_start("plan", "plan", "planner", "langgraph")
logger.log_task_complete("plan", "plan", "planner", "langgraph", 1500)
logger.log_task_error("plan", "plan", "planner", "langgraph", "no idea")


def only_slow(fields: dict[str, Any]) -> bool:
    """A custom filter sees the event's fields."""
    return bool(fields.get("duration_ms"))


event_filter = EventFilter()
event_filter.set_level_filter(LogLevel.WARNING)
event_filter.set_framework_filter(["langgraph"])
event_filter.add_custom_filter(only_slow)
assert_type(event_filter.should_log(event), bool)


# Traces

tracer.add_exporter("otlp", endpoint="http://localhost:4318")
with tracer.trace_operation("build", {"component": "ci"}) as span:
    span.set_attribute("step", 1)
with tracer.trace_agent_operation("planner", "langgraph", "node_execution") as span:
    span.add_event("thought")
with tracer.trace_llm_interaction("gpt-4o-mini", "openai", "planner"):
    pass


@trace_function
def plain(text: str, *, times: int = 1) -> list[str]:
    """Without parentheses."""
    return [text] * times


@trace_function(operation_name="load", attributes={"component": "data"})
async def load(path: str) -> bytes:
    """With parentheses, on a coroutine function."""
    return path.encode()


@trace_function()
def count(limit: int) -> Iterator[int]:
    """On a generator function."""
    yield from range(limit)


@trace_function("stream")
async def stream(limit: int) -> AsyncIterator[int]:
    """On an asynchronous generator function."""
    for number in range(limit):
        yield number


class Pipeline:
    """The decorator keeps a method's signature."""

    @trace_function
    def run(self, data: dict[str, int]) -> int:
        """A method."""
        return sum(data.values())


async def decorated_functions_keep_their_types() -> None:
    """What a type checker sees through the decorator."""
    assert_type(plain("a", times=2), list[str])
    assert_type(await load("a"), bytes)
    assert_type(count(3), Iterator[int])
    assert_type(Pipeline().run({"a": 1}), int)
    async for number in stream(3):
        assert_type(number, int)


# Costs and budgets

tracker.add_pricing_model(ModelPricing("our-model", ModelProvider.CUSTOM, 0.001, 0.002, 8192))
entry = tracker.track_llm_usage(
    model_name="gpt-4o-mini",
    provider="openai",
    input_tokens=100,
    output_tokens=50,
    duration_ms=1500,
    agent_id="planner",
)
assert_type(entry, CostEntry)
assert_type(entry.cost_usd, float | None)
estimate = tracker.estimate_cost("Hello world", "gpt-4o-mini", "openai")
print(estimate["estimated_cost_usd"], estimate["input_tokens"])
assert_type(OptimizedCostTracker(max_entries=100).entries[0].cost_usd, float | None)
assert_type(tracker.budget_manager, BudgetManager)
tracker.budget_manager.set_budget("team", 10.0, "day", alert_thresholds=[0.5, 0.9], framework="langgraph")
tracker.budget_manager.set_budget("run", 1.0, "run", on_exceed="stop")
tracker.budget_manager.alert_callbacks.append(print)
tracker.budget_manager.check_budgets(entry)
assert_type(tracker.budget_manager.budgets, dict[str, Budget])
try:
    pass
except BudgetExceeded as exceeded:
    print(exceeded.budget, exceeded.limit_usd, exceeded.spent_usd)


class OurProvider:
    """A provider of a user's own."""

    def get_pricing(self, model_name: str) -> ModelPricing:
        """Prices."""
        return ModelPricing(model_name, ModelProvider.CUSTOM, 0.0, 0.0, 4096)

    def count_tokens(self, text: str, model_name: str) -> int:
        """Tokens."""
        return len(text)


tracker.add_provider("ours", OurProvider())


# Operations: what adapters are made of

operation = operations.start(
    operations.CHAT,
    "gpt-4o-mini",
    framework="mine",
    attributes={"a": 1},
    request=operations.ModelRequest("gpt-4o-mini", "openai", prompt=lambda: "hello", max_output_tokens=10),
)
assert_type(operation, Operation)
with attached(operation):
    operation.reserve()
    operation.usage = Usage(input_tokens=1, output_tokens=1, source="provider")
    operation.annotate({"b": [1, 2]})
    operation.event(EventType.AGENT_HANDOFF, "hands off", {"to": "coder"})
assert_type(operation.stop(), bool)
assert_type(operation.fail(ValueError("no")), bool)
assert_type(operation.trace_id, str)
assert_type(operation.cost, Cost | None)


# Across processes, and back from the journal

headers: dict[str, str] = {}
assert_type(inject(headers), dict[str, str])
with continue_trace({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}) as sender:
    assert_type(sender, SpanContext | None)
for line in read_journal("logs"):
    assert_type(line, JournalLine)
    assert_type(line.duration_ms, float | None)
report = savings_report(tracker.entries)


# In tests

with capture(spans=True, capture_content=True) as captured, fixed_ids_and_clock():
    assert_type(captured, Captured)
    assert_type(captured.tree(), str)
    assert_type(captured.closing("chat"), list[JournalLine])


# LangGraph


class State(TypedDict):
    """The state of a small graph."""

    text: str


def upper(state: State) -> State:
    """A node."""
    return {"text": state["text"].upper()}


builder = StateGraph(State)
builder.add_node("upper", upper)
builder.set_entry_point("upper")
assert_type(observe(builder), StateGraph[State, None, State, State])
graph = observe(builder.compile())
assert_type(graph, CompiledStateGraph[State, None, State, State])
print(graph.invoke({"text": "a"})["text"])
adapter = ObservableLangGraphAdapter()
adapter.create_observable_node(upper, "upper")
adapter.build_observable_graph({"upper": upper})
