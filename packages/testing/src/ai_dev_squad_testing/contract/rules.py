"""A contract that can be edited by those it binds is none: what a subclass may not do."""

from __future__ import annotations

import math
from typing import Any

from ai_dev_squad_testing.contract.framework import FEATURES

__all__ = ["check", "count_tests"]


def check(cls: type, contract: type) -> None:
    """Raise ``TypeError`` if ``cls`` takes away or replaces a test of ``contract``, or lacks something without a reason."""
    _check_lacks(cls)
    marks = [mark.name for mark in _marks(cls.__dict__.get("pytestmark", ()))]
    if {"skip", "skipif", "xfail"} & set(marks) or cls.__dict__.get("__test__") is False:
        raise TypeError(
            f"{cls.__name__} switches the whole contract off; mark single tests as expected failures instead"
        )
    for name in _tests(contract):
        mine = getattr(cls, name, None)
        if mine is not getattr(contract, name) and not _is_expected_to_fail(mine):
            raise TypeError(
                f"{cls.__name__} replaces {name}, a test of the contract; allowed: an expected failure that says why, "
                f"@pytest.mark.xfail(strict=True, reason='...') on a method that calls super().{name}(...)"
            )


def count_tests(cls: type, contract: type) -> int:
    """How many tests of ``contract`` the class has, each set of parameters counting as one."""
    return sum(_parameter_sets(getattr(cls, name)) for name in _tests(contract))


def _tests(contract: type) -> list[str]:
    return sorted(name for name in dir(contract) if name.startswith("test_"))


def _parameter_sets(test: Any) -> int:
    marks = [mark for mark in _marks(getattr(test, "pytestmark", ())) if mark.name == "parametrize"]
    return math.prod(len(mark.args[1]) for mark in marks)


def _check_lacks(cls: type) -> None:
    lacks = getattr(cls, "lacks", {})
    for feature, reason in lacks.items():
        if feature not in FEATURES:
            raise TypeError(f"{cls.__name__}.lacks has {feature!r}; allowed: {', '.join(FEATURES)}")
        if not (isinstance(reason, str) and reason.strip()):
            raise TypeError(f"{cls.__name__}.lacks[{feature!r}] must say why, for example 'asynchronous only'")
    if {"run", "arun"} <= set(lacks):
        raise TypeError(f"{cls.__name__} lacks both 'run' and 'arun'; a program must be runnable in one of these ways")


def _is_expected_to_fail(method: Any) -> bool:
    """Marked ``xfail(strict=True, reason=...)``: when the adapter has learnt it, the mark has to go."""
    return any(
        mark.name == "xfail" and mark.kwargs.get("strict") is True and str(mark.kwargs.get("reason") or "").strip()
        for mark in _marks(getattr(method, "pytestmark", ()))
    )


def _marks(marks: Any) -> list[Any]:
    listed = marks if isinstance(marks, (list, tuple)) else [marks]
    return [getattr(mark, "mark", mark) for mark in listed]
