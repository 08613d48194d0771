"""What the parity lab found, read from the files that it leaves beside the journals.

``<log directory>/parity/parity.json`` is the newest run, ``parity-*.json`` beside it are runs through other instrumentations, and
``history/*.json`` are earlier ones; ``providers.json`` is the newest table of providers. The lab writes them (``ai-dev-squad parity run``); it need not be installed here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Generic, TypeVar

from ai_dev_squad_dashboard.lab_results import (
    LabProviders,
    LabResult,
    LabSummary,
    ResultsError,
    load,
    load_providers,
    load_summary,
)

__all__ = ["FileProblem", "read_providers", "read_result", "read_summaries"]

MAX_RUNS: Final = 50


@dataclass(frozen=True)
class FileProblem:
    """A file that cannot be shown."""

    path: str
    message: str
    """What is wrong with it, and the cure."""


T = TypeVar("T", LabSummary, LabResult, LabProviders)


class _Cache(Generic[T]):
    """Files as they were read last, as long as they are the same; the least lately used ones go."""

    def __init__(self, load: Callable[[Path], T], size: int) -> None:
        self._load: Callable[[Path], T] = load
        self._size = size
        self._lock = threading.Lock()
        self._held: OrderedDict[Path, tuple[tuple[int, int, int], T | FileProblem]] = OrderedDict()

    def read(self, path: Path) -> T | FileProblem | None:
        """The file, or why not; ``None`` where there is none."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return FileProblem(str(path), f"cannot be looked at ({error.strerror}); correct its permissions")
        mark = (found.st_mtime_ns, found.st_size, found.st_ino)
        with self._lock:
            held = self._held.get(path)
            if held is not None and held[0] == mark:
                self._held.move_to_end(path)
                return held[1]
        answer: T | FileProblem
        try:
            answer = self._load(path)
        except ResultsError as error:
            answer = FileProblem(str(path), error.problem)
        with self._lock:
            self._held[path] = (mark, answer)
            self._held.move_to_end(path)
            while len(self._held) > self._size:
                self._held.popitem(last=False)
        return answer


_summaries: Final = _Cache(load_summary, 4 * MAX_RUNS)
_results: Final = _Cache(load, 4)
_providers: Final = _Cache(load_providers, 4)


def read_summaries(logs: Iterable[Path]) -> tuple[tuple[LabSummary, ...], tuple[FileProblem, ...]]:
    """The lab's runs below these log directories, newest first and each once, and the files that are none."""
    found: dict[str, LabSummary] = {}
    problems: list[FileProblem] = []
    for path in _files(logs):
        answer = _summaries.read(path)
        if isinstance(answer, FileProblem):
            problems.append(answer)
        elif answer is not None:
            # The newest run is kept in the history as well.
            found.setdefault(answer.id, replace(answer, path=str(path)))
    ordered = sorted(found.values(), key=lambda run: run.created_us, reverse=True)
    return tuple(ordered), tuple(problems)


def read_result(run: LabSummary) -> LabResult | FileProblem:
    """Everything of a run."""
    answer = _results.read(Path(run.path))
    return FileProblem(run.path, "is gone; run the lab again") if answer is None else answer


def read_providers(logs: Iterable[Path]) -> tuple[LabProviders | None, tuple[FileProblem, ...]]:
    """The newest table of providers below these log directories, and the files that are none."""
    answers = [_providers.read(directory / "parity" / "providers.json") for directory in logs]
    tables = [answer for answer in answers if isinstance(answer, LabProviders)]
    newest = max(tables, key=lambda table: table.created_us, default=None)
    return newest, tuple(answer for answer in answers if isinstance(answer, FileProblem))


def _files(logs: Iterable[Path]) -> Iterator[Path]:
    for directory in logs:
        folder = directory / "parity"
        yield folder / "parity.json"
        yield from _newest(folder, "parity-*.json")
        yield from _newest(folder / "history", "*.json")


def _newest(folder: Path, pattern: str) -> list[Path]:
    # The lab names them by their moment.
    return sorted(folder.glob(pattern), reverse=True)[:MAX_RUNS] if folder.is_dir() else []
