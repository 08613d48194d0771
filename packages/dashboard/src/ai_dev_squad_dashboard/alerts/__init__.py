"""Being told: rules over what arrives, decisions that are kept before they are sent, and receivers that may fail."""

from __future__ import annotations

from .errors import RuleFileError
from .rule_file import Rules, read_rules
from .rules import MEASURES, QuietHours, Receiver, Rule

__all__ = ["MEASURES", "QuietHours", "Receiver", "Rule", "RuleFileError", "Rules", "read_rules"]
