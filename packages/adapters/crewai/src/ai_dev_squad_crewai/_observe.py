"""``observe``: the one call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from crewai import Crew, Flow, Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.flow import HumanFeedbackPending

from ai_dev_squad import runtime
from ai_dev_squad.patching import Patches
from ai_dev_squad.tracing import register_control_flow
from ai_dev_squad_crewai import _entries, _marks

__all__ = ["observe", "unobserve"]

# Spans that the user opens around a step see this pass; it steers and is no failure.
register_control_flow(HumanFeedbackPending, "interrupted")

T = TypeVar("T")
_ALLOWED = (Crew, BaseAgent, Flow, Task)
_crew_bases = Patches()


def observe(thing: T, *, name: str | None = None, task: str | None = None) -> T:
    """Observe a crew, a flow, an agent or a task: every run of it is logged, traced, counted and priced.

    ``thing`` may also be a class: of a ``Flow``, whose instances are observed then (also those that are restored to
    resume), or one with ``@CrewBase``, or an instance of one, whose crews are observed. The same object is returned, and
    nothing about it changes; its copies are observed, too. ``name`` is how the run is called; without it, CrewAI's own
    name is used. ``task`` says what its runs are asked to do, such as ``"refund"``, to compare them with other runs of that
    task. Observing twice changes nothing more.

    Raises ``TypeError`` for anything else, and ``ValueError`` for bad settings, here rather than in the middle of a run.
    """
    if not (_is_crew_base(thing) or isinstance(thing, _ALLOWED) or _is_class_of_flows(thing)):
        raise TypeError(
            f"cannot observe {thing!r}; allowed: a Crew, a Flow, an Agent, a Task, a class derived from Flow, and a "
            "class with @CrewBase or an instance of one"
        )
    if not runtime.get_settings().enabled:
        return thing
    _entries.install()
    if _is_crew_base(thing):
        cls = thing if isinstance(thing, type) else type(thing)
        _crew_bases.wrap(cls, _crew_method(cls), _marking_crews, mark="ai_dev_squad_crewai")
    _marks.mark(thing, name, task)
    return thing


def unobserve(thing: T) -> T:
    """Stop observing: later runs emit nothing. Runs under way are observed to their end. Returns ``thing``."""
    _marks.unmark(thing)
    return thing


def _is_class_of_flows(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Flow)


def _is_crew_base(thing: Any) -> bool:
    cls = thing if isinstance(thing, type) else type(thing)
    return bool(getattr(cls, "is_crew_class", False)) and _crew_method(cls) != ""


def _crew_method(cls: type) -> str:
    """The method with ``@crew``."""
    for base in cls.__mro__:
        for name, value in vars(base).items():
            if getattr(value, "is_crew", False):
                return name
    return "crew" if callable(getattr(cls, "crew", None)) else ""


def _marking_crews(original: Callable[..., Any]) -> Callable[..., Any]:
    """A wrapper for the method with ``@crew``: the crews of an observed instance are observed."""

    @functools.wraps(original)
    def crew(self: Any, *args: Any, **kwargs: Any) -> Any:
        built = original(self, *args, **kwargs)
        if _marks.is_marked(self):
            _marks.mark_like(built, self)
        return built

    return crew
