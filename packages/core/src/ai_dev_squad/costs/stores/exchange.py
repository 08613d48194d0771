"""What a process and a shared ledger say to one another: one exchange, which happens whole or not at all.

A process sends what it has spent, what it gives back, what it still holds and what it asks for; the ledger answers with
the sums. An exchange may be sent again when its answer was lost: the same ``number`` is charged once, what is held
already is not held twice, and what was given back stays so. Amounts are whole picodollars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

__all__ = [
    "Ask",
    "Exchange",
    "Held",
    "Line",
    "Reply",
    "ReservationLedger",
    "Sums",
    "key_of_text",
    "text_of_key",
]


class Line(NamedTuple):
    """One account in an exchange: which it is, what is added to it, and what its sender knows of it."""

    budget: str
    """The budget and its period, such as ``daily|daily|UTC||{}|1773792000``."""
    key: str | None
    charge: int = 0
    unpriced: int = 0
    known: int = 0
    """What the ledger has told of it at least. A ledger that has lost its memory learns from this what was spent."""
    known_unpriced: int = 0
    thresholds: tuple[tuple[int, str], ...] = ()
    """Amounts to be told of when the sum reaches them, each to one process only."""
    alerted: tuple[str, ...] = ()
    """Thresholds that were told already, while the ledger was away."""
    lasts_s: float | None = None
    """How long it is worth keeping after its last change; ``None`` for ever."""


class Held(NamedTuple):
    """What one call has set aside: amounts by the position of their line in the exchange."""

    hold: str
    amounts: tuple[tuple[int, int], ...]


class Ask(NamedTuple):
    """What one call wants to set aside, all of it or nothing: position of the line, limit, amount needed, amount held.

    A call of unknown price needs some room and holds nothing.
    """

    hold: str
    claims: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """All that one process has to say at one moment. Its charges count once for each ``number``, which only grows."""

    sender: str
    number: int
    lines: Sequence[Line]
    given_back: Sequence[Held] = ()
    """Reservations that are over; the amounts are of no account, only whose they are."""
    kept: Sequence[Held] = ()
    """Reservations of calls that are still open: their lease begins anew. They are made when the ledger has lost them."""
    asks: Sequence[Ask] = ()
    lease_s: float = 30.0


class Sums(NamedTuple):
    """One account after an exchange."""

    spent: int
    reserved: int
    """By all processes, without leases that have run out."""
    unpriced: int
    alerted: tuple[str, ...]
    """Thresholds that somebody was told of in this period."""
    crossed: tuple[str, ...]
    """Those that the receiver of this answer has to tell of."""


class Reply(NamedTuple):
    """The ledger's answer: sums for each line, and for each ask ``None`` or the claim that has no room."""

    sums: Sequence[Sums]
    refused: Sequence[int | None]


class ReservationLedger(Protocol):
    """A ledger that several processes share. Used by one thread at a time; every method may raise and be tried again."""

    place: str
    """Where it is, as people may read it: without passwords."""

    @property
    def is_open(self) -> bool:
        """Whether an exchange needs no file to be opened, no name to be looked up and no connection to be made."""

    def exchange(self, exchange: Exchange) -> Reply:
        """Do all of it, or raise; within a bounded time."""

    def keys(self, budget: str, most: int) -> list[str | None]:
        """The keys under which something was spent in this budget and period, the latest ``most`` of them."""

    def close(self) -> None:
        """Let go of files and connections. Using it again opens them again."""

    def after_fork(self) -> None:
        """In a forked child: leave what is the parent's untouched."""


def text_of_key(key: str | None) -> str:
    """An account's key as ledgers keep it: no key and an empty one are told apart."""
    return "" if key is None else f"={key}"


def key_of_text(text: str) -> str | None:
    """The key that ``text_of_key`` made a text of."""
    return text[1:] if text else None
