"""The lab's runs over time, and what changed from one to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ai_dev_squad_dashboard.formats import quantity
from ai_dev_squad_dashboard.lab_results import VERDICTS, LabOutcome, LabSummary

from .figures import NAMES, shifted

__all__ = ["LabChange", "PastRun", "history", "tally"]

SHOWN = 20
CHANGES = 40
_OF_THE_MACHINE = frozenset({"ms", "MiB"})


@dataclass(frozen=True)
class LabChange:
    """Something that differs from the run before of the same kind."""

    kind: str
    """``verdict``, ``measure``, ``version`` or ``cell``."""
    scenario: str | None
    """``None`` for a version."""
    framework: str
    what: str
    """What changed: the verdict, a measure's name, or a distribution."""
    before: str | None
    after: str | None
    better: bool | None
    """Whether it became better; ``None`` where there is no better or worse."""


@dataclass(frozen=True)
class PastRun:
    """A run of the lab in the list of runs."""

    id: str
    created_us: int
    observer: str
    model_server: str
    repeat: int
    verdicts: Mapping[str, int]
    shown: bool
    """Whether the matrix above shows this run."""
    compared_with_us: int | None
    """When the run was made that the changes are against; ``None`` for the first of its kind."""
    changes: tuple[LabChange, ...]
    more_changes: int
    """Changes that are left out."""


def history(runs: Sequence[LabSummary], shown: str) -> tuple[PastRun, ...]:
    """The newest runs, newest first, each against the one before with the same observer and model."""
    found = []
    for at, run in enumerate(runs[:SHOWN]):
        before = next((other for other in runs[at + 1 :] if other.kind == run.kind), None)
        changes = tuple(_changes(before, run)) if before is not None else ()
        found.append(
            PastRun(
                id=run.id,
                created_us=run.created_us,
                observer=run.observer,
                model_server=run.model_server,
                repeat=run.repeat,
                verdicts=tally(run.cells),
                shown=run.id == shown,
                compared_with_us=before.created_us if before is not None else None,
                changes=changes[:CHANGES],
                more_changes=max(0, len(changes) - CHANGES),
            )
        )
    return tuple(found)


def tally(cells: Sequence[LabOutcome]) -> dict[str, int]:
    """How many cells have each verdict."""
    return {verdict: sum(cell.verdict == verdict for cell in cells) for verdict in VERDICTS}


def _changes(before: LabSummary, after: LabSummary) -> Iterator[LabChange]:
    old = {(cell.scenario, cell.framework): cell for cell in before.cells}
    new = {(cell.scenario, cell.framework): cell for cell in after.cells}
    for key, cell in new.items():
        if key in old and old[key].verdict != cell.verdict:
            was = old[key].verdict
            better = True if cell.verdict == "passes" else False if was == "passes" else None
            yield LabChange("verdict", *key, "verdict", was, cell.verdict, better)
    yield from _versions(before, after)
    same_machine = before.machine == after.machine
    for key, cell in new.items():
        if key in old:
            yield from _measures(old[key], cell, same_machine=same_machine)
    # A run of some scenarios leaves others out on purpose, so only the whole is told.
    for framework in dict.fromkeys(name for _, name in (*new, *old)):
        added = sum(name == framework for _, name in new.keys() - old.keys())
        gone = sum(name == framework for _, name in old.keys() - new.keys())
        if added:
            yield LabChange("cell", None, framework, "scenarios run", None, f"{added} more", None)
        if gone:
            yield LabChange("cell", None, framework, "scenarios run", f"{gone} more", None, None)


def _versions(before: LabSummary, after: LabSummary) -> Iterator[LabChange]:
    for framework, versions in after.versions.items():
        old = before.versions.get(framework)
        for name in dict.fromkeys((*versions, *old)) if old is not None else ():
            if (old or {}).get(name) != versions.get(name):
                yield LabChange("version", None, framework, name, (old or {}).get(name), versions.get(name), None)


def _measures(before: LabOutcome, after: LabOutcome, *, same_machine: bool) -> Iterator[LabChange]:
    for name, words in NAMES.items():
        was, now = before.measures.get(name), after.measures.get(name)
        if was is None or now is None or (now.unit in _OF_THE_MACHINE and not same_machine) or not shifted(was, now):
            continue
        yield LabChange(
            kind="measure",
            scenario=after.scenario,
            framework=after.framework,
            what=words,
            before=quantity(was.median, was.unit),
            after=quantity(now.median, now.unit),
            better=(now.median > was.median) == (name == "quality"),
        )
