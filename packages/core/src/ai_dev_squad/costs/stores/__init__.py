"""Ledgers of spend and reservations that several processes share: on one machine, or on many."""

from ai_dev_squad.costs.stores.exchange import Ask, Exchange, Held, Line, Reply, ReservationLedger, Sums
from ai_dev_squad.costs.stores.opening import open_ledger

__all__ = ["Ask", "Exchange", "Held", "Line", "Reply", "ReservationLedger", "Sums", "open_ledger"]
