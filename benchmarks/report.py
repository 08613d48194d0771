"""What every benchmark prints: a table, the targets beside what was measured, and the versions."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

__all__ = ["Report", "Target", "main", "paired_ratio", "parser"]


@dataclass
class Target:
    """A promise of the product and what this run says about it."""

    promise: str
    measured: str
    ok: bool


@dataclass
class Report:
    """One benchmark's result. ``columns`` says how each value of a row is written."""

    title: str
    how: str
    columns: Mapping[str, str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    python: str = field(default_factory=platform.python_version)

    def used(self, versions: Mapping[str, str]) -> None:
        """Note versions that a variant ran with; environments may differ, then both are named."""
        for name, version in versions.items():
            known = self.versions.get(name, version)
            self.versions[name] = known if version in known.split(" / ") else f"{known} / {version}"

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Report:
        """The report that ``asdict`` made this of."""
        return cls(**{**kept, "targets": [Target(**target) for target in kept["targets"]]})

    def markdown(self, check: bool) -> str:
        """The report as Markdown; with ``check`` the targets too."""
        numeric = [any(isinstance(row.get(name), (int, float)) for row in self.rows) for name in self.columns]
        lines = [f"## {self.title}", "", self.how, ""]
        lines += [_line(self.columns), _line("--:" if right else "---" for right in numeric)]
        lines += [_line(_cell(row.get(name), style) for name, style in self.columns.items()) for row in self.rows]
        if check and self.targets:
            lines += ["", "| target | measured | |", "| --- | --- | --- |"]
            lines += [_line((t.promise, t.measured, "ok" if t.ok else "**short**")) for t in self.targets]
        versions = {"Python": self.python, **dict(sorted(self.versions.items()))}
        return "\n".join([*lines, "", ", ".join(f"{name} {version}" for name, version in versions.items()), ""])


def _line(cells: Any) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _cell(value: Any, style: str) -> str:
    if value is None:
        return ""
    return format(value, style) if isinstance(value, (int, float)) else str(value)


def paired_ratio(values: Sequence[float], baseline: Sequence[float]) -> float:
    """The median over the repetitions of value / baseline: what slows a whole repetition down cancels out."""
    return median(value / base for value, base in zip(values, baseline, strict=True))


def p50_p95(took: Sequence[float]) -> tuple[float, float]:
    """The median, and what 19 of 20 stayed below; of a single value itself."""
    if len(took) < 2:
        return took[0], took[0]
    cuts = quantiles(took, n=20, method="inclusive")
    return cuts[9], cuts[18]


def parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments all benchmarks have."""
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="fewer repetitions: is everything in working order?")
    arguments.add_argument("--check", action="store_true", help="print each target beside the measured value")
    arguments.add_argument("--json", type=Path, help="also write the result to this file")
    arguments.add_argument("--worker", help=argparse.SUPPRESS)
    return arguments


def main(
    measure: Callable[[argparse.Namespace], Report],
    work: Callable[[str], None] | None,
    description: str | None = None,
    add: Callable[[argparse.ArgumentParser], None] | None = None,
) -> None:
    """Run one benchmark from the command line, or, in a child process, the variant that ``--worker`` names.

    ``add`` adds the benchmark's own arguments.
    """
    arguments = parser(description)
    if add is not None:
        add(arguments)
    options = arguments.parse_args()
    if work is not None and options.worker:
        work(options.worker)
        return
    report = measure(options)
    print(report.markdown(options.check))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(asdict(report), indent=2), encoding="utf-8")
