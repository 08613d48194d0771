"""What a class that inherits the contract of adapters may not do."""

from __future__ import annotations

from ai_dev_squad_testing.contract.framework import FEATURES
from ai_dev_squad_testing.contract_rules import check_tests

__all__ = ["check"]


def check(cls: type, contract: type) -> None:
    """Raise ``TypeError`` if ``cls`` takes away or replaces a test of ``contract``, or lacks something without a reason."""
    _check_lacks(cls)
    check_tests(cls, contract)


def _check_lacks(cls: type) -> None:
    lacks = getattr(cls, "lacks", {})
    for feature, reason in lacks.items():
        if feature not in FEATURES:
            raise TypeError(f"{cls.__name__}.lacks has {feature!r}; allowed: {', '.join(FEATURES)}")
        if not (isinstance(reason, str) and reason.strip()):
            raise TypeError(f"{cls.__name__}.lacks[{feature!r}] must say why, for example 'asynchronous only'")
    if {"run", "arun"} <= set(lacks):
        raise TypeError(f"{cls.__name__} lacks both 'run' and 'arun'; a program must be runnable in one of these ways")
