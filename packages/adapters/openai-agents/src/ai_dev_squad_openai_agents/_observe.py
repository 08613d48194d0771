"""``observe``: the one call. It marks the very object; what the SDK does for a marked one is observed.

Importing the SDK takes seconds, so that is left to the program: whoever holds an object of it has done that already.
"""

from __future__ import annotations

import sys
from typing import Any, TypeVar

from ai_dev_squad import runtime
from ai_dev_squad.marks import Mark

__all__ = ["observe", "unobserve"]

T = TypeVar("T")


def observe(thing: T, *, name: str | None = None, task: str | None = None) -> T:
    """Observe an agent, a squad of agents, a model, a trace or the runner of the OpenAI Agents SDK.

    Every run is logged, traced, counted and priced from now on. The same object is returned; its type, fields and results
    stay as they are, and observing twice changes nothing more.

    - an ``Agent``: the runs that begin with it, with all that happens in them, whoever it is handed to. ``agent.clone()``
      is observed, too
    - a list, tuple or dictionary of agents, as a squad in plain Python has them: each of them. Their runs in the block of one
      ``trace()`` are one run
    - a ``Model``: its calls, also outside of observed runs
    - ``trace("name")``: what happens in its block is one run, a plain Python workflow
    - ``Runner``, or an ``AgentRunner``: every run that goes through it

    ``name`` is how runs are called; without it, the ``workflow_name`` of the run's ``RunConfig`` is used, else the agent's
    name. ``task`` says what they are asked to do, such as ``"refund"``, to compare them with other runs of that task.

    Raises ``TypeError`` for anything else, ``RuntimeError`` for a release of the SDK that is not supported, and
    ``ValueError`` for bad settings, here rather than in the middle of a run.
    """
    if not runtime.get_settings().enabled:
        return thing
    if "agents" not in sys.modules:
        raise _unknown(thing)
    from ai_dev_squad_openai_agents import _seams

    parts = _parts(thing)
    for part in parts:
        if not _seams.is_observable(part):
            raise _unknown(part)
    _seams.install()
    for part in parts:
        _seams.observe(part, Mark(name, task))
    return thing


def unobserve(thing: T) -> T:
    """Stop observing ``thing``: later runs emit nothing. Runs under way are observed to their end. Returns ``thing``."""
    if "agents" in sys.modules:
        from ai_dev_squad_openai_agents import _seams

        for part in _parts(thing):
            _seams.unobserve(part)
    return thing


def _parts(thing: Any) -> list[Any]:
    """What is to be observed: the thing itself, or all that it holds."""
    if isinstance(thing, dict):
        return list(thing.values())
    return list(thing) if isinstance(thing, (list, tuple)) else [thing]


def _unknown(thing: object) -> TypeError:
    return TypeError(
        f"cannot observe {type(thing).__name__!r}; allowed: an Agent, a Model, a trace(), Runner or an AgentRunner of the "
        "OpenAI Agents SDK, or a list, tuple or dict of these"
    )
