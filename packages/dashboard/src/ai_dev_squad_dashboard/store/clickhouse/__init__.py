"""The store on ClickHouse: for teams that have outgrown one machine. Needs the extra ``clickhouse``."""

from __future__ import annotations

from ai_dev_squad_dashboard.store.base import Store, StoreError

__all__ = ["open_url"]


def open_url(url: str, *, memory_limit_mib: int) -> Store:
    """The store that a URL such as ``clickhouse://user:password@host:8123/database`` names. Its tables are made when they are missing.

    ``memory_limit_mib`` is for embedded engines: what a server may take is said on the server. Raises ``StoreError``.
    """
    from .address import Address

    address = Address.of(url)
    try:
        from .client import Client
    except ImportError as error:
        raise StoreError(
            f"{address} needs clickhouse-connect ({error}); pip install 'ai-dev-squad-dashboard[clickhouse]'"
        ) from None
    from .store import ClickHouseStore

    client = Client(address)
    try:
        return ClickHouseStore(client)
    except BaseException:
        client.close()
        raise
