"""Where Agent Framework begins and ends things: methods of its classes, wrapped once for the process.

A wrapped method looks up whether its object is observed, or is used inside an observed run, and is the original otherwise.
Our operations lie around the framework's own spans, but for model calls, and around all middleware.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet

import agent_framework
from agent_framework import (
    BaseAgent,
    BaseChatClient,
    Executor,
    FunctionalWorkflow,
    FunctionTool,
    MiddlewareTermination,
    ResponseStream,
    StepWrapper,
    UserInputRequiredException,
    Workflow,
)
from agent_framework._middleware import FunctionMiddlewarePipeline
from agent_framework._workflows._functional import WorkflowInterrupted
from agent_framework.observability import ChatTelemetryLayer

from ai_dev_squad.patching import Patches
from ai_dev_squad.refusal import CallRefused
from ai_dev_squad.steps import Open, observed_astream, observed_call
from ai_dev_squad.tracing import register_control_flow
from ai_dev_squad_agent_framework._calls import AgentRun, ExecutorRun, ModelCall, StepRun, ToolCall, WorkflowRun
from ai_dev_squad_agent_framework._invocation import MARKS, Call, is_wanted
from ai_dev_squad_agent_framework._refusals import Passing
from ai_dev_squad_agent_framework._streams import keep_inside

__all__ = ["install", "watch_agents"]

register_control_flow(UserInputRequiredException, "interrupted")
register_control_flow(WorkflowInterrupted, "interrupted")
register_control_flow(MiddlewareTermination, "ok")

_patches = Patches()
_watched: WeakSet[type] = WeakSet()
"""The classes of agents and clients that were looked at: a program may make one for each request."""
_Function = Callable[..., Any]


def install() -> None:
    """Watch the framework's classes from now on. Harmless when repeated."""
    for owner, name, wrapper in (
        (BaseAgent, "__init__", _watching_class),
        (ChatTelemetryLayer, "get_response", _watching_client),
        (BaseChatClient, "get_response", _asking),
        (FunctionTool, "invoke", _in_tool_loop(ToolCall.open)),
        (FunctionMiddlewarePipeline, "execute", _in_tool_loop(ToolCall.open_middleware)),
        (Workflow, "_run_core", _events),
        (FunctionalWorkflow, "_run_core", _events),
        (Executor, "execute", _executing),
        (StepWrapper, "__call__", _stepping),
    ):
        _patches.wrap(owner, name, wrapper, mark=f"ai_dev_squad {owner.__name__}")
    definition = getattr(agent_framework, "FunctionalWorkflowDefinition", None)  # not in the earliest releases
    if definition is not None:
        _patches.wrap(definition, "build", _marking_built)
    for cls in _below(BaseAgent):
        watch_agents(cls)


def watch_agents(cls: type) -> None:
    """Observe the agents of this class: every class has a ``run`` of its own, whatever it derives from."""
    for base in cls.__mro__:
        if "run" in vars(base) and (base is cls or issubclass(base, BaseAgent)):
            _patches.wrap(base, "run", _running, mark="ai_dev_squad agent")


def _below(cls: type) -> Iterator[type]:
    children: list[type] = cls.__subclasses__()
    for child in children:
        yield child
        yield from _below(child)


def _watching_class(original: _Function) -> _Function:
    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        cls = type(self)
        if cls not in _watched:
            _watched.add(cls)
            watch_agents(cls)
        original(self, *args, **kwargs)

    return init


def _marking_built(original: _Function) -> _Function:
    @functools.wraps(original)
    def build(self: Any, *args: Any, **kwargs: Any) -> Any:
        built, mark = original(self, *args, **kwargs), MARKS.find(self)
        if mark is not None:
            MARKS.mark(built, mark)
        return built

    return build


# --- how they are wrapped ---------------------------------------------------------------------------------------------


def _either_way(original: _Function, opener: Open) -> _Function:
    """A method that returns an awaitable, or with ``stream=True`` a stream.

    The awaitable is begun when it is awaited: one that is dropped has never been a call.
    """
    whole = observed_call(original, opener, asynchronous=True)
    streamed = observed_call(original, opener, asynchronous=False)

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_wanted(self):
            return original(self, *args, **kwargs)
        return (streamed if kwargs.get("stream") else whole)(self, *args, **kwargs)

    return call


def _running(original: _Function) -> _Function:
    opener = functools.partial(AgentRun.open, function=original)
    whole = observed_call(original, opener, asynchronous=True)
    streamed = observed_call(original, opener, asynchronous=False)

    async def unwrapping(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await whole(self, *args, **kwargs)
        except Passing as passing:
            refusal = passing.refusal
        raise refusal

    @functools.wraps(original)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not AgentRun.is_to_open(self, original, Call.cause()):
            return original(self, *args, **kwargs)
        return (streamed if kwargs.get("stream") else unwrapping)(self, *args, **kwargs)

    return run


def _asking(original: _Function) -> _Function:
    return _either_way(original, ModelCall.open)


def _watching_client(original: _Function) -> _Function:
    @functools.wraps(original)
    def get_response(self: Any, *args: Any, **kwargs: Any) -> Any:
        cls = type(self)
        if cls not in _watched:
            _watched.add(cls)
            _watch_client(cls)
        answer = original(self, *args, **kwargs)
        if isinstance(answer, ResponseStream):
            keep_inside(answer)
        return answer

    return get_response


def _watch_client(cls: type) -> None:
    """Observe what the telemetry layer of this class asks: nearly always ``BaseChatClient``, but a client may have its own.

    Below the layer, not around it: it takes the span that is current for its agent's, and writes there.
    """
    below = cls.__mro__[cls.__mro__.index(ChatTelemetryLayer) + 1 :]
    owner = next((base for base in below if "get_response" in vars(base)), None)
    if owner is not None:
        _patches.wrap(owner, "get_response", _asking, mark=f"ai_dev_squad {owner.__name__}")


def _in_tool_loop(opener: Open) -> Callable[[_Function], _Function]:
    """What an agent calls between two questions to its model: a refusal passes it by, up to the agent."""

    def wrapper(original: _Function) -> _Function:
        observed = observed_call(original, opener)

        @functools.wraps(original)
        async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return await observed(self, *args, **kwargs)
            except CallRefused as refused:
                if not isinstance(Call.current(), AgentRun):
                    raise
                refusal = refused
            raise Passing(refusal)

        return call

    return wrapper


def _events(original: _Function) -> _Function:
    return observed_astream(original, WorkflowRun.open)


def _executing(original: _Function) -> _Function:
    return observed_call(original, ExecutorRun.open)


def _stepping(original: _Function) -> _Function:
    return observed_call(original, StepRun.open)
