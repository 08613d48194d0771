"""Money set aside for one model call."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs.budgets.amounts import Hold
from ai_dev_squad.costs.ledger.entry import CostEntry

__all__ = ["Reservation"]


class _GiveBack(Protocol):
    """Gives back what a call has set aside, ``now`` or, from a finalizer, as soon as may be."""

    def __call__(self, hold: Hold, *, now: bool) -> None: ...


class Reservation:
    """Money set aside for one model call. Settle it with what the call cost, or release it when it cost nothing.

    Both work once and are harmless afterwards. As a context manager it is released at the end unless it was settled;
    one that is forgotten is released when it is collected.
    """

    __slots__ = ("_give_back", "_settle", "attribution", "estimate_usd", "hold")

    def __init__(
        self,
        attribution: Attribution,
        estimate_usd: float | None,
        hold: Hold,
        give_back: _GiveBack,
        settle: Callable[[Reservation, CostEntry | float | None], None],
    ) -> None:
        self.attribution = attribution
        """Whose call it was made for."""
        self.estimate_usd = estimate_usd
        """What was set aside, in US dollars; ``None`` when the price is unknown (nothing is set aside then)."""
        self._give_back = give_back
        self._settle = settle
        # Last: one whose making was interrupted has nothing to give back.
        self.hold = hold
        """Where it is set aside."""

    def settle(self, cost: CostEntry | float | None) -> None:
        """Replace what was set aside by the actual cost: an entry, US dollars, or ``None`` for an unknown price."""
        if self.hold.open:
            self._settle(self, cost)

    def release(self) -> None:
        """Give back what was set aside: the call was not made, or cost nothing."""
        if self.hold.open:
            self._give_back(self.hold, now=True)

    def __enter__(self) -> Self:
        """The reservation itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release, unless it was settled."""
        self.release()

    def __del__(self) -> None:
        # One whose making failed half-way has nothing to give back.
        hold = getattr(self, "hold", None)
        if hold is not None and hold.open and hold.amounts:
            self._give_back(hold, now=False)
