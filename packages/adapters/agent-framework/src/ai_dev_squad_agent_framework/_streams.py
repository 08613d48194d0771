"""Follow a ``ResponseStream`` to whichever end it has, through the hooks that it has for that.

The call's span is current while the stream is pulled, in whichever task, and nowhere between two pulls. The framework's
own span of the same work, which it makes current in the same way, stays so inside of ours; of a model call ours is the
one inside.
"""

from __future__ import annotations

import weakref
from typing import Any

from agent_framework import ResponseStream
from opentelemetry import trace

from ai_dev_squad.context import attach, current_context
from ai_dev_squad.guard import guarded
from ai_dev_squad_agent_framework._invocation import Call
from ai_dev_squad_agent_framework._refusals import Passing

__all__ = ["follow", "keep_inside"]

_calls: weakref.WeakKeyDictionary[ResponseStream[Any, Any], Call] = weakref.WeakKeyDictionary()


def follow(stream: ResponseStream[Any, Any], call: Call) -> None:
    """``call`` ends with the stream: exhausted, failed, closed or dropped."""
    pulls = _Pulls(stream, call)
    stream.with_pull_context_manager(lambda: pulls)
    stream.with_transform_hook(pulls.take)
    # Before the framework's own: its telemetry's fails where a stream is closed from another task, and ends the round.
    stream._cleanup_hooks.insert(0, pulls.over)
    weakref.finalize(stream, call.left).atexit = False
    _calls[stream] = call


def keep_inside(stream: ResponseStream[Any, Any]) -> None:
    """A layer above has made a span of its own current for each pull: what happens in one belongs to the call all the same."""
    call = _calls.get(stream)
    if call is not None:
        inside = _Inside(call)
        stream.with_pull_context_manager(lambda: inside)


class _Pulls:
    """What stands around each pull of a stream."""

    __slots__ = ("call", "stream", "token")

    def __init__(self, stream: ResponseStream[Any, Any], call: Call) -> None:
        # The stream holds this, and would not be collected when it is dropped if this held the stream.
        self.stream = weakref.ref(stream)
        self.call = call
        self.token: Any = None

    def __enter__(self) -> None:
        theirs, call = trace.get_current_span(), self.call
        self.token = call.enter()
        if call.is_parent_of(theirs):
            attach(trace.set_span_in_context(theirs, current_context()))

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        call = self.call
        call.leave(self.token)
        if error is None:
            return
        if isinstance(error, StopAsyncIteration):
            call.returned(None)
            return
        call.raised(error)
        if isinstance(error, Passing):
            raise error.refusal

    @guarded("reading a stream")
    def take(self, update: Any) -> None:
        """An update is about to reach the consumer."""
        self.call.take(update)

    @guarded("observing the end of a stream")
    def over(self) -> None:
        """The stream cleans up. If no pull said that it is over, it was closed, or a later hook of its own failed."""
        error = getattr(self.stream(), "_stream_error", None)
        if error is None:
            self.call.left()
        else:
            self.call.raised(error)


class _Inside:
    """Makes a call's span current again."""

    __slots__ = ("call", "token")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.token: Any = None

    def __enter__(self) -> None:
        self.token = self.call.enter()

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        self.call.leave(self.token)
