"""The reference of the packages: their public names, with signatures and docstrings as the source text has them.

Nothing is taken from objects: so every Python version writes the same pages.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from reference_page import MARK

__all__ = ["PACKAGES", "api_page", "public_names", "undocumented"]

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/**/src/*/__init__.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


def public_modules(package: str) -> Iterator[ModuleType]:
    """The package, its ``testing`` module, and the submodules that its ``__all__`` names."""
    module = importlib.import_module(package)
    yield module
    for name in sorted({*getattr(module, "__all__", ()), "testing"}):
        try:
            yield importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{name}":
                raise


def public_names() -> list[str]:
    """``module.name`` of everything public, sorted."""
    return sorted(
        f"{module.__name__}.{name}"
        for package in PACKAGES
        for module in public_modules(package)
        for name in getattr(module, "__all__", ())
    )


def undocumented() -> list[str]:
    """Public names and public methods without a docstring, sorted."""
    missing = []
    for full_name in public_names():
        module_name, _, name = full_name.rpartition(".")
        module = importlib.import_module(module_name)
        home, node = find(getattr(module, name), module, name)
        if isinstance(node, Definition):
            methods = public_methods(node) if isinstance(node, ast.ClassDef) else []
            missing += [f"{full_name}.{item.name}" for item in methods if not doc(item)]
            missing += [] if doc(node) else [full_name]
        elif not isinstance(getattr(module, name), (ModuleType, str)) and not assigned_doc(home, name):
            missing.append(full_name)
    return sorted(missing)


def api_page(package: str) -> str:
    """All public names of a package, grouped by the module that a user imports them from."""
    parts = [MARK, f"# `{package}`"]
    for module in public_modules(package):
        if module.__name__ != package:
            parts.append(f"# `{module.__name__}`")
        parts.append((inspect.getdoc(module) or "").replace("``", "`"))
        parts += [entry(module, name) for name in sorted(getattr(module, "__all__", ()), key=str.lower)]
    return "\n\n".join(part for part in parts if part) + "\n"


def entry(module: ModuleType, name: str) -> str:
    """One public name: its signature, docstring, fields and methods."""
    value = getattr(module, name)
    if isinstance(value, ModuleType):
        return f"## `{name}`\n\nModule `{value.__name__}`: {(inspect.getdoc(value) or '').partition(chr(10))[0]}"
    home, node = find(value, module, name)
    if isinstance(node, ast.ClassDef):
        return class_entry(name, [node, *inherited(value)])
    if isinstance(node, Function):
        return f"## `{name}`\n\n{fenced(signature(node))}\n\n{doc(node)}"
    return f"## `{name}`\n\n{assigned_doc(home, name)}"


def inherited(value: type) -> list[ast.ClassDef]:
    """The classes of ours that a public class is made of and that nobody is shown under a name of their own."""
    found = []
    for base in value.__mro__[1:]:
        package = base.__module__.partition(".")[0]
        if package in PACKAGES and base.__name__ not in importlib.import_module(package).__all__:
            found += [
                node
                for node in tree(base.__module__).body
                if isinstance(node, ast.ClassDef) and node.name == base.__name__
            ]
    return found


def class_entry(name: str, nodes: list[ast.ClassDef]) -> str:
    """A class with what its source shows, and what it inherits: fields or constructor, then public methods and properties."""
    node = nodes[0]
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    lines = [f"class {name}({bases})" if bases else f"class {name}"]
    attributes = [statement for each in nodes for statement in each.body if is_public_attribute(statement)]
    lines += [f"    {ast.unparse(statement)}" for statement in attributes]
    constructors = [method for each in nodes for method in functions(each) if method.name == "__init__"]
    lines += [textwrap.indent(signature(method), "    ") for method in constructors[:1]]
    parts = [f"## `{name}`", fenced("\n".join(lines)), doc(node)]
    methods = {method.name: method for each in reversed(nodes) for method in public_methods(each)}
    for method in methods.values():
        decorators = [f"@{ast.unparse(decorator)}\n" for decorator in method.decorator_list]
        parts.append(
            f"### `{name}.{method.name}`\n\n{fenced(''.join(decorators) + signature(method))}\n\n{doc(method)}"
        )
    return "\n\n".join(part.rstrip() for part in parts if part)


def functions(node: ast.ClassDef) -> list[Function]:
    """The functions of a class body, in order."""
    return [item for item in node.body if isinstance(item, Function)]


def public_methods(node: ast.ClassDef) -> list[Function]:
    """Methods and properties for users; setters and overloads are told by their sibling."""
    return [
        item
        for item in functions(node)
        if not item.name.startswith("_")
        and not any(ast.unparse(d).endswith((".setter", ".deleter", "overload")) for d in item.decorator_list)
    ]


def is_public_attribute(statement: ast.stmt) -> bool:
    """Fields with a type, and the members of an enumeration."""
    if isinstance(statement, ast.AnnAssign):
        target: ast.expr = statement.target
    elif isinstance(statement, ast.Assign):
        target = statement.targets[0]
    else:
        return False
    return isinstance(target, ast.Name) and not target.id.startswith("_")


def signature(node: Function) -> str:
    """The function's head, on one line or with one argument a line when it is long."""
    head = f"{'async ' if isinstance(node, ast.AsyncFunctionDef) else ''}def {node.name}"
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    arguments = [spaced(text) for text in split_arguments(ast.unparse(node.args)) if text not in {"self", "cls"}]
    line = f"{head}({', '.join(arguments)}){result}"
    if len(line) <= 100:
        return line
    return f"{head}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){result}"


def spaced(argument: str) -> str:
    """``a: int=1`` as people write it."""
    return re.sub(r"^(\w+: [^=]+)=", r"\1 = ", argument)


def split_arguments(text: str) -> list[str]:
    """Split at the commas outside brackets and quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for index, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and not depth:
            parts.append(text[start:index].strip())
            start = index + 1
    return [part for part in [*parts, text[start:].strip()] if part]


def find(value: Any, module: ModuleType, name: str) -> tuple[str, Definition | None]:
    """The module that defines a public name, and its definition there (None for a constant or an alias)."""
    homes = [getattr(value, "__module__", None), *imported_from(module, name), module.__name__]
    for home in homes:
        if isinstance(home, str) and home.partition(".")[0] in PACKAGES:
            for node in reversed(tree(home).body):  # the last one: overloads come before it
                wanted = getattr(value, "__name__", name)
                if isinstance(node, Definition) and node.name in {name, wanted}:
                    return home, node
    constants = [home for home in homes if isinstance(home, str) and assigned_doc(home, name)]
    return (constants or [module.__name__])[0], None


def imported_from(module: ModuleType, name: str) -> list[str]:
    """The modules of the same package that list the name in their own ``__all__``, and are loaded by now."""
    prefix = module.__name__.partition(".")[0] + "."
    return [
        other.__name__
        for other in list(sys.modules.values())
        if getattr(other, "__name__", "").startswith(prefix) and name in getattr(other, "__all__", ())
    ]


@cache
def tree(module: str) -> ast.Module:
    """The parsed source of a module of ours; empty for one that has no source file."""
    try:
        source = inspect.getsourcefile(importlib.import_module(module))
    except (ImportError, TypeError):
        source = None
    return ast.parse(Path(source).read_text(encoding="utf-8") if source else "")


def assigned_doc(module: str, name: str) -> str:
    """The assignment of a constant and the string that follows it in the source."""
    if module.partition(".")[0] not in PACKAGES:
        return ""
    body = tree(module).body
    for statement, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
        if not any(isinstance(target, ast.Name) and target.id == name for target in targets):
            continue
        text = fenced(shortened(ast.unparse(statement)))
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            text += "\n\n" + inspect.cleandoc(str(following.value.value)).replace("``", "`")
        return text
    return ""


def shortened(code: str) -> str:
    """Long tables stay in the code."""
    return code if len(code) <= 300 else code[:100].rstrip() + " …"


def doc(node: Definition) -> str:
    """The docstring as Markdown, or nothing."""
    return (ast.get_docstring(node) or "").replace("``", "`")


def fenced(code: str) -> str:
    """A block of code."""
    return f"```python\n{code}\n```"
