"""What people may do: three roles, each with all that the one before it may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

__all__ = ["ROLES", "Identity", "Role", "includes"]

Role: TypeAlias = Literal["look", "act", "administer"]
"""``look``: read everything. ``act``: also delete, mark and change rules. ``administer``: also see who is logged in and end it."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""Every role, the weakest first."""


@dataclass(frozen=True)
class Identity:
    """Who somebody is."""

    name: str
    role: Role


def includes(role: Role, wanted: Role) -> bool:
    """Whether somebody with ``role`` may do what ``wanted`` may."""
    return ROLES.index(role) >= ROLES.index(wanted)
