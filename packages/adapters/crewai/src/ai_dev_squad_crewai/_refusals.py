"""Refusals of budgets and of the loop guard, in a form that CrewAI lets through."""

from __future__ import annotations

from typing import Any

from ai_dev_squad.costs import BudgetExceeded
from ai_dev_squad.loops import LoopDetected
from ai_dev_squad.refusal import CallRefused, rebuilt
from ai_dev_squad.wire import raise_as

try:
    from crewai.hooks.dispatch import HookAborted
except ImportError:

    class HookAborted(Exception):  # type: ignore[no-redef]
        """Stands in where CrewAI has no such class."""


__all__ = ["BudgetStop", "LoopStop", "stop"]


class BudgetStop(BudgetExceeded, HookAborted):
    """``BudgetExceeded`` that CrewAI takes for what it is: a decision, not a failure to be tried again.

    CrewAI retries whatever else leaves a model call, and turns it into text for the model where a tool raised it.
    """

    reason: str
    source: Any


class LoopStop(LoopDetected, HookAborted):
    """``LoopDetected``, likewise."""

    reason: str
    source: Any


def stop(refusal: CallRefused) -> CallRefused:
    """The same refusal, as CrewAI lets it through."""
    if isinstance(refusal, BudgetExceeded):
        return _in_form(BudgetStop, refusal, f"budget {refusal.budget!r}")
    return _in_form(LoopStop, refusal, "loop guard") if isinstance(refusal, LoopDetected) else refusal


def _in_form(kind: type[BudgetStop | LoopStop], refusal: CallRefused, source: str) -> CallRefused:
    said = str(refusal)
    return rebuilt(kind, said, {**vars(refusal), "reason": said, "source": source})


# Of calls past CrewAI's own clients, too, such as a conversion by instructor: CrewAI would go on without its result.
raise_as("crewai", stop)
