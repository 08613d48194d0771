"""Where the SDK is seen at work: a few of its functions, replaced for the process. They do nothing outside observed runs.

The run loop takes a turn of an agent, invokes a function tool, and looks up the model of a turn, each in one function that
is not public: ``install`` says so when a release has moved one.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from importlib import metadata
from typing import Any
from weakref import WeakSet

from agents import Agent, Model, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, run, tool
from agents.mcp import util as mcp_util
from agents.run import AgentRunner
from agents.run_internal import run_loop, tool_execution
from agents.tracing import Trace
from agents.tracing.provider import DefaultTraceProvider
from agents.tracing.traces import NoOpTrace, TraceImpl

from ai_dev_squad.context import attach, detach
from ai_dev_squad.guard import report
from ai_dev_squad.marks import Mark
from ai_dev_squad.patching import Patches
from ai_dev_squad.refusal import CallRefused
from ai_dev_squad.steps import argument, observed_astream, observed_call
from ai_dev_squad_openai_agents import _translate
from ai_dev_squad_openai_agents._calls import OBSERVED, AgentTurn, Group, Run, ToolCall
from ai_dev_squad_openai_agents._model_calls import ModelCall

__all__ = ["install", "is_observable", "observe", "unobserve"]

_patches = Patches()
_known_models: WeakSet[type] = WeakSet()


def is_observable(thing: Any) -> bool:
    """Whether ``observe`` takes it."""
    return thing is Runner or isinstance(thing, (Agent, Model, Trace, AgentRunner))


def install() -> None:
    """Replace the functions, once. Raises ``RuntimeError`` if this release of the SDK does not have them."""
    try:
        _patches.wrap_all(_SEAMS)
    except (AttributeError, TypeError) as error:
        raise RuntimeError(
            f"openai-agents {metadata.version('openai-agents')} is not supported ({error}); allowed: >=0.20,<0.25; "
            "install one of these, or a newer ai-dev-squad-openai-agents"
        ) from error
    for cls in (OpenAIChatCompletionsModel, OpenAIResponsesModel):
        _read_models_of(cls)


def observe(thing: Any, mark: Mark) -> None:
    """From now on."""
    if isinstance(thing, Model):
        _read_models_of(type(thing))
    OBSERVED.mark(_marked(thing), mark)


def unobserve(thing: Any) -> None:
    """Not any more."""
    OBSERVED.unmark(_marked(thing))


def _marked(thing: Any) -> Any:
    """``Runner`` passes all on to the ``AgentRunner`` that is set at the time."""
    return AgentRunner if thing is Runner else thing


def _read_models_of(cls: Any) -> None:
    # Added first: a class that cannot be replaced is not tried again for each of its calls.
    if cls in _known_models:
        return
    _known_models.add(cls)
    if cls.__module__.startswith("unittest.mock"):
        return
    _patches.wrap(cls, "get_response", _answering)
    _patches.wrap(cls, "stream_response", _streaming)


# --- runs ---------------------------------------------------------------------------------------------------------------


def _running(original: Callable[..., Any]) -> Callable[..., Any]:
    """``AgentRunner.run``, which ``run_sync`` and an agent as a tool go through, too."""

    def open_run(args: tuple[Any, ...], kwargs: Any) -> Run | None:
        return Run.open(
            args[0], argument("starting_agent", 1, args, kwargs), argument("input", 2, args, kwargs), kwargs
        )

    observed = observed_call(original, open_run, asynchronous=True)

    @functools.wraps(original)
    async def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return await observed(*args, **kwargs)
        except Exception as error:
            refusal = _translate.refusal_in(error)
            if refusal is None or refusal is error:
                raise
        raise refusal

    return run


def _running_streamed(original: Callable[..., Any]) -> Callable[..., Any]:
    """``AgentRunner.run_streamed``, which starts a task and returns: the run goes on in that, read or not."""

    @functools.wraps(original)
    def run_streamed(self: Any, starting_agent: Any, input: Any, **kwargs: Any) -> Any:  # noqa: A002
        try:
            run = Run.open(self, starting_agent, input, kwargs)
        except Exception as error:  # noqa: BLE001 - the user's program comes first
            report("observing the start of a run", error)
            run = None
        if run is None:
            return original(self, starting_agent, input, **kwargs)
        run.is_streamed = True
        assert run.context is not None
        token = attach(run.context)  # the task that the SDK starts takes a copy of it along
        try:
            result = original(self, starting_agent, input, **kwargs)
        except BaseException as error:
            detach(token)
            run.raised(error)
            raise
        detach(token)
        result.run_loop_task.add_done_callback(functools.partial(_never_began, run))
        return result

    return run_streamed


def _never_began(run: Run, _: Any) -> None:
    """A task that is cancelled before its first step never calls the loop, where runs end otherwise."""
    if not run.ended:
        run.status = "closed_early"
        run.end()


def _looping(original: Callable[..., Any]) -> Callable[..., Any]:
    """``start_streaming``, all that a streamed run does in its task."""

    @functools.wraps(original)
    async def start_streaming(*args: Any, **kwargs: Any) -> Any:
        run = Run.current()
        if not isinstance(run, Run) or not run.is_streamed or run.task is not None:
            return await original(*args, **kwargs)
        run.task = asyncio.current_task()
        result = argument("streamed_result", 1, args, kwargs)
        refusal: CallRefused | None
        try:
            returned = await original(*args, **kwargs)
        except BaseException as error:
            run.raised(error)
            refusal = _translate.refusal_in(error)
            if refusal is None or refusal is error:
                raise
        else:
            error_told = _translate.left_by(result)
            if error_told is None:
                run.returned(result)
            else:
                run.raised(error_told)
            return returned
        raise refusal

    return start_streaming


# --- turns, models, tools -----------------------------------------------------------------------------------------------


def _turning(original: Callable[..., Any]) -> Callable[..., Any]:
    return observed_call(original, AgentTurn.open, asynchronous=True)


def _looking_up(original: Callable[..., Any]) -> Callable[..., Any]:
    """``get_model``, which gives the model of each turn, wherever it comes from."""

    @functools.wraps(original)
    def get_model(*args: Any, **kwargs: Any) -> Any:
        model = original(*args, **kwargs)
        if type(model) not in _known_models:
            try:
                _read_models_of(type(model))
            except Exception as error:  # noqa: BLE001 - the user's program comes first
                report("observing a model", error)
        return model

    return get_model


def _answering(original: Callable[..., Any]) -> Callable[..., Any]:
    return observed_call(original, ModelCall.open, asynchronous=True)


def _streaming(original: Callable[..., Any]) -> Callable[..., Any]:
    return observed_astream(original, ModelCall.open_stream)


def _invoking(original: Callable[..., Any]) -> Callable[..., Any]:
    return observed_call(original, ToolCall.open, asynchronous=True)


def _failing(original: Callable[..., Any]) -> Callable[..., Any]:
    """What makes a text for the model of an exception. A refusal is for the program, and goes on as it is."""

    @functools.wraps(original)
    async def fail(*args: Any, **kwargs: Any) -> Any:
        error = kwargs.get("error")
        if isinstance(error, BaseException):
            ToolCall.failed(error)
            if (refusal := _translate.refusal_in(error)) is not None:
                raise refusal
        return await original(*args, **kwargs)

    return fail


def _reading_mcp(original: Callable[..., Any]) -> Callable[..., Any]:
    """What reads the answer of an MCP server for the model, to which one that says it failed is an answer as any other."""

    @functools.wraps(original)
    def result_structured_content(result: Any) -> Any:
        try:
            if getattr(result, "isError", False) or getattr(result, "is_error", False):  # as releases 1 and 2 call it
                ToolCall.failed_at_server(result)
        except Exception as error:  # noqa: BLE001 - the user's program comes first
            report("observing the answer of an MCP server", error)
        return original(result)

    return result_structured_content


# --- traces and copies --------------------------------------------------------------------------------------------------


def _naming(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def create_trace(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        trace = original(self, name, *args, **kwargs)
        if isinstance(trace, NoOpTrace):
            _translate.name_trace(trace, name)
        return trace

    return create_trace


def _starting(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start(self: Any, mark_as_current: bool = False) -> Any:
        started = original(self, mark_as_current)
        mark = OBSERVED.find(self)
        if mark is not None and Group.of(self) is None:
            try:
                group = Group.open(self, mark)
                if mark_as_current:
                    group.make_current()
            except Exception as error:  # noqa: BLE001 - the user's program comes first
                report("observing the start of a trace", error)
        return started

    return start


def _leaving(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def leave(self: Any, kind: Any, error: Any, traceback: Any) -> Any:
        if error is not None and (group := Group.of(self)) is not None:
            group.raised(error)
        return original(self, kind, error, traceback)

    return leave


def _finishing(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def finish(self: Any, *args: Any, **kwargs: Any) -> Any:
        group = Group.of(self)
        if group is not None:
            group.end()
        return original(self, *args, **kwargs)

    return finish


def _cloning(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def clone(self: Any, **kwargs: Any) -> Any:
        copy = original(self, **kwargs)
        mark = OBSERVED.find(self)
        if mark is not None:
            OBSERVED.mark(copy, mark)
        return copy

    return clone


_SEAMS: tuple[tuple[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]], ...] = (
    (AgentRunner, "run", _running),
    (AgentRunner, "run_streamed", _running_streamed),
    (run, "start_streaming", _looping),
    (run, "run_single_turn", _turning),
    (run, "resolve_interrupted_turn", _turning),
    (run_loop, "run_single_turn_streamed", _turning),
    (run_loop, "resolve_interrupted_turn", _turning),
    (run_loop, "get_model", _looking_up),
    (tool_execution, "_invoke_function_tool_with_metadata", _invoking),
    (tool_execution, "maybe_invoke_function_tool_failure_error_function", _failing),
    (tool, "maybe_invoke_function_tool_failure_error_function", _failing),
    (mcp_util, "result_structured_content", _reading_mcp),
    (Agent, "clone", _cloning),
    (DefaultTraceProvider, "create_trace", _naming),
    *(
        (cls, name, wrapper)
        for cls in (TraceImpl, NoOpTrace)
        for name, wrapper in (("start", _starting), ("__exit__", _leaving), ("finish", _finishing))
    ),
)
