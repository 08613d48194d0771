"""Which operation a request on the wire belongs to: structure from the framework, as far as it tells.

The context decides: the open model call that is current here has sent the request, or one that was left open has. A
context can be lost, because a batch starts all its calls before it makes the first, or because the request is sent in a
bare thread; then the one call that waits for an answer of this model has. What no framework announced becomes an
operation of its own, below the operation that is current here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ai_dev_squad import attributes as keys
from ai_dev_squad import context
from ai_dev_squad.context import current_context, innermost_operation, last_scope, open_waiting
from ai_dev_squad.kinds import UNKNOWN

if TYPE_CHECKING:
    from ai_dev_squad.kinds import Kind
    from ai_dev_squad.operations import Operation

__all__ = ["ORIGIN", "Match", "is_observed", "match"]

ORIGIN = "wire"
"""The value of ``ai_dev_squad.origin`` on an operation that no framework announced."""


class Match(NamedTuple):
    """Where a request belongs."""

    call: Operation | None = None
    """The model call that sent it; ``None`` if nobody announced one."""
    parent: Operation | None = None
    """What an operation of its own belongs below."""
    reason: str = ""
    """Why nobody announced it, as far as that shows."""
    observed: bool = True
    """Whether it belongs to an observed run at all."""


def match(kind: Kind, model: Callable[[], str], open_operations: Callable[[], list[Operation]]) -> Match:
    """Find the model call of this kind that has sent a request for ``model()`` in the current context.

    ``open_operations()`` are those of the process, asked for where the context doesn't say. To be called by one thread
    at a time where several calls wait.
    """
    here = innermost_operation(current_context(), model)
    if here is not None:
        return _match_here(here, kind, model, open_operations)
    scope = last_scope()
    if scope is not None:
        last = scope.operation
        if _sends(last, kind) and last.is_left_open:
            return Match(call=last)
        return Match(parent=_work(last), reason="after the end of its run")
    open_waiting(model)
    return _match_anywhere(kind, model, open_operations())


def is_observed() -> bool:
    """Whether a request that is sent here and now belongs to an observed run, as far as the context and thread tell."""
    return context.is_observed() or threading.current_thread() is not threading.main_thread()


def _match_here(
    here: Operation, kind: Kind, model: Callable[[], str], open_operations: Callable[[], list[Operation]]
) -> Match:
    if _sends(here, kind):
        return Match(call=here)
    scope = last_scope()
    last = None if scope is None else scope.operation
    if last is not None and last is not here and _sends(last, kind) and last.is_left_open:
        return Match(call=last)
    waiting = _waiting(kind, model, (operation for operation in open_operations() if operation.parent is here))
    if waiting:
        return Match(call=waiting[0])  # a batch: first come, first served
    return Match(parent=_work(here), reason="own client")


def _match_anywhere(kind: Kind, model: Callable[[], str], open_operations: Sequence[Operation]) -> Match:
    """In a context that knows of no operation: a bare thread, or a part of the program that nobody observes."""
    thread = threading.current_thread()
    # Tasks and calls of the main thread inherit their context: one without an operation is not part of a run.
    if thread is threading.main_thread() or not open_operations:
        return Match(observed=False)
    waiting = _waiting(kind, model, open_operations)
    if len(waiting) == 1:
        return Match(call=waiting[0])
    roots = [item for item in open_operations if item.parent is None and not item.kind.is_model_call]
    if not roots:
        return Match(observed=False)  # no run is under way that it could belong to
    return Match(parent=roots[0] if len(roots) == 1 else None, reason=_kind_of_thread(thread.name))


def _sends(operation: Operation, kind: Kind) -> bool:
    """Whether the operation is an open call that may send such a request: one of embeddings asks for no answer."""
    return (
        operation.kind.is_model_call
        and operation.status is None
        and operation.request is not None
        and operation.kind.may_send(kind)
    )


def _waiting(kind: Kind, model: Callable[[], str], candidates: Iterable[Operation]) -> list[Operation]:
    """The calls that have sent nothing yet, oldest first."""
    waiting = [
        operation
        for operation in candidates
        if operation.attempts is None and _sends(operation, kind) and not _is_ours(operation)
    ]
    if not waiting:
        return []  # the request need not be read for its model
    asked = {model(), UNKNOWN}
    return [operation for operation in waiting if operation.request is not None and operation.request.model in asked]


def _is_ours(operation: Operation) -> bool:
    """Whether the wire has opened it, for a request that it is about to be given."""
    return (operation.started_with or {}).get(keys.ORIGIN) == ORIGIN


def _work(operation: Operation) -> Operation | None:
    """The operation around a model call, or this one if it is none."""
    found: Operation | None = operation
    while found is not None and found.kind.is_model_call:
        found = found.parent
    return found


def _kind_of_thread(name: str) -> str:
    """Few distinct values: numbers in a thread's name are left out."""
    if "ThreadPoolExecutor" in name or name.startswith(("asyncio_", "AnyIO worker")):
        return "thread pool"
    return "thread"
