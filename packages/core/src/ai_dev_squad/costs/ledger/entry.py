"""One line of the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ai_dev_squad.schema import Cost, Status, Usage

__all__ = ["CostEntry"]


@dataclass(slots=True)
class CostEntry:
    """What one model call used and cost.

    ``cost_usd`` is ``None`` when no price is known; ``cost`` then says why, and which price was used otherwise.
    ``input_tokens`` and ``output_tokens`` are 0 when nobody counted them; ``usage.source`` tells (``"missing"``).
    """

    timestamp: datetime
    model_name: str
    provider: str
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    duration_ms: float
    session_id: str | None = None
    agent_id: str | None = None
    framework: str | None = None
    user_id: str | None = field(default=None, kw_only=True)
    trace_id: str | None = field(default=None, kw_only=True)
    span_id: str | None = field(default=None, kw_only=True)
    status: Status = field(default="ok", kw_only=True)
    usage: Usage | None = field(default=None, kw_only=True)
    cost: Cost | None = field(default=None, kw_only=True)
    prompt_hash: str | None = field(default=None, kw_only=True)
    """A hash of the prompt, never the prompt: equal hashes are repeated prompts."""
    attempt: int | None = field(default=None, kw_only=True)
    """1 for the first try of a call, 2 for its first retry, and so on."""
    estimated: bool = field(default=False, kw_only=True)
    """True when the tokens, and so the cost, are our own count and not the provider's."""
    run_id: str | None = field(default=None, kw_only=True)
    """The run that the call belongs to; budgets take ``trace_id`` where it is ``None``."""
