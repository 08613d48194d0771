"""URLs of stores, as far as everybody knows them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["is_url", "path_of", "without_password"]


def is_url(place: str) -> bool:
    """Whether a text names a store by a URL rather than a path."""
    return "://" in place


def without_password(place: str) -> str:
    """The same as it may be shown and logged."""
    if not is_url(place):
        return place
    scheme, _, rest = place.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{':…' if ':' in user else ''}{at}{host}"


def path_of(url: str) -> Path | None:
    """The file that a URL such as ``duckdb:///logs/dashboard.duckdb`` names; ``None`` for one that names none."""
    parts = urlsplit(url)
    return None if parts.scheme != "duckdb" or parts.netloc or len(parts.path) < 2 else Path(unquote(parts.path[1:]))
