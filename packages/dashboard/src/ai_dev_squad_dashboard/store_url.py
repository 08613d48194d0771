"""URLs of stores, as far as everybody knows them."""

from __future__ import annotations

__all__ = ["is_url", "without_password"]


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
