"""What is to go works until it goes, says so at the line that uses it, and does go."""

from __future__ import annotations

import ast
import sys
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ai_dev_squad.deprecation import Deprecated, renamed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module whose ``old`` is called ``new`` now."""
    made = ModuleType("house")
    made.new = object()  # type: ignore[attr-defined]
    made.__getattr__ = renamed("house", {"old": Deprecated("0.3", "0.5", "new")})  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "house", made)
    return made


def test_an_old_name_is_the_new_one_and_warns_where_it_is_used(module: ModuleType) -> None:
    """The value is the same object; the warning has both versions, the cure, and the line of the user."""
    with pytest.warns(DeprecationWarning, match="house") as told:
        value = module.old

    assert value is module.new
    assert [(str(each.message), each.filename) for each in told] == [
        ("house.old is deprecated since 0.3 and gone in 0.5; use new", __file__)
    ]


def test_other_names_are_unknown_as_in_any_module(module: ModuleType) -> None:
    """What never was is no deprecated name."""
    with pytest.raises(AttributeError, match=r"^module 'house' has no attribute 'never'$"):
        _ = module.never


def test_a_setting_warns_whoever_runs_the_program() -> None:
    """A function says it at its caller's line, in a category that Python shows by default."""

    def configure() -> None:
        Deprecated("1.2", "2.0", "AI_NEW").warn("variable AI_OLD", category=FutureWarning)

    with pytest.warns(FutureWarning) as told:
        configure()

    assert [(str(each.message), each.filename) for each in told] == [
        ("variable AI_OLD is deprecated since 1.2 and gone in 2.0; use AI_NEW", __file__)
    ]


@pytest.mark.parametrize(
    "since, until", [("0.3", "0.5"), ("0.3", "0.9"), ("0.9", "1.0"), ("1.4", "2.0"), ("1.4.2", "3.0.0")]
)
def test_a_time_that_was_promised_is_taken(since: str, until: str) -> None:
    """Two minor versions before 1.0, and from then on until a major one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Deprecated(since, until, "new").until == until


@pytest.mark.parametrize(
    "since, until, least",
    [
        ("0.3", "0.4", "0.5"),
        ("0.3", "0.3", "0.5"),
        ("0.9", "1.1", "0.11"),
        ("1.4", "1.9", "2.0"),
        ("2.0", "1.0", "3.0"),
    ],
)
def test_a_shorter_time_is_refused(since: str, until: str, least: str) -> None:
    """The promise is kept by whoever deprecates, not by whoever remembers it."""
    with pytest.raises(
        ValueError, match=f"since {since} cannot go in {until}; allowed: {least}, or a later major version"
    ):
        Deprecated(since, until, "new")


def ends(code: str) -> Iterator[str]:
    """The ``until`` of each ``Deprecated(…)`` in a module."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Deprecated":
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            yield ast.literal_eval(named.get("until") or node.args[1])


def numbers(version: str) -> list[int]:
    """A version as numbers, to compare."""
    return [int(part) for part in version.split(".")]


def overdue(package: Path) -> list[str]:
    """The modules of a package with something that its own version should not have any more."""
    version = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return [
        f"{path.name}: {until}"
        for path in sorted(package.glob("src/**/*.py"))
        if "Deprecated(" in (code := path.read_text(encoding="utf-8"))
        for until in ends(code)
        if numbers(until)[:2] <= numbers(version)[:2]
    ]


def test_what_should_be_gone_is_gone(tmp_path: Path) -> None:
    """Nothing in any package has outlived the version that it named; of one that has, the module is named."""
    (tmp_path / "src").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.5.1"\n', encoding="utf-8")
    (tmp_path / "src/late.py").write_text(
        'A = Deprecated("0.3", "0.5", "new")\nB = Deprecated("0.4", until="0.6", instead="new")\n', encoding="utf-8"
    )
    assert overdue(tmp_path) == ["late.py: 0.5"]

    late = {path.parent.name: overdue(path.parent) for path in ROOT.glob("packages/**/pyproject.toml")}
    assert {name: found for name, found in late.items() if found} == {}
