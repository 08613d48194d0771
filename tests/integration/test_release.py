"""A version is made of what is unreleased, in all files that name it, and a wrong one is refused before anything is written."""

from __future__ import annotations

import importlib
import importlib.util
import re
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADAPTER = """\
[project]
name = "ai-dev-squad-tiny"
version = "0.1.3"
dependencies = ["ai-dev-squad>=0.1,<0.2", "tiny>=1,<2"]
"""
CORE = """\
[project]
name = "ai-dev-squad"
version = "0.1.0"
dependencies = ["msgspec>=0.21,<1"]
"""
CHANGES = "# Changelog\n\n## Unreleased\n\n### Fixed\n\n- A sum.\n\n## 0.1.0 (2026-11-22)\n\n- The first.\n"


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    """The program."""
    spec = importlib.util.spec_from_file_location("prepare", ROOT / "tools" / "release" / "prepare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Core and an adapter that builds on it."""
    for name, project in (("core", CORE), ("tiny", ADAPTER)):
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True)
        (folder / "pyproject.toml").write_text(project, encoding="utf-8")
        (folder / "CHANGELOG.md").write_text(CHANGES, encoding="utf-8")
    return tmp_path


def written(tree: Path) -> dict[str, str]:
    """Every file, by its path."""
    return {
        str(path.relative_to(tree)): path.read_text(encoding="utf-8")
        for path in sorted(tree.rglob("*"))
        if path.is_file()
    }


def test_a_version_is_written_wherever_it_is_named(prepare: ModuleType, tree: Path) -> None:
    """Its package, its changelog, and the range of the package that builds on it."""
    before = written(tree)
    changed = prepare.prepare(tree, "ai-dev-squad", "0.2.0", "2026-12-01")

    assert [str(path.relative_to(tree)) for path in changed] == [
        "packages/core/CHANGELOG.md",
        "packages/core/pyproject.toml",
        "packages/tiny/pyproject.toml",
    ]
    assert written(tree) == {
        **before,
        "packages/core/CHANGELOG.md": CHANGES.replace("Unreleased\n", "Unreleased\n\n## 0.2.0 (2026-12-01)\n"),
        "packages/core/pyproject.toml": CORE.replace("0.1.0", "0.2.0"),
        "packages/tiny/pyproject.toml": ADAPTER.replace("<0.2", "<0.3"),
    }


def test_changes_of_their_own_files_join_the_others(prepare: ModuleType, tree: Path) -> None:
    """A file for each change, which none other touches, goes below its kind, after the lines that stood in the changelog; it is gone then."""
    changes = tree / "packages" / "core" / "changes"
    changes.mkdir()
    (changes / "+sums.fixed.md").write_text("Another sum,\nof two lines.\n", encoding="utf-8")
    (changes / "+words.added.md").write_text("`words`, a function.\n", encoding="utf-8")
    (changes / "+names.breaking.md").write_text("`name` is `names`.\n", encoding="utf-8")
    changed = prepare.prepare(tree, "ai-dev-squad", "0.2.0", "2026-12-01")

    assert [path.name for path in changed if not path.exists()] == [
        "+names.breaking.md",
        "+sums.fixed.md",
        "+words.added.md",
    ]
    assert (
        written(tree)["packages/core/CHANGELOG.md"]
        == """\
# Changelog

## Unreleased

## 0.2.0 (2026-12-01)

### Breaking

- `name` is `names`.

### Added

- `words`, a function.

### Fixed

- A sum.
- Another sum,
  of two lines.

## 0.1.0 (2026-11-22)

- The first.
"""
    )


def test_what_stands_before_the_kinds_stays_there(prepare: ModuleType, tree: Path) -> None:
    """The sentence of a first release is the first of its version, and a kind of one's own is the last."""
    changelog = tree / "packages" / "core" / "CHANGELOG.md"
    changelog.write_text("# Changelog\n\n## Unreleased\n\nThe first.\n\n### Gone\n\n- A name.\n", encoding="utf-8")
    prepare.prepare(tree, "ai-dev-squad", "0.2.0", "2026-12-01")

    assert changelog.read_text(encoding="utf-8") == (
        "# Changelog\n\n## Unreleased\n\n## 0.2.0 (2026-12-01)\n\nThe first.\n\n### Gone\n\n- A name.\n"
    )


def test_a_change_that_says_no_kind_changes_nothing(prepare: ModuleType, tree: Path) -> None:
    """A file whose name says none is named, with the names that are allowed."""
    change = tree / "packages" / "core" / "changes" / "sums.md"
    change.parent.mkdir()
    change.write_text("A sum.\n", encoding="utf-8")
    before = written(tree)
    allowed = r"Invalid news fragment name: sums\.md(.|\n)*allowed: \+words\.breaking\.md, \+words\.added\.md, \+words\.fixed\.md"
    with pytest.raises(ValueError, match=allowed):
        prepare.prepare(tree, "ai-dev-squad", "0.2.0", "2026-12-01")
    assert written(tree) == before


@pytest.mark.parametrize("added, least", [("", "0.1.1"), ("+names.breaking.md", "0.2.0")])
def test_a_file_that_breaks_asks_for_a_version_that_may(
    prepare: ModuleType, tree: Path, added: str, least: str
) -> None:
    """What breaks needs a minor version before 1.0, wherever it is said."""
    if added:
        (tree / "packages/core/changes").mkdir()
        (tree / "packages/core/changes" / added).write_text("`name` is `names`.\n", encoding="utf-8")
        with pytest.raises(ValueError, match=f"breaks what 0.1.0 promised.*allowed: {least} and up"):
            prepare.prepare(tree, "ai-dev-squad", "0.1.1", "2026-12-01")
    prepare.prepare(tree, "ai-dev-squad", least, "2026-12-01")

    assert f'version = "{least}"' in written(tree)["packages/core/pyproject.toml"]


def test_a_range_that_holds_already_stays(prepare: ModuleType, tree: Path) -> None:
    """A mended core needs nothing of its adapters."""
    prepare.prepare(tree, "ai-dev-squad", "0.1.1", "2026-12-01")

    assert written(tree)["packages/tiny/pyproject.toml"] == ADAPTER


@pytest.mark.parametrize(
    "distribution, version, changes, message",
    [
        (
            "ai-dev-squad-none",
            "0.2.0",
            CHANGES,
            "'ai-dev-squad-none' is not one of ours; allowed: ai-dev-squad, ai-dev-squad-tiny",
        ),
        ("ai-dev-squad", "0.1.0", CHANGES, "'0.1.0' is not higher than 0.1.0; allowed: 0.1.1 and up"),
        ("ai-dev-squad", "next", CHANGES, "'next' is none; write it like 0.2.0"),
        (
            "ai-dev-squad",
            "0.1.1",
            CHANGES.replace("Fixed", "Breaking"),
            "breaks what 0.1.0 promised.*allowed: 0.2.0 and up",
        ),
        (
            "ai-dev-squad",
            "0.2.0",
            CHANGES.replace("### Fixed\n\n- A sum.\n", ""),
            "nothing is unreleased; write what a user can notice into changes/",
        ),
    ],
)
def test_a_wrong_version_changes_nothing(
    prepare: ModuleType, tree: Path, distribution: str, version: str, changes: str, message: str
) -> None:
    """What is refused says what is allowed."""
    (tree / "packages/core/CHANGELOG.md").write_text(changes, encoding="utf-8")
    before = written(tree)
    with pytest.raises(ValueError, match=message):
        prepare.prepare(tree, distribution, version, "2026-12-01")
    assert written(tree) == before


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What a release says of where it comes from."""
    monkeypatch.syspath_prepend(str(ROOT / "tools/release"))
    return importlib.import_module("addresses")


def test_a_release_names_the_addresses_of_its_repository(addresses: ModuleType, tree: Path, tmp_path: Path) -> None:
    """Four, in a copy of the package that is otherwise the same; the tree knows none before and after."""
    before = written(tree)
    into = tmp_path / "copies"
    into.mkdir()
    copy = addresses.addressed(tree / "packages/tiny", tree, "https://forge.test/squad/observability/", into)
    told = tomllib.loads((copy / "pyproject.toml").read_text(encoding="utf-8"))

    assert told["project"].pop("urls") == {
        "Changelog": "https://forge.test/squad/observability/blob/HEAD/packages/tiny/CHANGELOG.md",
        "Documentation": "https://forge.test/squad/observability/blob/HEAD/docs/README.md",
        "Issues": "https://forge.test/squad/observability/issues",
        "Source": "https://forge.test/squad/observability",
    }
    assert told == tomllib.loads(ADAPTER)
    assert {name: text for name, text in written(tree).items() if not name.startswith("copies/")} == before


@pytest.mark.parametrize("repository", ["", "https://", "http://forge.test/squad", "git@forge.test:squad.git"])
def test_a_repository_that_no_browser_opens_is_refused(addresses: ModuleType, repository: str) -> None:
    """The message names the value and what is allowed."""
    with pytest.raises(
        ValueError, match=f"repository '{re.escape(repository)}' is no address; allowed: https://HOST/OWNER/NAME"
    ):
        addresses.addresses(repository, "packages/tiny")


def test_a_package_with_addresses_of_its_own_gets_no_others(addresses: ModuleType, tree: Path, tmp_path: Path) -> None:
    """Two sources of one fact would differ one day."""
    project = tree / "packages/tiny/pyproject.toml"
    project.write_text(f'{ADAPTER}[project.urls]\nSource = "https://elsewhere.test"\n', encoding="utf-8")
    with pytest.raises(ValueError, match="names addresses, and --repository would as well; keep one of both"):
        addresses.addressed(project.parent, tree, "https://forge.test/squad", tmp_path)


@pytest.mark.parametrize(
    "said, found",
    [
        ("Project-URL: Source, https://forge.test/squad\n", []),
        ("", ["tiny-1-py3-none-any.whl: its addresses are {}, wanted are {'Source': 'https://forge.test/squad'}"]),
    ],
)
def test_a_wheel_without_its_addresses_is_refused(
    addresses: ModuleType, tmp_path: Path, said: str, found: list[str]
) -> None:
    """What was asked for is looked for in the metadata that the index reads."""
    wheel = tmp_path / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as content:
        content.writestr("tiny-1.dist-info/METADATA", f"Metadata-Version: 2.4\nName: tiny\nVersion: 1\n{said}\n")

    assert list(addresses.faults(wheel, {"Source": "https://forge.test/squad"})) == found


def test_the_workflow_that_publishes_says_where_it_runs() -> None:
    """The one place that knows the repository hands it to the release."""
    workflow = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")

    assert 'nox -s release -- --repository "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"' in workflow


def test_every_package_has_tests_that_prove_its_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """`nox -s release` leaves no package untested, and the files that it runs are there."""
    monkeypatch.syspath_prepend(str(ROOT / "tools/release"))
    prove = importlib.import_module("prove")

    assert sorted(prove.PROOFS) == sorted(project["name"] for project in prove.PROJECTS.values())
    assert [path for proof in prove.PROOFS.values() for path in proof.tests if not (ROOT / path).exists()] == []
