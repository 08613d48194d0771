"""OpenLLMetry, and whatever else writes OTLP to a file: requests in JSON, as a Collector's file exporter writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ai_dev_squad_dashboard.ingest.otlp_json import read_spans
from ai_dev_squad_dashboard.ingest.otlp_shapes import InvalidRequest, Unreadable

from .records import Record
from .told import Claim, Context, Source, Told, Untellable, money, number

__all__ = ["OPENLLMETRY"]

_CALLS: Final = ("chat", "completion", "text_completion", "generate_content", "embedding", "embeddings")
_INPUT: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT: Final = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_TOTAL: Final = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens")
_COST: Final = ("gen_ai.usage.cost.amount", "gen_ai.usage.cost", "gen_ai.usage.total_cost")


def _tell(record: Record, context: Context) -> Iterator[Told]:
    """A request, or a list of what it holds; several resources, scopes and spans."""
    if "resourceSpans" not in record:
        raise Untellable("no OTLP in JSON: resourceSpans is missing")
    try:
        found = list(read_spans(msgspec.json.encode(record)))
    except InvalidRequest as error:
        raise Untellable(str(error)) from None
    problems = []
    for origin, spans in found:
        for span in spans:
            if isinstance(span, Unreadable):
                problems.append(span.reason)
            else:
                yield Told(origin, span, _claim(span.attributes))
    if problems:
        raise Untellable(f"{len(problems)} of its spans could not be read: {problems[0]}")


def _claim(attributes: dict[str, Any]) -> Claim:
    """What stands on calls; agents and workflows repeat it as sums."""
    kind = attributes.get("llm.request.type", attributes.get("gen_ai.operation.name"))
    if attributes.get("traceloop.span.kind") or kind not in _CALLS:
        return Claim()
    total = _first(attributes, _TOTAL)
    if total is None:
        known = [count for side in (_INPUT, _OUTPUT) if (count := _first(attributes, side)) is not None]
        total = sum(known) if known else None
    return Claim(total, next((cost for name in _COST if (cost := money(attributes.get(name))) is not None), None))


def _first(attributes: dict[str, Any], names: tuple[str, ...]) -> int | None:
    return next((count for name in names if (count := number(attributes.get(name))) is not None), None)


OPENLLMETRY: Final = Source("OpenLLMetry", _tell)
