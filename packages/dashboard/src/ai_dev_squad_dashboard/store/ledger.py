"""Model calls as entries of a ledger, for the advice report."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Final

import msgspec

from ai_dev_squad import Usage
from ai_dev_squad.costs import CostEntry
from ai_dev_squad.schema import Cost

__all__ = ["ENTRY_COLUMNS", "entry_of"]

ENTRY_COLUMNS: Final = (
    "start_us, duration_us, trace_id, span_id, name, status, framework, session_id, user_id, agent, provider, model, "
    "input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_source, cost_usd, "
    "price, price_date, price_source, cost_reason"
)
"""What an entry is made of, besides the span's details."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


class _Hidden(msgspec.Struct):
    """What an entry needs of a span's details."""

    attributes: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


_details: Final = msgspec.json.Decoder(_Hidden)


def entry_of(row: tuple[Any, ...], trace_id: str, span_id: str) -> CostEntry:
    """An entry of ``ENTRY_COLUMNS`` and details; the ids as text."""
    start, duration, _, _, name, status, framework, session_id, user_id, agent, provider, model, *rest = row
    given, made, read, written, thought, source, usd, price, date, price_source, reason, details = rest
    hidden = _hidden(details)
    usage = Usage(
        input_tokens=given,
        output_tokens=made,
        cache_read_input_tokens=read,
        cache_write_input_tokens=written,
        reasoning_output_tokens=thought,
        source=source,
    )
    return CostEntry(
        timestamp=_EPOCH + timedelta(microseconds=start),
        model_name=model or name,
        provider=provider or "unknown",
        input_tokens=given or 0,
        output_tokens=made or 0,
        cost_usd=usd,
        duration_ms=duration / 1000,
        session_id=session_id,
        agent_id=agent,
        framework=framework,
        trace_id=trace_id,
        span_id=span_id,
        status=status,
        usage=usage,
        cost=Cost(usd=usd, price=price, price_date=date, price_source=price_source, reason=reason),
        prompt_hash=_typed(hidden, "prompt_hash", str),
        attempt=_typed(hidden, "attempt", int),
        user_id=user_id,
        estimated=source == "estimated",
    )


def _hidden(details: bytes | None) -> dict[str, Any]:
    """Attributes and metadata by the last part of their names."""
    if not details:
        return {}
    try:
        content = _details.decode(details)
    except msgspec.MsgspecError:
        return {}
    named = {key.removeprefix("ai_dev_squad."): value for key, value in content.attributes.items()}
    return {**named, **content.metadata}


def _typed(values: dict[str, Any], name: str, kind: type[Any]) -> Any:
    value = values.get(name)
    return value if isinstance(value, kind) else None
