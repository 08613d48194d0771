"""Captured against truth: every check of a cell, and the verdict with its reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ai_dev_squad_dashboard.lab_results import LabCheck
from ai_dev_squad_parity.lab import bill
from ai_dev_squad_parity.lab.captured import Captured, Operation
from ai_dev_squad_parity.lab.cell import Outcome, Report
from ai_dev_squad_parity.lab.conventions import breaches, violations
from ai_dev_squad_parity.lab.coverage import coverage
from ai_dev_squad_parity.lab.scenario import Expected
from ai_dev_squad_testing.model_server import Truth

__all__ = ["CHECKS", "Evidence", "score"]

_RUNS = ("invoke_workflow", "invoke_agent")


@dataclass(frozen=True)
class Evidence:
    """All that is known of a cell's scored run."""

    framework: str
    captured: Captured
    truth: Truth
    expected: Expected
    report: Report
    """Of the last phase."""
    outcome: Outcome
    observer: str = "ours"
    provider: str = "openai"
    """Whose price table holds."""
    said_usd: float | None = None
    """What the provider itself says that a call costs."""
    scripted: bool = True
    """Whether the model server is ours; of a real model's only what was captured of it is known."""


def score(evidence: Evidence) -> tuple[LabCheck, ...]:
    """Every check that applies, in the order a reader asks.

    Of a peer it is not asked what only our journal can tell (whether something was left open: a span exists when it has
    ended; what our wire has seen; what our loop guard says), what only our ``session()`` would have told it, nor conventions that it does not claim
    to follow.
    """
    left_out = set() if evidence.observer == "ours" else _not_for_peers(evidence)
    return tuple(check(evidence) for check in CHECKS if check not in left_out)


def _not_for_peers(evidence: Evidence) -> set[Callable[[Evidence], LabCheck]]:
    left_out: set[Callable[[Evidence], LabCheck]] = {_closed, _coverage, _loops}
    if not any(operation.session for operation in evidence.captured.operations):
        left_out.add(_sessions)
    if not any("gen_ai.operation.name" in span.attributes for span in evidence.captured.spans):
        left_out.add(_conventions)
    return left_out


def _unchanged(evidence: Evidence) -> LabCheck:
    """The program ends as it should, observed as it is."""
    outcome, expected = evidence.outcome, evidence.expected
    raised = outcome.raised
    if expected.raises is not None:
        ok = raised is not None and expected.raises in raised.bases
        return LabCheck(name="answer", ok=ok, captured=_ended(outcome), truth=f"raises {expected.raises}")
    ok = raised is None and (expected.answer is None or expected.answer in (outcome.answer or ""))
    return LabCheck(
        name="answer", ok=ok, captured=_ended(outcome), truth=expected.answer or "ends without an exception"
    )


def _ended(outcome: Outcome) -> str:
    if outcome.raised is not None:
        return f"raises {outcome.raised.type}: {outcome.raised.message}"[:300]
    return (outcome.answer or "")[:300]


def _calls(evidence: Evidence) -> LabCheck:
    """Every model call is captured once."""
    expected = evidence.expected
    found = Counter("cut" if call.status in bill.CUT else call.status for call in evidence.captured.billable)
    true = Counter(
        ok=len(bill.billed(evidence.truth)) - expected.unusable_answers,
        error=expected.failed_calls + expected.refused_calls + expected.unusable_answers,
        cut=expected.cancelled_calls,
    )
    true = +true
    return _compare("calls", dict(sorted(found.items())), dict(sorted(true.items())), "model calls by how they ended")


def _coverage(evidence: Evidence) -> LabCheck:
    """Every model call that left the process was seen on the wire, captured, and came to the model server."""
    return coverage(evidence.captured, len(evidence.truth.calls) if evidence.scripted else None)


def _tokens(evidence: Evidence) -> LabCheck:
    """The tokens of each call are those that were billed."""
    return bill.tokens(evidence.captured, evidence.truth, estimated=evidence.expected.estimated)


def _cost(evidence: Evidence) -> LabCheck:
    """The cost is that of the billed tokens by the price table."""
    return bill.cost(evidence.captured, evidence.truth, evidence.provider, evidence.said_usd)


def _trace(evidence: Evidence) -> LabCheck:
    """A run is one connected trace; a resumed one is linked to what it continues."""
    captured, expected = evidence.captured, evidence.expected
    traces = list(dict.fromkeys(operation.trace_id for operation in captured.operations))
    lost = [o for o in captured.operations if o.parent_span_id is not None and o.parent_span_id not in captured.by_id]
    roots = [operation for operation in captured.operations if operation.parent_span_id is None]
    problems = [f"{o.operation} {o.name} has a parent that was not captured" for o in lost]
    if len(roots) != len(traces):
        problems.append(f"{len(roots)} roots in {len(traces)} traces")
    if expected.linked:
        linked = {trace for operation in captured.operations for trace, _ in operation.links}
        joined = evidence.observer != "ours" and _share_a_session(captured)
        problems += ["the later traces have no link to the first"] if not linked & set(traces) and not joined else []
    ok = len(traces) == expected.traces and not problems
    return LabCheck(
        name="trace", ok=ok, captured=_plural(len(traces), "trace"), truth=_plural(expected.traces, "trace"),
        detail="; ".join(problems),
    )  # fmt: skip


def _share_a_session(captured: Captured) -> bool:
    """Whether all traces name the same session: how a peer may say that one goes on with the other."""
    by_trace: dict[str, set[str]] = {operation.trace_id: set() for operation in captured.operations}
    for operation in captured.operations:
        if operation.session:
            by_trace[operation.trace_id].add(operation.session)
    return bool(by_trace) and bool(set.intersection(*by_trace.values()))


def _parents(evidence: Evidence) -> LabCheck:
    """Each model call belongs to the agent whose role the model played, and stands under the run."""
    captured, expected = evidence.captured, evidence.expected
    problems = []
    for operation in (*captured.calls, *captured.of("execute_tool")):
        above = [parent.operation for parent in captured.above(operation)]
        if not set(above) & set(_RUNS):
            problems.append(f"{operation.operation} {operation.name} stands under no agent or workflow")
    if expected.agents:
        found = Counter(
            _agent_of(evidence, call) for call in bill.answered(evidence.captured) if call.operation != "embeddings"
        )
        true = Counter(call.role for call in bill.billed(evidence.truth) if call.endpoint != "embeddings")
        if found != true:
            problems.append(bill.difference(found, true, "calls by agent"))
    agents = sorted({str(_agent_of(evidence, call)) for call in captured.calls})
    return LabCheck(
        name="parents", ok=not problems, captured=", ".join(agents), truth=", ".join(sorted(expected.agents)) or "any",
        detail="; ".join(problems),
    )  # fmt: skip


def _agent_of(evidence: Evidence, call: Operation) -> str | None:
    if evidence.observer != "ours":
        # A peer may not say what an agent is; it is enough that a reader finds its name on the way up.
        names = (
            name for operation in (call, *evidence.captured.above(call)) for name in (operation.agent, operation.name)
        )
        named = next((name for name in names if name in evidence.expected.agents), None)
        if named is not None:
            return named
    if call.agent is not None:
        return call.agent
    return next((parent.name for parent in evidence.captured.above(call) if parent.operation == "invoke_agent"), None)


def _tools(evidence: Evidence) -> LabCheck:
    """Every tool call that was executed is captured once, with its arguments and how it ended."""
    expected = evidence.expected
    true = Counter((name, _canonical(arguments)) for name, arguments in expected.tools)
    # LangChain tells its callbacks the value of a tool's only argument, without its name, and peers take it as it comes.
    only = {} if evidence.observer == "ours" else dict(_only_values(expected))
    calls = [(tool.name, _canonical(tool.arguments)) for tool in evidence.captured.of("execute_tool")]
    found = Counter((name, only.get((name, given), given)) for name, given in calls)
    failed = sum(tool.status == "error" for tool in evidence.captured.of("execute_tool"))
    problems = [] if found == true else [bill.difference(found, true, "tool calls")]
    if failed != expected.failed_tools:
        problems.append(f"{failed} failed, {expected.failed_tools} should have")
    return LabCheck(
        name="tools", ok=not problems, captured=_plural(sum(found.values()), "tool call"),
        truth=_plural(sum(true.values()), "tool call"), detail="; ".join(problems),
    )  # fmt: skip


def _only_values(expected: Expected) -> Iterator[tuple[tuple[str, str], str]]:
    """Tools with one argument: name and bare value → the arguments."""
    for name, arguments in expected.tools:
        if len(arguments) == 1:
            yield (name, str(next(iter(arguments.values())))), _canonical(arguments)


def _canonical(arguments: Any) -> str:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return str(arguments)
    return json.dumps(arguments or {}, sort_keys=True, separators=(",", ":"), default=str)


def _status(evidence: Evidence) -> LabCheck:
    """The run ends with the status it should have, and errors say of which type they are."""
    captured, expected = evidence.captured, evidence.expected
    found = [root.status for root in captured.roots]
    wanted = [*expected.run_status, *[expected.run_status[-1]] * len(found)][
        : max(len(found), len(expected.run_status))
    ]
    untyped = [f"{o.operation} {o.name}" for o in captured.operations if o.status == "error" and not o.error_type]
    problems = [f"no error.type on {', '.join(untyped)}"] if untyped else []
    return LabCheck(
        name="status", ok=found == wanted and not problems, captured=", ".join(found), truth=", ".join(wanted),
        detail="; ".join(problems),
    )  # fmt: skip


def _interrupts(evidence: Evidence) -> LabCheck:
    """Waiting for a person is an interrupt, never an error."""
    expected = evidence.expected.interrupts
    roots = [root for root in evidence.captured.roots if root.status == "interrupted"]
    return LabCheck(
        name="interrupts", ok=len(roots) == expected, captured=_plural(len(roots), "interrupt"),
        truth=_plural(expected, "interrupt"),
    )  # fmt: skip


def _events(evidence: Evidence) -> LabCheck:
    """Each operation begins once and ends once, after its parent began; calls that were parallel overlap."""
    captured, problems = evidence.captured, []
    for operation in captured.operations:
        what = f"{operation.operation} {operation.name}"
        if (operation.opened, operation.closed) != (1, 1):
            problems.append(f"{what} began {operation.opened} and ended {operation.closed} times")
        parent = captured.by_id.get(operation.parent_span_id or "")
        # Journal times have microseconds and durations come from another clock.
        if parent is not None and operation.start_us < parent.start_us - 2000:
            problems.append(f"{what} began before {parent.operation} {parent.name}")
    overlap = captured.most_calls_at_once
    if overlap < evidence.expected.parallel and evidence.expected.parallel > 1:
        problems.append(f"{overlap} model calls at once, {evidence.expected.parallel} were")
    if evidence.expected.streamed and not all(call.first_chunk_us for call in captured.calls if call.status == "ok"):
        problems.append("no time to first chunk")
    return LabCheck(
        name="events",
        ok=not problems,
        captured=_plural(len(captured.operations), "operation"),
        detail="; ".join(problems),
    )


def _sessions(evidence: Evidence) -> LabCheck:
    """Runs of different sessions do not mix: within a trace there is one session."""
    by_trace: dict[str, set[str | None]] = {}
    for operation in evidence.captured.operations:
        # Beside a span that names a session, a peer's span that names none is not another one's.
        if evidence.observer == "ours" or operation.session is not None:
            by_trace.setdefault(operation.trace_id, set()).add(operation.session)
    mixed = [trace for trace, sessions in by_trace.items() if len(sessions) > 1]
    found = {session for sessions in by_trace.values() for session in sessions if session}
    missing = set(evidence.expected.sessions) - found
    problems = [f"trace {trace} has several sessions" for trace in mixed]
    problems += [f"sessions without a trace: {', '.join(sorted(missing))}"] if missing else []
    return LabCheck(
        name="sessions", ok=not problems, captured=_plural(len(found), "session"), detail="; ".join(problems)
    )


def _conventions(evidence: Evidence) -> LabCheck:
    """The exported spans follow OpenTelemetry's GenAI conventions, field by field."""
    problems = [problem for span in evidence.captured.spans for problem in violations(span)]
    # Ours do all that is asked; a peer only fails by what the conventions require, the rest is said beside it.
    judged = violations if evidence.observer == "ours" else breaches
    ok = not any(judged(span) for span in evidence.captured.spans)
    return LabCheck(
        name="conventions", ok=ok, captured=_plural(len(evidence.captured.spans), "span"),
        detail="; ".join(list(dict.fromkeys(problems))[:10]),
    )  # fmt: skip


def _closed(evidence: Evidence) -> LabCheck:
    """Nothing is left open."""
    left = evidence.report.open
    return LabCheck(name="closed", ok=not left, captured=", ".join(left) or "nothing open", truth="nothing open")


def _loops(evidence: Evidence) -> LabCheck:
    """The loop guard raises no alarm where nobody goes round in a loop."""
    alarms, expected = evidence.captured.alarms, evidence.expected.loops
    ok = len(alarms) == expected
    return LabCheck(
        name="loops", ok=ok, captured=_plural(len(alarms), "alarm"), truth=_plural(expected, "alarm"),
        detail="" if ok else "; ".join(alarms),
    )  # fmt: skip


def _script(evidence: Evidence) -> LabCheck:
    """The program asked the model what the script foresees: no more, no less."""
    unexpected, left = evidence.truth.unexpected, evidence.truth.steps_left
    problems = [f"an unexpected call: {call.error or call.model}"[:300] for call in unexpected]
    problems += [f"never asked for: {step}" for step in left]
    return LabCheck(
        name="script",
        ok=not problems,
        captured=_plural(len(evidence.truth.calls), "request"),
        detail="; ".join(problems),
    )


CHECKS: tuple[Callable[[Evidence], LabCheck], ...] = (
    _unchanged, _script, _coverage, _calls, _tokens, _cost, _trace, _parents, _tools, _status, _interrupts, _events, _sessions,
    _conventions, _closed, _loops,
)  # fmt: skip
"""Every check. Their names are those of ``LabCheck.name``."""


def _compare(name: str, found: Any, true: Any, what: str) -> LabCheck:
    ok = found == true
    return LabCheck(
        name=name,
        ok=ok,
        captured=_words(found),
        truth=_words(true),
        detail="" if ok else f"{what}: {found} captured, {true} true",
    )


def _words(counted: dict[str, int]) -> str:
    return ", ".join(f"{number} {word}" for word, number in counted.items()) or "0"


def _plural(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
