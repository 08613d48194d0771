"""What a call is filed under, and which budgets that makes it belong to."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs.budgets.budget import Budget
from ai_dev_squad.costs.names import common_name

if TYPE_CHECKING:
    from ai_dev_squad.costs.budgets.accounts import BudgetAccounts

__all__ = ["PER_POSITION", "RUN", "Index", "Labels", "in_order", "labels_of"]

Labels: TypeAlias = "tuple[str | None, str | None, str | None, str | None, str | None, str | None, str | None]"
"""framework, agent, model, session, user, model family, run: what a call is filed under."""

_FRAMEWORK, _AGENT, _MODEL, _SESSION, _USER, _FAMILY, RUN = range(7)
PER_POSITION = {
    "framework": _FRAMEWORK,
    "agent": _AGENT,
    "session": _SESSION,
    "user": _USER,
    "model": _FAMILY,
    "run": RUN,
}
_SCOPE_POSITION = {"framework": _FRAMEWORK, "agent_id": _AGENT, "session_id": _SESSION, "user_id": _USER}

# gpt-4o-2024-08-06, claude-3-5-sonnet-20241022; gemini-1.5-pro-002 stays as it is.
_DATED = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})$")


@lru_cache(maxsize=1024)
def _names(model: str | None) -> tuple[str | None, str | None]:
    """The model and its family, which has no date: a call to ``gpt-4o`` is answered by ``gpt-4o-2024-08-06``.

    By whatever name it is called: a budget of a model must hold at each provider and gateway, which write it otherwise.
    """
    name = model and common_name(model)
    return name, name and _DATED.sub("", name)


def labels_of(call: Attribution) -> Labels:
    """The labels of a call that is about to be made."""
    return in_order(call.framework, call.agent_id, call.model, call.session_id, call.user_id, call.run_id)


def in_order(
    framework: str | None,
    agent_id: str | None,
    model: str | None,
    session_id: str | None,
    user_id: str | None,
    run_id: str | None,
) -> Labels:
    """The labels in the order that ``Index`` and ``BudgetAccounts`` read them."""
    try:
        name, family = _names(model)
        labels = (framework, agent_id, name, session_id, user_id, family, run_id)
        hash(labels)
    except (TypeError, AttributeError):
        # Labels come from the outside; one of a wrong type must not keep the call out of every budget.
        return in_order(*map(_named, (framework, agent_id, model, session_id, user_id, run_id)))
    return labels


def _named(label: object) -> str | None:
    if label is None or isinstance(label, str):
        return label
    return str(label) if isinstance(label, (int, float)) else f"<{type(label).__name__}>"


class Index:
    """Which budgets a call belongs to: one dictionary look-up for each combination of scopes in use."""

    def __init__(self, budgets: list[BudgetAccounts]) -> None:
        self._everywhere = tuple(accounts for accounts in budgets if not accounts.budget.scope)
        self._groups: list[tuple[Callable[[Labels], Any], dict[Any, tuple[BudgetAccounts, ...]]]] = []
        shapes: dict[tuple[int, ...], dict[Any, tuple[BudgetAccounts, ...]]] = {}
        for accounts in budgets:
            positions = _positions(accounts.budget)
            if not positions:
                continue
            values = tuple(positions.values())
            group = shapes.setdefault(tuple(positions), {})
            # itemgetter of one position gives the value itself, not a tuple of it.
            value = values[0] if len(values) == 1 else values
            group[value] = (*group.get(value, ()), accounts)
        for shape, group in shapes.items():
            self._groups.append((itemgetter(*shape), group))

    def matching(self, labels: Labels) -> tuple[BudgetAccounts, ...]:
        """Every budget whose scope holds ``labels``."""
        found = self._everywhere
        for value_of, group in self._groups:
            more = group.get(value_of(labels))
            if more is not None:
                found += more
        return found


def _positions(budget: Budget) -> dict[int, str]:
    positions = {_SCOPE_POSITION[name]: value for name, value in budget.scope.items() if name != "model"}
    if budget.model is not None:
        # A budget for gpt-4o covers its dated snapshots, one for a snapshot covers only that.
        name, family = _names(budget.model)
        positions[_FAMILY if family == name else _MODEL] = name or budget.model
    return positions
