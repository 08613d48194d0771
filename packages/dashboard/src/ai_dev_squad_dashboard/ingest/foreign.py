"""Spans of other instrumentations, told in the names of OpenTelemetry's GenAI conventions.

Which attribute means what stands in ``foreign_names``; only content that is spread over many attributes needs code, and that
is ``foreign_content``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ai_dev_squad import attributes as keys
from ai_dev_squad.frameworks import framework_called
from ai_dev_squad.genai.providers import convention_name

from .foreign_content import (
    Entries,
    langfuse_usage,
    mlflow_content,
    openinference_content,
    openllmetry_content,
    vercel_content,
)
from .foreign_names import CONTENT, FRAMEWORKS, KINDS, LISTS, NAMES, SPAN_NAMES
from .otlp_shapes import Attributes, Span

__all__ = ["canonical", "framework_of", "operation_of", "provider_of"]

_RANKS = {name: rank for rank, name in enumerate(NAMES)}
_MOST_ITEMS = 1024
"""Items of a flattened list that become content; further ones stay attributes."""
_DEEPEST = 12
_ROLES_KEPT = 8192

_FOREIGN = (
    frozenset(NAMES)
    | (KINDS.keys() - {"gen_ai.operation.name"})
    | {"langfuse.observation.usage_details", "langfuse.observation.cost_details"}
    | {f"gen_ai.{side}.0.{part}" for side in ("prompt", "completion") for part in ("role", "content")}
)
"""A span with none of these is told in canonical names already."""

_API_SUFFIXES = (".chat", ".responses", ".messages", ".completion", ".embedding", ".generative-ai")


def canonical(span: Span) -> tuple[Attributes, Attributes]:
    """The span's attributes with the canonical ones beside them, and those that are shown as attributes: the others are
    content. Both are the span's very own dictionary when it is told in canonical names already.
    """
    given = span.attributes
    if _FOREIGN.isdisjoint(given):
        return given, given
    found, shown = dict(given), {}
    chosen: dict[str, int] = {}
    flat: dict[str, Entries] = {}
    for name, value in given.items():
        role = _roles.get(name)
        if role is None:
            role = _role(name)
        if role is _PLAIN:
            shown[name] = value
            continue
        is_shown, meaning, rank, prefix, path = role
        if is_shown:
            shown[name] = value
        if prefix is not None:
            flat.setdefault(prefix, []).append((path, value))
        elif meaning is not None and meaning not in given and chosen.get(meaning, rank) >= rank:
            found[meaning], chosen[meaning] = value, rank
    if "openinference.span.kind" in given:
        openinference_content(given, found, flat)
    elif "langfuse.observation.usage_details" in given or "langfuse.observation.cost_details" in given:
        langfuse_usage(given, found)
    elif "mlflow.spanType" in given:
        mlflow_content(given, found)
    elif "ai.operationId" in given:
        vercel_content(given, found)
    else:
        openllmetry_content(given, found, flat)
    _correct(span, found)
    return found, shown


def _correct(span: Span, found: Attributes) -> None:
    """Names that an instrumentation gets wrong."""
    given = span.attributes
    role = given.get("crewai.agent.role")
    if role is not None:
        # CrewAI's own tracer gives the hash of an agent for its name, and its task's id for the conversation's.
        found[keys.GEN_AI_AGENT_NAME] = role
        if given.get(keys.CONVERSATION_ID) == given.get("crewai.task.id"):
            found.pop(keys.CONVERSATION_ID, None)
    elif given.get("openinference.span.kind") == "AGENT" and keys.GEN_AI_AGENT_NAME not in found:
        # OpenInference calls agents of AutoGen after their method: "forecaster.on_messages_stream".
        found[keys.GEN_AI_AGENT_NAME] = span.name.partition(".")[0] if ".on_messages" in span.name else span.name


class _Role(NamedTuple):
    """What an attribute of this name is for."""

    shown: bool
    """Whether it is shown as an attribute; what becomes content is not."""
    meaning: str | None = None
    rank: int = 0
    list: str | None = None
    """The flattened list that it is a part of."""
    path: tuple[int | str, ...] = ()


_PLAIN = _Role(shown=True)
_roles: dict[str, _Role] = {}


def _role(name: str) -> _Role:
    """The name's role, kept: the same names come again and again."""
    meaning = NAMES.get(name)
    role = _Role(
        shown=name not in CONTENT and not name.startswith(LISTS),
        meaning=meaning,
        rank=0 if meaning is None else _RANKS[name],
    )
    prefix = next((prefix for prefix in LISTS if name.startswith(prefix)), None)
    if prefix is not None:
        steps = name[len(prefix) :].split(".")
        path = tuple(int(step) if step.isascii() and step.isdigit() and len(step) < 5 else step for step in steps)
        if (
            type(path[0]) is int
            and len(path) <= _DEEPEST
            and all(type(step) is str or int(step) < _MOST_ITEMS for step in path)
        ):
            role = role._replace(list=prefix, path=path)
        else:
            role = role._replace(shown=True)
    if role == _PLAIN:
        role = _PLAIN
    if len(_roles) >= _ROLES_KEPT:
        _roles.clear()
    _roles[name] = role
    return role


def operation_of(span: Span, values: Attributes, scope: str) -> str:
    """What the span is: one of ``OPERATIONS``' values, or ``other``."""
    given = span.attributes
    for name, meanings in KINDS.items():
        kind = given.get(name)
        if kind is None:
            continue
        operation = meanings.get(kind, "other") if isinstance(kind, str) else "other"
        if operation == "task" and (("crew_key" in given) or (not span.parent_span_id and kind == "CHAIN")):
            return "invoke_workflow"
        if operation == "invoke_agent" and (span.name == "crewai.workflow" or _is_trace(span, scope)):
            return "invoke_workflow"
        return operation
    if scope in SPAN_NAMES:
        return SPAN_NAMES[scope].get(span.name, "other")
    # Older instrumentations name the model and count tokens, and say no more.
    if keys.REQUEST_MODEL in values and (keys.USAGE_INPUT_TOKENS in values or "gen_ai.system" in values):
        return "chat"
    return "other"


def _is_trace(span: Span, scope: str) -> bool:
    """Whether OpenInference has made an agent of a whole trace of the OpenAI Agents SDK, which is a workflow there."""
    return scope == "openinference.instrumentation.openai_agents" and not span.parent_span_id


def provider_of(value: Any) -> str | None:
    """A provider by the conventions' name; ``None`` for a framework, which is none."""
    if not isinstance(value, str) or not value:
        return None
    name = value.lower()
    if name.endswith(_API_SUFFIXES):
        name = name[: name.rindex(".")]
    return None if framework_called(name) else convention_name(name)[:256]


def framework_of(scope: str, given: Attributes) -> str | None:
    """The framework that the instrumentation ``scope`` observes, as far as its name or the span says so."""
    found = _framework_in(scope)
    if found == "langchain":
        metadata = given.get("metadata")
        if (
            given.get(keys.PROVIDER_NAME) == "langgraph"
            or "traceloop.association.properties.langgraph_step" in given
            or (isinstance(metadata, str) and "langgraph" in metadata)
        ):
            return "langgraph"
    if found is None:
        system = given.get("gen_ai.system")
        return framework_called(system) if isinstance(system, str) else None
    return found


@lru_cache(maxsize=1024)
def _framework_in(scope: str) -> str | None:
    lowered = scope.lower()
    return next((name for part, name in FRAMEWORKS.items() if part in lowered), None)
