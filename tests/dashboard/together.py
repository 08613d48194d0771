"""A dashboard in a process of its own, on a store that another process lends: run with a port, a Redis and a directory."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

from ai_dev_squad_dashboard import DashboardSettings, Store, create_app
from ai_dev_squad_dashboard.store import open_memory_store

__all__ = ["KEY", "lending"]

KEY = "one key for all dashboards, and no other"
_LEASE_S = 2.0


class Stores(BaseManager):
    """Lends a store over a socket."""


class _Lent:
    """What was lent, as far as a process may have it: it has no moments of its own, and does not end with it."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def snapshot(self) -> Any:
        return nullcontext()

    def close(self) -> None:
        """It is another's."""


@contextmanager
def lending() -> Iterator[tuple[Store, int]]:
    """A store in memory, and the port where others have it too."""
    store = open_memory_store()
    Stores.register("store", callable=lambda: store)
    server = Stores(address=("127.0.0.1", 0), authkey=b"tests").get_server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield store, server.address[1]
    finally:
        store.close()


def main(port: str, redis: str, directory: str) -> None:
    """Serve until the end."""
    from ai_dev_squad_dashboard.alerts.shared_alerting import SharedAlerting
    from ai_dev_squad_dashboard.server import serve

    SharedAlerting.__init__.__kwdefaults__["lasts_s"] = _LEASE_S
    Stores.register("store")
    manager = Stores(address=("127.0.0.1", int(port)), authkey=b"tests")
    manager.connect()
    home = Path(directory)
    rules = home.parent / "rules.toml"
    settings = DashboardSettings(db=home / "x.duckdb", port=0, redis=redis, secret_key=KEY, alerts=rules)
    serve(create_app(settings, store=_Lent(manager.store()), follow=False), settings)  # type: ignore[attr-defined, arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
