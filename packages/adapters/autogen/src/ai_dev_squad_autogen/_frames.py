"""One observed call: from when AutoGen makes it to its only end, and what runs inside it.

A frame holds the call's operation. It is found again through the operation that is current in the context, and where the
context is lost, because a team runs on an agent runtime that was started elsewhere, through the id of the team's run,
which AutoGen keeps with every message it handles.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from autogen_core import MessageHandlerContext
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

from ai_dev_squad import operations
from ai_dev_squad.context import Scope, current_operation, heal, with_operation
from ai_dev_squad.costs import BudgetExceeded
from ai_dev_squad.genai.errors import classify
from ai_dev_squad.guard import report
from ai_dev_squad.operations import Kind, ModelRequest, Operation
from ai_dev_squad.schema import ErrorInfo, Status

__all__ = ["FRAMEWORK", "RUNS", "Frame", "Options", "enclosing", "innermost", "observed_call", "observed_stream"]

FRAMEWORK = "autogen"

RUNS: WeakValueDictionary[str, Frame] = WeakValueDictionary()
"""The latest run of each team by the team's id. It lives as long as its team: on a runtime of the program's own, agents go
on after a run was left, and still belong to it."""

_FRAME = otel_context.create_key("ai_dev_squad_autogen.frame")


class Options:
    """What was asked for when a thing was observed."""

    __slots__ = ("keep_runtime_spans", "name")

    def __init__(self, name: str | None = None, *, keep_runtime_spans: bool = False) -> None:
        self.name, self.keep_runtime_spans = name, keep_runtime_spans


class Frame:
    """An observed call under way."""

    kind: ClassVar[Kind]

    failure: BaseException | ErrorInfo | None = None
    """Why the call failed, if AutoGen doesn't say it by an exception, or by another one."""
    status: Status = "ok"
    """How the call ends unless an exception ends it."""
    operation: Operation
    context: Context
    _scope: Scope

    def __init__(self, subject: Any, above: Frame | None, options: Options) -> None:
        self.subject = subject
        self.above = above
        self.options = options

    def __deepcopy__(self, memo: dict[int, Any]) -> Frame:
        return self  # a copy of the team is not running

    def begin(
        self,
        name: str,
        *,
        kind: Kind | None = None,
        attributes: dict[str, Any] | None = None,
        agent_id: str | None = None,
        request: ModelRequest | None = None,
    ) -> None:
        """Start the operation. Raises ``BudgetExceeded`` when it is a model call that may not be made."""
        here = otel_context.get_current()
        above = self.above
        parent, context = None, None
        if above is not None and above is not innermost():
            # The context belongs to something else, or nothing: the team's run knows better.
            parent, here = above.operation, above.context
            context = here = here if parent.status is None else trace.set_span_in_context(parent.span, here)
        self.operation = operations.start(
            kind or self.kind,
            name,
            framework=FRAMEWORK,
            parent=parent or current_operation(here),
            context=context,
            attributes=attributes,
            agent_id=agent_id,
            request=request,
        )
        if request is not None:
            self.operation.reserve()
        context, self._scope = with_operation(self.operation, here)
        self.context = Context({**context, _FRAME: self})

    def take(self, item: Any) -> None:
        """Look at something that the call yields or returns."""

    def reason(self, error: BaseException) -> BaseException | ErrorInfo:
        """What went wrong when ``error`` left the call."""
        return error

    def leave(self, token: Any) -> None:
        """Put the caller's context back after a step."""
        # A generator finalised by the garbage collector is in a foreign context: there's nothing to put back.
        if otel_context.get_current().get(_FRAME) is self:
            otel_context.detach(token)

    def finish(self, error: BaseException | None = None) -> None:
        """The call is over. ``error`` is the exception that leaves it."""
        try:
            heal(self._scope)
            if error is None:
                self.operation.end_as(self.status, self.failure if self.status == "error" else None)
            else:
                status = classify(error)
                self.operation.end_as(status, self.reason(error) if status == "error" else None)
        except Exception as failure:  # noqa: BLE001 - the user's program comes first
            report("observing the end of a call", failure)


def innermost() -> Frame | None:
    """The innermost observed call in the current context that is under way."""
    frame: Frame | None = otel_context.get_current().get(_FRAME)  # type: ignore[assignment]
    while frame is not None and frame.operation.status is not None:
        frame = frame.above
    return frame


def enclosing(key: str | None = None) -> Frame | None:
    """The observed call that whatever happens now belongs to. ``key`` is the id of the team, if known."""
    frame = innermost()
    if not RUNS:
        return frame
    if key is None:
        try:
            key = MessageHandlerContext.agent_id().key
        except RuntimeError:  # not in a message handler
            return frame
    run = RUNS.get(key)
    outer = frame
    while outer is not None and outer is not run:
        outer = outer.above
    return run if outer is None and run is not None else frame


# --- what takes the place of a method ---------------------------------------------------------------------------------

Open = Callable[[Any, Any, Any], "Frame | None"]
"""Opens the frame of a call, given the object, the positional and the keyword arguments."""


def _open(open_frame: Open, subject: Any, args: Any, kwargs: Any) -> Frame | None:
    try:
        return open_frame(subject, args, kwargs)
    except BudgetExceeded:
        raise
    except Exception as error:  # noqa: BLE001 - the user's program comes first
        report("observing the start of a call", error)
        return None


def _take(frame: Frame, item: Any) -> None:
    try:
        frame.take(item)
    except Exception as error:  # noqa: BLE001 - the user's program comes first
        report("observing a result", error)


def observed_call(original: Callable[..., Any], open_frame: Open) -> Callable[..., Any]:
    """A coroutine function that observes ``original``."""

    async def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        frame = _open(open_frame, self, args, kwargs)
        if frame is None:
            return await original(self, *args, **kwargs)
        token = otel_context.attach(frame.context)
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            frame.finish(error)
            raise
        finally:
            frame.leave(token)
        _take(frame, result)
        frame.finish()
        return result

    return observed


def observed_stream(original: Callable[..., Any], open_frame: Open) -> Callable[..., Any]:
    """An asynchronous generator function that observes ``original``.

    The frame is current while the generator works and never while its consumer does.
    """

    async def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        frame = _open(open_frame, self, args, kwargs)
        items = original(self, *args, **kwargs)
        if frame is None:
            try:
                async for item in items:
                    yield item
            finally:
                await _close(items)
            return
        context = frame.context
        step = items.__anext__
        try:
            while True:
                token = otel_context.attach(context)
                try:
                    item = await step()
                except StopAsyncIteration:
                    break
                finally:
                    # What the generator itself made current across its `yield` stays current for it alone.
                    context = otel_context.get_current()
                    frame.leave(token)
                _take(frame, item)
                try:
                    yield item
                except GeneratorExit:
                    raise
                except BaseException as thrown:  # noqa: BLE001 - by the consumer, into the generator
                    step = partial(items.athrow, thrown)
                else:
                    step = items.__anext__
        except BaseException as error:
            token = otel_context.attach(context)
            try:
                await _close(items)  # a team goes through with its turns first
            finally:
                frame.leave(token)
                frame.finish(error)
            raise
        frame.finish()

    return observed


async def _close(items: Any) -> None:
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()
