"""Spans that other instrumentations end in this process join our journal, tree, tokens, cost and budgets."""

from ai_dev_squad.adopting.adoption import Adoption, adopt_spans

__all__ = ["Adoption", "adopt_spans"]
