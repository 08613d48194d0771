"""The guide's second cost tracker: the product's, whose entries are always bounded."""

from __future__ import annotations

from typing import Any

from ai_dev_squad.costs.tracker import CostTracker

__all__ = ["OptimizedCostTracker"]


class OptimizedCostTracker(CostTracker):
    """A ``CostTracker`` told how many entries to keep. Every tracker keeps a bounded number; totals cover all calls."""

    def __init__(self, max_entries: int = 10_000, **options: Any) -> None:
        super().__init__(max_entries=max_entries, **options)
