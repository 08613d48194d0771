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
from ai_dev_squad.schema import JournalLine
from ai_dev_squad.wire.coverage import SELF_CHECK

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["Captured", "capture", "reset"]


class MemoryJournal:
    """A journal that keeps its lines in a list."""

    def __init__(self, lines: list[JournalLine]) -> None:
        self.write = lines.append

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
    """Every journal line, in order."""
    spans: list[ReadableSpan] = field(default_factory=list)
    """Every finished span; empty unless ``capture(spans=True)``."""

    def closing(self, operation: str | None = None) -> list[JournalLine]:
        """The lines that ended an operation, in order; of one kind of operation if given."""
        return [line for line in self.lines if line.status and line.operation and operation in {None, line.operation}]

    def opening(self) -> list[JournalLine]:
        """The lines that started an operation, in order."""
        return [line for line in self.lines if line.operation and not line.status and line.event_type in _OPENING]

    def tree(self) -> str:
        """The operations as an indented text, one a line: what, name, status. Siblings in the order they started."""
        ended = {line.span_id: line for line in self.closing()}
        below: dict[str | None, list[JournalLine]] = {}
        for line in self.opening():
            parent = line.parent_span_id if line.parent_span_id in {other.span_id for other in self.opening()} else None
            below.setdefault(parent, []).append(line)

        def render(parent: str | None, depth: int) -> Iterator[str]:
            for line in below.get(parent, ()):
                end = ended.get(line.span_id)
                yield f"{'  ' * depth}{line.operation} {line.name}: {end.status if end else 'open'}"
                yield from render(line.span_id, depth + 1)

        return "\n".join(render(None, 0))


_OPENING = frozenset({"agent.start", "task.start", "tool.call", "llm.request"})


@contextmanager
def capture(*, spans: bool = False, **settings: Any) -> Iterator[Captured]:
    """Observe into memory. Inside the block a failure of ours raises; afterwards the runtime is as it was before.

    ``spans`` also records OpenTelemetry spans; the other arguments are settings, as for ``configure``.
    """
    from ai_dev_squad import StructuredLogger

    captured = Captured()
    before = runtime.exchange(None, {})
    strict = guard.set_strict(True)
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
