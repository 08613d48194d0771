"""The rounds of one answer, where the provider has asked its models more than once, and which of them its report leaves out:
Anthropic's does, Groq's names each model's share of the whole.

- A summing-up of a context that grew too long: https://platform.claude.com/docs/en/build-with-claude/compaction#understanding-usage
- An adviser: https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool#usage-and-billing
- A model that declined, and another that answered in its place:
  https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback
- Groq's compound systems: https://console.groq.com/docs/compound, ``usage_breakdown`` of
  https://console.groq.com/docs/api-reference#chat-create
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from ai_dev_squad.genai.reports import plain

__all__ = ["MAY_TELL", "SHARES", "as_served", "elsewhere", "in_between", "served_by"]

Report: TypeAlias = Mapping[str, Any]

SHARES = "usage_breakdown"
"""Where Groq says which model has had how much of the whole."""
_ROUNDS = "iterations"
MAY_TELL = frozenset({SHARES, _ROUNDS})
"""The names without which a report tells of one model alone."""
_SERVED = "fallback_message"
_OPENAI = ("prompt_tokens", "completion_tokens", "total_tokens")
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def served_by(report: Report) -> str | None:
    """The model that answered in the place of one that declined, or first of those that a system is made of; ``None`` where
    there is no such.
    """
    shares = _shares(report)
    if shares:
        return shares[0][0]
    model = next((item.get("model") for item in _rounds(report) if item.get("type") == _SERVED), None)
    return model if isinstance(model, str) and model else None


def as_served(report: Report) -> Report:
    """The report of an answer that a second model gave, without what the first had counted when its stream began; or of the
    first model's share.
    """
    shares = _shares(report)
    if shares:
        others = [share for model, share in shares if model != shares[0][0]]
        return {**report, **{name: _less(report.get(name), others, name) for name in _OPENAI}} if others else report
    model = served_by(report)
    if model is None:
        return report
    parts = [
        item for item in _rounds(report) if item.get("type") in {"message", _SERVED} and item.get("model") == model
    ]
    kept = [plain(item.get("cache_creation")) for item in parts]
    lifetimes = {name: _sum(kept, name) for name in set[str]().union(*kept)}
    return {**report, **{name: _sum(parts, name) for name in _COUNTS}, "cache_creation": lifetimes or None}


def in_between(report: Report) -> list[Report]:
    """What the same model was asked in between, and is billed beside what the rest of the report counts."""
    return [item for item in _rounds(report) if item.get("type") == "compaction"]


def elsewhere(report: Report) -> list[tuple[str, Report]]:
    """What other models were asked, and what each of them counts: advisers, models that declined after they had begun, and
    those that a system is made of.

    Who declines before he has said anything is not billed.
    """
    shares = _shares(report)
    if shares:
        return [(model, share) for model, share in shares if model != shares[0][0]]
    rounds = _rounds(report)
    served = served_by(report)
    asked = [item for item in rounds if item.get("type") == "advisor_message"]
    if served is not None:
        asked += [
            item
            for item in rounds
            if item.get("type") == "message" and item.get("model") != served and item.get("output_tokens")
        ]
    return [(model, item) for item in asked if isinstance(model := item.get("model"), str) and model]


def _rounds(report: Report) -> list[Report]:
    """Whoever rewrites a report to OpenAI's names has added them up."""
    listed = report.get(_ROUNDS)
    if listed is None or "prompt_tokens" in report:
        return []
    return [plain(item) for item in listed] if isinstance(listed, (list, tuple)) else []


def _shares(report: Report) -> list[tuple[str, Report]]:
    told = plain(report.get(SHARES)).get("models")
    shares = [plain(item) for item in told] if isinstance(told, (list, tuple)) else []
    return [
        (model, plain(item.get("usage"))) for item in shares if isinstance(model := item.get("model"), str) and model
    ]


def _less(whole: Any, parts: list[Report], name: str) -> int | None:
    return max(0, whole - _sum(parts, name)) if type(whole) is int else None


def _sum(parts: list[Report], name: str) -> int:
    return sum(count for part in parts if type(count := part.get(name)) is int)
