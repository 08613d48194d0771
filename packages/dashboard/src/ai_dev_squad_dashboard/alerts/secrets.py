"""Secrets by reference: a file of rules names a variable or a file, and what is in it is read when it is needed.

So a rotated secret needs no restart, and nothing that is kept or shown has one in clear.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

__all__ = ["Secret", "SecretError", "masked"]

_LARGEST: Final = 64 * 1024


class SecretError(ValueError):
    """A secret that is not where it was said to be. The message names the place and the cure, never a value."""


@dataclass(frozen=True)
class Secret:
    """Where a text is: in an environment variable, in a file, or, where it is none, in the rules themselves."""

    env: str | None = None
    file: Path | None = None
    text: str | None = None

    def read(self) -> str:
        """The text, without white space around it. Raises ``SecretError``."""
        if self.text is not None:
            return self.text
        if self.env is not None:
            value = os.environ.get(self.env, "").strip()
            if not value:
                raise SecretError(f"the environment variable {self.env} is not set; set it where the dashboard runs")
            return value
        try:
            with (self.file or Path()).open("rb") as file:
                value = file.read(_LARGEST).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SecretError(f"the secret in {str(self.file)!r} cannot be read ({error}); correct file = …") from None
        if not value:
            raise SecretError(f"the file {str(self.file)!r} is empty; write the secret into it")
        return value

    def __str__(self) -> str:
        """Where it is; of a text in the rules, only what is no secret of a URL."""
        if self.env is not None:
            return f"${self.env}"
        return str(self.file) if self.file is not None else masked(self.text or "")


def masked(url: str) -> str:
    """A URL without what may be secret in it: addresses of webhooks are keys, so only scheme and host stay."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "…"
    if not parts.scheme or not host:
        return "…"
    rest = "/…" if parts.path.strip("/") or parts.query or parts.fragment else ""
    return f"{parts.scheme}://{'…@' if '@' in parts.netloc else ''}{host}{f':{port}' if port else ''}{rest}"
