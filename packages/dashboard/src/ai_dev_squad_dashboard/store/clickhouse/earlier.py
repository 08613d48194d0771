"""The time before, of which a page shows totals only: its series are put together by what totals tell apart, so that a tenth of the
rows, or less, has to be read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ai_dev_squad_dashboard.store.base import Selection
from ai_dev_squad_dashboard.store.series import FIELDS, Key
from ai_dev_squad_dashboard.store.summary import wanted_places

__all__ = ["KINDS", "Earlier", "earlier"]

_NAMELESS: Final = (None,) * (len(FIELDS) - 2)
_ROOT, _CALL = (FIELDS.index(name) for name in ("root", "call"))
KINDS: Final[Mapping[int, Key]] = {
    1 + root + 2 * call: (*_NAMELESS, root, call) for root in (False, True) for call in (False, True)
}
"""The number of a kind of series → what they have in common. 0 stands for those that the selection leaves out."""
_UNKNOWN: Final = len(KINDS) + 1
_MOST: Final = 2_000
"""Series in one statement: a server refuses statements of more than 256 KiB."""


@dataclass(frozen=True)
class Earlier:
    """Of which kind each series is that is known."""

    kinds: Mapping[int, int]

    @property
    def number(self) -> str:
        """The number under which a row is told: of its series now, of its kind before."""
        return f"if(is_now, series, transform(series, {[*self.kinds]}, {[*self.kinds.values()]}, {_UNKNOWN}))"

    @staticmethod
    def is_whole(told: Mapping[int, object]) -> bool:
        """Whether all series were known, of what was told of the time before."""
        return _UNKNOWN not in told


def earlier(names: Mapping[int, Key], selection: Selection) -> Earlier | None:
    """The kinds of the series of a selection's names; ``None`` where there are too many to tell the engine."""
    if not 0 < len(names) <= _MOST:
        return None
    filters = wanted_places(selection)
    return Earlier(
        {
            number: 1 + key[_ROOT] + 2 * key[_CALL]
            if all(key[place] in wanted for place, wanted in filters.items())
            else 0
            for number, key in names.items()
        }
    )
