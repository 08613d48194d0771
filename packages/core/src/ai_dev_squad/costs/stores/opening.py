"""Which ledger a setting names."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ai_dev_squad.costs.stores.exchange import ReservationLedger

__all__ = ["check_store", "open_ledger"]

_REDIS = ("redis://", "rediss://", "unix://")


def check_store(store: str) -> None:
    """Raise ``ValueError`` for a name of no store, or for one whose library is missing. Passwords are not repeated."""
    if store in {"file", "shared"}:
        library, cure = ("sqlite3", "use a Python that was built with sqlite3") if store == "shared" else ("", "")
    elif store.startswith(_REDIS):
        library, cure = "redis", "pip install 'ai-dev-squad[redis]'"
    else:
        told = store if "@" not in store else f"…@{store.rpartition('@')[2]}"
        raise ValueError(
            f"budget_store={told!r} is not allowed; use 'file', 'shared' (one machine) or a Redis such as "
            f"'redis://host:6379/0', 'rediss://…' or 'unix:///path' (many hosts)"
        )
    if library and find_spec(library) is None:
        raise ValueError(f"budget_store needs the package {library}, which is not installed; {cure}")


def open_ledger(store: str, path: Path | None, timeout_s: float) -> ReservationLedger | None:
    """The ledger that ``store`` names; ``None`` for ``file``, which reserves in this process only.

    Nothing is opened before the first exchange. ``path`` is the file of ``shared``; no exchange takes much longer than
    ``timeout_s`` seconds. Raises ``ValueError`` for anything else.
    """
    check_store(store)
    if store == "file":
        return None
    if store == "shared":
        from ai_dev_squad.costs.stores.sqlite import SQLiteLedger

        if path is None:
            raise ValueError(
                "budget_store='shared' needs a file; set budget_file, such as budget_file='budgets.sqlite3'"
            )
        return SQLiteLedger(path, timeout_s)
    from ai_dev_squad.costs.stores.redis import RedisLedger

    return RedisLedger(store, timeout_s)
