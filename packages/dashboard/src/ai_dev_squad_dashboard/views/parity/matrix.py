"""The parity matrix: what the lab executed on each framework, and beside it your real runs."""

from __future__ import annotations

from dataclasses import dataclass

from ai_dev_squad_dashboard.lab.table import Lab
from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query

from . import lab, moving, providers, runs
from .providers import Providers
from .runs import RealRuns

__all__ = ["PAGE", "Parity", "build"]


@dataclass(frozen=True)
class Parity:
    """The frameworks side by side."""

    tab: str
    """``lab``, ``providers`` or ``runs``."""
    lab: Lab | None
    """What the lab executed; only on its tab."""
    move: tuple[str, str] | None
    """Two frameworks of the run, by name, that a move is proposed between; ``null`` where there are not two."""
    providers: Providers | None
    """How providers were captured through real clients; only on their tab."""
    runs: RealRuns | None
    """Your runs; only on their tab."""


def build(site: Site, query: Query) -> Parity:
    """The tab that the URL asks for. Raises ``NotFoundError``, ``QueryError``."""
    tab = query.choice("tab", ("lab", "providers", "runs"), "lab")
    executed = lab.build(site.settings.logs, query) if tab == "lab" else None
    return Parity(
        tab=tab,
        lab=executed,
        move=moving.proposed(executed.frameworks) if executed is not None else None,
        providers=providers.build(site.settings.logs) if tab == "providers" else None,
        runs=runs.build(site, query) if tab == "runs" else None,
    )


PAGE = Page(
    "parity",
    "/parity-matrix",
    "/api/parity",
    "Parity matrix",
    build,
    Parity,
    navigation="Parity matrix",
    key="p",
    default_range="7d",
    parameters=("tab", "show", "verdict", "text", "run", "observer", "name"),
)
