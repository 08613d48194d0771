"""GenAI metrics: names, units, boundaries, attributes, and what a failed operation records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from ai_dev_squad.schema import Usage
from ai_dev_squad.tracing import GenAIMetrics, create_metrics

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "server.address": "api.openai.com",
    "server.port": 443,
}
D = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
T = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]
A = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6]
W = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200]
N = [1, 2, 4, 8, 16, 32, 64, 128]


class Measured:
    """A real meter provider, read as plain values."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def metrics(self) -> dict[str, tuple[str, list[Any]]]:
        """By name: (unit, points); a point is (attributes, value) or (attributes, sum, boundaries)."""
        data = self.reader.get_metrics_data()
        found = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found[metric.name] = (
                        metric.unit,
                        [
                            (dict(point.attributes), point.sum, list(point.explicit_bounds))
                            if hasattr(point, "explicit_bounds")
                            else (dict(point.attributes), point.value)
                            for point in metric.data.data_points
                        ],
                    )
        return found


@pytest.fixture
def measured() -> Iterator[Measured]:
    """What was measured in this test."""
    one = Measured()
    yield one
    one.provider.shutdown()


def create(measured: Measured, **options: Any) -> GenAIMetrics:
    """Metrics on the test's provider."""
    metrics = create_metrics(measured.provider, **options)
    assert metrics is not None
    return metrics


def test_a_model_call(measured: Measured) -> None:
    """A streamed call records durations, tokens with modality, and the tokens per call, with the allowed attributes."""
    usage = Usage(
        input_tokens=100,
        output_tokens=20,
        cache_read_input_tokens=64,
        cache_write_input_tokens=8,
        reasoning_output_tokens=5,
        audio_input_tokens=30,
        audio_output_tokens=0,
        image_input_tokens=10,
        source="provider",
    )
    create(measured).record(
        "chat",
        1.5,
        {**CHAT, "gen_ai.request.temperature": 0.5, "agent.id": "x"},
        usage=usage,
        time_to_first_chunk=0.25,
        output_chunk_gaps=[0.5, 0.25],
    )

    def tokens(modality: str) -> dict[str, Any]:
        return {**CHAT, "gen_ai.token.modality": modality}

    prefix = "gen_ai.client.inference"
    assert measured.metrics() == {
        f"{prefix}.duration": ("s", [(CHAT, 1.5, D)]),
        f"{prefix}.time_to_first_chunk": ("s", [(CHAT, 0.25, D)]),
        f"{prefix}.time_per_output_chunk": ("s", [(CHAT, 0.75, D)]),
        f"{prefix}.usage.input_tokens": (
            "{token}",
            [(tokens("text"), 60), (tokens("audio"), 30), (tokens("image"), 10)],
        ),
        f"{prefix}.usage.output_tokens": ("{token}", [(tokens("text"), 20)]),
        f"{prefix}.usage.cache_read.input_tokens": ("{token}", [(tokens("unknown"), 64)]),
        f"{prefix}.usage.cache_write.input_tokens": ("{token}", [(tokens("unknown"), 8)]),
        f"{prefix}.usage.reasoning.output_tokens": ("{token}", [(tokens("unknown"), 5)]),
        f"{prefix}.operation.input_tokens": ("{token}", [(CHAT, 100, T)]),
        f"{prefix}.operation.output_tokens": ("{token}", [(CHAT, 20, T)]),
    }


def test_a_failed_call_without_usage_is_visible(measured: Measured) -> None:
    """A failed call records its duration and 0 tokens of unknown modality, with error.type where allowed."""
    create(measured).record("chat", 0.5, CHAT, error_type="429")

    failed, unknown = {**CHAT, "error.type": "429"}, {**CHAT, "gen_ai.token.modality": "unknown"}
    prefix = "gen_ai.client.inference"
    assert measured.metrics() == {
        f"{prefix}.duration": ("s", [(failed, 0.5, D)]),
        f"{prefix}.usage.input_tokens": ("{token}", [(unknown, 0)]),
        f"{prefix}.usage.output_tokens": ("{token}", [(unknown, 0)]),
        f"{prefix}.operation.input_tokens": ("{token}", [(failed, 0, T)]),
        f"{prefix}.operation.output_tokens": ("{token}", [(failed, 0, T)]),
    }


@pytest.mark.parametrize(
    "operation, attributes, options, expected",
    [
        (
            "invoke_workflow",
            {"gen_ai.workflow.name": "squad", "x": 1},
            {"error_type": "timeout"},
            {
                "gen_ai.invoke_workflow.duration": (
                    "s",
                    [({"gen_ai.workflow.name": "squad", "error.type": "timeout"}, 2.0, W)],
                )
            },
        ),
        (
            "invoke_agent",
            {"gen_ai.agent.name": "coder", "gen_ai.request.model": "gpt-4o", "x": 1},
            {"inference_calls": 3, "tool_calls": 2},
            {
                "gen_ai.invoke_agent.duration": (
                    "s",
                    [({"gen_ai.agent.name": "coder", "gen_ai.request.model": "gpt-4o"}, 2.0, A)],
                ),
                "gen_ai.invoke_agent.inference_calls": ("{inference_call}", [({"gen_ai.agent.name": "coder"}, 3, N)]),
                "gen_ai.invoke_agent.tool_calls": ("{tool_call}", [({"gen_ai.agent.name": "coder"}, 2, N)]),
            },
        ),
        (
            "execute_tool",
            {"gen_ai.tool.name": "search", "gen_ai.tool.type": "function", "gen_ai.agent.name": "coder", "x": 1},
            {},
            {
                "gen_ai.execute_tool.duration": (
                    "s",
                    [
                        (
                            {
                                "gen_ai.tool.name": "search",
                                "gen_ai.tool.type": "function",
                                "gen_ai.agent.name": "coder",
                            },
                            2.0,
                            D,
                        )
                    ],
                )
            },
        ),
        (
            "embeddings",
            {"gen_ai.request.model": "e"},
            {},
            {
                "gen_ai.client.embeddings.duration": (
                    "s",
                    [({"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e"}, 2.0, D)],
                )
            },
        ),
        (
            "retrieval",
            {"gen_ai.data_source.id": "docs"},
            {},
            {"gen_ai.client.operation.duration": ("s", [({"gen_ai.operation.name": "retrieval"}, 2.0, D)])},
        ),
    ],
)
def test_the_other_operations(measured: Measured, operation: str, attributes: Any, options: Any, expected: Any) -> None:
    """Each kind of operation has its own instrument, boundaries and attributes."""
    create(measured).record(operation, 2.0, attributes, **options)

    assert measured.metrics() == expected


def test_legacy_metrics_are_recorded_besides_when_asked_for(measured: Measured) -> None:
    """With the option, dashboards built on the former names find them."""
    create(measured, legacy=True).record(
        "chat", 1.0, CHAT, usage=Usage(input_tokens=10, output_tokens=2, source="provider")
    )

    metrics = measured.metrics()
    assert metrics["gen_ai.client.operation.duration"] == ("s", [(CHAT, 1.0, D)])
    assert metrics["gen_ai.client.token.usage"] == (
        "{token}",
        [
            ({**CHAT, "gen_ai.token.type": "input"}, 10, T),
            ({**CHAT, "gen_ai.token.type": "output"}, 2, T),
        ],
    )


def test_nothing_is_built_where_nothing_measures() -> None:
    """Without a provider, with the API's placeholder and with the no-op provider there are no metrics."""
    assert [create_metrics(None), create_metrics("global"), create_metrics(NoOpMeterProvider())] == [None, None, None]


def test_what_is_no_meter_provider_is_refused() -> None:
    """The value is named, with what is allowed."""
    with pytest.raises(ValueError, match="meter_provider=42 is no MeterProvider; give one, or 'global'"):
        create_metrics(42)  # type: ignore[arg-type]


def test_operations_record_themselves(measured: Measured) -> None:
    """A real model call, ended by operations, arrives with its model, provider and tokens; a task records nothing."""
    from ai_dev_squad import operations

    metrics = create(measured)
    task = operations.start(operations.TASK, "plan", framework="langgraph")
    call = operations.start(
        operations.CHAT,
        "gpt-4o",
        framework="langgraph",
        agent_id="planner",
        request=operations.ModelRequest("gpt-4o", "openai"),
    )
    call.usage = Usage(input_tokens=7, output_tokens=3, source="provider")
    for operation in (call, task):
        operation.stop()
        operation.duration_ns = 500_000_000
        metrics.operation_ended(operation, None)

    base = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
    found = measured.metrics()
    assert found["gen_ai.client.inference.duration"] == ("s", [(base, 0.5, D)])
    assert found["gen_ai.client.inference.usage.input_tokens"] == (
        "{token}",
        [({**base, "gen_ai.token.modality": "unknown"}, 7)],
    )
    assert {name.split(".")[1] for name in found} == {"client"}
