"""From what a cell's processes left behind to its verdict, with the evidence and the measures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ai_dev_squad_dashboard.lab_results import LabCall, LabCell, LabMeasure, LabNode, Verdict
from ai_dev_squad_parity.lab.bill import price
from ai_dev_squad_parity.lab.captured import Captured, Operation, from_journal, from_spans
from ai_dev_squad_parity.lab.cell import Outcome, Report
from ai_dev_squad_parity.lab.observers import DOCUMENTATION
from ai_dev_squad_parity.lab.scenario import Scenario
from ai_dev_squad_parity.lab.scoring import Evidence, score
from ai_dev_squad_parity.lab.statistics import measure
from ai_dev_squad_testing.model_server import Truth

__all__ = ["Ended", "judge", "refuse"]

_CANNOT = {"framework": "framework can't", "adapter": "adapter can't", "environment": "not installed"}
_NEEDS_TRUTH = frozenset({"script", "calls", "tokens", "cost", "parents"})


@dataclass(frozen=True)
class Ended:
    """How a cell's processes ended."""

    reports: list[Report]
    printed: str
    failure: str | None

    def and_then(self, report: Report, printed: str) -> Ended:
        """With one more process that left a report."""
        return replace(self, reports=[*self.reports, report], printed=self.printed + printed)

    def failed(self, why: str, printed: str = "") -> Ended:
        """With one more process that left none."""
        return replace(self, printed=self.printed + printed, failure=why)


def refuse(scenario: str, framework: str, reason: str, verdict: Verdict = "fails") -> LabCell:
    """The cell of a scenario that could not be run at all."""
    return LabCell(scenario=scenario, framework=framework, verdict=verdict, reason=reason)


def judge(
    scenario: Scenario,
    framework: str,
    observer: str,
    ended: Ended,
    truth: Truth | None,
    log_dir: Path,
    *,
    provider: str = "openai",
    said_usd: float | None = None,
) -> LabCell:
    """The cell's verdict: priced as ``provider``'s, unless that says itself what a call costs (``said_usd``). Without ``truth``, as with a real model, what depends on it is not judged."""
    cell = LabCell(scenario=scenario.name, framework=framework, verdict="fails", note=scenario.notes.get(framework, ""))
    last = ended.reports[-1] if ended.reports else None
    if last is not None and last.cannot is not None:
        return _with(
            cell, verdict=_CANNOT[last.cannot["whose"]], reason=last.cannot["reason"], source=last.cannot["source"]
        )
    problem = ended.failure or (last.error and _cure(last.error, framework) if last is not None else None)
    if last is None or problem or last.captured is None:
        return _with(cell, reason=problem or "the program was not run", output=_tail(ended.printed))
    if observer != "ours" and scenario.budget_usd is not None:
        return _with(cell, verdict="adapter can't", reason=f"{observer} has no budgets", source=DOCUMENTATION[observer])

    spans = [span for report in ended.reports for span in report.spans]
    captured = from_journal(log_dir, spans) if observer == "ours" else from_spans(spans)
    outcomes = [report.captured for report in ended.reports if report.captured is not None]
    evidence = Evidence(
        framework, captured, truth or Truth(()), scenario.expected_of(framework), last, outcomes[-1], observer,
        provider, said_usd, scripted=truth is not None,
    )  # fmt: skip
    checks = tuple(check for check in score(evidence) if truth is not None or check.name not in _NEEDS_TRUTH)
    broken = [check for check in checks if not check.ok]
    start_us = min((operation.start_us for operation in captured.operations), default=0)
    return _with(
        cell,
        verdict="fails" if broken else "passes",
        reason="; ".join(f"{check.name}: {check.detail or f'{check.captured}, not {check.truth}'}" for check in broken)[
            :2000
        ],
        checks=checks,
        captured=tuple(_captured_call(call) for call in captured.billable),
        truth=_true_calls(truth, provider, said_usd),
        tree=tuple(_node(captured, root, start_us) for root in captured.roots),
        trace_ids=tuple(dict.fromkeys(operation.trace_id for operation in captured.operations)),
        measures=_measures(scenario, ended.reports, outcomes, captured),
        output=_tail(ended.printed) if broken else "",
    )


def _with(cell: LabCell, **changes: Any) -> LabCell:
    return replace(cell, **changes)


def _cure(error: str, framework: str) -> str:
    missing = re.search(r"No module named '([\w.]+)'", error)
    if missing:
        return (
            f"{missing.group(1)} is not installed in the environment of {framework}; "
            f"pip install ai-dev-squad-{framework}, or name another: --python {framework}=PATH"
        )
    return error


def _tail(printed: str, characters: int = 2000) -> str:
    return printed[-characters:]


def _captured_call(call: Operation) -> LabCall:
    return LabCall(
        model=call.name,
        agent=call.agent,
        status=call.status,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cached_tokens=call.cached_tokens,
        reasoning_tokens=call.reasoning_tokens,
        cost_usd=call.cost_usd,
    )


def _true_calls(truth: Truth | None, provider: str, said_usd: float | None) -> tuple[LabCall, ...]:
    if truth is None:
        return ()
    return tuple(
        LabCall(
            model=call.model,
            role=call.role,
            status="ok" if call.successful else call.outcome,
            input_tokens=call.billed.input_tokens if call.billed else None,
            output_tokens=call.billed.output_tokens if call.billed else None,
            cached_tokens=call.billed.cache_read_input_tokens if call.billed else None,
            reasoning_tokens=call.billed.reasoning_output_tokens if call.billed else None,
            cost_usd=(price(call.model, call, provider) if said_usd is None else said_usd) if call.billed else None,
        )
        for call in truth.calls
    )


def _node(captured: Captured, operation: Operation, start_us: int) -> LabNode:
    below = [o for o in captured.operations if o.parent_span_id == operation.span_id]
    return LabNode(
        operation=operation.operation,
        name=operation.name,
        status=operation.status,
        span_id=operation.span_id,
        start_ms=(operation.start_us - start_us) / 1000,
        duration_ms=(operation.end_us - operation.start_us) / 1000,
        children=tuple(_node(captured, child, start_us) for child in below),
    )


def _measures(
    scenario: Scenario, reports: list[Report], outcomes: list[Outcome], captured: Captured
) -> dict[str, LabMeasure]:
    """What was measured: over the repeats where there are some, else from the scored run."""
    unobserved = [outcome for report in reports for outcome in report.unobserved]
    observed = [outcome for report in reports for outcome in report.observed]
    plain = unobserved or observed or outcomes
    # Also an answer that the client refuses is billed in full; what a call took that was left is nobody's to know.
    billed = [call for call in captured.calls if call.status in {"ok", "error"}]
    ratios = [with_.wall_ms / without.wall_ms for with_, without in zip(observed, unobserved, strict=False)]
    found = {
        "wall": measure([outcome.wall_ms for outcome in plain], "ms"),
        "framework": measure([o.wall_ms - o.model_ms for o in plain if o.model_ms is not None], "ms"),
        "observation": measure(ratios, "ratio"),
        "calls": measure([float(len(captured.calls))], "calls"),
        "tokens": measure([_sum(c.input_tokens for c in billed) + _sum(c.output_tokens for c in billed)], "tokens"),
        "cost": measure([_sum(c.cost_usd for c in billed)], "USD"),
        "memory": measure([max(report.peak_mib for report in reports)], "MiB"),
        "import": measure([report.import_ms for report in reports], "ms"),
        "quality": _quality(scenario.quality, [*observed, *outcomes]),
    }
    return {name: value for name, value in found.items() if value is not None}


def _quality(check: Callable[[str], float] | None, outcomes: list[Outcome]) -> LabMeasure | None:
    if check is None:
        return None
    grades = []
    for outcome in outcomes:
        try:
            grades.append(float(check(outcome.answer or "")))
        except Exception as error:
            raise ValueError(f"quality() of spec.py raised {type(error).__name__}: {error}") from error
    return measure(grades, "ratio")


def _sum(values: Iterable[float | None]) -> float:
    return float(sum(value for value in values if value is not None))
