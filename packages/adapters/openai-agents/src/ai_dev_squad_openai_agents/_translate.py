"""From the SDK's objects to the core's schema: pure functions, testable without a run."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from agents.exceptions import InputGuardrailTripwireTriggered, MaxTurnsExceeded
from agents.tracing import get_current_trace

from ai_dev_squad import attributes as keys
from ai_dev_squad.genai import messages as shapes
from ai_dev_squad.genai import providers, requests
from ai_dev_squad.operations import ModelRequest
from ai_dev_squad.refusal import CallRefused

__all__ = [
    "agent_name",
    "answer_content",
    "answer_text",
    "approvals_key",
    "arguments",
    "compared",
    "enclosing_trace",
    "left_by",
    "messages",
    "messages_content",
    "model_attributes",
    "model_request",
    "name_trace",
    "offered",
    "pending_approvals",
    "refusal_in",
    "reported_usage",
    "response_attributes",
    "session_id",
    "settings",
    "trace_name",
    "workflow_name",
]

_UNNAMED = "Agent workflow"
"""What the SDK calls a run that nobody gave a name."""
_TRACE_NAME = "__ai_dev_squad_name__"


# --- runs ---------------------------------------------------------------------------------------------------------------


def workflow_name(config: Any) -> str | None:
    """What the program calls a run in its ``RunConfig``, which may be a mapping; ``None`` if it does not."""
    name = _field(config, "workflow_name")
    return name if isinstance(name, str) and name and name != _UNNAMED else None


def agent_name(given: Any, agent: Any) -> str:
    """The name of the agent that a run begins with: a resumed one goes on where it was."""
    waiting = getattr(given, "_current_agent", None)
    return str(getattr(waiting or agent, "name", None) or "agent")


def session_id(settings: Mapping[str, Any]) -> str | None:
    """The conversation that a run belongs to, by its session, the provider's conversation or the group of its traces."""
    session = getattr(settings.get("session"), "session_id", None)
    found = session or settings.get("conversation_id") or _field(settings.get("run_config"), "group_id")
    return found if isinstance(found, str) else None


def _field(config: Any, name: str) -> Any:
    if config is None:  # as in most runs; the ABC takes five times as long to say so
        return None
    return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)


def enclosing_trace() -> Any:
    """The trace of the SDK that is current."""
    return get_current_trace()


def trace_name(trace: Any) -> str:
    """What the program calls a trace. One that is switched off has forgotten it: see ``name_trace``."""
    return str(getattr(trace, "__dict__", {}).get(_TRACE_NAME) or trace.name)


def name_trace(trace: Any, name: str) -> None:
    """Keep the name of a trace with it."""
    trace.__dict__[_TRACE_NAME] = name


def refusal_in(error: BaseException) -> CallRefused | None:
    """The refusal that an error of the SDK was made of, or is: it wraps what leaves a tool."""
    found: BaseException | None = error
    for _ in range(16):
        if found is None or isinstance(found, CallRefused):
            return found
        found = found.__cause__
    return None


def left_by(result: Any) -> BaseException | None:
    """What a streamed run came to that went through its loop: the SDK raises some errors only where the events are read."""
    stored: BaseException | None = result._stored_exception
    if stored is not None:
        return stored
    limit = result.max_turns
    if limit is not None and result.current_turn > limit and not result._max_turns_handled:
        return MaxTurnsExceeded(f"Max turns ({limit}) exceeded")
    tripped = next((found for found in result.input_guardrail_results if found.output.tripwire_triggered), None)
    return None if tripped is None else InputGuardrailTripwireTriggered(tripped)


def pending_approvals(given: Any) -> Sequence[Any] | None:
    """The tool calls that a state waits, or waited, to be approved of; ``None`` for an input that is no state."""
    interruptions = getattr(given, "get_interruptions", None)
    return None if interruptions is None else list(interruptions())


def approvals_key(approvals: Iterable[Any]) -> Hashable | None:
    """What tool calls that wait for approval are known by, before and after their state was saved: their ids."""
    found = frozenset(identity for approval in approvals if (identity := _call_id(approval.raw_item)))
    return found or None


def _call_id(item: Any) -> str | None:
    found = item.get("call_id") or item.get("id") if isinstance(item, Mapping) else getattr(item, "call_id", None)
    return found if isinstance(found, str) else None


def arguments(text: Any) -> Any:
    """What a tool is called with: the model's JSON as a structure, or its text where it is none."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


# --- what a model is asked ----------------------------------------------------------------------------------------------


def messages(instructions: str | None, given: Any) -> list[Any]:
    """All that the model reads: the instructions, and a text or items of the Responses API."""
    said: list[Any] = [] if not instructions else [{"role": "system", "content": instructions}]
    if isinstance(given, str):
        return [*said, {"role": "user", "content": given}]
    return said + list(given or ())


def settings(found: Any) -> Mapping[str, Any]:
    """The settings of a request that are set, those for this provider alone included."""
    known = {name: value for name, value in vars(found).items() if value is not None} if found is not None else {}
    extra = known.pop("extra_args", None)
    if (reasoning := known.get("reasoning")) is not None and not isinstance(reasoning, Mapping):
        known["reasoning"] = {"effort": getattr(reasoning, "effort", None)}
    return {**known, **extra} if extra is not None and isinstance(extra, Mapping) else known


def offered(tools: Iterable[Any] | None, handoffs: Iterable[Any] | None) -> list[Any]:
    """What the model is told of tools and of the agents that it may hand over to, which are tools to it."""
    told: list[Any] = [
        requests.offered(tool, tool.name, tool.description, tool.params_json_schema)
        if hasattr(tool, "params_json_schema")
        else {"name": getattr(tool, "name", type(tool).__name__)}
        for tool in tools or ()
    ]
    told.extend(
        {"name": handoff.tool_name, "description": handoff.tool_description, "parameters": handoff.input_json_schema}
        for handoff in handoffs or ()
    )
    return told


def model_request(
    model: Any, said: Sequence[Any], known: Mapping[str, Any], told: Sequence[Any], schema: Any
) -> ModelRequest:
    """What is known of a model call before it is made."""
    name = str(getattr(model, "model", None) or "unknown")
    return requests.model_request(
        name,
        _provider(model, name),
        known,
        said,
        told,
        _format_name(schema),
        prompt=lambda: shapes.countable(said, list(told)),
    )


def _format_name(schema: Any) -> str | None:
    return None if schema is None or schema.is_plain_text() else str(schema.name())


def _provider(model: Any, name: str) -> str:
    # LiteLLM's and any-llm's names of models begin with a provider's; others speak OpenAI's language.
    prefix = "" if type(model).__name__.startswith("OpenAI") else name.partition("/")[0]
    if prefix != name and providers.is_known(prefix):
        return providers.convention_name(prefix)
    return requests.provider_speaking_openai(_address(model), name)


def _address(model: Any) -> Any:
    return getattr(getattr(model, "_client", None), "base_url", None) or getattr(model, "base_url", None)


def model_attributes(model: Any, known: Mapping[str, Any], schema: Any, *, stream: bool) -> dict[str, Any]:
    """Request attributes of a model call, by the GenAI conventions."""
    attributes = requests.request_attributes(known, stream=stream)
    if _format_name(schema) is not None:
        attributes[keys.OUTPUT_TYPE] = "json"
    return {**attributes, **requests.server_attributes(_address(model))}


# --- what it answers ----------------------------------------------------------------------------------------------------


def reported_usage(usage: Any) -> Any:
    """The SDK's own counts as a report of the Responses API, whose words they are in; another report as it is.

    Half of the SDK's object is about several requests, and reading all of it takes longer than all else of a call.
    """
    if not hasattr(usage, "request_usage_entries"):
        return usage
    report: dict[str, Any] = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    read, written = usage.input_tokens_details, usage.output_tokens_details
    if cached := getattr(read, "cached_tokens", None):
        report["input_tokens_details"] = {"cached_tokens": cached}
    if cache_write := getattr(read, "cache_write_tokens", None):
        report.setdefault("input_tokens_details", {})["cache_write_tokens"] = cache_write
    if reasoning := getattr(written, "reasoning_tokens", None):
        report["output_tokens_details"] = {"reasoning_tokens": reasoning}
    return report


def response_attributes(answer: Any, identity: str | None) -> dict[str, Any]:
    """Response attributes of a finished model call."""
    attributes: dict[str, Any] = {keys.RESPONSE_FINISH_REASONS: [_finish_reason(answer)]}
    if model := getattr(answer, "model", None):
        attributes[keys.RESPONSE_MODEL] = str(model)
    # The SDK's own stand-in for an id that the provider did not send.
    if identity and identity != "__fake_id__":
        attributes[keys.RESPONSE_ID] = identity
    return attributes


def _finish_reason(answer: Any) -> str:
    """The Responses API has a status instead, and the SDK brings all others into its shape."""
    incomplete = getattr(getattr(answer, "incomplete_details", None), "reason", None)
    if incomplete is not None:
        return "length" if incomplete == "max_output_tokens" else str(incomplete)
    if getattr(answer, "status", None) == "failed":
        return "error"
    return "tool_calls" if any(_kind(item).endswith("_call") for item in answer.output) else "stop"


def _kind(item: Any) -> str:
    # An item of the SDK says at once what it is; asking it for what it lacks takes long, and the ABC, too.
    kind = getattr(item, "type", None)
    return str(item.get("type") if kind is None and isinstance(item, Mapping) else kind)


def messages_content(said: Iterable[Any]) -> list[dict[str, Any]]:
    """Messages in the shape of ``gen_ai.input.messages``: role and parts."""
    return shapes.input_messages([_plain(item) for item in said])


def answer_content(answer: Any) -> list[dict[str, Any]]:
    """The answer in the shape of ``gen_ai.output.messages``."""
    return [{"role": "assistant", "parts": _parts(answer.output), "finish_reason": _finish_reason(answer)}]


def answer_text(output: Sequence[Any]) -> str:
    """The text of the answer, thoughts and tool calls included, for an estimate of its tokens."""
    return shapes.countable_text([{"role": "assistant", "content": _parts(output)}])


def _parts(output: Sequence[Any]) -> list[dict[str, Any]]:
    """Thoughts, texts and tool calls of an answer, in their order."""
    return [part for item in output for part in shapes.message(_plain(item))["parts"]]


def _plain(item: Any) -> Any:
    dump = getattr(item, "model_dump", None)
    return item if dump is None else dump(exclude_unset=True)


def compared(output: Sequence[Any]) -> list[Any]:
    """What an answer is compared by: its texts, and its tool calls without their ids."""
    found: list[Any] = []
    for item in output:
        if _kind(item) == "message":
            found.extend(text for piece in item.content or () if (text := getattr(piece, "text", None)))
            continue
        name, given = getattr(item, "name", None), getattr(item, "arguments", None)
        if name is not None and given is not None:
            found.append((name, given))
        else:
            found.extend(
                text for piece in getattr(item, "content", None) or () if (text := getattr(piece, "text", None))
            )
    return found
