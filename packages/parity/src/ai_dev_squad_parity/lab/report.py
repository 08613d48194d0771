"""A run of the lab for people and for machines: Markdown, CSV, JUnit XML and a badge."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from xml.etree import ElementTree as ET  # only written, never parsed

from ai_dev_squad_dashboard.lab_results import LabCell, LabMeasure, LabResult
from ai_dev_squad_parity.lab.statistics import winner

__all__ = [
    "FRAMEWORK_NAMES",
    "MARKS",
    "MEASURES",
    "badge",
    "csv_table",
    "frameworks_of",
    "heading",
    "junit",
    "markdown",
    "quantity",
    "succeeded",
    "summary",
]

FRAMEWORK_NAMES: Mapping[str, str] = {"langgraph": "LangGraph", "crewai": "CrewAI", "autogen": "AutoGen"}
_HEADS: Mapping[str, str] = {"langgraph": "langgraph", "crewai": "crewai", "autogen": "autogen-agentchat"}
"""The distribution whose version stands in the head of a column."""

MARKS: Mapping[str, str] = {"passes": "✓", "adapter can't": "◐", "framework can't": "○", "fails": "✗"}
"""A sign for each verdict, so that no reader needs colour; the words stand beside it."""

MEASURES: Mapping[str, str] = {
    "wall": "wall time",
    "framework": "framework overhead",
    "observation": "observed / unobserved",
    "calls": "model calls",
    "tokens": "tokens",
    "cost": "cost",
    "memory": "peak memory",
    "import": "import time",
    "quality": "quality",
}
"""Every measure and what it is called, in the order of tables."""


def succeeded(matrix: LabResult) -> bool:
    """Whether every cell passes, or cannot and says why."""
    return bool(matrix.cells) and all(
        cell.verdict == "passes" or (cell.verdict != "fails" and cell.reason) for cell in matrix.cells
    )


def frameworks_of(matrix: LabResult) -> tuple[str, ...]:
    """The frameworks that were run, in the order of the columns."""
    return tuple(dict.fromkeys(cell.framework for cell in matrix.cells))


def heading(matrix: LabResult, framework: str) -> str:
    """The name of a framework with its version, where it is known."""
    version = matrix.versions.get(framework, {}).get(_HEADS.get(framework, framework), "")
    return f"{FRAMEWORK_NAMES.get(framework, framework)} {version}".rstrip()


def summary(matrix: LabResult) -> str:
    """How many cells have which verdict, in words."""
    counted: Counter[str] = Counter(cell.verdict for cell in matrix.cells)
    words = {"passes": "pass", "fails": "fail", "adapter can't": "adapter can't", "framework can't": "framework can't"}
    parts = [f"{counted[verdict]} {word}" for verdict, word in words.items() if counted[verdict]]
    return f"{len(matrix.cells)} cells: {', '.join(parts) or 'none'}"


def quantity(measure: LabMeasure) -> str:
    """The median with its unit and, where values differ, its interval."""
    text = _with_unit(measure.median, measure.unit)
    if measure.interval is None:
        return text
    return f"{text} ({_number(measure.interval.low, measure.unit)} to {_number(measure.interval.high, measure.unit)})"


def _with_unit(value: float, unit: str) -> str:
    number = _number(value, unit)
    return {"USD": f"${number}", "ratio": number, "calls": number, "tokens": number}.get(unit, f"{number} {unit}")


def _number(value: float, unit: str) -> str:
    digits = {"ms": 0 if abs(value) >= 100 else 1, "MiB": 0, "USD": 6, "ratio": 2}.get(unit, 0)
    return f"{value:,.{digits}f}"


def markdown(matrix: LabResult) -> str:
    """The matrix, what did not pass and why, and what was measured, as a Markdown page."""
    return "\n".join([*_front(matrix), *_verdicts(matrix), *_reasons(matrix), *_measured(matrix)]).rstrip() + "\n"


def _front(matrix: LabResult) -> Iterator[str]:
    machine = matrix.machine
    yield "# Parity matrix"
    yield ""
    yield (
        f"{summary(matrix)}. {matrix.created}, observer `{matrix.observer}`, model server `{matrix.model_server}`, "
        f"{matrix.repeat} repeats, {machine.get('cores', '?')} cores, Python {machine.get('python', '?')}, "
        f"{machine.get('system', 'unknown system')}."
    )
    yield ""


def _verdicts(matrix: LabResult) -> Iterator[str]:
    frameworks = frameworks_of(matrix)
    yield _row("Scenario", *(heading(matrix, framework) for framework in frameworks))
    yield _row(*["---"] * (len(frameworks) + 1))
    for scenario in matrix.scenarios:
        cells = (matrix.cell(scenario.name, framework) for framework in frameworks)
        yield _row(scenario.title, *(f"{MARKS[cell.verdict]} {cell.verdict}" if cell else "" for cell in cells))
    counted = Counter(cell.framework for cell in matrix.cells if cell.verdict == "passes")
    total = Counter(cell.framework for cell in matrix.cells)
    yield _row("**passes**", *(f"**{counted[framework]} of {total[framework]}**" for framework in frameworks))
    yield ""


def _reasons(matrix: LabResult) -> Iterator[str]:
    told = [cell for cell in matrix.cells if cell.verdict != "passes"]
    if not told:
        return
    yield "## What did not pass, and why"
    yield ""
    for cell in told:
        source = f" ([source]({cell.source}))" if cell.source else ""
        framework = FRAMEWORK_NAMES.get(cell.framework, cell.framework)
        yield f"- **{cell.scenario} on {framework}** {cell.verdict}: {_line(cell.reason) or 'no reason given'}{source}"
    yield ""


def _measured(matrix: LabResult) -> Iterator[str]:
    for name, title in MEASURES.items():
        rows = [row for scenario in matrix.scenarios if (row := _measured_row(matrix, scenario.name, name))]
        if not rows:
            continue
        frameworks = frameworks_of(matrix)
        yield f"## {title[0].upper()}{title[1:]}"
        yield ""
        yield _row("Scenario", *(FRAMEWORK_NAMES.get(framework, framework) for framework in frameworks))
        yield _row("---", *["---:"] * len(frameworks))
        yield from rows
        yield ""


def _measured_row(matrix: LabResult, scenario: str, name: str) -> str:
    """The medians of a scenario; the smallest in bold only where its interval overlaps with no other."""
    found = {
        cell.framework: cell.measures[name]
        for cell in matrix.cells
        if cell.scenario == scenario and name in cell.measures
    }
    if not found:
        return ""
    # More quality is better, and what observing costs is a property of the observer.
    best = winner(found) if name not in {"quality", "observation"} else None
    texts = {framework: quantity(measure) for framework, measure in found.items()}
    if best is not None:
        texts[best] = f"**{texts[best]}**"
    return _row(scenario, *(texts.get(framework, "") for framework in frameworks_of(matrix)))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _line(text: str) -> str:
    return " ".join(text.split())


_COLUMNS: Mapping[str, Callable[[LabMeasure], object]] = {
    "median": lambda measure: measure.median,
    "low": lambda measure: "" if measure.interval is None else measure.interval.low,
    "high": lambda measure: "" if measure.interval is None else measure.interval.high,
}


def csv_table(matrix: LabResult) -> str:
    """One line for each cell: verdict, reason, and of each measure the median and its interval, in the measure's unit."""
    units = {"wall": "ms", "framework": "ms", "import": "ms", "memory": "mib", "cost": "usd"}
    named = {name: f"{name}_{units[name]}" if name in units else name for name in MEASURES}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["scenario", "framework", "verdict", "reason", "source"]
        + [f"{named[name]}_{column}" for name in MEASURES for column in _COLUMNS]
    )
    for cell in matrix.cells:
        writer.writerow(
            [cell.scenario, cell.framework, cell.verdict, _inert(_line(cell.reason)), cell.source]
            + [
                take(cell.measures[name]) if name in cell.measures else ""
                for name in MEASURES
                for take in _COLUMNS.values()
            ]
        )
    return text.getvalue()


def _inert(text: str) -> str:
    """A spreadsheet takes what begins like a formula for one."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text


def junit(matrix: LabResult) -> str:
    """JUnit XML: a suite for each framework, a case for each scenario; what cannot be done is skipped, with its reason."""
    root = ET.Element("testsuites", name="parity")
    _count(root, matrix.cells)
    for framework in frameworks_of(matrix):
        cells = [cell for cell in matrix.cells if cell.framework == framework]
        suite = ET.SubElement(root, "testsuite", name=heading(matrix, framework), timestamp=matrix.created)
        _count(suite, cells)
        for cell in cells:
            wall = cell.measures.get("wall")
            case = ET.SubElement(
                suite, "testcase", classname=f"parity.{framework}", name=cell.scenario,
                time=f"{wall.median / 1000:.3f}" if wall else "0",
            )  # fmt: skip
            _outcome(case, cell)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _count(element: ET.Element, cells: Sequence[LabCell]) -> None:
    element.set("tests", str(len(cells)))
    element.set("failures", str(sum(cell.verdict == "fails" for cell in cells)))
    element.set("skipped", str(sum("can't" in cell.verdict for cell in cells)))


def _outcome(case: ET.Element, cell: LabCell) -> None:
    if cell.verdict == "fails":
        broken = [f"{c.name}: {c.detail or f'{c.captured}, not {c.truth}'}" for c in cell.checks if not c.ok]
        failure = ET.SubElement(case, "failure", message=_xml(_line(cell.reason)), type=cell.verdict)
        failure.text = _xml("\n".join([*broken, cell.output]).strip()) or None
    elif cell.verdict != "passes":
        ET.SubElement(case, "skipped", message=_xml(f"{cell.verdict}: {_line(cell.reason)} {cell.source}".rstrip()))


def _xml(text: str) -> str:
    """Without the characters that XML cannot hold, such as the escape of a terminal's colours."""
    return "".join(
        c for c in text if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
    )


def badge(matrix: LabResult) -> str:
    """An SVG for a README: how many cells pass of how many."""
    passed = sum(cell.verdict == "passes" for cell in matrix.cells)
    text = f"{passed}/{len(matrix.cells)} pass"
    colour = "#1a7f37" if succeeded(matrix) else "#b3261e"
    left, right = 46, 16 + 7 * len(text)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="parity: {text}"><title>parity: {text}</title>'
        f'<rect width="{left + right}" height="20" rx="4" fill="#3d444d"/>'
        f'<path d="M{left} 0h{right - 4}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4H{left}z" fill="{colour}"/>'
        f'<g fill="#fff" font-family="system-ui,sans-serif" font-size="12" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14">parity</text><text x="{left + right / 2:g}" y="14">{text}</text></g></svg>\n'
    )
