"""Runs as they grow: journals are followed, and each look says which runs changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from ai_dev_squad.events.finder import JournalFinder
from ai_dev_squad.events.follow import JournalFollower
from ai_dev_squad.runs import Runs

if TYPE_CHECKING:
    from types import TracebackType

    from ai_dev_squad.runs import Run

__all__ = ["Totals", "Watch"]

_LINES: Final = 5_000
"""Lines that are read at one look, so that a long journal does not keep the screen waiting."""


class Totals:
    """What all runs took so far."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = len(runs)
        self.open = sum(run.status == "open" for run in runs)
        self.failed = sum(run.status == "error" for run in runs)
        self.calls = sum(len(run.calls) for run in runs)
        self.tokens = sum(run.input_tokens + run.output_tokens for run in runs)
        self.cost_usd = sum(run.cost_usd for run in runs)
        self.unpriced_calls = sum(run.unpriced_calls for run in runs)


class Watch:
    """Follows the journals in directories, also those that are made later. Not for several threads at once."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._finder = JournalFinder(paths)
        self._followers: dict[Path, JournalFollower] = {}
        self._opened = ExitStack()
        self._runs = Runs()
        self._known: dict[str, Run] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._opened.close()

    def read(self) -> set[str]:
        """Take what is new. Returns the ids of the runs that changed."""
        for journal in self._finder.find().journals:
            if journal not in self._followers:
                self._followers[journal] = self._opened.enter_context(JournalFollower(journal))
        changed: set[str] = set()
        for follower in self._followers.values():
            for line in follower.read(_LINES):
                step = self._runs.add(line)
                if step is not None:
                    changed.add(step.trace_id)
        for trace_id in changed:
            run = self._runs.get(trace_id)
            if run is not None:
                self._known[trace_id] = run
        return changed

    def runs(self, words: str = "", *, failed: bool = False) -> list[Run]:
        """The runs, the newest first, that have all ``words`` in their names; ``failed``: in which something failed."""
        asked = words.lower().split()
        found = [
            run
            for run in self._known.values()
            if (not failed or run.errors) and all(word in _said(run) for word in asked)
        ]
        return sorted(found, key=lambda run: (run.started, run.trace_id), reverse=True)


def _said(run: Run) -> str:
    """What a run can be found by."""
    names: list[Any] = [run.trace_id, run.framework, run.session_id, run.task, run.status]
    names += [part for step in run.steps for part in (step.name, step.agent, step.model)]
    return " ".join(str(name) for name in names if name).lower()
