"""What became worse between two runs of the lab, and what became better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ai_dev_squad_dashboard.lab_results import LabCell, LabMeasure, LabResult
from ai_dev_squad_parity.lab.report import MEASURES, quantity

__all__ = ["Change", "Difference", "compare", "text"]

GROWTH = 1.10
"""A measure that grew by less is left alone."""
_RANK: Mapping[str, int] = {"passes": 0, "framework can't": 1, "not installed": 1, "adapter can't": 2, "fails": 3}
_OF_THE_MACHINE = frozenset({"ms", "MiB"})
_NEEDED = 3
"""Values that a quantity which varies from run to run must have on either side to be compared."""


@dataclass(frozen=True)
class Change:
    """Something that changed in a cell."""

    scenario: str
    framework: str
    kind: Literal["verdict", "check", "measure", "cell"]
    before: str
    after: str
    what: str = ""
    """The check or the measure."""


@dataclass(frozen=True)
class Difference:
    """How a run differs from an older one."""

    regressions: tuple[Change, ...]
    improvements: tuple[Change, ...]
    notes: tuple[str, ...] = ()
    """What was not compared, and why."""


def compare(old: LabResult, new: LabResult) -> Difference:
    """Compare two runs, the older first. A regression is a verdict or a check that became worse, a cell that is gone, or a
    measure whose interval lies above the older one's and whose median grew by more than a tenth.
    """
    worse: list[Change] = []
    better: list[Change] = []
    notes = list(_notes(old, new))
    same_machine = old.machine == new.machine
    for before in old.cells:
        after = new.cell(before.scenario, before.framework)
        if after is None:
            worse.append(Change(before.scenario, before.framework, "cell", before.verdict, "gone"))
            continue
        worse += _changes(before, after, same_machine=same_machine)
        better += [_turned(change) for change in _changes(after, before, same_machine=same_machine)]
    known = {(cell.scenario, cell.framework) for cell in old.cells}
    for cell in new.cells:
        if (cell.scenario, cell.framework) not in known:
            better.append(Change(cell.scenario, cell.framework, "cell", "not there", cell.verdict))
    return Difference(tuple(worse), tuple(better), tuple(notes))


def _notes(old: LabResult, new: LabResult) -> Iterator[str]:
    if old.machine != new.machine:
        yield "times and memory are not compared: the runs are of different machines, interpreters or numbers of jobs"
    if (old.observer, old.model_server) != (new.observer, new.model_server):
        yield (
            f"the runs differ in how they were made: observer {old.observer} and {new.observer}, model server "
            f"{old.model_server} and {new.model_server}"
        )
    for framework in old.versions.keys() & new.versions.keys():
        for name, version in sorted(new.versions[framework].items()):
            before = old.versions[framework].get(name)
            if before not in (version, None):
                yield f"{framework}: {name} {before} became {version}"


def _changes(before: LabCell, after: LabCell, *, same_machine: bool) -> Iterator[Change]:
    """What is worse in ``after``."""
    if _RANK[after.verdict] > _RANK[before.verdict]:
        became = f"{after.verdict}: {after.reason}" if after.reason else after.verdict
        yield Change(before.scenario, before.framework, "verdict", before.verdict, became)
    was_ok = {check.name for check in before.checks if check.ok}
    for check in after.checks:
        if not check.ok and check.name in was_ok:
            became = check.detail or f"{check.captured}, not {check.truth}"
            yield Change(before.scenario, before.framework, "check", "ok", became, check.name)
    for name in MEASURES:
        old, new = before.measures.get(name), after.measures.get(name)
        if old is None or new is None or (old.unit in _OF_THE_MACHINE and not same_machine):
            continue
        # More quality is better; of everything else, less.
        if _grew(new, old) if name == "quality" else _grew(old, new):
            yield Change(before.scenario, before.framework, "measure", quantity(old), quantity(new), name)


def _grew(old: LabMeasure, new: LabMeasure) -> bool:
    varies = new.unit in _OF_THE_MACHINE or new.unit == "ratio"
    if varies and min(len(old.values), len(new.values)) < _NEEDED:
        return False
    return new.median > old.median * GROWTH and _low(new) > _high(old)


def _low(measure: LabMeasure) -> float:
    return measure.median if measure.interval is None else measure.interval.low


def _high(measure: LabMeasure) -> float:
    return measure.median if measure.interval is None else measure.interval.high


def _turned(change: Change) -> Change:
    """A change seen from the other side: what is worse in the older run became better."""
    before, after = change.after, change.before
    return Change(change.scenario, change.framework, change.kind, before, after, change.what)


def text(difference: Difference) -> str:
    """The difference in lines for a terminal."""
    lines = [f"regressed  {_line(change)}" for change in difference.regressions]
    lines += [f"better     {_line(change)}" for change in difference.improvements]
    lines += [f"note       {note}" for note in difference.notes]
    found = len(difference.regressions)
    lines.append("no regressions" if not found else f"{found} regression{'' if found == 1 else 's'}")
    return "\n".join(lines)


def _line(change: Change) -> str:
    what = f"{change.kind} {change.what}".rstrip()
    return f"{change.scenario} on {change.framework}, {what}: {change.before} → {change.after}"
