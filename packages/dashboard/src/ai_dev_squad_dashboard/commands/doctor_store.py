"""What the doctor tries of a store that is a server."""

from __future__ import annotations

from collections.abc import Iterator

from ai_dev_squad_cli.doctor_checks import Finding
from ai_dev_squad_dashboard.commands import CommandError
from ai_dev_squad_dashboard.store import StoreError
from ai_dev_squad_dashboard.store_url import without_password

__all__ = ["examine_store"]


def examine_store(url: str) -> Iterator[Finding]:
    """Write to and read from a database of its own beside the one that the URL names."""
    if not url.lower().startswith("clickhouse://"):
        raise CommandError(
            f"--store {without_password(url)!r} is no server that can be tried; use clickhouse://user:password@host:8123/database",
            2,
        )
    try:
        from ai_dev_squad_dashboard.store.clickhouse.probe import probe

        for done, trouble in probe(url):
            yield Finding("store", "problem" if trouble else "ok", done, trouble)
    except ImportError as error:
        yield Finding(
            "store",
            "problem",
            f"clickhouse-connect is missing ({error})",
            "pip install 'ai-dev-squad-dashboard[clickhouse]'",
        )
    except StoreError as error:
        yield Finding(
            "store", "problem", str(error), "its user has to be allowed to make databases that are called like it"
        )
