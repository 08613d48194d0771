"""Where a model is served: who answers on this machine or in a private network sells only what he can't run himself."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

__all__ = ["is_address", "is_private", "is_sold_only", "spellings_of_address"]

_PRIVATE_DOMAINS = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc")

# Models whose weights nobody can have: wherever one answers, its maker, or a cloud that sells it, was asked in the end.
# Sources: the makers' own pages of models; OpenAI publishes the weights of gpt-oss alone.
_SOLD_ONLY = (
    "gpt-3",
    "gpt-4",
    "gpt-5",
    "chatgpt-",
    "o1",
    "o3",
    "o4-",
    "text-embedding-",
    "claude",
    "gemini",
    "grok-3",
    "grok-4",
)


def is_sold_only(model: str) -> bool:
    """Whether nobody can run this model himself, so that a private address is a gateway's or a proxy's."""
    return model.strip().lower().rpartition("/")[2].startswith(_SOLD_ONLY)


def is_address(name: str) -> bool:
    """Whether a name is an address (a host with a dot or a port, or an URL) rather than a provider."""
    return "://" in name or "." in name or ":" in name or name.strip().lower() == "localhost"


@lru_cache(maxsize=1024)
def spellings_of_address(address: str) -> tuple[str, ...]:
    """The ways to name an address, lower case, the most exact first: with its port, and the host alone."""
    host, port = _parse(address)
    return (host,) if port is None else (f"{host}:{port}", host)


@lru_cache(maxsize=1024)
def is_private(address: str) -> bool:
    """Whether a host, ``host:port`` or URL is on this machine or in a private network, as far as its name can tell."""
    host, _ = _parse(address)
    if not host:
        return False
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_DOMAINS)


def _parse(address: str) -> tuple[str, int | None]:
    text = address.strip()
    if "://" not in text:
        # An IPv6 address without brackets has more colons than a port would explain.
        text = f"//[{text}]" if text.count(":") > 1 and not text.startswith("[") else f"//{text}"
    try:
        parts = urlsplit(text)
        return (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "", None
