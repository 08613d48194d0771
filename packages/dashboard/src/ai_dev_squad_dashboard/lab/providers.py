"""The table of providers: each asked through the real client library of each framework, plain and streamed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ai_dev_squad_dashboard.hues import hues
from ai_dev_squad_dashboard.lab_results import VERDICTS, LabCall, LabProviderCell, LabProviders, Verdict
from ai_dev_squad_dashboard.matrix_file import FileProblem

__all__ = ["ProviderCell", "ProviderRow", "Providers", "tabulate_providers"]


@dataclass(frozen=True)
class ProviderCell:
    """A provider in a framework, plain or streamed."""

    framework: str
    streamed: bool
    verdict: Verdict
    reason: str
    """Why it is not ``passes``."""
    source: str | None
    """The URL of what the reason rests on."""
    client: Mapping[str, str]
    """Distribution → version of what spoke to the provider."""
    checks: int
    failed_checks: tuple[str, ...]
    captured: tuple[LabCall, ...]
    truth: tuple[LabCall, ...]


@dataclass(frozen=True)
class ProviderRow:
    """A provider. ``cells`` has two entries for each framework, ``None`` where it was not run: plain, then streamed."""

    name: str
    title: str
    wire: str
    """Which interface is spoken."""
    model: str
    cells: tuple[ProviderCell | None, ...]


@dataclass(frozen=True)
class Providers:
    """A table of providers."""

    created_us: int | None
    """When it was made; ``None`` where there is none yet."""
    frameworks: tuple[tuple[str, int], ...]
    """Each framework and its hue."""
    rows: tuple[ProviderRow, ...]
    verdicts: Mapping[str, int]
    """How many cells have each verdict."""
    problems: tuple[FileProblem, ...]


def tabulate_providers(table: LabProviders | None, problems: tuple[FileProblem, ...] = ()) -> Providers:
    """A table of providers with a row for each. ``problems`` are files that are none."""
    if table is None:
        return Providers(None, (), (), {}, problems)
    names = tuple(dict.fromkeys(cell.framework for cell in table.cells))
    ways = [(name, streamed) for name in names for streamed in (False, True)]
    rows = tuple(
        ProviderRow(
            provider.name,
            provider.title or provider.name,
            provider.wire,
            provider.model,
            tuple(_cell(table.cell(provider.name, name, streamed=streamed)) for name, streamed in ways),
        )
        for provider in table.providers
    )
    coloured = hues(names)
    verdicts: dict[str, int] = {verdict: sum(cell.verdict == verdict for cell in table.cells) for verdict in VERDICTS}
    return Providers(table.created_us, tuple((name, coloured[name]) for name in names), rows, verdicts, problems)


def _cell(cell: LabProviderCell | None) -> ProviderCell | None:
    if cell is None:
        return None
    return ProviderCell(
        framework=cell.framework,
        streamed=cell.streamed,
        verdict=cell.verdict,
        reason=cell.reason,
        source=cell.link,
        client=cell.client,
        checks=len(cell.checks),
        failed_checks=tuple(check.name for check in cell.checks if not check.ok),
        captured=cell.captured,
        truth=cell.truth,
    )
