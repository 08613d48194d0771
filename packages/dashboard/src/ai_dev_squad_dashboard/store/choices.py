"""What filters offer: not more than can be chosen from, the most used first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .answers import Choices

__all__ = ["MOST_USERS", "choices_of"]

MOST_USERS: Final = 200
_MOST_KEYS: Final = 50
_MOST_VALUES: Final = 50


def choices_of(users: Iterable[tuple[str]], labels: Iterable[tuple[str, str]]) -> Choices:
    """The choices, from rows of users and of (key, value), each with the most used first."""
    values: dict[str, list[str]] = {}
    for key, value in labels:
        if key in values or len(values) < _MOST_KEYS:
            values.setdefault(key, []).append(value)
    return Choices(
        tuple(name for (name,) in users), tuple((key, tuple(found[:_MOST_VALUES])) for key, found in values.items())
    )
