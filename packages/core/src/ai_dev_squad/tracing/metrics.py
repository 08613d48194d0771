"""GenAI metrics of the OpenTelemetry conventions, recorded where operations end.

Names, units, attributes and bucket boundaries are those of ``open-telemetry/semantic-conventions-genai``. Nothing is
built unless there is a meter provider that measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ai_dev_squad import attributes as keys

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter, MeterProvider

    from ai_dev_squad.operations import Operation
    from ai_dev_squad.schema import ErrorInfo, Usage

__all__ = ["GenAIMetrics", "create_metrics"]

CLIENT_SECONDS = tuple(0.01 * 2**n for n in range(14))
"""Of a model call or a tool call: 10 ms to 82 s."""
TOKENS = tuple(4**n for n in range(14))
"""Of one call: 1 to 67 million."""
AGENT_SECONDS = tuple(0.1 * 2**n for n in range(13))
"""Of an agent's run: 100 ms to 7 minutes."""
WORKFLOW_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
"""Of a workflow: 1 s to 2 hours."""
CALLS = tuple(2**n for n in range(8))
"""Of models or tools in one run of an agent: 1 to 128."""

TOKEN_MODALITY = "gen_ai.token.modality"  # noqa: S105 - an attribute's name
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - an attribute's name

_BASE = (
    keys.OPERATION_NAME,
    keys.PROVIDER_NAME,
    keys.REQUEST_MODEL,
    keys.RESPONSE_MODEL,
    keys.SERVER_ADDRESS,
    keys.SERVER_PORT,
)
_WORKFLOW = (keys.WORKFLOW_NAME,)
_AGENT = (keys.GEN_AI_AGENT_NAME, keys.REQUEST_MODEL)
_TOOL = (keys.TOOL_NAME, keys.TOOL_TYPE, keys.GEN_AI_AGENT_NAME)
_INFERENCE = frozenset({"chat", "text_completion", "generate_content"})
_SUBSETS = ("cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens")


def create_metrics(meter_provider: MeterProvider | str | None = None, *, legacy: bool = False) -> GenAIMetrics | None:
    """Metrics on ``meter_provider``, or on the application's own with ``"global"``; ``None`` when that measures nothing.

    ``legacy`` also records ``gen_ai.client.token.usage`` and ``gen_ai.client.operation.duration`` as they were before
    the conventions changed. Raises ``ValueError`` for what is no meter provider.
    """
    if meter_provider is None:
        return None
    provider: Any = meter_provider
    if meter_provider == "global":
        from opentelemetry.metrics import get_meter_provider

        provider = get_meter_provider()
    if not hasattr(provider, "get_meter"):
        raise ValueError(
            f"meter_provider={provider!r} is no MeterProvider; give one, or 'global' for the application's"
        )
    # The API's own providers stand for "none was set" and for "measure nothing".
    if type(provider).__module__.startswith("opentelemetry.metrics"):
        return None
    return GenAIMetrics(provider.get_meter("ai_dev_squad"), legacy=legacy)


class GenAIMetrics:
    """All instruments, made once; ``record`` is called when an operation ends, failed ones included."""

    def __init__(self, meter: Meter, *, legacy: bool = False) -> None:
        def seconds(name: str, boundaries: Sequence[float], description: str) -> Histogram:
            return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=boundaries)

        def counts(name: str, unit: str, boundaries: Sequence[float], description: str) -> Histogram:
            return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=boundaries)

        inference = "gen_ai.client.inference"
        self._inference = seconds(f"{inference}.duration", CLIENT_SECONDS, "Duration of a model call")
        self._first_chunk = seconds(f"{inference}.time_to_first_chunk", CLIENT_SECONDS, "Time to the first chunk")
        self._per_chunk = seconds(f"{inference}.time_per_output_chunk", CLIENT_SECONDS, "Time between chunks")
        self._usage = {
            field: meter.create_counter(f"{inference}.usage.{name}", "{token}", description)
            for field, name, description in (
                ("input_tokens", "input_tokens", "Input tokens, cached ones included"),
                ("output_tokens", "output_tokens", "Output tokens, reasoning included"),
                ("cache_read_input_tokens", "cache_read.input_tokens", "Input tokens read from a cache"),
                ("cache_write_input_tokens", "cache_write.input_tokens", "Input tokens written to a cache"),
                ("reasoning_output_tokens", "reasoning.output_tokens", "Output tokens spent on reasoning"),
            )
        }
        self._per_call = {
            side: counts(f"{inference}.operation.{side}", "{token}", TOKENS, f"{side[:-7].title()} tokens per call")
            for side in ("input_tokens", "output_tokens")
        }
        embeddings = seconds("gen_ai.client.embeddings.duration", CLIENT_SECONDS, "Duration of embedding")
        workflow = seconds("gen_ai.invoke_workflow.duration", WORKFLOW_SECONDS, "Duration of a workflow")
        tool = seconds("gen_ai.execute_tool.duration", CLIENT_SECONDS, "Duration of a tool call")
        self._durations = {
            "embeddings": (embeddings, _BASE),
            "invoke_workflow": (workflow, _WORKFLOW),
            "execute_tool": (tool, _TOOL),
        }
        self._other = seconds("gen_ai.client.operation.duration", CLIENT_SECONDS, "Duration of a client operation")
        self._agent = seconds("gen_ai.invoke_agent.duration", AGENT_SECONDS, "Duration of an agent's run")
        self._agent_calls = {
            what: counts(f"gen_ai.invoke_agent.{what}s", f"{{{what}}}", CALLS, description)
            for what, description in (
                ("inference_call", "Model calls of an agent's run"),
                ("tool_call", "Tool calls of an agent's run"),
            )
        }
        self._legacy_usage = (
            counts("gen_ai.client.token.usage", "{token}", TOKENS, "Tokens per call (legacy)") if legacy else None
        )

    def operation_ended(self, operation: Operation, error: ErrorInfo | None) -> None:
        """Record an operation of ours that has ended."""
        kind, request = operation.kind, operation.request
        if kind.operation == "task":  # there is no convention for it
            return
        attributes = dict(operation.attributes or {})
        attributes[kind.name_key] = operation.name
        if operation.is_refused:
            return
        if request is not None:
            attributes[keys.PROVIDER_NAME], attributes[keys.REQUEST_MODEL] = request.provider, request.model
        if operation.agent_id is not None:
            attributes.setdefault(keys.GEN_AI_AGENT_NAME, operation.agent_id)
        is_agent = kind.operation == "invoke_agent"
        self.record(
            kind.operation,
            operation.duration_ns / 1e9,
            attributes,
            usage=operation.usage,
            error_type=_error_type(operation, error),
            time_to_first_chunk=operation.first_chunk_s,
            inference_calls=operation.own_model_calls if is_agent else None,
            tool_calls=operation.own_tool_calls if is_agent else None,
        )

    def record(
        self,
        operation: str,
        duration_s: float,
        attributes: Mapping[str, Any],
        *,
        usage: Usage | None = None,
        error_type: str | None = None,
        time_to_first_chunk: float | None = None,
        output_chunk_gaps: Sequence[float] = (),
        inference_calls: int | None = None,
        tool_calls: int | None = None,
    ) -> None:
        """Record one operation that ended; times in seconds.

        ``operation`` is the value of ``gen_ai.operation.name``; of ``attributes``, the ones that the conventions allow
        on the metric are picked. ``output_chunk_gaps`` are the times between the chunks of a streamed answer.
        """
        error = {keys.ERROR_TYPE: error_type} if error_type else {}
        if operation in _INFERENCE:
            base = _pick(attributes, _BASE)
            base[keys.OPERATION_NAME] = operation
            self._inference.record(duration_s, {**base, **error})
            self._record_stream(base, time_to_first_chunk, output_chunk_gaps)
            self._record_usage(base, error, usage)
            if self._legacy_usage is not None:
                self._other.record(duration_s, {**base, **error})
                self._record_legacy_usage(self._legacy_usage, base, usage)
        elif operation == "invoke_agent":
            self._agent.record(duration_s, {**_pick(attributes, _AGENT), **error})
            name = _pick(attributes, _AGENT[:1])
            for what, calls in (("inference_call", inference_calls), ("tool_call", tool_calls)):
                if calls is not None:
                    self._agent_calls[what].record(calls, name)
        else:
            instrument, allowed = self._durations.get(operation, (self._other, _BASE))
            picked = _pick(attributes, allowed)
            if allowed is _BASE:
                picked[keys.OPERATION_NAME] = operation
            instrument.record(duration_s, {**picked, **error})

    def _record_stream(self, base: dict[str, Any], first_chunk: float | None, gaps: Sequence[float]) -> None:
        if first_chunk is not None:
            self._first_chunk.record(first_chunk, base)
        for gap in gaps:
            self._per_chunk.record(gap, base)

    def _record_usage(self, base: dict[str, Any], error: dict[str, Any], usage: Usage | None) -> None:
        for side in ("input_tokens", "output_tokens"):
            total = None if usage is None else getattr(usage, side)
            # A call without usage counts as 0 of unknown modality, so that its absence can be seen.
            self._per_call[side].record(total or 0, {**base, **error})
            heard, seen = getattr(usage, f"audio_{side}", None), getattr(usage, f"image_{side}", None)
            for modality, tokens in _by_modality(total, heard, seen):
                self._usage[side].add(tokens, {**base, TOKEN_MODALITY: modality})
        for field in _SUBSETS:
            subset: int | None = getattr(usage, field, None)
            if subset:
                self._usage[field].add(subset, {**base, TOKEN_MODALITY: "unknown"})

    @staticmethod
    def _record_legacy_usage(instrument: Histogram, base: dict[str, Any], usage: Usage | None) -> None:
        for side in ("input", "output"):
            tokens = getattr(usage, f"{side}_tokens", None)
            if tokens is not None:
                instrument.record(tokens, {**base, TOKEN_TYPE: side})


def _by_modality(total: int | None, audio: int | None, image: int | None) -> list[tuple[str, int]]:
    """Tokens by modality. Without a split the modality is unknown: images may be among them."""
    if total is None or (audio is None and image is None):
        return [("unknown", total or 0)]
    others = [(name, count) for name, count in (("audio", audio), ("image", image)) if count]
    return [("text", max(0, total - sum(count for _, count in others))), *others]


def _pick(attributes: Mapping[str, Any], allowed: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key in allowed if (value := attributes.get(key)) is not None}


def _error_type(operation: Operation, error: ErrorInfo | None) -> str | None:
    if error is not None:
        return error.type
    return operation.status if operation.status in {"cancelled", "abandoned"} else None
