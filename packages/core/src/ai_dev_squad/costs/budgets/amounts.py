"""The money of one call on its way into the accounts: what is set aside for it, and what it is charged."""

from __future__ import annotations

from typing import TypeAlias

from ai_dev_squad.costs.budgets.accounts import Account, BudgetAccounts

__all__ = ["Amount", "Charge", "Hold"]

Amount: TypeAlias = tuple[BudgetAccounts, Account, int]
"""So many picodollars set aside in one account."""


class Hold:
    """What one call has set aside, until it is given back, once."""

    __slots__ = ("amounts", "epoch", "id", "in_book", "open", "places")

    def __init__(self) -> None:
        self.amounts: tuple[Amount, ...] = ()
        self.in_book = 0
        """How many of the amounts the accounts know of: all of them, unless a signal handler raised half-way."""
        self.id: str | None = None
        """What a shared ledger calls it; ``None`` when none knows of it."""
        self.places: tuple[tuple[str, str | None], ...] = ()
        """Where the ledger has each of the amounts: those of the period in which it was made."""
        self.epoch = 0
        """The process, counted by forks, whose call it was made for."""
        self.open = True


class Charge:
    """One cost on its way into its accounts, which can be gone on with wherever it was interrupted."""

    __slots__ = ("accounts", "cost", "made", "unpriced")

    def __init__(self, accounts: tuple[tuple[BudgetAccounts, Account], ...], cost: int | None) -> None:
        self.accounts = accounts
        self.cost, self.unpriced = (0, 1) if cost is None else (cost, 0)
        self.made = 0

    def make(self) -> None:
        """Make what is left of it."""
        count = len(self.accounts)
        while self.made < count:
            _, account = self.accounts[self.made]
            # One statement without a call: no signal handler comes between the sum and the note that it was made.
            account.spent, account.unpriced, self.made = (
                account.spent + self.cost,
                account.unpriced + self.unpriced,
                self.made + 1,
            )
