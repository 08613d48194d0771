"""Limits on what is spent: alerts at thresholds, and reservations that stop a call before it is made."""

from ai_dev_squad.costs.budgets.alerts import EventSink
from ai_dev_squad.costs.budgets.budget import Budget, BudgetExceeded, BudgetStatus
from ai_dev_squad.costs.budgets.manager import BudgetManager
from ai_dev_squad.costs.budgets.reservation import Reservation

__all__ = ["Budget", "BudgetExceeded", "BudgetManager", "BudgetStatus", "EventSink", "Reservation"]
