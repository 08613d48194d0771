"""Who is running right now: the session and the correlation id of this thread or task."""

from __future__ import annotations

from contextvars import ContextVar

session_id_var: ContextVar[str | None] = ContextVar("ai_dev_squad_session_id", default=None)
correlation_id_var: ContextVar[str | None] = ContextVar("ai_dev_squad_correlation_id", default=None)
