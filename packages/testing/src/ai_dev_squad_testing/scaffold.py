"""``ai-dev-squad adapter new NAME``: an adapter's package that runs, with the contract wired."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from argparse import Namespace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Any

from ai_dev_squad.frameworks import adapted_frameworks, framework_title, known_frameworks

__all__ = ["ScaffoldError", "register", "write_adapter"]


class ScaffoldError(ValueError):
    """No package can be made of this; the message names the value, what is allowed and the cure."""


def write_adapter(name: str, into: Path | None = None) -> Path:
    """Write the package of an adapter of the framework ``name``. Returns its folder.

    It is made in ``into``, which must not be there yet or be empty: ``ai-dev-squad-NAME`` here where nothing is said. Raises
    ``ScaffoldError``.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ScaffoldError(
            f"{name!r} cannot be a framework's name: lower-case letters, digits and _, a letter first, as in pydantic_ai"
        )
    taken = adapted_frameworks().get(name)
    if taken is not None:
        raise ScaffoldError(f"{taken.title} has an adapter, {taken.adapter}; pip install it, or choose another name")
    distribution = f"ai-dev-squad-{name.replace('_', '-')}"
    folder = Path(distribution) if into is None else into
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ScaffoldError(f"{folder} is in use; name an empty folder: --into DIR")
    known = name in known_frameworks()
    title = framework_title(name) if known else name.replace("_", " ").title()
    core, testing = (_minor(one) for one in ("ai-dev-squad", "ai-dev-squad-testing"))
    words = {
        "name": name,
        "title": title,
        "distribution": distribution,
        "module": distribution.replace("-", "_"),
        "classname": "".join(map(str.capitalize, name.split("_"))),
        "core": core[0],
        "next_core": core[1],
        "testing": testing[0],
        "next_testing": testing[1],
    }
    _write(resources.files("ai_dev_squad_testing") / "adapter_template", folder, words)
    return folder


def register(subparsers: Any) -> None:
    """Add ``adapter`` to the command ``ai-dev-squad``."""
    adapter = subparsers.add_parser("adapter", help="make an adapter of a framework that has none")
    commands = adapter.add_subparsers(title="commands", metavar="COMMAND", required=True)
    new = commands.add_parser("new", help="write a package that runs, with the contract that all adapters hold")
    new.add_argument("name", metavar="NAME", help="the framework's name: lower-case letters, digits and _")
    new.add_argument("--into", type=Path, metavar="DIR", help="the package's folder (default: ai-dev-squad-NAME)")
    new.set_defaults(run=_new)


def _new(options: Namespace) -> int:
    try:
        folder = write_adapter(options.name, options.into)
    except (ScaffoldError, OSError) as error:
        print(f"ai-dev-squad: {error}", file=sys.stderr)
        return 1
    print(f"{folder}: it observes a framework of sixty lines; put yours in its place")
    print(f"pip install -e '{folder}[test]'")
    print(f"python -m ai_dev_squad_testing.contract {folder / 'tests' / f'test_{options.name}_contract.py'}")
    return 0


def _minor(distribution: str) -> tuple[str, str]:
    """The minor version that is installed, and the next one: before 1.0 a minor version may break."""
    major, minor = importlib.metadata.version(distribution).split(".")[:2]
    return f"{major}.{minor}", f"{major}.{int(minor) + 1}"


def _write(template: Traversable, folder: Path, words: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for one in template.iterdir():
        if one.is_dir():
            _write(one, folder / (words["module"] if one.name == "module" else one.name), words)
        elif one.name.endswith(".in"):
            name = one.name.removesuffix(".in").replace("test_contract", f"test_{words['name']}_contract")
            text = Template(one.read_text(encoding="utf-8")).substitute(words)
            (folder / name).write_text(text, encoding="utf-8")
