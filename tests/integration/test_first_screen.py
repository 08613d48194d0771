"""README's first screen, typed by somebody who has a clone, Python and pip."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# As the machine has it: the tests' own environment knows no proxy.
MACHINE = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("AI_DEV_SQUAD_", "PYTHON", "VIRTUAL_ENV", "OTEL_", "OPENAI_"))
}


@pytest.mark.once
@pytest.mark.skipif(
    "AI_DEV_SQUAD_TEST_INSTALLS" not in os.environ,
    reason="it installs from the package index, as `nox -s tests` lets it",
)
@pytest.mark.skipif(os.name != "posix", reason="the commands are those of a POSIX shell")
def test_the_first_screen_works_literally_in_a_fresh_environment(tmp_path):
    """Its commands install the clone, its program prints what it says, and its dashboard answers."""
    clone = tmp_path / "clone"
    clone.mkdir()
    shutil.copytree(
        ROOT / "packages", clone / "packages", ignore=shutil.ignore_patterns("node_modules", "vendor", "__pycache__")
    )
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    (commands, program, printed, dashboard) = re.findall(
        r"^```(sh|python|text)\n(.*?)^```$", first_screen, re.MULTILINE | re.DOTALL
    )
    assert [language for language, _ in (commands, program, printed, dashboard)] == ["sh", "python", "text", "sh"]
    install, start = dashboard[1].splitlines()
    (clone / "example.py").write_text(program[1], encoding="utf-8")
    (clone / "install.sh").write_text(commands[1] + install, encoding="utf-8")
    (clone / "example.sh").write_text(". .venv/bin/activate\npython example.py", encoding="utf-8")
    (clone / "dashboard.sh").write_text(f". .venv/bin/activate\nexec {start}", encoding="utf-8")

    subprocess.run(["sh", "-e", "install.sh"], cwd=clone, env=MACHINE, check=True)
    example = subprocess.run(
        ["sh", "-e", "example.sh"], cwd=clone, env=MACHINE, check=True, stdout=subprocess.PIPE, text=True
    )
    # A page shows no blanks at the ends of lines.
    assert [line.rstrip() for line in example.stdout.splitlines()] == printed[1].splitlines()
    environment = {**MACHINE, "DASHBOARD_PORT": "0", "BROWSER": "true"}
    with subprocess.Popen(
        ["sh", "-e", "dashboard.sh"], cwd=clone, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        first = process.stdout.readline()
        process.terminate()
    assert re.match(r"Dashboard  http://127\.0\.0\.1:\d+/", first)
