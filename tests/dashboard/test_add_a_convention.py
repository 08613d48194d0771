"""The page on adding a convention, followed literally in a copy of the two packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ai_dev_squad
import ai_dev_squad_dashboard

TEXT = (Path(__file__).parents[2] / "docs/how-to/add-a-convention.md").read_text(encoding="utf-8")
DIFFERENCE = re.compile(r"```diff\n--- (\S+)\n(.*?)```", re.DOTALL)
PROGRAM = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


def test_the_page_adds_three_conventions(tmp_path):
    """A provider's report, spans of others and a coding agent: each is understood once its rows are there, and not before."""
    before = [said(program) for program, _ in PROGRAM.findall(TEXT)]
    for package in (ai_dev_squad, ai_dev_squad_dashboard):
        folder = Path(package.__file__).parent
        shutil.copytree(folder, tmp_path / folder.name, ignore=shutil.ignore_patterns("__pycache__", "static"))
    for path, difference in DIFFERENCE.findall(TEXT):
        insert(tmp_path / path, difference.splitlines())

    found = [(said(program, PYTHONPATH=str(tmp_path)), output) for program, output in PROGRAM.findall(TEXT)]

    assert len(found) == len(before) == 3
    assert [shown for shown, _ in found] == [output for _, output in found]
    assert all(shown != output for shown, (_, output) in zip(before, found, strict=True))


def said(program: str, **environment: str) -> str:
    """What a program of the page prints, or why it fails."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return done.stdout if done.returncode == 0 else done.stderr


def insert(path: Path, lines: list[str]) -> None:
    """Put each block of added lines in front of the line that the difference shows behind it."""
    text, added = path.read_text(encoding="utf-8"), []
    for line in lines:
        if line.startswith("+"):
            added.append(line[1:])
        elif added:
            assert text.count(f"\n{line[1:]}\n") == 1, line
            text = text.replace(f"\n{line[1:]}\n", "\n" + "\n".join([*added, line[1:]]) + "\n")
            added = []
        else:
            assert f"\n{line[1:]}\n" in text, line
    path.write_text(text, encoding="utf-8")
