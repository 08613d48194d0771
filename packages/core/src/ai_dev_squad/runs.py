"""Runs as journals tell them: the operations of each trace, how they ended, what they took.

For whoever reads what was written, after the fact or while it grows: the command line, the comparison of runs, tests.
Nothing here is used while a program is observed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ai_dev_squad import attributes as keys
from ai_dev_squad.schema import Cost, ErrorInfo, JournalLine, Usage

__all__ = [
    "MODEL_OPERATIONS",
    "MOST_TOKENS",
    "MOST_USD",
    "OPENING_EVENTS",
    "Run",
    "Runs",
    "Step",
    "duration_of",
    "read_runs",
    "runs_in",
    "step_of",
]

MODEL_OPERATIONS: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
"""The operations that use tokens and cost money."""
MOST_TOKENS: Final = 100_000_000
"""Tokens of one kind in one model call. The largest context windows hold a tenth of that; more is a mistake, hence unknown."""
MOST_USD: Final = 100_000.0
"""What one model call may cost: as many tokens at the highest prices there are."""

OPENING_EVENTS: Final = frozenset({"agent.start", "task.start", "tool.call", "llm.request"})
"""The types of the lines that say that an operation has begun."""
_REFUSALS: Final = frozenset({"BudgetExceeded", "LoopDetected"})
_NO_USAGE: Final = Usage(source="missing")
_LONGEST: Final = timedelta(days=366)


@dataclass(slots=True)
class Step:
    """One operation of a run."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    operation: str
    """``invoke_agent``, ``chat``, ``execute_tool`` and so on, as in ``gen_ai.operation.name``; or ``task``."""
    name: str
    framework: str | None
    agent: str | None
    session_id: str | None
    started: datetime
    """Aware, UTC."""
    status: str
    """How it ended, one of ``schema.Status``; ``open`` when the journal has no end."""
    duration_ms: float | None = None
    model: str | None = None
    """Of a model call, as are the next three: the model that answered, where the provider named it."""
    provider: str | None = None
    usage: Usage = _NO_USAGE
    cost_usd: float | None = None
    """In US dollars; ``None`` when it is unknown, and for everything that is no model call."""
    error: ErrorInfo | None = None
    task: str | None = None
    """The label of the task that the run is about, where the program gave one."""
    resumes: str | None = None
    """The trace that this one goes on with, after an interruption."""

    @property
    def is_call(self) -> bool:
        """Whether it is a call of a model."""
        return self.operation in MODEL_OPERATIONS


def duration_of(line: JournalLine) -> float:
    """How long the operation that ``line`` closes took, in milliseconds: nothing where it doesn't say so, a year at most."""
    return min(max(line.duration_ms or 0.0, 0.0), _LONGEST / timedelta(milliseconds=1))


def step_of(line: JournalLine) -> Step | None:
    """The operation that a line opens or closes; ``None`` for a line that does neither, or has no ids."""
    if line.operation is None or line.trace_id is None or line.span_id is None:
        return None
    if line.status is None and line.event_type not in OPENING_EVENTS:
        return None
    metadata = line.metadata or {}
    step = Step(
        trace_id=line.trace_id,
        span_id=line.span_id,
        parent_span_id=None if line.parent_span_id == line.span_id else line.parent_span_id,
        operation=line.operation,
        name=line.name or line.operation,
        framework=line.framework,
        agent=line.agent_id or (line.name if line.operation == "invoke_agent" else None),
        session_id=line.session_id or _text(metadata.get(keys.CONVERSATION_ID)),
        started=line.timestamp,
        status=line.status or "open",
        error=line.error,
        task=_text(metadata.get(keys.TASK_LABEL)),
        resumes=next((link.trace_id for link in line.links or () if link.type == "resumes"), None),
    )
    if step.is_call:
        step.model = _text(metadata.get(keys.RESPONSE_MODEL)) or line.name
        step.provider = _text(metadata.get(keys.PROVIDER_NAME))
    if line.status is not None:
        step.duration_ms = duration_of(line)
        step.started = line.timestamp - timedelta(milliseconds=step.duration_ms)
        if step.is_call:
            step.usage, step.cost_usd = _taken(line)
    return step


def _taken(line: JournalLine) -> tuple[Usage, float | None]:
    """Tokens and cost; what no model call has is unknown, and a call that was refused cost nothing."""
    usage, cost = line.usage or _NO_USAGE, line.cost
    if any((count or 0) > MOST_TOKENS for count in (usage.input_tokens, usage.output_tokens)):
        usage, cost = _NO_USAGE, cost or Cost(usd=None)
    if cost is None:
        refused = line.error is not None and line.error.type.rpartition(".")[2] in _REFUSALS
        return usage, 0.0 if refused else None
    return usage, cost.usd if cost.usd is not None and 0 <= cost.usd <= MOST_USD else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


@dataclass
class Run:
    """The operations of one trace, in the order in which they started."""

    trace_id: str
    steps: list[Step] = field(default_factory=list)

    @property
    def roots(self) -> list[Step]:
        """The operations whose parent is not here."""
        known = {step.span_id for step in self.steps}
        return [step for step in self.steps if step.parent_span_id not in known]

    @property
    def first(self) -> Step:
        """The operation that the run is called by: the first one that has no parent here."""
        return next(iter(self.roots), self.steps[0])

    @property
    def calls(self) -> list[Step]:
        """The model calls."""
        return [step for step in self.steps if step.is_call]

    @property
    def tools(self) -> list[str]:
        """The names of the tools that were called, in order."""
        return [step.name for step in self.steps if step.operation == "execute_tool"]

    @property
    def errors(self) -> list[Step]:
        """The operations that failed and below which nothing failed: where an error arose."""
        failed = [step for step in self.steps if step.status == "error"]
        above = {step.parent_span_id for step in failed}
        return [step for step in failed if step.span_id not in above]

    @property
    def status(self) -> str:
        """How the run ended: the status of its first root, ``open`` while any root is."""
        statuses = [root.status for root in self.roots]
        return "open" if "open" in statuses else next(iter(statuses), "open")

    @property
    def started(self) -> datetime:
        """When its first operation started."""
        return min(step.started for step in self.steps)

    @property
    def duration_ms(self) -> float | None:
        """From its start to its last end, in milliseconds; ``None`` when nothing has ended."""
        ends = [
            step.started + timedelta(milliseconds=step.duration_ms)
            for step in self.steps
            if step.duration_ms is not None
        ]
        return (max(ends) - self.started) / timedelta(milliseconds=1) if ends else None

    @property
    def input_tokens(self) -> int:
        """The known ones of all model calls."""
        return sum(step.usage.input_tokens or 0 for step in self.calls)

    @property
    def output_tokens(self) -> int:
        """The known ones of all model calls."""
        return sum(step.usage.output_tokens or 0 for step in self.calls)

    @property
    def cost_usd(self) -> float:
        """The known costs of all model calls, in US dollars."""
        return sum(step.cost_usd or 0.0 for step in self.calls)

    @property
    def unpriced_calls(self) -> int:
        """Model calls whose cost is unknown; they are not in ``cost_usd``. Those that are still open are not counted."""
        return sum(step.cost_usd is None and step.status != "open" for step in self.calls)

    @property
    def framework(self) -> str | None:
        """The framework that most operations are of."""
        named = [step.framework for step in self.steps if step.framework]
        return max(named, key=named.count) if named else None

    @property
    def session_id(self) -> str | None:
        """The session it belongs to."""
        return next((step.session_id for step in self.steps if step.session_id), None)

    @property
    def task(self) -> str | None:
        """The label of the task that it is about."""
        return next((step.task for step in self.steps if step.task), None)

    @property
    def resumes(self) -> str | None:
        """The trace that it goes on with, after an interruption."""
        return next((step.resumes for step in self.steps if step.resumes), None)

    def children(self) -> dict[str | None, list[Step]]:
        """The operations below each one, by its span id; those without a parent here below ``None``."""
        known = {step.span_id for step in self.steps}
        below: dict[str | None, list[Step]] = {}
        for step in self.steps:
            below.setdefault(step.parent_span_id if step.parent_span_id in known else None, []).append(step)
        return below


class Runs:
    """Runs that grow line by line. What a line says of an operation twice counts once: the first end is the one."""

    def __init__(self) -> None:
        self._steps: dict[str, dict[str, Step]] = {}

    def add(self, line: JournalLine) -> Step | None:
        """Take a line. Returns the operation that it says something new of."""
        step = step_of(line)
        if step is None:
            return None
        steps = self._steps.setdefault(step.trace_id, {})
        known = steps.get(step.span_id)
        if known is None:
            steps[step.span_id] = step
        elif known.status == "open" and step.status != "open":
            # What opened it may have said more of what it belongs to; when it began, the opening line knows best.
            step.started = min(step.started, known.started)
            step.task, step.resumes = step.task or known.task, step.resumes or known.resumes
            steps[step.span_id] = step
        else:
            return None
        return step

    def __iter__(self) -> Iterator[Run]:
        """The runs, those that started first first."""
        return iter(sorted(map(self._run, self._steps), key=lambda run: run.started))

    def __len__(self) -> int:
        return len(self._steps)

    def get(self, trace_id: str) -> Run | None:
        """The run of a trace."""
        return self._run(trace_id) if trace_id in self._steps else None

    def matching(self, beginning: str) -> list[str]:
        """The trace ids that begin like this, upper or lower case."""
        wanted = beginning.lower()
        return [trace_id for trace_id in self._steps if trace_id.startswith(wanted)]

    def _run(self, trace_id: str) -> Run:
        return Run(trace_id, sorted(self._steps[trace_id].values(), key=lambda step: step.started))


def read_runs(*paths: str | os.PathLike[str]) -> Runs:
    """The runs in journals: directories or files, their rotated files included; lines that cannot be read are left out.

    Raises ``FileNotFoundError`` where there is no journal.
    """
    from ai_dev_squad.events.reader import read_journal

    return runs_in(line for path in paths for line in read_journal(path))


def runs_in(lines: Iterable[JournalLine]) -> Runs:
    """The runs that these lines tell of."""
    runs = Runs()
    for line in lines:
        runs.add(line)
    return runs
