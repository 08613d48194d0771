"""What the parity lab found, read from the files that it leaves beside the journals.

``<log directory>/parity/parity.json`` is the newest run, ``parity-*.json`` beside it are runs through other instrumentations, and
``history/*.json`` are earlier ones. The lab writes them (``ai-dev-squad parity run``); it need not be installed here.
"""

from __future__ import annotations

import stat
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec

from ai_dev_squad_dashboard.json_depth import MAX_DEPTH, is_too_deep

__all__ = [
    "VERDICTS",
    "FileProblem",
    "LabCall",
    "LabCell",
    "LabCheck",
    "LabMeasure",
    "LabNode",
    "LabOutcome",
    "LabResult",
    "LabRun",
    "LabScenario",
    "LabSummary",
    "Verdict",
    "read_result",
    "read_summaries",
]

VERSION: Final = 1
MAX_BYTES: Final = 32 * 1024 * 1024
MAX_RUNS: Final = 50

Verdict = Literal["passes", "adapter can't", "framework can't", "fails"]
VERDICTS: Final[tuple[Verdict, ...]] = ("passes", "adapter can't", "framework can't", "fails")


@dataclass(frozen=True)
class LabInterval:
    """A bootstrap interval of a median, 95 %."""

    low: float
    high: float


@dataclass(frozen=True)
class LabMeasure:
    """One measured quantity over the repeats of a cell."""

    median: float
    values: tuple[float, ...]
    unit: str
    """``ms``, ``tokens``, ``USD``, ``calls``, ``MiB`` or ``ratio``."""
    interval: LabInterval | None = None


@dataclass(frozen=True)
class LabCheck:
    """One thing that was checked."""

    name: str
    ok: bool
    captured: str = ""
    truth: str = ""
    detail: str = ""
    """What is wrong, field by field."""


@dataclass(frozen=True)
class LabCall:
    """A model call as it was captured, or as the model server knows it."""

    model: str
    role: str | None = None
    agent: str | None = None
    status: str = "ok"
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True)
class LabNode:
    """An operation of a captured run, with what is below it, by start."""

    operation: str
    name: str
    status: str
    span_id: str
    start_ms: float
    duration_ms: float
    children: tuple[LabNode, ...] = ()


@dataclass(frozen=True)
class LabOutcome:
    """What a list of runs needs of a cell."""

    scenario: str
    framework: str
    verdict: Verdict
    reason: str = ""
    measures: dict[str, LabMeasure] = field(default_factory=dict)


@dataclass(frozen=True)
class LabCell(LabOutcome):
    """A scenario on a framework: the verdict with its evidence."""

    source: str = ""
    note: str = ""
    checks: tuple[LabCheck, ...] = ()
    captured: tuple[LabCall, ...] = ()
    truth: tuple[LabCall, ...] = ()
    tree: tuple[LabNode, ...] = ()
    trace_ids: tuple[str, ...] = ()
    output: str = ""


@dataclass(frozen=True)
class LabScenario:
    """A scenario's words and its programs."""

    name: str
    title: str = ""
    purpose: str = ""
    spec: str = ""
    programs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LabRun:
    """How the lab ran, without what it found."""

    version: int
    created: str
    observer: str = "ours"
    model_server: str = "scripted"
    repeat: int = 0
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def created_us(self) -> int:
        """When, in microseconds since 1970."""
        return _created(self.created)

    @property
    def id(self) -> str:
        """Names the run in a URL."""
        return self.created if self.observer == "ours" else f"{self.created}-{self.observer}"

    @property
    def kind(self) -> tuple[str, str]:
        """What two runs share that can be compared."""
        return self.observer, self.model_server


@dataclass(frozen=True, kw_only=True)
class LabSummary(LabRun):
    """A run as the history needs it."""

    cells: tuple[LabOutcome, ...] = ()
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class LabResult(LabRun):
    """A run with everything."""

    scenarios: tuple[LabScenario, ...] = ()
    cells: tuple[LabCell, ...] = ()


@dataclass(frozen=True)
class FileProblem:
    """A file that cannot be shown."""

    path: str
    message: str
    """What is wrong with it, and the cure."""


class _FileError(ValueError):
    pass


T = TypeVar("T", LabSummary, LabResult)


class _Cache(Generic[T]):
    """Files as they were read last, as long as they are the same; the least lately used ones go."""

    def __init__(self, kind: type[T], size: int) -> None:
        self._kind: type[T] = kind
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
            answer = _decode(path, found.st_mode, found.st_size, self._kind)
        except _FileError as error:
            answer = FileProblem(str(path), str(error))
        with self._lock:
            self._held[path] = (mark, answer)
            self._held.move_to_end(path)
            while len(self._held) > self._size:
                self._held.popitem(last=False)
        return answer


_summaries: Final = _Cache(LabSummary, 4 * MAX_RUNS)
_results: Final = _Cache(LabResult, 4)


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


def _files(logs: Iterable[Path]) -> Iterator[Path]:
    for directory in logs:
        folder = directory / "parity"
        yield folder / "parity.json"
        yield from _newest(folder, "parity-*.json")
        yield from _newest(folder / "history", "*.json")


def _newest(folder: Path, pattern: str) -> list[Path]:
    # The lab names them by their moment.
    return sorted(folder.glob(pattern), reverse=True)[:MAX_RUNS] if folder.is_dir() else []


def _decode(path: Path, mode: int, size: int, kind: type[T]) -> T:
    again = "`ai-dev-squad parity run` writes a new one"
    if not stat.S_ISREG(mode):
        raise _FileError(f"is no file; remove it, and {again}")
    if size > MAX_BYTES:
        raise _FileError(f"has {size / 2**20:.0f} MiB, at most {MAX_BYTES // 2**20} are read; remove it, and {again}")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if is_too_deep(data):
            raise _FileError(f"is no result of the lab (nested deeper than {MAX_DEPTH}); remove it, and {again}")
        version = msgspec.json.decode(data, type=_Version).version
        if version > VERSION:
            raise _FileError(f"is of version {version}, this dashboard reads {VERSION}; update ai-dev-squad-dashboard")
        run = msgspec.json.decode(data, type=kind)
        _created(run.created)
    except OSError as error:
        raise _FileError(f"cannot be read ({error.strerror}); correct its permissions") from error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _FileError(f"is no result of the lab ({error}); remove it, and {again}") from error
    return run


class _Version(msgspec.Struct):
    version: int


def _created(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
        return int(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError, OSError):
        raise _FileError(f"was created at {text[:40]!r}, which is no moment; run the lab again") from None
