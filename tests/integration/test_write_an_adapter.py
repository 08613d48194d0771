"""The page on writing an adapter, followed literally: its commands, its files, and what they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ai_dev_squad_testing.scaffold import ScaffoldError, write_adapter

pytestmark = pytest.mark.once

TEXT = (Path(__file__).resolve().parents[2] / "docs/how-to/write-an-adapter.md").read_text(encoding="utf-8")


def installed(folder: Path, site: Path) -> None:
    """What an installer leaves of an editable package: where it lies, and what it announces."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))


def run(command: str, folder: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    """A command of the page, with this interpreter and its programs."""
    program, *arguments = shlex.split(command)
    found = [sys.executable] if program == "python" else [sys.executable, "-m", "ai_dev_squad_cli"]
    return subprocess.run(
        [*found, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_page_makes_an_adapter_that_holds_the_contract(tmp_path):
    """Its commands, as they stand, in an empty folder: what is printed, the files that it shows, the report, and the doctor."""
    commands = re.findall(r"^\$ (.*)$", TEXT, flags=re.MULTILINE)
    (make,) = [command for command in commands if command.startswith("ai-dev-squad adapter new")]
    (check,) = [command for command in commands if "ai_dev_squad_testing.contract" in command]

    made = run(make, tmp_path)
    assert made.returncode == 0, made.stderr
    assert f"$ {make}\n{made.stdout}" in TEXT

    folder, site = tmp_path / "ai-dev-squad-toy", tmp_path / "site"
    shown = re.findall(r"```\w+\n# (\S+/\S+)\n(.*?)```", TEXT, flags=re.DOTALL)
    assert {path: (folder / path).read_text() for path, _ in shown} == dict(shown)
    assert {path for path, _ in shown} < {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    installed(folder, site)
    done = run(f"{check} -- -p no:cacheprovider", tmp_path, folder / "src", site)
    promised = re.findall(r"^(?:toy: contract \d+ of \d+; .*|\d+ passed, \d+ skipped)", TEXT, flags=re.MULTILINE)
    assert len(promised) == 2
    assert [line for line in promised if line not in done.stdout] == [], done.stdout
    assert done.returncode == 0

    known = "from ai_dev_squad.frameworks import adapted_frameworks; print(adapted_frameworks()['toy'])"
    said = run(f'python -c "{known}"', tmp_path, folder / "src", site).stdout
    assert said.startswith("FrameworkInfo(name='toy', title='Toy', adapter='ai-dev-squad-toy', packages=('toy',)")


@pytest.mark.parametrize(
    "name, message",
    [
        ("My-Frame", "'My-Frame' cannot be a framework's name: lower-case letters, digits and _, a letter first, as in pydantic_ai"),
        ("crewai", "CrewAI has an adapter, ai-dev-squad-crewai; pip install it, or choose another name"),
        ("toy", "{folder} is in use; name an empty folder: --into DIR"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_names_the_cure(tmp_path, name, message):
    """A name that is none, one that is taken, and a folder that has something in it."""
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(ScaffoldError) as raised:
        write_adapter(name, tmp_path)
    assert str(raised.value) == message.format(folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_framework_that_others_instrument_keeps_its_title(tmp_path):
    """The row that is there gives the title; underscores and hyphens each have their place."""
    write_adapter("smolagents", tmp_path / "a")
    write_adapter("my_frame", tmp_path / "b")

    assert 'title = "smolagents"' in (tmp_path / "a/src/ai_dev_squad_smolagents/framework.toml").read_text()
    assert (tmp_path / "b/tests/test_my_frame_contract.py").read_text().startswith('"""My Frame\'s adapter')
    project = tomllib.loads((tmp_path / "b/pyproject.toml").read_text())["project"]
    assert (project["name"], project["entry-points"]) == (
        "ai-dev-squad-my-frame",
        {"ai_dev_squad.frameworks": {"my_frame": "ai_dev_squad_my_frame"}},
    )
