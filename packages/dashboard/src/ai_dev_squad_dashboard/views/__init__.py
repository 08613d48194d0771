"""Every page, in the order of the navigation. A page is one module here and one template of the same name."""

from __future__ import annotations

from ai_dev_squad_dashboard.page import Page

from . import (
    agents,
    compare,
    costs,
    health,
    logs,
    overview,
    parity,
    parity_scenario,
    session,
    sessions,
    span,
    trace,
    traces,
)

__all__ = ["PAGES"]

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    traces.PAGE,
    trace.PAGE,
    span.PAGE,
    compare.PAGE,
    sessions.PAGE,
    session.PAGE,
    logs.PAGE,
    costs.PAGE,
    agents.PAGE,
    parity.PAGE,
    parity_scenario.PAGE,
    health.PAGE,
)
