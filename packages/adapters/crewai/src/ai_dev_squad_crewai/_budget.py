"""A budget's refusal, in a form that CrewAI lets through."""

from __future__ import annotations

from typing import Any

from ai_dev_squad.costs import BudgetExceeded
from ai_dev_squad.wire import raise_as

try:
    from crewai.hooks.dispatch import HookAborted
except ImportError:

    class HookAborted(Exception):  # type: ignore[no-redef]
        """Stands in where CrewAI has no such class."""


__all__ = ["BudgetStop"]


class BudgetStop(BudgetExceeded, HookAborted):
    """``BudgetExceeded`` that CrewAI takes for what it is: a decision, not a failure to be tried again.

    CrewAI retries whatever else leaves a model call, and turns it into text for the model where a tool raised it.
    """

    reason: str
    source: Any

    @classmethod
    def of(cls, refusal: BudgetExceeded) -> BudgetStop:
        """The same refusal."""
        stop = cls(str(refusal))
        vars(stop).update(vars(refusal))
        stop.reason, stop.source = str(refusal), f"budget {refusal.budget!r}"
        return stop


# Of calls past CrewAI's own clients, too, such as a conversion by instructor: CrewAI would go on without its result.
raise_as("crewai", BudgetStop.of)
