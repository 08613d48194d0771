"""What sorts of operation there are: how their spans are called and which events open and close them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
from opentelemetry.trace import SpanKind

from ai_dev_squad import attributes as keys
from ai_dev_squad.schema import EventType

__all__ = [
    "AGENT",
    "CHAT",
    "EMBEDDINGS",
    "GENERATE_CONTENT",
    "KINDS",
    "NO_FRAMEWORK",
    "REMOTE_AGENT",
    "RETRIEVAL",
    "TASK",
    "TEXT_COMPLETION",
    "TOOL",
    "UNKNOWN",
    "WORKFLOW",
    "Kind",
    "ModelRequest",
    "Prompt",
]

UNKNOWN = "unknown"
"""The model, or the provider, of a call that doesn't say which."""
NO_FRAMEWORK = "none"
"""The framework of a call that belongs to no framework's run."""


@dataclass(frozen=True)
class Kind:
    """What sort of operation: how its span is called and which events open and close it."""

    operation: str
    """The value of ``gen_ai.operation.name``, or ``task``, for which there is no convention."""
    name_key: str
    """The attribute that carries the operation's name."""
    opening: EventType
    closing: EventType
    failing: EventType
    span_kind: SpanKind = SpanKind.INTERNAL
    is_model_call: bool = False

    def may_send(self, request: Kind) -> bool:
        """Whether a model call of this kind may be the one that makes a request of that kind.

        However an answer is asked for, a request of any other name for it may be what gets it. Embeddings are looked up
        before a model is asked, and are no part of an answer.
        """
        return (self is EMBEDDINGS) == (request is EMBEDDINGS)


def _kind(operation: str, name_key: str, opening: EventType, closing: EventType, **more: Any) -> Kind:
    return Kind(operation, name_key, opening, closing, more.pop("failing", closing), **more)


def _model_call(operation: str) -> Kind:
    events = EventType.LLM_REQUEST, EventType.LLM_RESPONSE
    return _kind(operation, keys.REQUEST_MODEL, *events, span_kind=SpanKind.CLIENT, is_model_call=True)


WORKFLOW = _kind("invoke_workflow", keys.WORKFLOW_NAME, EventType.AGENT_START, EventType.AGENT_STOP)
AGENT = _kind("invoke_agent", keys.GEN_AI_AGENT_NAME, EventType.AGENT_START, EventType.AGENT_STOP)
REMOTE_AGENT = _kind(
    "invoke_agent", keys.GEN_AI_AGENT_NAME, EventType.AGENT_START, EventType.AGENT_STOP, span_kind=SpanKind.CLIENT
)
TASK = _kind("task", keys.TASK_NAME, EventType.TASK_START, EventType.TASK_COMPLETE, failing=EventType.TASK_FAIL)
TOOL = _kind("execute_tool", keys.TOOL_NAME, EventType.TOOL_CALL, EventType.TOOL_RESULT)
RETRIEVAL = _kind(
    "retrieval", keys.DATA_SOURCE_ID, EventType.TOOL_CALL, EventType.TOOL_RESULT, span_kind=SpanKind.CLIENT
)
CHAT = _model_call("chat")
TEXT_COMPLETION = _model_call("text_completion")
EMBEDDINGS = _model_call("embeddings")
GENERATE_CONTENT = _model_call("generate_content")
"""Pictures, speech and what is heard: whatever is neither a chat nor a text."""

KINDS: Final[Mapping[str, Kind]] = {
    kind.operation: kind
    for kind in (WORKFLOW, AGENT, TASK, TOOL, RETRIEVAL, CHAT, TEXT_COMPLETION, EMBEDDINGS, GENERATE_CONTENT)
}
"""Each kind by its operation's name, as it stands on a journal's line; what runs elsewhere is an agent's there, too."""


class Prompt(NamedTuple):
    """Everything that a model is given to read, and so everything that is billed as input."""

    messages: Any
    """The text, or the messages: dictionaries, ``(role, text)`` pairs or a framework's own."""
    tools: Any = None
    """The definitions of the tools that the model may call."""
    response_format: Any = None
    """The schema that the answer has to follow."""


class ModelRequest(msgspec.Struct, frozen=True):
    """What is known of a model call before it's made.

    ``prompt`` returns the request's text, its messages, or all of it as a ``Prompt``; it's called only when somebody
    needs it: a budget that may stop the call, or an answer without usage. ``prompt_hash`` recognises identical prompts
    without keeping them.
    """

    model: str
    provider: str
    prompt: Callable[[], Any] | None = None
    max_output_tokens: int | None = None
    prompt_hash: str | None = None
    newest_mark: int | None = None
    """The hash of the newest two messages, in this process; see ``genai.requests.prompt_marks``."""
    messages: int = 0
    """How many messages the prompt has; 0 if that isn't known."""
    service_tier: str | None = None
    """The tier that is asked for, such as ``flex``; what the answer says of it wins."""
    server_address: str | None = None
    """Where the call goes: a host, ``host:port`` or URL. No published price holds on this machine or in a private network."""
