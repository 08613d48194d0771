"""Where money went that need not have gone."""

from ai_dev_squad.costs.advice.calls import Advice, AdviceKind, Confidence
from ai_dev_squad.costs.advice.report import SavingsReport, savings_report

__all__ = ["Advice", "AdviceKind", "Confidence", "SavingsReport", "savings_report"]
