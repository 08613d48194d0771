"""``observe``: the one call."""

from __future__ import annotations

from typing import TypeVar

import agent_framework
from agent_framework import BaseAgent, BaseChatClient, FunctionalWorkflow, FunctionTool, SupportsAgentRun, Workflow
from agent_framework.observability import ChatTelemetryLayer

from ai_dev_squad import runtime
from ai_dev_squad.marks import Mark
from ai_dev_squad_agent_framework import _seams
from ai_dev_squad_agent_framework._invocation import MARKS

__all__ = ["observe", "unobserve"]

T = TypeVar("T")
_WORKFLOWS = (
    Workflow,
    FunctionalWorkflow,
    *filter(None, [getattr(agent_framework, "FunctionalWorkflowDefinition", None)]),
)
_PARTS = (*_WORKFLOWS, BaseChatClient, ChatTelemetryLayer, FunctionTool)


def observe(thing: T, *, name: str | None = None, task: str | None = None) -> T:
    """Observe an agent, a workflow, a chat client or a tool: every run of it is logged, traced, counted and priced.

    The same object is returned, and nothing about it changes: its type, middleware, results and exceptions stay what they
    are; observing twice changes nothing more. What an agent or a workflow uses is observed where it works for it; a client or
    a tool that is given to ``observe`` itself is observed everywhere. ``name`` is how the runs of an agent or a workflow are
    called; without it, the framework's own name is used. ``task`` says what they are asked to do, such as ``"refund"``, to
    compare them with other runs of that task.

    Raises ``TypeError`` for anything else, and ``ValueError`` for bad settings, here rather than in the middle of a run.
    """
    is_agent = not isinstance(thing, _PARTS) and isinstance(thing, (BaseAgent, SupportsAgentRun))
    if isinstance(thing, type) or not (is_agent or isinstance(thing, _PARTS)):
        raise TypeError(
            f"cannot observe {thing!r}; allowed: an agent, a workflow (also a functional one), a chat client or a "
            "FunctionTool"
        )
    if not runtime.get_settings().enabled:
        return thing
    _seams.install()
    if is_agent:
        _seams.watch_agents(type(thing))
    MARKS.mark(thing, Mark(name, task))
    return thing


def unobserve(thing: T) -> T:
    """Stop observing: later runs emit nothing. Runs under way are observed to their end. Returns ``thing``."""
    MARKS.unmark(thing)
    return thing
