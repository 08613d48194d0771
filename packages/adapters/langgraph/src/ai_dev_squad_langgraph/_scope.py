"""The graph's own frame: ``stream`` and ``astream``, through which every way of running a graph goes.

Inside each step the graph's span is current, so that checkpointers, reducers and routers nest under it; between steps
the consumer's context is exactly as it was. The caller's config is never touched.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import var_child_runnable_config
from opentelemetry import context as otel_context
from opentelemetry.context import Context

from ai_dev_squad.context import Scope, heal, with_operation
from ai_dev_squad.guard import guarded

if TYPE_CHECKING:
    from ai_dev_squad_langgraph._runs import Run

__all__ = ["NAME", "ORIGINAL", "SLOT_KEY", "GraphSlot", "keeping_name", "observed_class", "subclass"]

SLOT_KEY = otel_context.create_key("ai_dev_squad_langgraph.slot")


class GraphSlot:
    """Waits in the context for the first run to start, which is the graph's own."""

    __slots__ = ("_base", "_prepared", "_scope", "name", "run")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.run: Run | None = None
        self._base: Context | None = None
        self._prepared: Context | None = None
        self._scope: Scope | None = None

    def context(self) -> Context:
        """The context of the next step: the caller's, with the graph's span on top."""
        base = otel_context.get_current()
        if base is not self._base or self._scope is None:
            self._prepared = self._prepare(base)
            self._base = base
        assert self._prepared is not None
        return self._prepared

    def _prepare(self, base: Context) -> Context:
        waiting = otel_context.set_value(SLOT_KEY, self, base)
        run = self.run
        if run is None or run.operation is None or run.operation.status is not None:
            return waiting
        if self._scope is not None:
            heal(self._scope)
        context, self._scope = with_operation(run.operation, waiting)
        return context

    def heed(self, chunk: Any) -> None:
        """Streamed updates are the only place where LangGraph tells of nodes that it took from its cache."""
        part = chunk[-1] if type(chunk) is tuple else chunk
        if type(part) is not dict:
            return
        if "__metadata__" not in part:
            part = part.get("data") if "ns" in part else None  # version "v2" of the chunks
            if type(part) is not dict or "__metadata__" not in part:
                return
        self._note_cached(chunk, part)

    @guarded("observing a node from the cache")
    def _note_cached(self, chunk: Any, updates: dict[str, Any]) -> None:
        from ai_dev_squad_langgraph._runs import cached_task

        namespace = chunk[0] if type(chunk) is tuple else chunk.get("ns")
        within_subgraph = type(namespace) is tuple and namespace
        graph = None if self.run is None else self.run.operation
        if graph is not None and updates["__metadata__"] == {"cached": True} and not within_subgraph:
            for name in updates.keys() - {"__metadata__"}:
                cached_task(graph, name)

    def leave(self, token: Any) -> None:
        """Put the caller's context back after a step."""
        # A generator finalised by the garbage collector is in a foreign context: there's nothing to put back.
        if otel_context.get_value(SLOT_KEY) is self:
            otel_context.detach(token)

    def close(self) -> None:
        """The graph was left for good; whatever it did not end, ends now."""
        from ai_dev_squad_langgraph._runs import RUNS, end_run

        if self._scope is not None:
            heal(self._scope)
        if self.run is not None and self.run.run_id in RUNS:
            self.run.status = "closed_early"
            end_run(self.run)


ORIGINAL = "__ai_dev_squad_original_class__"
NAME = "__ai_dev_squad_name__"
_observed: dict[type, type] = {}


def subclass(cls: type, overrides: Callable[[type], dict[str, Any]]) -> type:
    """A subclass of ``cls`` that looks like it but for ``overrides(cls)``; one for each class."""
    known = _observed.get(cls)
    if known is None:
        looks = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__, ORIGINAL: cls}
        known = _observed[cls] = type(cls.__name__, (cls,), {**looks, **overrides(cls)})
    return known


def observed_class(cls: type, handler: Any) -> type:
    """A subclass of a graph's class whose runs are observed."""
    return subclass(
        cls,
        lambda cls: {
            "stream": _observed_stream(cls.stream, handler),  # type: ignore[attr-defined]
            "astream": _observed_astream(cls.astream, handler),  # type: ignore[attr-defined]
            "copy": keeping_name(cls.copy),  # type: ignore[attr-defined]
        },
    )


def keeping_name(original: Callable[..., Any]) -> Callable[..., Any]:
    """A graph's ``copy``, which hands all attributes to the constructor: ours would be one too many there."""

    @functools.wraps(original)
    def copy_graph(self: Any, *args: Any, **kwargs: Any) -> Any:
        named = copy.copy(self)
        name = named.__dict__.pop(NAME, None)
        copied = original(named, *args, **kwargs)
        if name is not None:
            copied.__dict__[NAME] = name
        return copied

    return copy_graph


def _observed_stream(original: Callable[..., Any], handler: Any) -> Callable[..., Any]:
    @functools.wraps(original)
    def stream(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002 - LangGraph's
        slot = GraphSlot(self.__dict__.get(NAME))
        steps = original(self, input, with_handler(self, config, handler), **kwargs)
        try:
            while True:
                token = otel_context.attach(slot.context())
                try:
                    chunk = next(steps)
                except StopIteration:
                    return
                finally:
                    otel_context.detach(token)  # within one step the context can't have changed hands
                slot.heed(chunk)
                yield chunk
        finally:
            _close_in(slot, steps)

    return stream


def _close_in(slot: GraphSlot, steps: Any) -> None:
    token = otel_context.attach(slot.context())
    try:
        steps.close()
    finally:
        slot.leave(token)
        slot.close()


def _observed_astream(original: Callable[..., Any], handler: Any) -> Callable[..., Any]:
    @functools.wraps(original)
    async def astream(
        self: Any,
        input: Any,  # noqa: A002 - LangGraph's name
        config: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        slot = GraphSlot(self.__dict__.get(NAME))
        steps = original(self, input, with_handler(self, config, handler), **kwargs)
        try:
            while True:
                token = otel_context.attach(slot.context())
                try:
                    chunk = await anext(steps)
                except StopAsyncIteration:
                    return
                finally:
                    slot.leave(token)
                slot.heed(chunk)
                yield chunk
        finally:
            token = otel_context.attach(slot.context())
            try:
                await steps.aclose()
            finally:
                slot.leave(token)
                slot.close()

    return astream


def with_handler(graph: Any, config: Any, handler: Any) -> Any:
    """The config to run with. The caller's config, list and manager stay untouched.

    The handler isn't kept in ``graph.config``, because LangGraph shows that to users in state snapshots.
    """
    callbacks = config.get("callbacks") if config else None
    if _holds(callbacks, handler) or _holds((graph.config or {}).get("callbacks"), handler):
        return config
    if not callbacks:
        if _holds((var_child_runnable_config.get() or {}).get("callbacks"), handler):
            return config  # inherited from the graph around this one
        extended: Any = [handler]
    elif isinstance(callbacks, list):
        extended = [*callbacks, handler]
    else:
        extended = callbacks.copy()
        extended.add_handler(handler, inherit=True)
    return {**(config or {}), "callbacks": extended}


def _holds(callbacks: Any, handler: Any) -> bool:
    handlers = callbacks if isinstance(callbacks, (list, tuple)) else getattr(callbacks, "handlers", None)
    return handlers is not None and any(item is handler for item in handlers)
