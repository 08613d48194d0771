"""What a run of the parity lab found: the records, and the file that they are kept in.

The lab writes it (``save``), the dashboard and the lab read it (``load``). Neither knows another description of it.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from ai_dev_squad.json_depth import MAX_DEPTH, is_too_deep

__all__ = [
    "MAX_BYTES",
    "SIGNS",
    "VERDICTS",
    "VERSION",
    "LabCall",
    "LabCell",
    "LabCheck",
    "LabInterval",
    "LabMeasure",
    "LabNode",
    "LabOutcome",
    "LabProvider",
    "LabProviderCell",
    "LabProviders",
    "LabResult",
    "LabRun",
    "LabScenario",
    "LabSummary",
    "ResultsError",
    "Verdict",
    "load",
    "load_providers",
    "load_summary",
    "save",
]

VERSION: Final = 1
MAX_BYTES: Final = 32 * 1024 * 1024

Verdict = Literal["passes", "adapter can't", "framework can't", "not installed", "fails"]
VERDICTS: Final[tuple[Verdict, ...]] = ("passes", "adapter can't", "framework can't", "not installed", "fails")
SIGNS: Final[Mapping[Verdict, str]] = {
    "passes": "✓",
    "adapter can't": "◐",
    "framework can't": "○",
    "not installed": "∅",
    "fails": "✗",
}
"""A sign for each verdict, so that no reader needs colour; the words stand beside it."""


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
    """``None`` where all values are equal, or there is only one."""


@dataclass(frozen=True)
class LabCheck:
    """One thing that was checked."""

    name: str
    """``answer``, ``script``, ``coverage``, ``calls``, ``tokens``, ``cost``, ``trace``, ``parents``, ``tools``, ``status``, ``interrupts``, ``events``,
    ``sessions``, ``conventions`` or ``closed``."""
    ok: bool
    captured: str = ""
    """What was captured, for a reader."""
    truth: str = ""
    """What is true, for a reader."""
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
    """Since the start of the run."""
    duration_ms: float
    children: tuple[LabNode, ...] = ()


@dataclass(frozen=True)
class LabOutcome:
    """What a list of runs needs of a cell."""

    scenario: str
    framework: str
    verdict: Verdict
    reason: str = ""
    """Why it is not ``passes``."""
    measures: dict[str, LabMeasure] = field(default_factory=dict)
    """``wall``, ``framework`` (wall without model and tools), ``observation`` (observed / unobserved), ``calls``, ``tokens``, ``cost``,
    ``memory``, ``import``, ``quality``."""


@dataclass(frozen=True)
class LabCell(LabOutcome):
    """A scenario on a framework: the verdict with its evidence."""

    source: str = ""
    """The framework's own documentation or issue, where the framework cannot."""
    note: str = ""
    checks: tuple[LabCheck, ...] = ()
    captured: tuple[LabCall, ...] = ()
    truth: tuple[LabCall, ...] = ()
    tree: tuple[LabNode, ...] = ()
    trace_ids: tuple[str, ...] = ()
    output: str = ""
    """The last lines of what the process printed, where it failed."""

    @property
    def link(self) -> str | None:
        """``source`` where it is a web address: what is none is no link."""
        return self.source if self.source.startswith(("https://", "http://")) else None


@dataclass(frozen=True)
class LabScenario:
    """A scenario's words and its programs."""

    name: str
    title: str = ""
    purpose: str = ""
    spec: str = ""
    """The source of ``spec.py``."""
    programs: dict[str, str] = field(default_factory=dict)
    """Framework → the source of its program."""


@dataclass(frozen=True, kw_only=True)
class LabRun:
    """How the lab ran, without what it found."""

    version: int
    created: str
    """ISO 8601, UTC."""
    observer: str = "ours"
    """``ours``, ``openinference`` or ``openllmetry``."""
    model_server: str = "scripted"
    """``scripted``, or the address of a real model."""
    repeat: int = 0
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    """Framework → distribution → version."""

    @property
    def created_us(self) -> int:
        """When, in microseconds since 1970. Raises ``ValueError`` where ``created`` is no moment."""
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

    def cell(self, scenario: str, framework: str) -> LabCell | None:
        """The cell of a scenario and a framework."""
        found = (cell for cell in self.cells if (cell.scenario, cell.framework) == (scenario, framework))
        return next(found, None)


@dataclass(frozen=True)
class LabProviderCell(LabCell):
    """A provider in a framework, through its real client library: ``scenario`` names the provider."""

    streamed: bool = False
    client: dict[str, str] = field(default_factory=dict)
    """Distribution → version of what spoke to the provider."""


@dataclass(frozen=True)
class LabProvider:
    """A row of the table of providers."""

    name: str
    title: str
    wire: str = ""
    """Which interface is spoken."""
    model: str = ""


@dataclass(frozen=True, kw_only=True)
class LabProviders(LabRun):
    """The table of providers: provider, framework, plain or streamed."""

    providers: tuple[LabProvider, ...] = ()
    cells: tuple[LabProviderCell, ...] = ()

    def cell(self, provider: str, framework: str, *, streamed: bool) -> LabProviderCell | None:
        """The cell of a provider and a framework."""
        wanted = provider, framework, streamed
        return next((cell for cell in self.cells if (cell.scenario, cell.framework, cell.streamed) == wanted), None)


class ResultsError(ValueError):
    """A file that is no result of the lab, or cannot be read. ``problem`` says what is wrong with it, and the cure."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} {problem}")
        self.problem = problem


def save(result: LabResult | LabProviders, path: Path) -> None:
    """Write ``result`` as JSON. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))


def load(path: Path) -> LabResult:
    """Read a result with everything. Raises ``ResultsError``."""
    return _decode(path, LabResult)


def load_summary(path: Path) -> LabSummary:
    """Read a result as a list of runs needs it. Raises ``ResultsError``."""
    return _decode(path, LabSummary)


def load_providers(path: Path) -> LabProviders:
    """Read a table of providers. Raises ``ResultsError``."""
    return _decode(path, LabProviders)


T = TypeVar("T", LabSummary, LabResult, LabProviders)


def _decode(path: Path, kind: type[T]) -> T:
    again = "`ai-dev-squad parity run` writes a new one"
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise ResultsError(path, "is not there; `ai-dev-squad parity run --output DIR` writes one") from error
    except OSError as error:
        raise ResultsError(path, f"cannot be looked at ({error.strerror}); correct its permissions") from error
    size = found.st_size
    if not stat.S_ISREG(found.st_mode):
        raise ResultsError(path, f"is no file; remove it, and {again}")
    if size > MAX_BYTES:
        raise ResultsError(
            path, f"has {size / 2**20:.0f} MiB, at most {MAX_BYTES // 2**20} are read; remove it, and {again}"
        )
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if is_too_deep(data):
            raise ResultsError(
                path, f"is no result of the lab (nested deeper than {MAX_DEPTH}); remove it, and {again}"
            )
        version = msgspec.json.decode(data, type=_Version).version
        if version > VERSION:
            raise ResultsError(
                path, f"is of version {version}, this dashboard reads {VERSION}; update ai-dev-squad-dashboard"
            )
        run = msgspec.json.decode(data, type=kind)
    except OSError as error:
        raise ResultsError(path, f"cannot be read ({error.strerror}); correct its permissions") from error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ResultsError(path, f"is no result of the lab ({error}); remove it, and {again}") from error
    try:
        run.created_us  # noqa: B018 - a moment that cannot be read is told here, not where it is shown
    except ValueError as error:
        raise ResultsError(path, str(error)) from None
    return run


class _Version(msgspec.Struct):
    version: int


def _created(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
        return int(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"was created at {text[:40]!r}, which is no moment; run the lab again") from None
