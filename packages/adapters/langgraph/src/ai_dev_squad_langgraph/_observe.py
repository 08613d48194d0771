"""``observe``: the one call."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from langgraph.pregel.remote import RemoteGraph

from ai_dev_squad import runtime
from ai_dev_squad_langgraph import _starts
from ai_dev_squad_langgraph._handler import HANDLER
from ai_dev_squad_langgraph._scope import NAME, ORIGINAL, TASK, observed_class, subclass

__all__ = ["observe", "unobserve"]

T = TypeVar("T")


def observe(graph: T, *, name: str | None = None, task: str | None = None) -> T:
    """Observe a LangGraph graph: every run of what is returned is logged, traced, counted and priced.

    ``graph`` may be a compiled graph or a functional-API entrypoint (a copy is returned; the original stays
    unobserved), a ``RemoteGraph`` (likewise), a ``StateGraph`` builder (the same builder is returned; what it compiles
    is observed) or a function that returns any of these. ``name`` is how the run is called; without it, LangGraph's own
    name is used. ``task`` says what its runs are asked to do, such as ``"refund"``, to compare them with other runs of that
    task. The type, schemas, signatures and results stay as they are; observing twice changes nothing more.

    Raises ``TypeError`` for anything else, and ``ValueError`` for bad settings, here rather than in the middle of a run.
    """
    if not runtime.get_settings().enabled:
        return graph
    if isinstance(graph, (Pregel, RemoteGraph)):
        # Not `graph.copy()` or `with_config()`: those lose parts of the graph (output mappers, serialisation lists).
        copied = copy.copy(graph)
        observe_in_place(copied, name, task)
        return cast(T, copied)
    if isinstance(graph, StateGraph):
        observe_in_place(graph, name, task)
        return cast(T, graph)
    if inspect.isfunction(graph) or inspect.ismethod(graph):
        return cast(T, _observed_factory(graph, name, task))
    raise TypeError(
        f"cannot observe {type(graph).__name__!r}; allowed: a compiled graph, a StateGraph, an entrypoint, a "
        "RemoteGraph, or a function that returns one of these"
    )


def observe_in_place(graph: Any, name: str | None = None, task: str | None = None) -> None:
    """Observe this very object."""
    _starts.install()
    name = name or _entrypoint_name(graph)
    if name is not None:
        graph.__dict__[NAME] = name
    if task is not None:
        graph.__dict__[TASK] = task
    cls = type(graph)
    if ORIGINAL in cls.__dict__:
        return
    if isinstance(graph, RemoteGraph):
        from ai_dev_squad_langgraph._remote import observed_remote_class

        graph.__class__ = observed_remote_class(cls)
    elif isinstance(graph, StateGraph):
        graph.__class__ = _observed_builder_class(cls)
    else:
        graph.__class__ = _observed_graph_class(cls)


def _observed_graph_class(cls: type) -> type:
    return observed_class(cls, HANDLER, again=_observed_graph_class)


def _observed_builder_class(cls: type) -> type:
    return subclass(
        cls,
        again=_observed_builder_class,
        overrides=lambda cls: {"compile": _observed_compile(cls.compile)},  # type: ignore[attr-defined]
    )


def _entrypoint_name(graph: Any) -> str | None:
    """An entrypoint's function; LangGraph calls them all "LangGraph"."""
    if isinstance(graph, Pregel) and not isinstance(graph, CompiledStateGraph) and len(graph.nodes) == 1:
        return str(next(iter(graph.nodes)))
    return None


def unobserve(graph: T) -> T:
    """Stop observing: later runs emit nothing. Runs under way are observed to their end. Returns ``graph``."""
    cls = type(graph)
    if ORIGINAL in cls.__dict__:
        cast(Any, graph).__class__ = cls.__dict__[ORIGINAL]
        graph.__dict__.pop(NAME, None)
        graph.__dict__.pop(TASK, None)
    elif isinstance(original := getattr(graph, ORIGINAL, None), Callable):  # type: ignore[arg-type]
        return cast(T, original)
    return graph


def _observed_compile(original: Callable[..., Any]) -> Callable[..., Any]:
    """A builder's ``compile``, whose graphs are observed."""

    @functools.wraps(original)
    def compile_observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        graph = original(self, *args, **kwargs)
        observe_in_place(graph, self.__dict__.get(NAME), self.__dict__.get(TASK))
        return graph

    return compile_observed


def _observed_factory(factory: Callable[..., Any], name: str | None, task: str | None) -> Callable[..., Any]:
    if hasattr(factory, ORIGINAL):
        return factory
    if inspect.iscoroutinefunction(factory):

        @functools.wraps(factory)
        async def build_async(*args: Any, **kwargs: Any) -> Any:
            return observe(await factory(*args, **kwargs), name=name, task=task)

        wrapped: Callable[..., Any] = build_async
    else:

        @functools.wraps(factory)
        def build(*args: Any, **kwargs: Any) -> Any:
            return observe(factory(*args, **kwargs), name=name, task=task)

        wrapped = build
    setattr(wrapped, ORIGINAL, factory)
    return wrapped
