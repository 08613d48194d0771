"""Clocks that disagree: how far apart two may be before what their senders tell of one run is not taken as it stands."""

from __future__ import annotations

from typing import Final

__all__ = ["EARLY_US", "LATE_US"]

EARLY_US: Final = 1_000_000
"""How long before its parent an operation may say that it began: what clocks of machines that are set by NTP differ at most."""
LATE_US: Final = 60_000_000
"""How long after its parent's end it may: what was started in passing, or waits in a queue, does begin later."""
