"""The graph's own frame: ``stream`` and ``astream``, through which every way of running a graph goes.

Inside each step the graph's span is current, so that checkpointers, reducers and routers nest under it; between steps
the consumer's context is exactly as it was. The caller's config is never touched.
"""

from __future__ import annotations

import copy
import copyreg
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.runnables.config import var_child_runnable_config
from langgraph.pregel import Pregel
from opentelemetry import context as otel_context
from opentelemetry.context import Context

from ai_dev_squad.steps import observed_astream, observed_stream
from ai_dev_squad_langgraph._runs import Run, become_graph, cached_task

__all__ = ["NAME", "ORIGINAL", "TASK", "GraphRun", "keeping_name", "observed_class", "subclass"]


class GraphRun(Run):
    """A run of an observed graph: it waits in the context for the first of LangChain's runs, which is the graph's own."""

    is_awaited: bool = True
    """It is about to start: the next of LangChain's runs in its context is its own, whatever its id."""
    from_checkpoint: bool = False
    """The graph resumes: its first step holds the results of nodes that had finished before."""

    def __init__(self, graph: Any) -> None:
        own = graph.__dict__
        self.given_name, self.task, self.parent = own.get(NAME), own.get(TASK), Run.cause()
        # A nested graph has the cache of the one around it.
        self.sees_items = self.parent is not None or graph.cache is not None
        self.context = Context({**otel_context.get_current(), self._key: self})

    def starts(
        self, run_id: Any, parent: Run | None, name: str, metadata: Mapping[str, Any], *, parent_run_id: Any
    ) -> None:
        """The graph's own run has begun."""
        self.is_awaited = False
        super().__init__(run_id, parent, self.given_name or name, metadata, parent_run_id=parent_run_id)
        become_graph(self, name, self.task)
        self.make_current()

    def take(self, item: Any) -> None:
        """Streamed updates are the only place where LangGraph tells of nodes that it took from its cache."""
        part: Any = item
        mode: Any = "updates"
        namespace: Any = ()
        if type(item) is tuple:
            part, namespace = item[-1], item[0]
            mode = item[-2] if type(item[-2]) is str else mode
        elif type(item) is dict and "ns" in item:  # version "v2" of the chunks
            part, mode, namespace = item.get("data"), item.get("type"), item["ns"]
        if type(part) is not dict or mode != "updates" or (type(namespace) is tuple and namespace):
            return
        if "__metadata__" not in part:
            self.from_checkpoint = False
        elif self.operation is not None and part["__metadata__"] == {"cached": True} and not self.from_checkpoint:
            for node in part.keys() - {"__metadata__"}:
                cached_task(self.operation, node)

    def returned(self, result: Any) -> None:
        """Whatever the graph did not end when it was left for good, ends now."""
        if self.operation is not None and not self.ended:
            self.status = "closed_early"
            self.end()

    def raised(self, error: BaseException) -> None:
        """The same: an exception, LangGraph has told already."""
        self.returned(None)


_GATHERING = frozenset({Pregel.invoke.__code__, Pregel.ainvoke.__code__})
ORIGINAL = "__ai_dev_squad_original_class__"
NAME = "__ai_dev_squad_name__"
TASK = "__ai_dev_squad_task__"
_observed: dict[type, type] = {}


def subclass(cls: type, overrides: Callable[[type], dict[str, Any]], again: Callable[[type], type]) -> type:
    """A subclass of ``cls`` that looks like it but for ``overrides(cls)``; one for each class.

    No module holds it, so what is pickled is ``cls`` and ``again``, a function that returns the subclass where it is read.
    """
    known = _observed.get(cls)
    if known is None:
        looks = {
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__doc__": cls.__doc__,
            "__reduce_ex__": _reduced_by(again),
            ORIGINAL: cls,
        }
        known = _observed[cls] = type(cls.__name__, (cls,), {**looks, **overrides(cls)})
    return known


def _reduced_by(again: Callable[[type], type]) -> Callable[[Any, Any], Any]:
    """How an observed object is copied and pickled: as the original class would be, and observed again."""

    def __reduce_ex__(self: Any, protocol: Any) -> Any:  # noqa: N807 - what pickle calls
        original = type(self).__dict__[ORIGINAL]
        how = original.__reduce_ex__(self, protocol)
        if isinstance(how, tuple) and how[0] is copyreg.__newobj__ and how[1][0] is type(self):  # type: ignore[attr-defined]
            return (_anew, (again, original, *how[1][1:]), *how[2:])
        return how

    return __reduce_ex__


def _anew(again: Callable[[type], type], cls: Any, *arguments: Any) -> Any:
    """An object of the observed class, before its state is put into it."""
    made = cls.__new__(cls, *arguments)
    made.__class__ = again(cls)
    return made


def observed_class(cls: type, handler: Any, again: Callable[[type], type]) -> type:
    """A subclass of a graph's class whose runs are observed."""
    return subclass(
        cls,
        again=again,
        overrides=lambda cls: {
            "stream": _observing(cls.stream, handler),  # type: ignore[attr-defined]
            "astream": _observing(cls.astream, handler),  # type: ignore[attr-defined]
            "copy": keeping_name(cls.copy),  # type: ignore[attr-defined]
        },
    )


def keeping_name(original: Callable[..., Any]) -> Callable[..., Any]:
    """A graph's ``copy``, which hands all attributes to the constructor: ours would be one too many there."""

    @functools.wraps(original)
    def copy_graph(self: Any, *args: Any, **kwargs: Any) -> Any:
        named = copy.copy(self)
        ours = {key: named.__dict__.pop(key) for key in (NAME, TASK) if key in named.__dict__}
        copied = original(named, *args, **kwargs)
        copied.__dict__.update(ours)
        return copied

    return copy_graph


def _observing(original: Callable[..., Any], handler: Any) -> Callable[..., Any]:
    """A graph's ``stream`` or ``astream``, observed."""

    @functools.wraps(original)
    def steps(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002 - LangGraph's name
        return original(self, input, with_handler(self, config, handler), **kwargs)

    observing: Any = observed_astream if inspect.isasyncgenfunction(original) else observed_stream
    return observing(steps, lambda args, _: GraphRun(args[0]), gathered_by=_GATHERING)  # type: ignore[no-any-return]


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
