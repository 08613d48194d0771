"""Tokens in forms, so that only our own pages can change anything in somebody's name."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256

from werkzeug.wrappers import Request

__all__ = ["FIELD", "HEADER", "FormTokens", "shown"]

FIELD = "csrf_token"
HEADER = "X-CSRF-Token"


class FormTokens:
    """Makes and checks tokens that belong to one browser, known by ``binding``: its session, or a cookie made for forms."""

    def __init__(self, key: str) -> None:
        self._key = hmac.new(key.encode(), b"form tokens", sha256).digest()

    def make(self, binding: str) -> str:
        """A token. Each is another one, so that compressing a page does not give it away."""
        salt = secrets.token_hex(8)
        return f"{salt}.{self._mac(binding, salt)}"

    def check(self, token: str, binding: str) -> bool:
        """Whether ``token`` was made for ``binding``."""
        salt, _, mac = token.partition(".")
        return bool(binding) and hmac.compare_digest(
            mac.encode("utf-8", "surrogatepass"), self._mac(binding, salt).encode()
        )

    def _mac(self, binding: str, salt: str) -> str:
        return hmac.new(self._key, f"{salt}:{binding}".encode("utf-8", "surrogatepass"), sha256).hexdigest()


def shown(request: Request) -> str:
    """The token that came with ``request``: in a header by scripts, in a field by forms."""
    return request.headers.get(HEADER) or request.form.get(FIELD, "")
