"""Writing a file for its owner only, in one step: whoever reads it meanwhile reads the old file or the new one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["write_private"]


def write_private(path: Path, content: bytes) -> None:
    """Put ``content`` in the place of ``path``, with mode 0600. Raises ``OSError``, and then nothing has changed."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    # A new file, and no link that leads elsewhere.
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
