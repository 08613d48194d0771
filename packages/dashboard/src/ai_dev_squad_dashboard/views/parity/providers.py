"""The newest table of providers below the log directories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ai_dev_squad_dashboard.lab.providers import ProviderCell, ProviderRow, Providers, tabulate_providers
from ai_dev_squad_dashboard.matrix_file import read_providers

__all__ = ["ProviderCell", "ProviderRow", "Providers", "build"]


def build(logs: Sequence[Path]) -> Providers:
    """The newest table of providers below these log directories."""
    return tabulate_providers(*read_providers(logs))
