"""The table of frameworks that are observed by the spans of others says what is tried."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MONEY = {"wire": "the wire: what was billed", "estimate": "an estimate, and said to be one"}


def test_the_page_has_a_row_for_each_framework_that_is_tried() -> None:
    """Structure, money, budget and versions are those of the file that the tests run by."""
    frameworks = tomllib.loads((ROOT / "tests/adopted/frameworks.toml").read_text(encoding="utf-8"))
    page = (ROOT / "docs/how-to/observe-anything.md").read_text(encoding="utf-8")
    rows = [
        f"| {row['title']} | {row['structure']} | {MONEY[row['money']]} | {'yes' if row['budget'] else 'no'} | {', '.join(row['tried'])} |"
        for row in frameworks.values()
    ]

    assert [line for line in page.splitlines() if line.startswith("| ")][2:] == rows
    assert all(row["why"] in page for row in frameworks.values() if "why" in row)
