"""What holds for the tree as a whole, whatever the packages do."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = {
    project.parent: tomllib.loads(project.read_text(encoding="utf-8"))
    for project in sorted(ROOT.glob("packages/**/pyproject.toml"))
}
# An adapter is not there on a Python that its framework refuses.
HERE = f"Programming Language :: Python :: {sys.version_info[0]}.{sys.version_info[1]}"
FOLDERS = pytest.mark.parametrize(
    "folder",
    [
        pytest.param(folder, id=folder.name)
        for folder, data in PROJECTS.items()
        if HERE in data["project"]["classifiers"]
    ],
)
FRAMEWORKS = {folder.name for folder in PROJECTS if folder.parent.name == "adapters"}
MAX_LINES = 400


def import_name(folder: Path) -> str:
    """The package's import name: the distribution's, a hyphen becoming an underscore."""
    return PROJECTS[folder]["project"]["name"].replace("-", "_")


def sources(folder: Path) -> Iterator[Path]:
    """The package's modules."""
    return (folder / "src").rglob("*.py")


def test_no_init_file_can_hide_a_framework():
    """`langgraph` is a namespace package: an __init__.py in a folder of that name would take its place."""
    found = [
        *(ROOT / "tests").rglob("__init__.py"),
        *(ROOT / "packages").glob("__init__.py"),
        *(ROOT / "packages").glob("*/__init__.py"),
        *(ROOT / "packages/adapters").glob("*/__init__.py"),
    ]
    assert found == []


def test_test_files_are_named_after_frameworks_and_folders_never():
    """A folder tests/…/langgraph would be importable as langgraph itself."""
    assert FRAMEWORKS
    assert [path for path in (ROOT / "tests").rglob("*") if path.is_dir() and path.name in FRAMEWORKS] == []


@FOLDERS
def test_every_package_has_the_same_parts(folder: Path):
    """A package is a folder with project file, README, changelog, licence and one typed import package."""
    name = import_name(folder)
    parts = [
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        f"src/{name}/__init__.py",
        f"src/{name}/py.typed",
    ]
    assert [part for part in parts if not (folder / part).exists()] == []
    packages = [path.name for path in (folder / "src").iterdir() if path.name.isidentifier() and path.name[0] != "_"]
    assert packages == [name]
    assert (folder / "LICENSE").read_text(encoding="utf-8") == (ROOT / "LICENSE").read_text(encoding="utf-8")


@FOLDERS
def test_the_version_stands_once(folder: Path):
    """The project file has the version; the installed metadata follows, the changelog begins with it, no code repeats it."""
    project = PROJECTS[folder]["project"]
    assert importlib.metadata.version(project["name"]) == project["version"]
    first = re.search(r"^## \[?([^\s\]]+)", (folder / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert first is not None
    assert first.group(1) in {"Unreleased", project["version"]}
    repeated = [path for path in sources(folder) if re.search(r"__version__\s*=\s*[\"']", path.read_text("utf-8"))]
    assert repeated == []
    package = importlib.import_module(import_name(folder))
    assert getattr(package, "__version__", project["version"]) == project["version"]


@FOLDERS
def test_a_change_says_its_kind_and_is_a_sentence(folder: Path):
    """What waits for a release in a package's `changes` is a file for each change, which has no bullet of its own."""
    changes = sorted((folder / "changes").glob("*"))
    assert [
        path.name for path in changes if not re.fullmatch(r"\+[a-z0-9-]+\.(breaking|added|fixed)\.md", path.name)
    ] == []
    assert [path.name for path in changes if not re.match(r"[^\s#*-]", path.read_text(encoding="utf-8"))] == []


@FOLDERS
def test_every_dependency_has_a_lower_and_an_upper_bound(folder: Path):
    """A resolver can only refuse what a range excludes."""
    project = PROJECTS[folder]["project"]
    extras = project.get("optional-dependencies", {}).values()
    requirements = [Requirement(text) for group in (project["dependencies"], *extras) for text in group]
    unbounded = [
        str(requirement)
        for requirement in requirements
        if {"<", ">="} != {clause.operator for clause in requirement.specifier if clause.operator != "!="}
    ]
    assert unbounded == []


@FOLDERS
def test_a_package_accepts_the_siblings_of_this_tree(folder: Path):
    """Adapters depend on a range of core; the core beside them lies within it, and nothing pins a sibling exactly."""
    versions = {p["project"]["name"]: Version(p["project"]["version"]) for p in PROJECTS.values()}
    required = {
        requirement.name: requirement.specifier
        for requirement in map(Requirement, PROJECTS[folder]["project"]["dependencies"])
        if requirement.name in versions
    }
    if folder.parent.name == "adapters":
        assert "ai-dev-squad" in required
    assert {name: specifier.contains(versions[name]) for name, specifier in required.items()} == dict.fromkeys(
        required, True
    )


@FOLDERS
def test_a_package_says_what_the_index_shows_of_it(folder: Path):
    """Who makes it, what it is about and for whom; addresses, where there are some, are the same in all packages and encrypted."""
    project, core = PROJECTS[folder]["project"], PROJECTS[ROOT / "packages/core"]["project"]
    assert project["authors"] == core["authors"] == [{"name": "The AI Dev Squad maintainers"}]
    assert {"observability", "agents"} <= set(project["keywords"])
    assert {"Intended Audience :: Developers", "Typing :: Typed"} <= set(project["classifiers"])
    assert len(project["description"]) <= 150
    assert project.get("urls", {}) == core.get("urls", {})
    assert [url for url in project.get("urls", {}).values() if not url.startswith("https://")] == []


@FOLDERS
def test_a_package_claims_the_pythons_of_core_as_far_as_what_it_needs_goes(folder: Path):
    """One list of test sessions covers all packages, and an adapter promises no Python that its framework refuses."""

    def claims(project: dict[str, Any]) -> list[str]:
        named = [c for c in project["classifiers"] if c.startswith("Programming Language :: Python :: 3.")]
        return [classifier.rpartition(" ")[2] for classifier in named]

    project, core = PROJECTS[folder]["project"], claims(PROJECTS[ROOT / "packages/core"]["project"])
    own = claims(project)
    assert own
    assert own == core[: len(own)]
    needed = [Requirement(text).name for text in project["dependencies"]]
    accepted = {name: importlib.metadata.metadata(name)["Requires-Python"] for name in (project["name"], *needed)}
    refused = [
        f"Python {python} by {name}: {specifier}"
        for name, specifier in accepted.items()
        for python in own
        if not SpecifierSet(specifier or "").contains(f"{python}.0")
    ]
    assert refused == []


@FOLDERS
def test_modules_stay_readable(folder: Path):
    """No module is longer than 400 lines."""
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in sources(folder)}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


@FOLDERS
def test_what_is_tested_is_what_is_shipped(folder: Path):
    """In the nox sessions the package comes from its wheel, with py.typed and the licence in it."""
    package = importlib.import_module(import_name(folder))
    location = Path(str(package.__file__)).parent
    assert (location / "py.typed").exists()
    if "AI_DEV_SQUAD_TEST_WHEELS" in os.environ:
        assert location.parent.name == "site-packages"
        assert ROOT / "packages" not in location.parents
        files = {path.name for path in importlib.metadata.files(PROJECTS[folder]["project"]["name"]) or ()}
        assert {"py.typed", "LICENSE"} <= files


def test_every_test_says_what_it_specifies():
    """Every test function has a docstring, and nothing is skipped or expected to fail without a reason."""
    silent, marked, reasoned = [], set(), set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if path.is_relative_to(ROOT / "tests/guide"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            if is_function and node.name.startswith("test_") and not ast.get_docstring(node):
                silent.append(f"{path.name}::{node.name}")
            if isinstance(node, ast.Attribute) and node.attr in {"skip", "xfail"} and "mark" in ast.dump(node.value):
                marked.add(f"{path.name}:{node.lineno}")
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and (node.func.attr in {"skip", "xfail"})
                and any(keyword.arg == "reason" for keyword in node.keywords)
            ):
                reasoned.add(f"{path.name}:{node.lineno}")
    assert silent == []
    assert marked - reasoned == set()


def test_a_fresh_machine_needs_two_commands():
    """The README gives them before anything else is asked of a reader, and CI runs the second one."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install nox && nox -s demo" in readme
    assert re.search(r"^nox\b(?! -s)", readme, re.MULTILINE)
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").endswith('nox "$@"\n')
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_every_environment_variable_is_documented():
    """A variable that the code reads stands in the documentation."""
    read = {
        name
        for folder in PROJECTS
        for path in sources(folder)
        for name in re.findall(r"[\"'](AI_DEV_SQUAD_[A-Z0-9_]*[A-Z0-9])[\"']", path.read_text(encoding="utf-8"))
    }
    documented = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    assert sorted(name for name in read if name not in documented) == []


def test_every_room_of_core_stands_in_the_picture_of_the_house():
    """Each module and package of core has a row in the table of docs/explanation/architecture.md, and no row is of none."""
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Rooms")[2].partition("\n## ")[0]
    named = set(
        re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines() if row.startswith("| `")))
    )
    core = (ROOT / "packages/core/src/ai_dev_squad").glob("[a-z]*")
    assert named == {path.stem for path in core if path.suffix in {".py", ""}}
