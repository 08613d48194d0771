"""A shared ledger that a test stands in front of."""

from __future__ import annotations

from typing import Any

__all__ = ["Behind"]


class Behind:
    """Passes everything on to a ledger; a test's own class decides what of ``exchange``."""

    def __init__(self, ledger: Any) -> None:
        self.ledger = ledger
        self.place: str = ledger.place

    def keys(self, budget: str, most: int) -> list[str | None]:
        found: list[str | None] = self.ledger.keys(budget, most)
        return found

    def close(self) -> None:
        self.ledger.close()

    def after_fork(self) -> None:
        self.ledger.after_fork()
