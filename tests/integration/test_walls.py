"""The walls inside core: no module reaches into another one's private names, and no imports go round in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "packages/core/src"

FOREIGN: Mapping[str, frozenset[str]] = {
    # A named tuple's and an enum member's own documented names, which begin with an underscore to leave others free.
    "costs/prices/rates.py": frozenset({"_fields"}),
    "redaction_values.py": frozenset({"_name_", "_value_"}),
    "redaction_objects.py": frozenset({"_value_"}),
    # A reentrant lock says only so whether the thread that asks has it, as the code below a signal handler may.
    "costs/budgets/book.py": frozenset({"_is_owned"}),
    # openai's resource has its client, and its stream the iterator to be replaced, under no public name.
    "wire/openai_usage.py": frozenset({"_client", "_iterator"}),
    # aiohttp resolves a relative URL in no public method, and urllib3 and aiohttp hand pieces over in none.
    "wire/doors/aiohttp.py": frozenset({"_build_url", "_read_nowait_chunk"}),
    "wire/doors/urllib3.py": frozenset({"_raw_read", "_handle_chunk", "_update_chunk_length"}),
}
"""Private names of other people's libraries that are used, and why. Names of our own have no place here."""


def is_private(name: str) -> bool:
    """One leading underscore; two on both sides are Python's own."""
    return name.startswith("_") and not name.startswith("__") and name != "_"


def owned(module: ast.Module) -> set[str]:
    """The private names that a module's own functions, classes, slots and assignments make."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_own(node.value):
            names.add(node.attr)
    return names


def is_own(value: ast.expr) -> bool:
    """Whether an attribute's owner is the object itself or its class."""
    return isinstance(value, ast.Name) and value.id in {"self", "cls"}


def reaches(module: ast.Module) -> set[str]:
    """The private names of others that a module uses."""
    own = owned(module)
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and not is_own(node.value):
            found |= {node.attr} - own
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names}
    return {name for name in found if is_private(name)}


@pytest.mark.parametrize(
    "code, found",
    [
        ("from x import _y", {"_y"}),
        ("import x\nx._y", {"_y"}),
        ("def f(x): return x.a._y", {"_y"}),
        ("def f(x): x._y = 1", {"_y"}),
        ("class A:\n    def f(self, other): self._y = other._y", set()),
        ("class A:\n    _y: int = 0\ndef f(a: A): return a._y", set()),
        ("class A:\n    def _y(self): ...\ndef f(a: A): a._y()", set()),
        ("class A:\n    def f(self): return self._y, type(self).__name__", set()),
    ],
)
def test_a_reach_is_a_private_name_that_the_module_does_not_make(code: str, found: set[str]) -> None:
    """What a module itself defines is its own wherever it's used; everything else with an underscore is somebody's."""
    assert reaches(ast.parse(code)) == found


def test_no_module_of_core_reaches_into_another_one() -> None:
    """A private name may change without asking anybody, so only its own module may use it."""
    found = {}
    for path in sorted((CORE / "ai_dev_squad").rglob("*.py")):
        name = path.relative_to(CORE / "ai_dev_squad").as_posix()
        reached = reaches(ast.parse(path.read_text(encoding="utf-8"))) - FOREIGN.get(name, frozenset())
        if reached:
            found[name] = reached
    assert found == {}


def modules() -> dict[str, Path]:
    """Every module of core by its dotted name."""
    found = {}
    for path in CORE.rglob("*.py"):
        parts = path.relative_to(CORE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: ast.Module, known: Mapping[str, Path]) -> set[str]:
    """The modules that a module imports wherever it does, but what only type checkers read."""
    for_checkers = {
        inner
        for node in ast.walk(module)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in node.body
        for inner in ast.walk(child)
    }
    found: set[str] = set()
    for node in ast.walk(module):
        if node in for_checkers:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "core imports by whole names"
            found |= {
                inner if (inner := f"{node.module}.{alias.name}") in known else str(node.module) for alias in node.names
            }
    return found & set(known)


def circles(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """One way round for each module from which a way leads back to it."""
    for start in sorted(graph):
        ways: dict[str, list[str]] = {start: [start]}
        waiting = [start]
        while waiting:
            name = waiting.pop()
            for target in sorted(graph[name]):
                if target == start:
                    yield [*ways[name], start]
                    waiting.clear()
                    break
                if target not in ways:
                    ways[target] = [*ways[name], target]
                    waiting.append(target)


def test_a_circle_is_told_from_a_fork() -> None:
    """Two ways to one module are none; a way back is one, however long."""
    assert list(circles({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()})) == []
    assert list(circles({"a": {"b"}, "b": {"c"}, "c": {"b"}})) == [["b", "c", "b"], ["c", "b", "c"]]


def test_the_imports_of_core_have_no_circle() -> None:
    """Imports inside functions count: whoever reads a module needs what it imports, early or late."""
    known = modules()
    graph = {name: imports(ast.parse(path.read_text(encoding="utf-8")), known) - {name} for name, path in known.items()}

    assert len(graph) > 50
    assert list(circles(graph)) == []


def test_the_guides_names_stand_beside_the_product() -> None:
    """Nothing of the product is made of ``compat`` but what ``assembly`` builds; the package itself names it when asked."""
    known = modules()
    users = {
        name
        for name, path in known.items()
        for target in imports(ast.parse(path.read_text(encoding="utf-8")), known)
        if target.startswith("ai_dev_squad.compat")
    }

    assert {name for name in users if not name.startswith("ai_dev_squad.compat")} == {"ai_dev_squad.assembly"}
