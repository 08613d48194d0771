"""One module for each library through which requests leave: it says what to wrap, and how to see an answer pass."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from ai_dev_squad.patching import Patches
from ai_dev_squad.wire.doors import aiohttp, httpx, lm15, urllib3
from ai_dev_squad.wire.passage import Passage

__all__ = ["DOORS"]

Door = Callable[[ModuleType, Patches, Passage], None]

DOORS: dict[str, Door] = {
    "httpx": httpx.watch,
    "httpx2": httpx.watch,
    "aiohttp": aiohttp.watch,
    "urllib3": urllib3.watch,
    "lm15.transports": lm15.watch,
    "dspy._vendor.lm15.transports": lm15.watch,
}
"""By the name of the library: a function that wraps the loaded library, all or nothing."""
