"""A contract that can be edited by those it binds is none: what a subclass may not do, and how many tests it has."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["check_tests", "count_tests"]


def check_tests(cls: type, contract: type) -> None:
    """Raise ``TypeError`` if ``cls`` takes away or replaces a test of ``contract``."""
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


def _is_expected_to_fail(method: Any) -> bool:
    """Marked ``xfail(strict=True, reason=...)``: when it has been learnt, the mark has to go."""
    return any(
        mark.name == "xfail" and mark.kwargs.get("strict") is True and str(mark.kwargs.get("reason") or "").strip()
        for mark in _marks(getattr(method, "pytestmark", ()))
    )


def _marks(marks: Any) -> list[Any]:
    listed = marks if isinstance(marks, (list, tuple)) else [marks]
    return [getattr(mark, "mark", mark) for mark in listed]
