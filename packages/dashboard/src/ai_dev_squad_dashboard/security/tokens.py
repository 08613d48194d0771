"""Tokens for programs. Only their SHA-256 digests are kept: who reads the settings cannot use them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

__all__ = ["bearer", "digest", "new_token", "one_of"]

MAX_TOKEN = 512


def new_token(kind: str) -> tuple[str, str]:
    """A new token of 256 random bits, and its digest. ``kind`` is ``read``, ``act`` or ``ingest``; the token begins with it.

    Raises ``ValueError`` for another kind.
    """
    if kind not in {"read", "act", "ingest"}:
        raise ValueError(f"kind {kind!r} is no kind of token; use 'read', 'act' or 'ingest'")
    token = f"ads_{kind}_{secrets.token_urlsafe(32)}"
    return token, digest(token)


def digest(token: str) -> str:
    """What is kept of a token. No salt and no slow hash: a random token cannot be guessed from its digest."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def one_of(token: str, digests: Iterable[str]) -> str | None:
    """The digest that belongs to ``token``, or ``None``. Takes equally long whichever it is, and whether there is one."""
    shown, found = digest(token), None
    for known in digests:
        if hmac.compare_digest(shown, known):
            found = known
    return found


def bearer(authorization: str | None) -> str | None:
    """The token in the value of an ``Authorization`` header; ``None`` where there is none that could be one."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
        return None
    return token
