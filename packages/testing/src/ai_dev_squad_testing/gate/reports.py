"""What the gate found, for people and for machines: Markdown for a pull request, JUnit for test reports, SARIF for code
scanning, text.
"""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from importlib.metadata import version
from typing import Any

from ai_dev_squad.events.console import safe_text
from ai_dev_squad_testing.gate.comparison import Comparison, Finding

__all__ = ["junit", "markdown", "sarif", "text", "to_json"]

_SIGNS = {"worse": "❌", "unclear": "❔", "better": "🟢", "same": "✅"}
_UNITS = {"cost": "$", "duration": " ms"}
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def headline(comparison: Comparison) -> str:
    """What came of it, in a sentence."""
    worse, unclear = len(comparison.worse), len(comparison.unclear)
    if not comparison.findings:
        return "Nothing could be compared."
    if worse:
        return f"{worse} of {len(comparison.findings)} measures became worse."
    if unclear:
        return f"Nothing became worse beyond chance; {unclear} of {len(comparison.findings)} measures are unclear: more runs would tell."
    return f"Nothing became worse ({len(comparison.findings)} measures compared)."


def said(finding: Finding) -> str:
    """One finding in words."""
    before, after = (_quantity(finding.measure, value) for value in (finding.old_mean, finding.new_mean))
    runs = f"{finding.old_runs} and {finding.new_runs} runs"
    return f"{finding.task}: {finding.measure} {_change(finding)} ({before} → {after}; {runs}{_chance(finding)})"


def text(comparison: Comparison) -> str:
    """For a terminal."""
    lines = [f"{finding.verdict:8} {safe_text(said(finding))}" for finding in comparison.findings]
    lines += [f"note     {safe_text(note)}" for note in comparison.notes]
    return "\n".join([*lines, headline(comparison)])


def markdown(comparison: Comparison) -> str:
    """For a comment on a pull request, or the summary of a job."""
    lines = ["### Cost and quality of agent runs", "", headline(comparison), ""]
    if comparison.findings:
        lines += [
            "| | Task | Measure | Baseline | Now | Change | 95 % | p |",
            "| - | --- | --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        lines += [_row(finding) for finding in comparison.findings]
        lines.append("")
    lines += [f"- {_cell(note)}" for note in comparison.notes]
    limits = comparison.limits
    if limits.exact:
        how = f"Allowed: {limits.effect:.0%} more. Every run is taken to be the same each time."
    else:
        how = (
            f"Allowed: {limits.effect:.0%} more. Means are compared by a permutation test, adjusted for all comparisons (Holm); chance of "
            f"any false alarm: {limits.level:.1%}. ❔ grew by more, but may be chance."
        )
    return "\n".join([*lines, "", f"<sub>{how}</sub>", ""])


def _row(finding: Finding) -> str:
    interval = "" if finding.interval is None else " … ".join(f"{value - 1:+.0%}" for value in finding.interval)
    return (
        f"| {_SIGNS[finding.verdict]} | {_cell(finding.task)} | {finding.measure} | {_quantity(finding.measure, finding.old_mean)} | "
        f"{_quantity(finding.measure, finding.new_mean)} | {_change(finding)} | {interval} | "
        f"{'' if finding.p is None else f'{finding.p:.4f}'} |"
    )


def _cell(value: str) -> str:
    """A name that can neither end a cell nor be a link, a picture or a mention: it comes from whoever wrote the program."""
    shown = safe_text(value).replace("\\", "\\\\")
    shown = re.sub(r"([|`*_\[\]<>#!~])", r"\\\1", shown)
    return shown.replace("@", "@\u200b").replace("&", "&amp;").replace("://", "&#58;//")


def junit(comparison: Comparison) -> str:
    """A case for each measure of each task; what is worse fails, what is unclear is skipped with its reason."""
    suites = ET.Element("testsuites", name="gate")
    suite = ET.SubElement(suites, "testsuite", name="gate")
    for element in (suites, suite):
        element.set("tests", str(len(comparison.findings)))
        element.set("failures", str(len(comparison.worse)))
        element.set("errors", "0")
    suite.set("skipped", str(len(comparison.unclear)))
    for finding in comparison.findings:
        case = ET.SubElement(suite, "testcase", classname=_xml(finding.task), name=finding.measure, time="0")
        if finding.verdict == "worse":
            ET.SubElement(case, "failure", type="regression", message=_xml(said(finding)))
        elif finding.verdict == "unclear":
            ET.SubElement(case, "skipped", message=_xml(said(finding)))
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def sarif(comparison: Comparison, location: str) -> str:
    """SARIF 2.1.0: an error for what is worse, a note for what is unclear, at the file ``location``, which code
    scanning asks for.
    """
    results = [
        {
            "ruleId": f"regression/{finding.measure}",
            "level": "error" if finding.verdict == "worse" else "note",
            "message": {"text": said(finding)},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": location}, "region": {"startLine": 1}}}],
            "partialFingerprints": {"task/v1": f"{finding.task}/{finding.measure}"},
        }
        for finding in (*comparison.worse, *comparison.unclear)
    ]
    rules = [
        {
            "id": f"regression/{measure}",
            "shortDescription": {"text": f"Runs take more {measure} than those of the baseline"},
        }
        for measure in comparison.limits.measures
    ]
    driver = {"name": "ai-dev-squad gate", "version": version("ai-dev-squad-testing"), "rules": rules}
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


def to_json(comparison: Comparison) -> dict[str, Any]:
    """For programs."""
    return {
        "worse": len(comparison.worse),
        "unclear": len(comparison.unclear),
        "findings": [
            {**vars(finding), "ratio": finding.ratio if math.isfinite(finding.ratio) else None}
            for finding in comparison.findings
        ],
        "notes": list(comparison.notes),
    }


def _quantity(measure: str, value: float) -> str:
    if measure == "cost":
        return f"${value:,.6f}"
    if measure == "failures":
        return f"{value:.0%}"
    return f"{value:,.1f}{_UNITS.get(measure, '')}"


def _change(finding: Finding) -> str:
    if finding.measure == "failures":
        return f"{finding.growth * 100:+.0f} points"
    return "from nothing" if math.isinf(finding.ratio) else f"{finding.growth:+.0%}"


def _chance(finding: Finding) -> str:
    return "" if finding.p is None else f"; p = {finding.p:.4f}"


def _xml(value: str) -> str:
    return _NO_XML.sub("\ufffd", value)
