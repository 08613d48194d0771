"""What is observed in a block, kept in memory; and a runtime that knows nothing any more.

>>> with capture() as captured:
...     my_graph.invoke(...)
>>> captured.tree()
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ai_dev_squad import guard, operations, runtime
from ai_dev_squad.runs import OPENING_EVENTS, Run, Step, runs_in
from ai_dev_squad.schema import EventType, JournalLine
from ai_dev_squad.wire import claims
from ai_dev_squad.wire.coverage import SELF_CHECK

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["Captured", "capture", "reset"]


class MemoryJournal:
    """A journal that keeps its lines in a list."""

    def __init__(self, lines: list[JournalLine]) -> None:
        self._lines = lines

    def write(self, line: JournalLine) -> None:
        """Keep it, unless it belongs to the process rather than to the block: what the wire says once a minute of its calls."""
        if line.event_type != EventType.WIRE_COVERAGE:
            self._lines.append(line)

    def flush(self, timeout: float | None = None) -> bool:
        """Nothing to wait for."""
        return True

    def close(self, timeout: float | None = None) -> bool:
        """Nothing to close."""
        return True


@dataclass
class Captured:
    """What was observed inside a ``capture`` block."""

    lines: list[JournalLine] = field(default_factory=list)
    """Every journal line, in order, but for ``wire.coverage``, which would be there in a slow block only."""
    spans: list[ReadableSpan] = field(default_factory=list)
    """Every finished span; empty unless ``capture(spans=True)``."""

    def closing(self, operation: str | None = None) -> list[JournalLine]:
        """The lines that ended an operation, in order; of one kind of operation if given."""
        return [line for line in self.lines if line.status and line.operation and operation in {None, line.operation}]

    def opening(self) -> list[JournalLine]:
        """The lines that started an operation, in order."""
        return [line for line in self.lines if line.operation and not line.status and line.event_type in OPENING_EVENTS]

    # --- for plain assertions: `assert observed.calls == 2` -----------------------------------------------------------

    @property
    def runs(self) -> list[Run]:
        """The runs, by start."""
        return list(runs_in(self.lines))

    @property
    def calls(self) -> int:
        """How many model calls there were."""
        return sum(len(run.calls) for run in self.runs)

    @property
    def tools(self) -> list[str]:
        """The names of the tools that were called, in the order in which they started."""
        steps = [step for run in self.runs for step in run.steps if step.operation == "execute_tool"]
        return [step.name for step in sorted(steps, key=lambda step: step.started)]

    @property
    def tokens(self) -> int:
        """Tokens read and written by all model calls. Raises ``AssertionError`` where a call's are unknown."""
        self._all_known("tokens", [step for run in self.runs for step in run.calls if step.usage.source == "missing"])
        return sum(run.input_tokens + run.output_tokens for run in self.runs)

    @property
    def cost_usd(self) -> float:
        """What all model calls cost, in US dollars. Raises ``AssertionError`` where a call has no known cost: unknown
        is not zero.
        """
        self._all_known("cost", [step for run in self.runs for step in run.calls if step.cost_usd is None])
        return sum(run.cost_usd for run in self.runs)

    @property
    def duration_ms(self) -> float:
        """What the longest run took, in milliseconds."""
        return max((run.duration_ms or 0.0 for run in self.runs), default=0.0)

    @property
    def status(self) -> str:
        """How the runs ended: ``ok``, or the status of the first that ended otherwise."""
        return next((run.status for run in self.runs if run.status != "ok"), "ok")

    @property
    def loops(self) -> list[str]:
        """What was told of agents that go round."""
        return [line.message for line in self.lines if line.event_type == EventType.AGENT_LOOP]

    def _all_known(self, what: str, unknown: list[Step]) -> None:
        if unknown:
            names = ", ".join(sorted({step.name for step in unknown}))
            raise AssertionError(
                f"the {what} of {len(unknown)} of {self.calls} model calls is unknown ({names}); look at their status, or set a price"
            )

    def tree(self) -> str:
        """The operations as an indented text, one a line: what, name, status. Siblings in the order they started."""
        begun, ended = self.opening(), {line.span_id: line for line in self.closing()}
        known = {line.span_id for line in begun}
        below: dict[str | None, list[JournalLine]] = {}
        for line in begun:
            below.setdefault(line.parent_span_id if line.parent_span_id in known else None, []).append(line)

        def render(parent: str | None, depth: int) -> Iterator[str]:
            for line in below.get(parent, ()):
                end = ended.get(line.span_id)
                yield f"{'  ' * depth}{line.operation} {line.name}: {end.status if end else 'open'}"
                yield from render(line.span_id, depth + 1)

        return "\n".join(render(None, 0))


@contextmanager
def capture(*, spans: bool = False, **settings: Any) -> Iterator[Captured]:
    """Observe into memory. Inside the block a failure of ours raises; afterwards the runtime is as it was before.

    ``spans`` also records OpenTelemetry spans; the other arguments are settings, as for ``configure``.
    """
    from ai_dev_squad import StructuredLogger

    captured = Captured()
    before = runtime.exchange(None, {})
    strict = guard.set_strict(True)
    claims.forget()  # a scripted server gives each run of a test the same ids
    try:
        runtime.configure(**{"journal": False, "handle_sigterm": False, **settings})
        built = runtime.pipeline()
        logger = StructuredLogger(
            built.settings.log_dir, journal=MemoryJournal(captured.lines), redactor=built.redactor
        )
        runtime.exchange(built.with_logger(logger), dict(settings))
        if spans:
            built.tracing.add_span_processor(_into(captured.spans))
        yield captured
    finally:
        SELF_CHECK.untold()  # what a program says of its calls at its end is no line of what was observed in the block
        runtime.shutdown(0)
        guard.set_strict(strict)
        runtime.exchange(*before)


def _into(finished: list[ReadableSpan]) -> Any:
    from opentelemetry.sdk.trace import SpanProcessor

    class Keep(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            finished.append(span)

    return Keep()


def reset() -> None:
    """Forget everything that was configured, observed or reported in this process."""
    runtime.shutdown(1)
    runtime.exchange(None, {})
    operations.abandon_open_operations()
    guard.forget()
