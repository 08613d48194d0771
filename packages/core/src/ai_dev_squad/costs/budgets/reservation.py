"""Money set aside for one model call."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs.budgets.accounts import Account, BudgetAccounts
from ai_dev_squad.costs.ledger.entry import CostEntry

if TYPE_CHECKING:
    from ai_dev_squad.costs.budgets.manager import BudgetManager

__all__ = ["Hold", "Reservation"]

Hold: TypeAlias = tuple[BudgetAccounts, Account, int]
"""So many picodollars set aside in one account."""


class Reservation:
    """Money set aside for one model call. Settle it with what the call cost, or release it when it cost nothing.

    Both work once and are harmless afterwards. As a context manager it is released at the end unless it was settled;
    one that is forgotten is released when it is collected.
    """

    __slots__ = ("_epoch", "_holds", "_manager", "_open", "attribution", "estimate_usd")

    def __init__(
        self, manager: BudgetManager, attribution: Attribution, holds: tuple[Hold, ...], estimate_usd: float | None
    ) -> None:
        self.estimate_usd = estimate_usd
        """What was set aside, in US dollars; ``None`` when the price is unknown (nothing is set aside then)."""
        self.attribution = attribution
        """Whose call it was made for."""
        self._manager = manager
        self._holds = holds
        self._epoch = manager._epoch
        self._open = True

    def settle(self, cost: CostEntry | float | None) -> None:
        """Replace what was set aside by the actual cost: an entry, US dollars, or ``None`` for an unknown price."""
        if self._open:
            self._manager._settle(self, cost)

    def release(self) -> None:
        """Give back what was set aside: the call was not made, or cost nothing."""
        if self._open:
            self._manager._release(self)

    def __enter__(self) -> Self:
        """The reservation itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release, unless it was settled."""
        self.release()

    def __del__(self) -> None:
        # The collector may run anywhere, also inside the manager's lock; a deque is safe without one.
        if getattr(self, "_open", False) and self._holds:
            self._manager._abandoned.append((self._epoch, self._holds))
