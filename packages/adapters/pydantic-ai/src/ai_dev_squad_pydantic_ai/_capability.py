"""The seams in a run: the hooks of the capability that holds all others of an agent, which the framework calls in any case.

A capability of our own would be told the same, but at each hook of a run, also those that it does not have, the framework
copies the run's context for each capability.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ClassVar

from pydantic_ai.capabilities import AbstractCapability, CombinedCapability

from ai_dev_squad.guard import guarded
from ai_dev_squad.marks import Mark
from ai_dev_squad.patching import Patches
from ai_dev_squad.steps import observed_call
from ai_dev_squad_pydantic_ai._agents import AgentRun, ToolCall
from ai_dev_squad_pydantic_ai._invocation import Call
from ai_dev_squad_pydantic_ai._models import watch

__all__ = ["Entering", "Observing", "install", "is_entering"]

_patches = Patches()
_Hook = Callable[..., Any]


class Observing(AbstractCapability[Any]):
    """What is known of a run before it begins. As a capability, which does nothing, it is handed through the functions
    of agents and what wraps them, to the one that makes the run.
    """

    _safe_at_runtime: ClassVar[bool] = True  # the framework's mark of those that only look on
    id = "ai-dev-squad"
    has_begun = False
    was_left = False
    """Whether the consumer of the run's events has left, which cancels the run."""

    def __init__(self, mark: Mark | None, *, resumes: bool) -> None:
        self.mark, self.resumes = mark or Mark(), resumes


_entered: ContextVar[Observing | None] = ContextVar("ai_dev_squad_pydantic_ai_entered", default=None)


def is_entering() -> bool:
    """Whether a run that is observed is being entered in this context."""
    return _entered.get() is not None


class Entering(AbstractAsyncContextManager[Any]):
    """A run that nobody has entered yet: while somebody does, its hooks find its ``observer``, by the context.

    Without an observer they find none, although a run that is observed is being entered around this one.
    """

    __slots__ = ("_manager", "_observer")

    def __init__(self, manager: AbstractAsyncContextManager[Any], observer: Observing | None) -> None:
        self._manager, self._observer = manager, observer

    async def __aenter__(self) -> Any:
        token = _entered.set(self._observer)
        try:
            return await self._manager.__aenter__()
        finally:
            _entered.reset(token)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._manager.__aexit__(kind, error, traceback)


def install() -> None:
    """Have all runs tell whoever observes them. Harmless when repeated; silent for runs that nobody observes."""
    _patches.wrap(CombinedCapability, "wrap_run", _running)
    _patches.wrap(CombinedCapability, "on_run_error", _failing)
    _patches.wrap(CombinedCapability, "before_model_request", _asking)
    _patches.wrap(CombinedCapability, "on_tool_validate_error", _refusing)
    _patches.wrap(CombinedCapability, "wrap_tool_execute", _using)
    _patches.wrap(CombinedCapability, "wrap_output_process", _answering)
    if hasattr(CombinedCapability, "get_wrapper_model"):  # not in the earliest releases
        _patches.wrap(CombinedCapability, "get_wrapper_model", _wrapping_model)


def _running(original: _Hook) -> _Hook:
    def begin(args: tuple[Any, ...], _: Mapping[str, Any]) -> AgentRun | None:
        observer = _entered.get()
        if observer is None or observer.has_begun:
            return None  # a capability in a capability is told of the same run
        observer.has_begun = True
        return AgentRun.open(args[1], observer.mark, resumes=observer.resumes, was_left=lambda: observer.was_left)

    return observed_call(original, begin, asynchronous=True)


def _failing(original: _Hook) -> _Hook:
    @functools.wraps(original)
    async def on_run_error(self: Any, ctx: Any, **given: Any) -> Any:
        try:
            return await original(self, ctx, **given)
        except BaseException:
            run = AgentRun.of(ctx)
            if run is not None:
                run.has_failed = True
            raise

    return on_run_error


def _asking(original: _Hook) -> _Hook:
    @functools.wraps(original)
    async def before_model_request(self: Any, ctx: Any, *given: Any, **more: Any) -> Any:
        request = await original(self, ctx, *given, **more)
        if AgentRun.of(ctx) is not None:
            _watch(request.model)
        return request

    return before_model_request


def _wrapping_model(original: _Hook) -> _Hook:
    """Asked for at each attempt, which may be another model's."""

    @functools.wraps(original)
    def get_wrapper_model(self: Any, model: Any) -> Any:
        if Call.cause() is not None:
            _watch(model)
        return original(self, model)

    return get_wrapper_model


_watch = guarded("observing a model")(watch)


def _refusing(original: _Hook) -> _Hook:
    @functools.wraps(original)
    async def on_tool_validate_error(self: Any, ctx: Any, *, call: Any, **given: Any) -> Any:
        try:
            return await original(self, ctx, call=call, **given)
        except Exception as error:
            _tell_of_refused(AgentRun.of(ctx), call, error)
            raise

    return on_tool_validate_error


@guarded("observing a tool call that was refused")
def _tell_of_refused(run: AgentRun | None, call: Any, error: Exception) -> None:
    if run is not None and run.is_new(call.tool_call_id):
        run.not_executed(call.tool_call_id, call.tool_name, str(error), "tool_not_executed")


def _using(original: _Hook) -> _Hook:
    def begin(args: tuple[Any, ...], given: Mapping[str, Any]) -> ToolCall | None:
        return ToolCall.open(AgentRun.of(args[1]), given["call"], given["args"])

    return observed_call(original, begin, asynchronous=True)


def _answering(original: _Hook) -> _Hook:
    """A function that is called for the run's output, such as one that hands over, is a tool to the model."""

    def begin(args: tuple[Any, ...], given: Mapping[str, Any]) -> ToolCall | None:
        ctx, asked = args[1], given["output_context"]
        call = asked.tool_call
        if call is None or not asked.has_function or ctx.partial_output:
            return None
        return ToolCall.open(AgentRun.of(ctx), call, call.args_as_dict())

    return observed_call(original, begin, asynchronous=True)
