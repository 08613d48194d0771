"""Names that are to go: they work, and say since when, until when, and what to write instead."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Deprecated", "renamed"]


@dataclass(frozen=True, slots=True)
class Deprecated:
    """When something that is public began to warn, the first version without it, and what to write instead.

    Raises ``ValueError`` for a time that is shorter than users were promised.
    """

    since: str
    until: str
    instead: str

    def __post_init__(self) -> None:
        since, until = _minor(self.since), _minor(self.until)
        is_major = until[0] > since[0] and until[1] == 0
        is_two_minors = since[0] == until[0] == 0 and until[1] >= since[1] + 2
        if not (is_major or is_two_minors):
            least = f"0.{since[1] + 2}" if since[0] == 0 else f"{since[0] + 1}.0"
            raise ValueError(
                f"what warns since {self.since} cannot go in {self.until}; allowed: {least}, or a later major version"
            )

    def warn(self, what: str, *, category: type[Warning] = DeprecationWarning, stacklevel: int = 1) -> None:
        """Say that ``what`` is to go, at the line of whoever called the function that warns.

        ``category`` is ``FutureWarning`` for what is set by those who run a program: Python shows them no ``DeprecationWarning``.
        """
        text = f"{what} is deprecated since {self.since} and gone in {self.until}; use {self.instead}"
        warnings.warn(text, category, stacklevel=stacklevel + 2)


def renamed(module: str, old: Mapping[str, Deprecated]) -> Callable[[str], object]:
    """A ``__getattr__`` for ``module`` in which each of the ``old`` names warns, and is what its ``instead`` names there.

    ``__getattr__ = renamed(__name__, {"old": Deprecated("0.3", "0.5", "new")})``
    """

    def old_or_unknown(name: str) -> object:
        fate = old.get(name)
        if fate is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        fate.warn(f"{module}.{name}")
        return getattr(sys.modules[module], fate.instead)

    return old_or_unknown


def _minor(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor.partition(".")[0] or 0)
