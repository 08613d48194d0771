"""``observe``: the one call. Things are marked, and classes look for the mark: their objects stay as they are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic_ai import Agent
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.models import Model
from pydantic_graph.graph_builder import Graph

from ai_dev_squad import runtime
from ai_dev_squad.marks import Mark
from ai_dev_squad.patching import Patches
from ai_dev_squad_pydantic_ai import _capability, _graphs
from ai_dev_squad_pydantic_ai._capability import Entering, Observing
from ai_dev_squad_pydantic_ai._invocation import MARKS, Call, name_in
from ai_dev_squad_pydantic_ai._models import watch

__all__ = ["observe", "unobserve"]

T = TypeVar("T")

_LEFT = "__ai_dev_squad_left__"
_patches = Patches()


def observe(thing: T, *, name: str | None = None, task: str | None = None) -> T:
    """Observe a Pydantic AI agent, a graph of ``pydantic_graph``, or a model.

    Every run of an agent or graph, and every request of a model, is logged, traced, counted and priced from now on,
    however it is started. The same object is returned: its type, its results and what it raises stay as they are;
    observing twice changes nothing more. Agents, models and tools are observed where they work for something observed;
    what is given to ``observe`` itself is observed everywhere.

    ``name`` is how the runs of an agent or graph are called; without it, the framework's own name is used. ``task`` says
    what they are asked to do, such as ``"refund"``, to compare them with other runs of that task.

    Raises ``TypeError`` for anything else, and ``ValueError`` for bad settings, here rather than in the middle of a run.
    """
    if not runtime.get_settings().enabled:
        return thing
    if isinstance(thing, AbstractAgent):
        _install_agents(type(thing))
    elif isinstance(thing, Model):
        _install_agents(Agent)
        watch(thing)
    elif isinstance(thing, Graph):
        _install_agents(Agent)
        _graphs.install()
    else:
        raise TypeError(
            f"cannot observe {type(thing).__name__!r}; allowed: a Pydantic AI agent, a graph built by pydantic_graph's "
            "GraphBuilder, or a model"
        )
    MARKS.mark(thing, Mark(name, task))
    return thing


def unobserve(thing: T) -> T:
    """Stop observing ``thing``: later runs and requests emit nothing. Those under way are observed to their end.

    It is still observed where it works for something else that is observed. Returns ``thing``.
    """
    MARKS.unmark(thing)
    return thing


def _install_agents(cls: type) -> None:
    """Have agents of this class, and plain ones, which may work for them, look whether a run is to be observed."""
    _capability.install()
    for each in (cls, Agent):
        for name, observing in (("iter", _observing_run), ("run_stream_events", _observing_events)):
            owner = next(base for base in each.__mro__ if name in vars(base))
            _patches.wrap(owner, name, _making_run if owner is Agent and name == "iter" else observing)


def _observing_run(original: Callable[..., Any]) -> Callable[..., Any]:
    """Of ``iter``, through which every way of running an agent goes."""

    def iterate(agent: Any, *args: Any, **kwargs: Any) -> Any:
        return original(agent, *args, **_with_observer(agent, kwargs)[0])

    return iterate


def _making_run(original: Callable[..., Any]) -> Callable[..., Any]:
    """Of ``Agent.iter``, which all others come to, and which makes the run."""

    def iterate(agent: Any, *args: Any, **kwargs: Any) -> Any:
        given = kwargs.get("capabilities") or ()
        observer = next((each for each in given if isinstance(each, Observing)), None)
        if observer is not None:
            kwargs["capabilities"] = [each for each in given if each is not observer] or None
        else:
            observer = _observer(agent, kwargs)
        manager = original(agent, *args, **kwargs)
        return manager if observer is None and not _capability.is_entering() else Entering(manager, observer)

    return iterate


def _observing_events(original: Callable[..., Any]) -> Callable[..., Any]:
    """Of ``run_stream_events``, whose run is cancelled when its consumer leaves."""

    def run_stream_events(agent: Any, *args: Any, **kwargs: Any) -> Any:
        if agent.name is None and kwargs.get("infer_name", True):
            agent.name = name_in(sys._getframe(2), agent)  # as the framework does, which would look in a frame of ours
        kwargs, observer = _with_observer(agent, kwargs)
        events = original(agent, *args, **kwargs)
        if observer is not None:
            vars(events)[_LEFT] = observer
            _patches.wrap(type(events), "__aexit__", _noting_leave)
        return events

    return run_stream_events


def _noting_leave(original: Callable[..., Any]) -> Callable[..., Any]:
    async def leave(events: Any, kind: Any, error: Any, traceback: Any) -> Any:
        observer = vars(events).pop(_LEFT, None)
        if observer is not None and (kind is None or issubclass(kind, (Exception, GeneratorExit))):
            observer.was_left = True
        return await original(events, kind, error, traceback)

    return leave


def _with_observer(agent: Any, kwargs: dict[str, Any]) -> tuple[dict[str, Any], Observing | None]:
    """The arguments of a run with what it is observed by, if it is to be observed and has none yet."""
    given = kwargs.get("capabilities") or ()
    observer = None if any(isinstance(each, Observing) for each in given) else _observer(agent, kwargs)
    return (kwargs, None) if observer is None else ({**kwargs, "capabilities": [*given, observer]}, observer)


def _observer(agent: Any, kwargs: dict[str, Any]) -> Observing | None:
    """What a run of ``agent`` with these arguments is observed by; ``None`` where nobody asks for it."""
    mark = MARKS.find(agent)
    if mark is None and Call.cause() is None:
        return None
    return Observing(mark, resumes=kwargs.get("deferred_tool_results") is not None)
