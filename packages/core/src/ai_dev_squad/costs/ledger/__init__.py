"""What was spent: one entry a model call, the latest of them, and totals of all."""

from ai_dev_squad.costs.ledger.entry import CostEntry
from ai_dev_squad.costs.ledger.ledger import Ledger
from ai_dev_squad.costs.ledger.totals import OTHER, RunningTotals, Totals, UnpricedModel

__all__ = ["OTHER", "CostEntry", "Ledger", "RunningTotals", "Totals", "UnpricedModel"]
