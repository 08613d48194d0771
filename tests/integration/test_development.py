"""What somebody who changes the product has around it: the lock, the hooks, the container."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
PROJECTS = [
    tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    for path in sorted(ROOT.glob("packages/**/pyproject.toml"))
]


def group(name: str) -> list[str]:
    """The requirements of a dependency group, with those of the groups that it includes."""
    found = []
    for entry in GROUPS[name]:
        found += [entry] if isinstance(entry, str) else group(entry["include-group"])
    return found


def test_the_lock_has_what_an_editor_needs_in_releases_that_are_allowed():
    """Every requirement of the packages and of the group `dev` is in requirements-dev.txt, within its range: else `nox -s lock`."""
    lines = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    locked: dict[str, list[Version]] = {}
    for line in lines:
        if not line.lstrip().startswith("#"):
            each = Requirement(line)
            (pin,) = each.specifier
            locked.setdefault(each.name, []).append(Version(pin.version))
    ours = {project["name"] for project in PROJECTS}
    # The clients of the table of providers are installed by the demo alone.
    extras = [
        text
        for project in PROJECTS
        for extra, texts in project.get("optional-dependencies", {}).items()
        if not extra.endswith("providers")
        for text in texts
    ]
    wanted = [*(text for project in PROJECTS for text in project["dependencies"]), *extras, *group("dev")]
    missing = {
        text
        for text in wanted
        if (asked := Requirement(text)).name not in ours
        and not any(asked.specifier.contains(version, prereleases=True) for version in locked.get(asked.name, ()))
    }
    assert missing == set()


def test_the_hooks_run_what_the_linter_runs():
    """A commit is checked by the releases of ruff that `nox -s lint` takes, by its two commands."""
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert local["repo"] == "local"
    assert {hook["id"]: (hook["entry"], hook["additional_dependencies"]) for hook in local["hooks"]} == {
        "ruff-check": ("ruff check", GROUPS["lint"]),
        "ruff-format": ("ruff format", GROUPS["lint"]),
    }


def test_the_container_has_what_ci_has():
    """The development container installs the servers that CI does, and makes the environment as CONTRIBUTING.md says."""
    made = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))["postCreateCommand"]
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [command for command in made["environment"].split(" && ") if command not in page] == []
    continuous = (ROOT / ".ci/run").read_text(encoding="utf-8").replace("\\\n", "")
    servers = {
        name for names in re.findall(r"--no-install-recommends ([a-z0-9 -]+)", continuous) for name in names.split()
    }
    assert set(made["servers"].partition("--no-install-recommends ")[2].split()) == servers
