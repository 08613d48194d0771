"""A run of the lab in words, and for machines: JUnit XML and a badge. Pages and tables of it are the dashboard's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET  # only written, never parsed

from ai_dev_squad.frameworks import framework_title, known_frameworks
from ai_dev_squad_dashboard.lab_results import LabCell, LabMeasure, LabResult

__all__ = [
    "MEASURES",
    "badge",
    "frameworks_of",
    "heading",
    "junit",
    "quantity",
    "succeeded",
    "summary",
]

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
    info = known_frameworks().get(framework)
    head = info.packages[0] if info is not None and info.packages else framework
    return f"{framework_title(framework)} {matrix.versions.get(framework, {}).get(head, '')}".rstrip()


def summary(cells: Sequence[LabCell]) -> str:
    """How many cells have which verdict, in words."""
    counted: Counter[str] = Counter(cell.verdict for cell in cells)
    words = {"passes": "pass", "fails": "fail"}
    order = ("passes", "fails", "adapter can't", "framework can't", "not installed")
    parts = [f"{counted[verdict]} {words.get(verdict, verdict)}" for verdict in order if counted[verdict]]
    return f"{len(cells)} cells: {', '.join(parts) or 'none'}"


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


def _line(text: str) -> str:
    return " ".join(text.split())


def junit(matrix: LabResult) -> str:
    """JUnit XML: a suite for each framework, a case for each scenario; what cannot be done is skipped, with its reason."""
    root = ET.Element("testsuites", name="parity")
    _count(root, matrix.cells)
    for framework in frameworks_of(matrix):
        cells = [cell for cell in matrix.cells if cell.framework == framework]
        suite = ET.SubElement(root, "testsuite", name=heading(matrix, framework), timestamp=matrix.created)
        _count(suite, cells)
        suite.set("skipped", str(sum(cell.verdict not in {"passes", "fails"} for cell in cells)))
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
    element.set("errors", "0")


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


def badge(matrix: LabResult, framework: str = "") -> str:
    """An SVG for a README: how many cells pass of how many, of one framework or of all. Raises ``ValueError`` for one that was not run."""
    cells = [cell for cell in matrix.cells if framework in ("", cell.framework)]
    if not cells:
        known = ", ".join(dict.fromkeys(cell.framework for cell in matrix.cells)) or "nothing"
        raise ValueError(
            f"the run has no cells of {framework!r}, only of {known}; `ai-dev-squad parity run --framework {framework}`"
        )
    name = framework_title(framework) if framework else "parity"
    text = f"{sum(cell.verdict == 'passes' for cell in cells)}/{len(cells)} pass"
    colour = "#b3261e" if any(cell.verdict == "fails" for cell in cells) else "#1a7f37"
    left, right = (16 + 7 * len(word) for word in (name, text))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{name}: {text}"><title>{name}: {text}</title>'
        f'<rect width="{left + right}" height="20" rx="4" fill="#3d444d"/>'
        f'<path d="M{left} 0h{right - 4}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4H{left}z" fill="{colour}"/>'
        f'<g fill="#fff" font-family="system-ui,sans-serif" font-size="12" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14">{name}</text><text x="{left + right / 2:g}" y="14">{text}</text></g></svg>\n'
    )
