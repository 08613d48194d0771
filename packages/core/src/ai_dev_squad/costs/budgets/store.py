"""Where spend is kept beyond this process, and who else has a say in a reservation."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from ai_dev_squad.costs.budgets.amounts import Hold
from ai_dev_squad.costs.budgets.book import Refusal

__all__ = ["BudgetStore", "WhenAway"]

WhenAway: TypeAlias = Literal["allow", "refuse"]
"""What happens to a call while a shared ledger does not answer: only this process's own sums are asked, or it is refused."""


class BudgetStore(Protocol):
    """What keeps the sums of an ``AccountBook``: a file, or a ledger that several processes share.

    What is set aside, charged and given back is so in the book first; the store follows it.
    """

    def reserve(self, hold: Hold, estimate: int | None) -> Refusal | None:
        """Confirm what the book has set aside. With a refusal it is given back already. Waits a bounded time."""

    def wake(self) -> None:
        """Follow soon: something was charged or given back. Costs next to nothing."""

    def look(self) -> None:
        """See soon what others have spent, unless that was done a moment ago."""

    def take_over(self) -> None:
        """See now what others have spent. Waits a bounded time."""

    def save(self) -> bool:
        """Return when all that was spent is kept; ``False`` when that failed, and it is tried again later."""

    def close(self) -> None:
        """Save, and stop the thread. Using it again starts it again."""

    def end_thread(self) -> None:
        """Have the thread end soon; the next change starts another."""

    def after_fork(self) -> None:
        """In a forked child: begin without the parent's threads, locks and connections."""
