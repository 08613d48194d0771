"""What model calls cost: prices, the ledger, token counts, budgets."""

from ai_dev_squad.costs.budgets import Budget, BudgetExceeded, BudgetManager, BudgetStatus, Reservation
from ai_dev_squad.costs.ledger import CostEntry, Ledger, Totals, UnpricedModel
from ai_dev_squad.costs.prices import CustomProvider, ModelPricing, ModelProvider, Part, Price, UnknownPrice
from ai_dev_squad.costs.tokens import TokenCount, count_tokens, estimate_messages
from ai_dev_squad.costs.tracker import CostTracker

__all__ = [
    "Budget",
    "BudgetExceeded",
    "BudgetManager",
    "BudgetStatus",
    "CostEntry",
    "CostTracker",
    "CustomProvider",
    "Ledger",
    "ModelPricing",
    "ModelProvider",
    "Part",
    "Price",
    "Reservation",
    "TokenCount",
    "Totals",
    "UnknownPrice",
    "UnpricedModel",
    "count_tokens",
    "estimate_messages",
]
