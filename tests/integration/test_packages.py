"""Distributions use one another's public names only, and only those that stand below them."""

from __future__ import annotations

import ast
import importlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = {
    project.parent: tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    for project in sorted(ROOT.glob("packages/**/pyproject.toml"))
}
OURS = {project["name"].replace("-", "_"): folder for folder, project in PROJECTS.items()}
FOLDERS = pytest.mark.parametrize("folder", [pytest.param(folder, id=folder.name) for folder in PROJECTS])

ADAPTERS = {name for name, folder in OURS.items() if folder.parent.name == "adapters"}
MAY_IMPORT = {
    "ai_dev_squad": set(),
    **{name: {"ai_dev_squad"} for name in ADAPTERS},
    # Of the dashboard, the contract of stores knows what engines are made of.
    "ai_dev_squad_testing": {"ai_dev_squad", "ai_dev_squad_dashboard"},
    "ai_dev_squad_cli": {"ai_dev_squad"},
    "ai_dev_squad_dashboard": {"ai_dev_squad", "ai_dev_squad_cli"},
    # Its programs are a user's programs: they observe each framework.
    "ai_dev_squad_parity": {"ai_dev_squad", "ai_dev_squad_testing", "ai_dev_squad_dashboard", *ADAPTERS},
}
"""Who may import whom. A package that is not named may import nothing of ours."""

READERS = {
    "ai_dev_squad_dashboard": {
        "ai_dev_squad_dashboard",
        "ai_dev_squad_dashboard.engine",
        "ai_dev_squad_dashboard.lab_report",
        "ai_dev_squad_dashboard.lab_results",
        "ai_dev_squad_dashboard.reader",
    }
}
"""Distributions whose modules with ``__all__`` are not all for others, and those that are."""


class Import(NamedTuple):
    """A name that a module takes from another distribution of ours."""

    where: str
    home: str
    """The module that it is taken from."""
    name: str | None
    """``None`` where the module itself is imported."""


def imports(folder: Path) -> Iterator[Import]:
    """What the package's modules take from others of ours."""
    own = PROJECTS[folder]["name"].replace("-", "_")
    for path in sorted((folder / "src").rglob("*.py")):
        where = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found = [Import(f"{where}:{node.lineno}", alias.name, None) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found = [Import(f"{where}:{node.lineno}", node.module, alias.name) for alias in node.names]
            else:
                continue
            yield from (one for one in found if (top := one.home.partition(".")[0]) in OURS and top != own)


def is_public(one: Import) -> bool:
    """Whether a name is for others: no part of it is private, and its module promises it or is named by what promises."""
    full = one.home if one.name is None else f"{one.home}.{one.name}"
    if any(part.startswith("_") for part in full.split(".")):
        return False
    top = one.home.partition(".")[0]
    readers = READERS.get(top)
    if readers is not None and one.home not in readers and full not in readers:
        return False
    home = importlib.import_module(one.home)
    if one.name is None or one.name in getattr(home, "__all__", ()):
        return True
    return hasattr(sys.modules.get(full) or _module(full), "__all__")


def _module(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


@FOLDERS
def test_a_distribution_imports_only_those_below_it(folder: Path):
    """Core knows nobody, adapters know core, the dashboard needs neither the lab nor the contract, the lab knows all of them."""
    allowed = MAY_IMPORT.get(PROJECTS[folder]["name"].replace("-", "_"), set())

    assert [one for one in imports(folder) if one.home.partition(".")[0] not in allowed] == []


@FOLDERS
def test_a_distribution_uses_public_names_of_others_only(folder: Path):
    """What has an underscore, or is in no ``__all__``, is its distribution's own; of the dashboard the readers are public."""
    assert sorted({one for one in imports(folder) if not is_public(one)}) == []


@pytest.mark.parametrize(
    "home, name, public",
    [
        pytest.param("ai_dev_squad", "capture_nothing", False, id="unknown"),
        pytest.param("ai_dev_squad", "operations", True, id="module"),
        pytest.param("ai_dev_squad.operations", "start", True, id="promised"),
        pytest.param("ai_dev_squad.operations", "_start", False, id="private"),
        pytest.param("ai_dev_squad_langgraph._handler", "Handler", False, id="in a private module"),
        pytest.param("ai_dev_squad_dashboard.reader", "read_spans", True, id="reader"),
        pytest.param("ai_dev_squad_dashboard.ingest.translate", "translated", False, id="inside of the dashboard"),
        pytest.param("ai_dev_squad_dashboard", "ingest", False, id="room of the dashboard"),
    ],
)
def test_what_is_public_is_told_from_what_is_not(home, name, public):
    """A name without a promise, a private name and the dashboard's rooms are not for others."""
    assert is_public(Import("somewhere:1", home, name)) is public


@FOLDERS
def test_a_distribution_requires_what_it_imports(folder: Path):
    """What is imported of ours is a dependency, or comes with an extra."""
    project = PROJECTS[folder]
    groups = [project["dependencies"], *project.get("optional-dependencies", {}).values()]
    required = {Requirement(text).name.replace("-", "_") for group in groups for text in group}

    assert {one.home.partition(".")[0] for one in imports(folder)} - required == set()


@FOLDERS
def test_private_attributes_of_other_distributions_are_left_alone(folder: Path):
    """Nor is a private name reached by the module that has it: ``runtime._installed``."""
    own = PROJECTS[folder]["name"].replace("-", "_")
    reached = []
    for path in sorted((folder / "src").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in set(OURS) - {own}
            for alias in node.names
        }
        reached += [
            f"{path.relative_to(ROOT)}:{node.lineno} {node.value.id}.{node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
        ]
    assert reached == []
