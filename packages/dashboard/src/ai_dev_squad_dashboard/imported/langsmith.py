"""LangSmith: runs as its bulk export (Parquet) and its API (JSON) write them, and feedback as its API does.

In tables what is an object is JSON text. A parent's sums of tokens and cost are those of what is below it, so only runs that call
a model count; a root's sums are what the product itself says of the whole trace. Fields: https://docs.langchain.com/langsmith.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ai_dev_squad.genai.messages import input_messages
from ai_dev_squad_dashboard.ingest.otlp_shapes import Origin, Span

from .records import Record
from .told import (
    Claim,
    Context,
    Judged,
    Source,
    Told,
    Untellable,
    end_of,
    judged,
    moment_ns,
    money,
    number,
    object_of,
    parsed,
    score,
    seconds_until,
    settings_of,
    span_id,
    text,
    trace_id,
    without_nothing,
)

__all__ = ["LANGSMITH"]

_OPERATIONS: Final = {
    "llm": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "retriever": "retrieval",
    "chain": "task",
}
_SESSIONS: Final = ("session_id", "thread_id", "conversation_id")
"""Under which names metadata have the thread: https://docs.langchain.com/langsmith/threads."""
_RUN_ID: Final = re.compile(r"Z([0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})")
_SETTINGS: Final = {
    "ls_temperature": "gen_ai.request.temperature",
    "ls_max_tokens": "gen_ai.request.max_tokens",
}


def _feedback(record: Record) -> Iterator[Judged]:
    """What somebody thinks of a run: https://docs.langchain.com/langsmith/feedback-data-format."""
    at, value = moment_ns(record.get("created_at")), parsed(record.get("value"))
    if record.get("trace_id") is None or at is None:
        raise Untellable("feedback of LangSmith without trace_id or created_at")
    yield judged(
        trace_id(record["trace_id"]),
        span_id(record.get("run_id")) or None,
        at,
        name=text(record.get("key")),
        score=score(record.get("score")),
        label=text(value) if isinstance(value, str) else None,
        comment=text(record.get("comment")),
        by=None,
    )


def _tell(record: Record, context: Context) -> Iterator[Told | Judged]:
    if "key" in record and "run_type" not in record:
        yield from _feedback(record)
        return
    identity, trace = record.get("id"), record.get("trace_id") or record.get("id")
    started = moment_ns(record.get("start_time"))
    kind = text(record.get("run_type"))
    if identity is None or started is None or kind is None:
        raise Untellable("no run of LangSmith: id, run_type or start_time is missing, or is none")
    extra = object_of(record.get("extra"))
    metadata = object_of(record.get("metadata")) or object_of(extra.get("metadata"))
    parent = _parent(record)
    claim = Claim(number(record.get("total_tokens")), money(record.get("total_cost")))
    calls = kind in ("llm", "embedding")
    attributes = {
        "gen_ai.operation.name": "invoke_workflow" if not parent and kind == "chain" else _OPERATIONS.get(kind, kind),
        "session.id": next((found for name in _SESSIONS if (found := text(metadata.get(name)))), None),
        "user.id": text(metadata.get("user_id")),
        "langgraph.tags": parsed(record.get("tags")) or None,
        "langsmith.run_type": kind,
        "langsmith.project": text(record.get("session_name")),
        "gen_ai.workflow.name": text(record.get("name")) if not parent and kind == "chain" else None,
        "ai_dev_squad.task.name": text(record.get("name")),
        **{f"traceloop.association.properties.{name}": value for name, value in metadata.items()},
        **_content(kind, object_of(record.get("inputs")), object_of(record.get("outputs"))),
    }
    if calls:
        attributes |= _call(record, metadata, extra, started)
    elif kind == "tool":
        attributes["gen_ai.tool.name"] = text(record.get("name"))
    ended = end_of(record.get("end_time"), started, attributes)
    problem = text(record.get("error")) or ""
    said = problem.partition("(")[0].strip()
    if problem and said.isidentifier():
        attributes["error.type"] = said
    span = Span(
        trace_id(trace), span_id(identity), span_id(parent), text(record.get("name")) or kind, 1, started, ended,
        without_nothing(attributes), [], [], bool(problem) or record.get("status") == "error", problem,
    )  # fmt: skip
    yield Told(Origin({}, "langsmith"), span, claim if calls else Claim(), None if parent else claim)


def _parent(record: Record) -> Any:
    """The run around it, which exports without a column for it say in the order of runs."""
    if record.get("parent_run_id"):
        return record["parent_run_id"]
    ids = _RUN_ID.findall(str(record.get("dotted_order") or ""))
    return ids[-2] if len(ids) > 1 else None


def _call(record: Record, metadata: Mapping[str, Any], extra: Record, started: int) -> dict[str, Any]:
    invoked = object_of(extra.get("invocation_params"))
    asked, said = object_of(record.get("prompt_token_details")), object_of(record.get("completion_token_details"))
    model = metadata.get("ls_model_name") or invoked.get("model") or invoked.get("model_name")
    # A wrapped client may be told of its tokens, and not of its model.
    return {
        "gen_ai.provider.name": text(metadata.get("ls_provider")),
        "gen_ai.request.model": text(model) or text(record.get("name")),
        "gen_ai.usage.input_tokens": number(record.get("prompt_tokens")),
        "gen_ai.usage.output_tokens": number(record.get("completion_tokens")),
        "gen_ai.usage.cache_read.input_tokens": number(asked.get("cache_read")),
        "gen_ai.usage.cache_write.input_tokens": number(asked.get("cache_creation")),
        "gen_ai.usage.reasoning.output_tokens": number(said.get("reasoning")),
        "gen_ai.usage.cost.amount": money(record.get("total_cost")),
        "gen_ai.response.time_to_first_chunk": seconds_until(record.get("first_token_time"), started),
        **settings_of(metadata, _SETTINGS),
    }


# --- content ------------------------------------------------------------------------------------------------------------


def _content(kind: str, given: Record, made: Record) -> dict[str, Any]:
    if kind == "tool":
        return {
            "gen_ai.tool.call.arguments": given.get("input", given) or None,
            "gen_ai.tool.call.result": made.get("output", made) or None,
        }
    if kind == "retriever":
        return {
            "gen_ai.retrieval.query.text": given.get("query"),
            "gen_ai.retrieval.documents": made.get("documents", made) or None,
        }
    if kind != "llm":
        return {"gen_ai.input.messages": given or None, "gen_ai.output.messages": made or None}
    asked = given.get("messages", given.get("prompts"))
    return {
        "gen_ai.input.messages": _messages(asked) if asked else given or None,
        "gen_ai.output.messages": _answers(made) or made or None,
    }


def _messages(given: Any) -> list[dict[str, Any]]:
    """Messages of OpenAI's make, or of LangChain's, whose lists are of one list each."""
    listed = given if isinstance(given, list) else [given]
    if listed and isinstance(listed[0], list):
        listed = listed[0]
    return input_messages([_unpacked(message) for message in listed])


def _unpacked(message: Any) -> Any:
    """LangChain writes an object as what it is made of."""
    if not isinstance(message, dict):
        return message
    made = message.get("kwargs", message.get("data"))
    return made if isinstance(made, dict) and ("id" in message or "type" in message) else message


def _answers(made: Record) -> list[dict[str, Any]]:
    generations, choices = made.get("generations"), made.get("choices")
    found: list[Any] = []
    if isinstance(generations, list):
        inner = generations[0] if generations and isinstance(generations[0], list) else generations
        found = [each.get("message") or each.get("text") for each in inner if isinstance(each, dict)]
    elif isinstance(choices, list):
        found = [each.get("message") for each in choices if isinstance(each, dict)]
    elif made.get("message") or made.get("messages"):
        found = [made["message"]] if made.get("message") else list(made["messages"])
    elif "role" in made:
        found = [made]
    return [
        {**message, "role": "assistant" if message["role"] == "user" else message["role"]}
        for message in _messages([each for each in found if each])
    ]


LANGSMITH: Final = Source("LangSmith", _tell)
