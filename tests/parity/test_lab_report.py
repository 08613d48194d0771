"""What is made of a result: Markdown, CSV, JUnit XML, a badge, and one HTML file."""

from __future__ import annotations

import csv
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard import lab_report
from ai_dev_squad_dashboard import lab_results as results
from ai_dev_squad_dashboard.lab_results import LabInterval, LabMeasure, LabResult
from ai_dev_squad_parity.lab import report, terminal

sys.path.insert(0, str(Path(__file__).parent))
from lab_matrix import cell, matrix, ms

MARKDOWN = """\
# Parity matrix

Run of 01 Nov 10:00:00 UTC, scripted model, 3 repeats. 3 cells: 1 pass, 1 framework can't, 1 fail.

system Linux, cores 2, python 3.11.7, jobs 1

## Verdicts

| Scenario | langgraph 1.2.22 | crewai | autogen |
| --- | --- | --- | --- |
| Ask \\<once\\> | ✓ passes | ✗ fails | ○ framework can't |
| **passes** | **1 of 1** | **0 of 1** | **0 of 1** |

## Wall time

| Scenario | langgraph 1.2.22 | crewai | autogen |
| --- | ---: | ---: | ---: |
| Ask \\<once\\> | 12.0 ms (10.0 ms to 14.0 ms) | 22.0 ms (20.0 ms to 24.0 ms) | ○ framework can't |

## Model calls

| Scenario | langgraph 1.2.22 | crewai | autogen |
| --- | ---: | ---: | ---: |
| Ask \\<once\\> | 1 | 1 | ○ framework can't |

## Reasons and notes

- Ask \\<once\\> on crewai: fails. tokens: 0 in,↵not 7 in
- Ask \\<once\\> on autogen: framework can't. has no \\| for it https://example.org/issue
"""

JUNIT = """\
<?xml version='1.0' encoding='utf-8'?>
<testsuites name="parity" tests="3" failures="1" errors="0">
  <testsuite name="LangGraph 1.2.22" timestamp="2026-11-01T10:00:00Z" tests="1" failures="0" errors="0" skipped="0">
    <testcase classname="parity.langgraph" name="ask" time="0.012" />
  </testsuite>
  <testsuite name="CrewAI" timestamp="2026-11-01T10:00:00Z" tests="1" failures="1" errors="0" skipped="0">
    <testcase classname="parity.crewai" name="ask" time="0.022">
      <failure message="tokens: 0 in, not 7 in" type="fails">tokens: 0 in, not 7 in
[31mboom[0m &lt;b&gt;</failure>
    </testcase>
  </testsuite>
  <testsuite name="AutoGen" timestamp="2026-11-01T10:00:00Z" tests="1" failures="0" errors="0" skipped="1">
    <testcase classname="parity.autogen" name="ask" time="0">
      <skipped message="framework can't: has no | for it https://example.org/issue" />
    </testcase>
  </testsuite>
</testsuites>
"""


def test_the_markdown_page_has_verdicts_reasons_and_medians():
    """The page has a table of verdicts, one for each measure that there is, and the reasons."""
    assert lab_report.markdown(matrix()) == MARKDOWN


def test_a_bar_in_a_name_does_not_end_a_column():
    """Markdown takes a bar for the end of a cell, so it is escaped, also behind what looks bold."""
    named = matrix(cell("langgraph"), versions={"langgraph": {"langgraph": "**1|2"}})

    assert "| Scenario | langgraph \\*\\*1\\|2 |" in lab_report.markdown(named)


@pytest.mark.parametrize(
    "others, row",
    [
        ((20, 22, 24), "**12.0 ms (10.0 ms to 14.0 ms)** | 22.0 ms (20.0 ms to 24.0 ms)"),
        ((13, 22, 24), "12.0 ms (10.0 ms to 14.0 ms) | 22.0 ms (13.0 ms to 24.0 ms)"),
    ],
)
def test_a_framework_is_lowest_only_where_its_interval_ends_below_all_others(others, row):
    """It is then bold, and the page says what that means; of two that overlap neither is."""
    first = cell(measures={"wall": ms(10, 12, 14, low=10, high=14)})
    second = cell("crewai", measures={"wall": ms(*others, low=others[0], high=others[2])})
    page = lab_report.markdown(matrix(first, second))

    assert f"| Ask \\<once\\> | {row} |" in page
    assert ("A value in bold is lowest beyond doubt" in page) is ("**" in row)


def test_junit_has_a_suite_for_each_framework_and_skips_what_cannot_be_done():
    """CI shows failures with what was wrong and what was printed, without the characters that XML cannot hold."""
    assert report.junit(matrix()) == JUNIT
    xmlschema.XMLSchema(Path(__file__).parents[1] / "testing" / "data" / "junit.xsd").validate(JUNIT)


def test_the_csv_has_a_line_for_each_cell():
    """Medians and intervals stand in columns of their own, with the unit in the name; what is unknown is empty."""
    lines = list(csv.DictReader(io.StringIO(lab_report.csv_table(matrix()), newline="")))

    told = ("framework", "version", "verdict", "reason", "source", "failed_checks", "wall_ms", "wall_ms_low", "calls")
    assert [[line[name] for name in told] for line in lines] == [
        ["langgraph", "1.2.22", "passes", "", "", "", "12", "10", "1"],
        ["crewai", "", "fails", "tokens: 0 in,\nnot 7 in", "", "tokens", "22", "20", "1"],
        ["autogen", "", "framework can't", "has no | for it", "https://example.org/issue", "", "", "", ""],
    ]


def test_a_spreadsheet_takes_no_reason_for_a_formula():
    """A program chooses the text of its errors, and a table may be opened by somebody else."""
    text = lab_report.csv_table(matrix(cell(verdict="fails", reason="=HYPERLINK(1)")))

    assert "\r\nask,Ask <once>,langgraph,1.2.22,ours,fails,'=HYPERLINK(1)," in text


@pytest.mark.parametrize(
    "verdicts, text, colour",
    [
        (["passes", "framework can't"], "1/2 pass", "#1a7f37"),
        (["passes", "fails"], "1/2 pass", "#b3261e"),
        (["fails", "fails"], "0/2 pass", "#b3261e"),
    ],
)
def test_the_badge_says_how_many_pass(verdicts, text, colour):
    """It is an SVG with its text readable to those who do not see it, and red only where something fails."""
    cells = [cell(f, v, reason="because") for f, v in zip(["langgraph", "crewai"], verdicts, strict=True)]
    svg = report.badge(matrix(*cells))

    assert ET.fromstring(svg).get("aria-label") == f"parity: {text}"
    assert colour in svg
    assert not re.search(r"(href|src|url)\b", svg)


@pytest.mark.parametrize(
    "verdict, reason, good",
    [
        ("passes", "", True),
        ("framework can't", "it has none", True),
        ("adapter can't", "", False),
        ("fails", "x", False),
    ],
)
def test_a_run_succeeds_when_every_cell_passes_or_says_why_it_cannot(verdict, reason, good):
    """A cell that cannot and gives no reason counts as a failure."""
    assert report.succeeded(matrix(cell(verdict=verdict, reason=reason))) is good


class Reader(HTMLParser):
    """Notes tags, the addresses that are loaded or linked, and what is left open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        """A tag begins."""
        self.tags.add(tag)
        self.addresses += [value for name, value in attrs if name in {"href", "src"}]
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """A tag ends, which is the one that began last."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Text."""
        self.text += data


def read(page: str) -> Reader:
    """The page, read by a parser that stumbles over tags out of order."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def test_the_html_file_stands_alone():
    """No script, nothing loaded, both colour schemes, verdicts in words, programs and evidence within it."""
    page = lab_report.standalone(matrix())
    reader = read(page)

    assert reader.open == []
    assert reader.tags & {"script", "link", "img", "iframe"} == set()
    assert reader.addresses == ["#scenario-1", "https://example.org/issue"]
    assert "color-scheme: light dark" in page
    assert not re.search(r"@import|url\(", page)
    assert "default-src 'none'" in page
    for text in ("✗ fails", "○ framework can't", "tokens: 0 in", "l = '<i>'", "S = 1", "invoke_agent clerk", "2.5 ms"):
        assert text in reader.text


def test_the_badge_is_of_one_framework_too():
    """By its title; one that was not run is named, with the command."""
    cells = matrix(cell("langgraph"), cell("crewai", "fails", reason="because"))

    assert ET.fromstring(report.badge(cells, "langgraph")).get("aria-label") == "LangGraph: 1/1 pass"
    with pytest.raises(ValueError, match="no cells of 'autogen', only of langgraph, crewai; `ai-dev-squad parity run"):
        report.badge(cells, "autogen")


def test_the_html_file_has_the_providers_too():
    """Each with its verdict on each framework, why not with its source, and the client that spoke to it; escaped as all else."""
    given_ = {"scenario": "a", "framework": "crewai", "client": {"a<b": "1.0"}}
    cells = [
        {**given_, "verdict": "passes"},
        {**given_, "verdict": "passes", "streamed": True},
        {
            **given_,
            "framework": "autogen",
            "verdict": "framework can't",
            "reason": "<i>none",
            "source": "https://e.org/c",
        },
        {**given_, "framework": "autogen", "verdict": "passes", "streamed": True},
    ]
    rows = [{"name": "a", "title": "<A>", "wire": "chat", "model": "m"}]
    table = msgspec.convert(
        {"version": 1, "created": "2026-11-23T10:00:00Z", "providers": rows, "cells": cells}, results.LabProviders
    )
    alone, reader = read(lab_report.standalone(matrix())), read(lab_report.standalone(matrix(), table))

    assert (reader.open, reader.tags - alone.tags) == ([], set())
    assert set(reader.addresses) - set(alone.addresses) == {"https://e.org/c"}
    for text in ("<A>", "plain and streamed", "<i>none", "a<b 1.0", "3 passes · 1 framework can't"):
        assert text in " ".join(reader.text.split())


@given(st.text(), st.text())
def test_nothing_that_a_program_says_becomes_markup(name, said):
    """Names, reasons and sources of programs are escaped, whatever they hold."""
    info = results.LabScenario(name=name, title=said, purpose=said, spec=said, programs={"langgraph": said})
    hostile = results.LabCell(
        scenario=name, framework="langgraph", verdict="fails", reason=said, source=said, output=said
    )
    plain = read(lab_report.standalone(matrix())).tags
    found = read(lab_report.standalone(matrix(hostile, scenarios=(info,))))

    assert found.open == []
    assert found.tags <= plain | {"pre"}
    assert all(address.startswith(("#", "https://", "http://")) for address in found.addresses)


@given(st.text())
def test_junit_can_always_be_read(said):
    """Whatever a program prints, the XML is well-formed."""
    ET.fromstring(report.junit(matrix(cell(verdict="fails", reason=said, output=said))))


@pytest.mark.parametrize(
    "measure, text",
    [
        (ms(12.345), "12.3 ms"),
        (ms(1234.5), "1,234 ms"),
        (LabMeasure(median=0.00042, values=(0.00042,), unit="USD"), "$0.000420"),
        (LabMeasure(median=1500, values=(1500,), unit="tokens"), "1,500"),
        (LabMeasure(median=130.2, values=(130.2,), unit="MiB"), "130 MiB"),
        (
            LabMeasure(median=1.5, values=(1.4, 1.5, 1.6), unit="ratio", interval=LabInterval(low=1.4, high=1.6)),
            "1.50 (1.40 to 1.60)",
        ),
    ],
)
def test_a_quantity_has_its_unit_and_its_interval(measure, text):
    """Readers see the median, the unit, and how far repeats differ."""
    assert report.quantity(measure) == text


def test_a_result_is_read_as_it_was_written(tmp_path):
    """JSON keeps everything, and says which version it is."""
    results.save(matrix(), tmp_path / "deep" / "parity.json")

    assert results.load(tmp_path / "deep" / "parity.json") == matrix()


@pytest.mark.parametrize(
    "text, message",
    [
        ('{"version": 99}', "is of version 99, this dashboard reads 1; update ai-dev-squad-dashboard"),
        ("[]", "is no result of the lab"),
        ("{", "remove it, and `ai-dev-squad parity run` writes a new one"),
    ],
)
def test_a_file_that_is_no_result_is_refused_with_the_cure(tmp_path, text, message):
    """The error names the file and what to do."""
    path = tmp_path / "parity.json"
    path.write_text(text)

    with pytest.raises(results.ResultsError, match=re.escape(message)) as caught:
        results.load(path)
    assert str(path) in str(caught.value)


def test_the_terminal_shows_the_matrix_and_the_evidence(capsys):
    """Verdicts in columns; of one cell the checks, the spans, the measures and the traces."""
    assert terminal.overview(matrix()) == (
        "     LangGraph 1.2.22  CrewAI   AutoGen\n"
        "ask  ✓ passes          ✗ fails  ○ framework can't\n"
        "\n"
        "3 cells: 1 pass, 1 fail, 1 framework can't"
    )
    assert terminal.evidence(first(matrix()), "LangGraph") == (
        "ask on LangGraph: ✓ passes\n"
        "\n"
        "Captured against truth\n"
        "   check  captured  truth\n"
        "✓  calls  1 ok      1 ok\n"
        "\n"
        "Spans\n"
        "  invoke_agent clerk  ok  12.0 ms\n"
        "    chat m  ok  2.5 ms\n"
        "\n"
        "Measured\n"
        "wall time    12.0 ms (10.0 to 14.0)\n"
        "model calls  1\n"
        "\n"
        "Traces\n"
        "  0af7"
    )
    progress = terminal.Progress(2)
    progress(first(matrix()))
    progress(matrix().cells[1])
    assert capsys.readouterr().out == (
        "[1/2] ask                    langgraph ✓ passes  12.0 ms (10.0 to 14.0)\n"
        "[2/2] ask                    crewai    ✗ fails  22.0 ms (20.0 to 24.0)\n"
        "      tokens: 0 in,\nnot 7 in\n"
    )


def first(of: LabResult) -> results.LabCell:
    """The first cell."""
    return of.cells[0]
