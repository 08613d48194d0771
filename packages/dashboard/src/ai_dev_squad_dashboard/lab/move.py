"""From one framework to another: what the same scenarios take on both, from one run, and what has no counterpart."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ai_dev_squad.frameworks import framework_title
from ai_dev_squad_dashboard.formats import NONE, quantity
from ai_dev_squad_dashboard.lab_results import SIGNS, LabCell, LabMeasure, LabResult, Verdict

from .export import markdown_row, markdown_text
from .figures import NAMES, VARIES, enough, interval_high, interval_low
from .table import versions_of

__all__ = ["MEASURES", "LabMove", "LabMoveRow", "LabTotal", "as_markdown", "move"]

MEASURES: Final[tuple[str, ...]] = ("calls", "tokens", "cost", "wall")
"""What is compared, by the lab's names."""


@dataclass(frozen=True)
class LabTotal:
    """A measure, added up over the scenarios that pass on both and were measured on both."""

    name: str
    """The lab's name of it."""
    title: str
    scenarios: int
    """How many scenarios are in it."""
    before: float
    """The sum of medians, and so is ``after``."""
    after: float
    unit: str
    clear: bool
    """Whether it changed beyond doubt: what varies from run to run needs three repeats, and intervals of the sums that stay apart."""

    @property
    def change(self) -> float | None:
        """As a share of what it was; ``None`` of what was nothing."""
        return (self.after - self.before) / self.before if self.before else None

    @property
    def words(self) -> str:
        """The change as it may be told: in whole percent, ``none``, or that chance may have made it."""
        if self.before == self.after:
            return "none"
        if not self.clear:
            return "not clear"
        return NONE if self.change is None else f"{100 * self.change:+.0f} %".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class LabMoveRow:
    """A scenario on both frameworks."""

    name: str
    title: str
    verdicts: tuple[Verdict | None, Verdict | None]
    """Before and after; ``None`` where it was not run."""
    measures: Mapping[str, tuple[LabMeasure, LabMeasure]]
    """The lab's name of a measure → before and after; only where both pass and both were measured."""
    reason: str
    """Why the framework that is moved to has no counterpart, or why it does not pass; empty where it does."""
    source: str
    """The page that says so."""
    note: str
    """What the framework that is moved to does otherwise."""
    programs: tuple[str, str]
    """The sources of both programs."""

    @property
    def passes(self) -> bool:
        """Whether both do."""
        return self.verdicts == ("passes", "passes")

    @property
    def lost(self) -> bool:
        """Whether it is there before, and not after."""
        return self.verdicts[0] == "passes" and self.verdicts[1] != "passes"

    @property
    def difference(self) -> str:
        """What changes in the program, as a unified diff."""
        before, after = (text.splitlines(keepends=True) for text in self.programs)
        return "".join(difflib.unified_diff(before, after, "before", "after"))

    @property
    def lines(self) -> tuple[int, int]:
        """How many lines of the program go, and how many come; what is blank does not count."""
        before, after = ([line for line in text.splitlines() if line.strip()] for text in self.programs)
        same = sum(
            block.size for block in difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
        )
        return len(before) - same, len(after) - same


@dataclass(frozen=True)
class LabMove:
    """A move from one framework to another, scenario by scenario."""

    before: str
    """The framework's name, and so is ``after``."""
    after: str
    versions: tuple[str, str]
    """Of each framework; empty where it is not known."""
    rows: tuple[LabMoveRow, ...]

    @property
    def totals(self) -> tuple[LabTotal, ...]:
        """The sums of each measure that scenarios have that pass on both."""
        pairs = {name: [row.measures[name] for row in self.rows if name in row.measures] for name in MEASURES}
        return tuple(_total(name, several) for name, several in pairs.items() if several)

    @property
    def without_counterpart(self) -> tuple[LabMoveRow, ...]:
        """What is there before, and not after."""
        return tuple(row for row in self.rows if row.lost)


def move(result: LabResult, before: str, after: str) -> LabMove:
    """What moving from ``before`` to ``after`` changes, by the cells that a run has. Raises ``ValueError`` for what it has none of."""
    known = tuple(dict.fromkeys(cell.framework for cell in result.cells))
    for name in (before, after):
        if name not in known:
            raise ValueError(
                f"the run has no cells of {name!r}, only of {', '.join(known) or 'nothing'}; "
                f"`ai-dev-squad parity run --framework {before} --framework {after}` makes them"
            )
    versions = tuple(versions_of([result], (name, result.observer))[0] or "" for name in (before, after))
    return LabMove(before, after, (versions[0], versions[1]), tuple(_rows(result, before, after)))


def _rows(result: LabResult, before: str, after: str) -> Iterator[LabMoveRow]:
    for scenario in result.scenarios:
        old, new = result.cell(scenario.name, before), result.cell(scenario.name, after)
        if old is None and new is None:
            continue
        passing = new is not None and new.verdict == "passes"
        yield LabMoveRow(
            name=scenario.name,
            title=scenario.title or scenario.name,
            verdicts=(None if old is None else old.verdict, None if new is None else new.verdict),
            measures=_measures(old, new),
            reason="" if new is None or passing else new.reason,
            source="" if new is None else new.link or "",
            note="" if new is None else new.note,
            programs=(scenario.programs.get(before, ""), scenario.programs.get(after, "")),
        )


def _measures(old: LabCell | None, new: LabCell | None) -> dict[str, tuple[LabMeasure, LabMeasure]]:
    if old is None or new is None or (old.verdict, new.verdict) != ("passes", "passes"):
        return {}
    both = (name for name in MEASURES if name in old.measures and name in new.measures)
    return {name: (old.measures[name], new.measures[name]) for name in both}


def _total(name: str, pairs: Sequence[tuple[LabMeasure, LabMeasure]]) -> LabTotal:
    before, after = zip(*pairs, strict=True)
    sums = [sum(one.median for one in side) for side in (before, after)]
    unit = pairs[0][0].unit
    clear = sums[0] != sums[1]
    if unit in VARIES:
        (low, high), (new_low, new_high) = _interval(before), _interval(after)
        clear = enough(unit, *before, *after) and (high < new_low or new_high < low)
    return LabTotal(name, NAMES[name], len(pairs), sums[0], sums[1], unit, clear)


def _interval(side: Sequence[LabMeasure]) -> tuple[float, float]:
    """The interval of a sum. The cells were measured independently, so their deviations add up as squares."""
    middle = sum(one.median for one in side)
    below, above = (math.hypot(*(edge(one) - one.median for one in side)) for edge in (interval_low, interval_high))
    return middle - below, middle + above


def as_markdown(found: LabMove) -> str:
    """A page: the sums, each scenario, what has no counterpart, and what is done otherwise."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: LabMove) -> Iterator[str]:
    names = [f"{framework_title(name)} {version}".rstrip() for name, version in zip((found.before, found.after), found.versions, strict=True)]  # fmt: skip
    before, after = map(markdown_text, names)
    both = sum(row.passes for row in found.rows)
    yield f"# {before} → {after}\n"
    yield f"{both} of {len(found.rows)} scenarios pass on both.\n"
    yield markdown_row("Measure", "Scenarios", before, after, "Change")
    yield markdown_row("---", "--:", "--:", "--:", "--:")
    for total in found.totals:
        sums = (quantity(value, total.unit) for value in (total.before, total.after))
        yield markdown_row(total.title, str(total.scenarios), *sums, total.words)
    yield ""
    yield markdown_row("Scenario", "Before", "After", "Lines", *(NAMES[name] for name in MEASURES))
    yield markdown_row("---", "---", "---", *("--:" for _ in ("lines", *MEASURES)))
    for row in found.rows:
        signs = ("not run" if word is None else f"{SIGNS[word]} {word}" for word in row.verdicts)
        yield markdown_row(markdown_text(row.title), *signs, _lines_of(row), *(_pair(row, name) for name in MEASURES))
    if found.without_counterpart:
        yield "\n## What has no counterpart\n"
        for row in found.without_counterpart:
            yield f"- {markdown_text(row.title)}: {markdown_text(row.reason or 'it was not run')} {row.source}".rstrip()
    notes = [row for row in found.rows if row.note]
    if notes:
        yield "\n## What is done otherwise\n"
        yield from (f"- {markdown_text(row.title)}: {markdown_text(row.note)}" for row in notes)


def _pair(row: LabMoveRow, name: str) -> str:
    if name not in row.measures:
        return NONE
    old, new = row.measures[name]
    words = [quantity(one.median, one.unit) for one in (old, new)]
    return words[0] if words[0] == words[1] else f"{words[0]} → {words[1]}"


def _lines_of(row: LabMoveRow) -> str:
    gone, come = row.lines
    return f"\N{MINUS SIGN}{gone} +{come}" if all(row.programs) else NONE
