"""Every page, in the order of the navigation. A page is one module here, or in ``parity``, and one template."""

from __future__ import annotations

from ai_dev_squad_dashboard.page import Page
from ai_dev_squad_dashboard.sql import page as sql

from . import (
    agents,
    alerts,
    coding,
    compare,
    costs,
    delete,
    errors,
    health,
    history,
    logs,
    overview,
    session,
    sessions,
    span,
    story,
    trace,
    traces,
    users,
)
from .parity import matrix, moving, scenario

__all__ = ["PAGES"]

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    traces.PAGE,
    trace.PAGE,
    span.PAGE,
    story.PAGE,
    compare.PAGE,
    sessions.PAGE,
    session.PAGE,
    users.PAGE,
    errors.PAGE,
    logs.PAGE,
    costs.PAGE,
    agents.PAGE,
    coding.PAGE,
    history.PAGE,
    matrix.PAGE,
    scenario.PAGE,
    moving.PAGE,
    alerts.PAGE,
    health.PAGE,
    delete.PAGE,
    sql.PAGE,
)
