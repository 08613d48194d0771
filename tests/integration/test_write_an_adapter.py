"""The adapter that the documentation builds for a home-made framework passes the contract."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/write-an-adapter.md"


def test_the_adapter_of_the_page_passes_the_contract(tmp_path):
    """The page's three files, as they stand, in a folder of their own: its command ends well, and the report is the page's."""
    text = PAGE.read_text(encoding="utf-8")
    files = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, flags=re.DOTALL))
    assert sorted(files) == ["test_tiny.py", "tiny.py", "tiny_observed.py"]
    for name, code in files.items():
        (tmp_path / name).write_text(code, encoding="utf-8")

    (command,) = re.findall(r"^\$ python (-m ai_dev_squad_testing\.contract .*)$", text, flags=re.MULTILINE)
    done = subprocess.run(
        [sys.executable, *command.split(), "--", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    promised = re.findall(r"^(?:tiny: contract \d+ of \d+; .*|\d+ passed, \d+ skipped)", text, flags=re.MULTILINE)
    assert len(promised) == 2
    assert [line for line in promised if line not in done.stdout] == [], done.stdout
    assert done.returncode == 0
