"""What an engine may lack, and says so: everything else every store can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

__all__ = ["CAPABILITIES", "Capability", "Lacks", "OneWriter"]

Capability: TypeAlias = Literal["snapshot", "sql", "backup", "one_transaction"]
"""``snapshot``: questions inside ``Store.snapshot`` see no row that is written meanwhile; without it, sums of a page agree, and lists may
be newer. ``sql``: answering free questions. ``backup``: copying itself. ``one_transaction``: a batch is stored as a whole or not at all;
without it, one that failed is repeated, and what of it was stored counts once."""
CAPABILITIES: Final[tuple[Capability, ...]] = get_args(Capability)

Lacks: TypeAlias = Mapping[Capability, str]
"""What an engine lacks → why, and what to do instead."""


class OneWriter:
    """An engine that one process writes: nobody's spans are overtaken by another's."""

    def late_spans(self) -> int:
        """As of ``Store``: never."""
        return 0
