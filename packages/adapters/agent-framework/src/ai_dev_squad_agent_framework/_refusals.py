"""Refusals of budgets and of the loop guard on their way out of a tool loop.

Whatever ``Exception`` a tool or a function middleware raises, Agent Framework tells the model of in words, and the run goes
on. Between the tool and its agent a refusal passes by as none; the agent raises it as it is.
"""

from __future__ import annotations

from ai_dev_squad.refusal import CallRefused

__all__ = ["Passing", "carried_by"]


class Passing(BaseException):
    """Carries a refusal past ``except Exception``."""

    def __init__(self, refusal: CallRefused) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def carried_by(error: BaseException) -> BaseException:
    """The refusal that ``error`` carries, or ``error`` itself."""
    return error.refusal if isinstance(error, Passing) else error
