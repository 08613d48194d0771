"""The dictionary of budgets by name, which tells its owner of every change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from ai_dev_squad.costs.budgets.budget import Budget
from ai_dev_squad.costs.money import dollars, to_pico

__all__ = ["BudgetTable", "check_together"]


class BudgetTable(dict[str, Budget]):
    """Budgets by name. A change takes effect at once, or raises ``ValueError`` and changes nothing."""

    def __init__(self, accept: Callable[[dict[str, Budget]], None]) -> None:
        super().__init__()
        self._accept = accept

    def _become(self, wanted: dict[str, Budget]) -> None:
        self._accept(wanted)
        super().clear()
        super().update(wanted)

    def __setitem__(self, name: str, budget: Budget) -> None:
        self._become({**self, name: budget})

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def clear(self) -> None:
        """Remove every budget."""
        self._become({})

    def pop(self, name: str, *default: Any) -> Any:
        """Remove a budget and return it."""
        wanted = dict(self)
        found = wanted.pop(name, *default)
        self._become(wanted)
        return found

    def popitem(self) -> tuple[str, Budget]:
        """Remove the budget that was set last and return it with its name."""
        wanted = dict(self)
        found = wanted.popitem()
        self._become(wanted)
        return found

    def setdefault(self, name: str, budget: Budget | None = None) -> Budget:
        """The budget called ``name``, which is ``budget`` when there was none."""
        if name not in self:
            self._become({**self, name: budget})  # type: ignore[dict-item]  # refused with a clear message
        return self[name]

    def update(self, *others: Any, **named: Budget) -> None:
        """Take over other budgets, all or none."""
        self._become(dict(self, **dict(*others, **named)))

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        """Take over other budgets, all or none."""
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and pickled as a plain dictionary: a copy changes no limit."""
        return dict, (dict(self),)


def check_together(budgets: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for budgets that make no sense together, or that are filed under a wrong name."""
    seen: dict[tuple[object, ...], str] = {}
    for name, budget in budgets.items():
        if not isinstance(budget, Budget) or budget.name != name:
            raise ValueError(
                f"budgets[{name!r}] is {budget!r}; allowed: a Budget with the name {name!r}; "
                f"set_budget({name!r}, limit_usd=..., period=...) makes one"
            )
        # Of two stop limits on the same calls the higher one can never be met; two alerts may well mark two amounts.
        sense = (*budget.coverage, budget.on_exceed, None if budget.on_exceed == "stop" else budget.limit_usd)
        other = seen.setdefault(sense, name)
        if other != name:
            raise ValueError(
                f"budgets {other!r} and {name!r} have the same scope {budget.scope or 'everything'}, period "
                f"{budget.period!r} and on_exceed={budget.on_exceed!r} (limits {dollars(to_pico(budgets[other].limit_usd))} "
                f"and {dollars(to_pico(budget.limit_usd))}); allowed: one of them; set_budget({other!r}, ...) changes "
                f"it, and alert_thresholds marks several amounts of one limit"
            )
