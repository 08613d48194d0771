"""Model calls as they were captured, each beside the same call as the model server knows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ai_dev_squad_dashboard.lab_results import LabCall

__all__ = ["CallPair", "pair_calls"]

MAX_CALLS: Final = 500


@dataclass(frozen=True)
class CallPair:
    """One model call."""

    captured: LabCall | None
    truth: LabCall | None
    verdict: str
    """``same``; ``differs``; ``missed`` (billed and not captured); ``invented`` (captured and never billed); ``unseen`` (captured
    as failed and never billed); ``retried`` (refused by the server, and tried again by the client)."""
    differing: tuple[str, ...]
    """The fields that differ."""


_FIELDS: Final = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd")


def _tokens(call: LabCall) -> tuple[Any, ...]:
    return call.input_tokens, call.output_tokens, call.cached_tokens or 0, call.reasoning_tokens or 0


_KEYS: Final[tuple[Callable[[LabCall], Any], ...]] = (
    lambda call: (call.agent or call.role, call.status == "ok", _tokens(call)),
    lambda call: (call.status == "ok", _tokens(call)),
    lambda call: (call.agent or call.role, call.status == "ok"),
    lambda call: call.status == "ok",
)
"""Counterparts are looked for in this order: calls that run at once are seen in another order than they are served."""


def pair_calls(captured: Sequence[LabCall], truth: Sequence[LabCall]) -> tuple[CallPair, ...]:
    """Every call of both sides once, in the order of capture; what was missed comes last."""
    captured, truth = captured[:MAX_CALLS], truth[:MAX_CALLS]
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for key in _KEYS:
        for at, call in enumerate(captured):
            if at in partner:
                continue
            wanted = key(call)
            for other, true in enumerate(truth):
                if other not in taken and key(true) == wanted:
                    partner[at] = other
                    taken.add(other)
                    break
    pairs = [_pair(call, truth[partner[at]] if at in partner else None) for at, call in enumerate(captured)]
    return (*pairs, *(_pair(None, true) for other, true in enumerate(truth) if other not in taken))


def _pair(captured: LabCall | None, truth: LabCall | None) -> CallPair:
    if captured is None:
        assert truth is not None
        return CallPair(None, truth, "missed" if truth.status == "ok" else "retried", ())
    if truth is None:
        return CallPair(captured, None, "invented" if captured.status == "ok" else "unseen", ())
    differing = tuple(name for name in _FIELDS if truth.status == "ok" and _differs(captured, truth, name))
    return CallPair(captured, truth, "differs" if differing else "same", differing)


def _differs(captured: LabCall, truth: LabCall, name: str) -> bool:
    found, true = getattr(captured, name), getattr(truth, name)
    if name in {"cached_tokens", "reasoning_tokens"}:
        return (found or 0) != (true or 0)
    if name == "cost_usd" and found is not None and true is not None:
        return bool(abs(found - true) > 1e-9)
    return bool(found != true)
