"""Whom a model call belongs to: the one value that prices, ledger and budgets file it under."""

from __future__ import annotations

import msgspec

__all__ = ["Attribution"]


class Attribution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Framework, agent, session, user and run that a model call is counted for, and the model that was asked.

    Made once for a call and handed on whole. ``None`` means that nobody said: such a call belongs to no agent, session
    or run, and is in every budget that does not ask for one.
    """

    framework: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    run_id: str | None = None
    """One run of a workflow or agent: the trace id of its outermost operation."""
    model: str | None = None
    """The model as it was asked for, which may be an alias or a deployment."""
    provider: str | None = None
    """Who was asked, such as ``openai``."""
