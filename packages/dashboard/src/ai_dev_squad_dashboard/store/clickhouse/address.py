"""Where a ClickHouse store is: ``clickhouse://user:password@host:8123/database?secure=1``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from ai_dev_squad_dashboard.store.base import StoreError
from ai_dev_squad_dashboard.store_url import without_password

__all__ = ["Address"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPTIONS: Final = ("secure", "verify")
_ONE_SERVER: Final = (
    "a store is on one server so far, because what counts once is settled by deleting rows, which tables over several servers do not do. "
    "Leave it out, and give that server more of its machine"
)
_YES: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class Address:
    """What a URL says. Raises ``StoreError`` for one that names no database that can be."""

    host: str
    port: int
    database: str
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False
    """Whether TLS is spoken."""
    verify: bool = True
    """Whether the server's certificate is checked."""

    @classmethod
    def of(cls, url: str) -> Address:
        """Read a URL."""
        shown = without_password(url)
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        for name in options:
            if name == "cluster":
                raise StoreError(f"store {shown!r} names a cluster; {_ONE_SERVER}")
            if name not in _OPTIONS:
                raise StoreError(f"store {shown!r} has the option {name!r}; use {', '.join(_OPTIONS)}")
        secure = _truth(shown, "secure", options.get("secure", "0"))
        try:
            port = parts.port or (8443 if secure else 8123)
        except ValueError:
            raise StoreError(
                f"store {shown!r} has no port between 1 and 65535; ClickHouse's is 8123, with TLS 8443"
            ) from None
        database = unquote(parts.path.strip("/")) or "ai_dev_squad"
        if not _NAME.fullmatch(database):
            raise StoreError(
                f"store {shown!r} has the database {database!r}; use letters, digits and _, not a digit first"
            )
        return cls(
            host=parts.hostname or "localhost",
            port=port,
            database=database,
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            secure=secure,
            verify=_truth(shown, "verify", options.get("verify", "1")),
        )

    def __str__(self) -> str:
        return f"clickhouse://{self.user}@{self.host}:{self.port}/{self.database}"


def _truth(shown: str, name: str, value: str) -> bool:
    if value.lower() not in _YES:
        raise StoreError(f"store {shown!r} has {name}={value}; use 1 or 0")
    return _YES[value.lower()]
