"""Spans of other instrumentations, told in the names of OpenTelemetry's GenAI conventions.

Which attribute means what stands in ``foreign_names``; only content that is spread over many attributes needs code, and that
is ``foreign_content``, and counts that are not an attribute each: ``foreign_usage``.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any, NamedTuple

from ai_dev_squad import attributes as keys
from ai_dev_squad.frameworks import framework_called, known_frameworks
from ai_dev_squad.genai.foreign_content import (
    Attributes,
    adk_content,
    listed,
    mlflow_content,
    openinference_content,
    openllmetry_content,
    put,
    read_json,
    vercel_content,
)
from ai_dev_squad.genai.foreign_events import content_in
from ai_dev_squad.genai.foreign_names import CONTENT, KINDS, LISTS, NAMES, SPAN_NAMES
from ai_dev_squad.genai.foreign_usage import langfuse_usage, langsmith_usage, vercel_usage
from ai_dev_squad.genai.providers import convention_name
from ai_dev_squad.runs import MODEL_OPERATIONS
from ai_dev_squad.schema import Status

__all__ = ["canonical", "framework_of", "name_of", "operation_of", "provider_of", "status_of_failed"]

_RANKS = {name: rank for rank, name in enumerate(NAMES)}
_LONGEST_NAME = 256
_MOST_ITEMS = 1024
"""Items of a flattened list that become content; further ones stay attributes."""
_DEEPEST = 12
_ROLES_KEPT = 8192
_PLANS_KEPT = 1024
_MOST_NAMES = 64
"""Names in a plan that is kept: a long conversation told in flattened lists has hundreds, and hardly comes again."""
_MOST_CHARACTERS = 4096

_FOREIGN = (
    frozenset(NAMES)
    | (KINDS.keys() - {"gen_ai.operation.name"})
    | {"langfuse.observation.usage_details", "langfuse.observation.cost_details", "gcp.vertex.agent.llm_request"}
    | {"events", "all_messages_events"}
    | {f"gen_ai.{side}.0.{part}" for side in ("prompt", "completion") for part in ("role", "content")}
)
"""A span with none of these is told in canonical names already."""

_EVENTS = ("events", "all_messages_events")
"""Where Logfire and Pydantic AI have written a list of events as one JSON text."""

_TRACES = "openinference.instrumentation.openai_agents"
"""OpenInference makes an agent of a whole trace of the OpenAI Agents SDK, which is a workflow there."""

_NAME_KEYS = {
    "invoke_workflow": (keys.WORKFLOW_NAME,),
    "invoke_agent": (keys.GEN_AI_AGENT_NAME,),
    "task": (keys.TASK_NAME,),
    "execute_tool": (keys.TOOL_NAME,),
    "retrieval": (keys.DATA_SOURCE_ID,),
    "plan": (keys.GEN_AI_AGENT_NAME,),
} | dict.fromkeys(MODEL_OPERATIONS, (keys.REQUEST_MODEL, keys.RESPONSE_MODEL))
"""Operation → what names it, in this order."""

_NO_ERRORS: dict[str, Status] = {
    "GraphInterrupt": "interrupted",
    "NodeInterrupt": "interrupted",
    "HumanFeedbackPending": "interrupted",
    "ParentCommand": "handoff",
    "CancelledError": "cancelled",
}
"""Exceptions by which frameworks say something else than that something failed."""

_API_SUFFIXES = (".chat", ".responses", ".messages", ".completion", ".embedding", ".generative-ai")


def canonical(given: Attributes, span_name: str) -> tuple[Attributes, Attributes]:
    """A span's attributes with the canonical ones beside them, and those that are shown as attributes: the others are
    content. Both are ``given`` itself when it is told in canonical names already.
    """
    names = tuple(given)
    plan = _plans.get(names)
    if plan is None:
        plan = _plan(names)
    if not plan.is_foreign:
        return given, given
    found = dict(given)
    for meaning, name in plan.meant:
        found[meaning] = given[name]
    shown = dict(given)
    for name in plan.hidden:
        del shown[name]
    flat = {prefix: [(path, given[name]) for path, name in parts] for prefix, parts in plan.flat}
    if "openinference.span.kind" in given:
        openinference_content(given, found, flat)
    elif "langfuse.observation.usage_details" in given or "langfuse.observation.cost_details" in given:
        langfuse_usage(given, found)
    elif "mlflow.spanType" in given:
        mlflow_content(given, found)
    elif "ai.operationId" in given:
        vercel_content(given, found)
        vercel_usage(given, found)
    else:
        if "langsmith.span.kind" in given:
            langsmith_usage(given, found)
        elif "gcp.vertex.agent.llm_request" in given:
            adk_content(given, found)
        for name in _EVENTS:
            if name in given:
                _events_content(given[name], found)
        openllmetry_content(given, found, flat)
    _correct(span_name, given, found)
    return found, shown


def _events_content(text: Any, found: Attributes) -> None:
    told = [
        event for event in listed(read_json(text)) if type(event) is dict and isinstance(event.get("event.name"), str)
    ]
    for key, value in content_in(((event["event.name"], event) for event in told), "chat").items():
        put(found, key, value)


def _correct(span_name: str, given: Attributes, found: Attributes) -> None:
    """Names that an instrumentation gets wrong."""
    role = given.get("crewai.agent.role")
    if role is not None:
        # CrewAI's own tracer gives the hash of an agent for its name, and its task's id for the conversation's.
        found[keys.GEN_AI_AGENT_NAME] = role
        if given.get(keys.CONVERSATION_ID) == given.get("crewai.task.id"):
            found.pop(keys.CONVERSATION_ID, None)
    elif given.get("openinference.span.kind") == "AGENT" and keys.GEN_AI_AGENT_NAME not in found:
        # OpenInference calls agents of AutoGen after their method: "forecaster.on_messages_stream".
        found[keys.GEN_AI_AGENT_NAME] = span_name.partition(".")[0] if ".on_messages" in span_name else span_name


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


class _Plan(NamedTuple):
    """What becomes of attributes with certain names: it depends on their values nowhere."""

    is_foreign: bool
    meant: tuple[tuple[str, str], ...] = ()
    """Canonical names, and whose values they get."""
    hidden: tuple[str, ...] = ()
    """Those that are content, and not shown as attributes."""
    flat: tuple[tuple[str, tuple[tuple[tuple[int | str, ...], str], ...]], ...] = ()
    """Flattened lists, and the paths and names of their parts."""


_plans: dict[tuple[str, ...], _Plan] = {}


def _plan(names: tuple[str, ...]) -> _Plan:
    """The plan of these names, kept where they are not many: an instrumentation's spans have few combinations of them."""
    plan = _planned(names)
    if len(names) <= _MOST_NAMES and sum(map(len, names)) <= _MOST_CHARACTERS:
        if len(_plans) >= _PLANS_KEPT:
            _plans.clear()
        _plans[names] = plan
    return plan


def _planned(names: tuple[str, ...]) -> _Plan:
    if _FOREIGN.isdisjoint(names):
        return _Plan(is_foreign=False)
    meant: dict[str, tuple[int, str]] = {}
    hidden: list[str] = []
    flat: dict[str, list[tuple[tuple[int | str, ...], str]]] = {}
    given = frozenset(names)
    for name in names:
        role = _roles.get(name)
        if role is None:
            role = _role(name)
        if not role.shown:
            hidden.append(name)
        if role.list is not None:
            flat.setdefault(role.list, []).append((role.path, name))
        elif role.meaning is not None and role.meaning not in given:
            meant[role.meaning] = min(meant.get(role.meaning, (role.rank, name)), (role.rank, name))
    return _Plan(
        is_foreign=True,
        meant=tuple((meaning, name) for meaning, (_, name) in meant.items()),
        hidden=tuple(hidden),
        flat=tuple((prefix, tuple(parts)) for prefix, parts in flat.items()),
    )


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
            role = _Role(role.shown, role.meaning, role.rank, prefix, path)
        else:
            role = _Role(shown=True, meaning=role.meaning, rank=role.rank)
    if role == _PLAIN:
        role = _PLAIN
    if len(_roles) >= _ROLES_KEPT:
        _roles.clear()
    _roles[name] = role
    return role


def operation_of(given: Attributes, values: Attributes, *, scope: str, span_name: str, is_root: bool) -> str:
    """What a span is: one of ``foreign_names.OPERATIONS``' values, or ``other``.

    ``given`` are its attributes, ``values`` the canonical ones, ``scope`` the name of its instrumentation.
    """
    for name, meanings in KINDS.items():
        kind = given.get(name)
        if kind is None:
            continue
        operation = meanings.get(kind, "other") if isinstance(kind, str) else "other"
        if operation == "chat" and span_name.endswith("._prepare_chat_with_tools"):
            return "other"  # LlamaIndex puts together what it will ask
        if operation == "task" and (
            ("crew_key" in given) or (is_root and (kind == "CHAIN" or name == "langsmith.span.kind"))
        ):
            return "invoke_workflow"
        if operation == "invoke_agent" and (span_name == "crewai.workflow" or (is_root and scope == _TRACES)):
            return "invoke_workflow"
        return operation
    if scope in SPAN_NAMES:
        return SPAN_NAMES[scope].get(span_name, "other")
    # Older instrumentations name the model and count tokens, and say no more.
    if keys.REQUEST_MODEL in values and (keys.USAGE_INPUT_TOKENS in values or "gen_ai.system" in values):
        return "chat"
    return "other"


def name_of(span_name: str, operation: str, values: Attributes) -> str:
    """What a span's operation is called, bounded: by its canonical attributes, else by the span's name. Blanks are no name."""
    if operation != "other":
        for key in _NAME_KEYS.get(operation, ()):
            name = values.get(key)
            if type(name) is str and name.strip():
                return name[:_LONGEST_NAME]
        span_name = span_name.removeprefix(f"{operation} ")
    return span_name[:_LONGEST_NAME] if span_name.strip() else operation


def status_of_failed(error_type: str | None) -> Status:
    """What a failed span's exception says: ``error``, or what its framework means by it."""
    return _NO_ERRORS.get((error_type or "").rpartition(".")[2], "error")


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
    return next((name for named, name in _scopes() if named.search(lowered)), None)


@cache
def _scopes() -> list[tuple[re.Pattern[str], str]]:
    """What stands in the name of an instrumentation, as words of it, and the framework that it observes."""
    return [
        (re.compile(rf"(?<![a-z0-9]){re.escape(scope)}(?![a-z0-9])"), name)  # `agno` is no part of `diagnostics`
        for name, info in known_frameworks().items()
        for scope in info.scopes
    ]
