"""The commands of this package, one module each."""

from __future__ import annotations

__all__: list[str] = []
