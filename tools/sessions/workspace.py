"""The packages of this repository, the interpreters they claim, and how they come into a session's environment."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nox
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
WORKSPACE = nox.project.load_toml(ROOT / "pyproject.toml")
PACKAGES = {
    str(project.parent.relative_to(ROOT / "packages")): nox.project.load_toml(project)
    for project in sorted(ROOT.glob("packages/**/pyproject.toml"))
}
OURS = {data["project"]["name"] for data in PACKAGES.values()}
PYTHONS = nox.project.python_versions(PACKAGES["core"])
# What proves the same on every interpreter is run by the one that runs nox: it is there for certain.
ONE = next((version for version in PYTHONS if version == f"{sys.version_info[0]}.{sys.version_info[1]}"), PYTHONS[0])

# pyenv keeps interpreters that `pyenv global` does not name off PATH.
_pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
_hidden = [str(path) for version in PYTHONS for path in sorted(_pyenv.glob(f"versions/{version}.*/bin"))]
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *_hidden])
# The newest interpreter that is there runs its tests on the other clock, instead of on both: what all run, the others prove on
# today's.
AHEAD = next((version for version in reversed(PYTHONS) if version != ONE and shutil.which(f"python{version}")), ONE)
# uv reads its own settings, so a mirror configured for pip is handed on.
if "PIP_INDEX_URL" in os.environ:
    os.environ.setdefault("UV_DEFAULT_INDEX", os.environ["PIP_INDEX_URL"])


# Client libraries for the lab's table of providers: hardly anybody has all of them, and no test needs them. The demo does.
APART = frozenset(name for name in PACKAGES["parity"]["project"]["optional-dependencies"] if name.endswith("providers"))
PROVIDERS = PACKAGES["parity"]["project"]["optional-dependencies"]["providers"]


def third_party(packages: Iterable[str] = PACKAGES) -> list[str]:
    """What the packages and their extras require, other than one another."""
    projects = [PACKAGES[package]["project"] for package in packages]
    groups = [[project["dependencies"], *extras_of(project).values()] for project in projects]
    return sorted({text for group in groups for texts in group for text in texts if Requirement(text).name not in OURS})


def extras_of(project: Mapping[str, dict[str, list[str]]]) -> dict[str, list[str]]:
    """A package's extras, but for those apart."""
    extras = project.get("optional-dependencies", {})
    return {name: requirements for name, requirements in extras.items() if name not in APART}


def brought(project: Mapping[str, Any], extra: str) -> set[str]:
    """The names of all that an extra brings, also by the extras of the same package that it names."""
    requirements = [Requirement(text) for text in project["optional-dependencies"][extra]]
    others = {other for each in requirements if each.name == project["name"] for other in each.extras}
    return {each.name for each in requirements}.union(*(brought(project, other) for other in others))


def claimed(session: nox.Session) -> list[str]:
    """The packages that claim this session's Python: an adapter claims what its framework does."""
    python = session.python or ONE
    return [package for package, data in PACKAGES.items() if python in nox.project.python_versions(data)]


def uv(session: nox.Session, *args: str) -> bool:
    """Run uv, fetched with pip first where nobody installed it: 4 s that save 40 in each environment.

    Returns whether it ran: with ``nox -R`` an environment that is there stays as it is.
    """
    if session.venv_backend != "uv" and not shutil.which("uv", path=session.bin):
        session.install("--quiet", "uv>=0.9,<1")
    return session.run_install("uv", *args, env={"UV_PYTHON_DOWNLOADS": "never"}) is not None


_wheels: dict[str, Path] = {}


def wheel(session: nox.Session, package: str) -> Path | None:
    """The wheel of a package, built from the tree once a run; ``None`` where this session installs nothing."""
    if package not in _wheels:
        folder = session.cache_dir.resolve() / "wheels" / package
        shutil.rmtree(folder, ignore_errors=True)
        # Of the sdist, as a user's installer may do it.
        if not uv(session, "build", "--quiet", "--out-dir", str(folder), str(ROOT / "packages" / package)):
            return None
        (_wheels[package],) = folder.glob("*.whl")
    return _wheels[package]


def install(
    session: nox.Session,
    *groups: str,
    packages: Iterable[str] | None = None,
    extras: bool = True,
    options: tuple[str, ...] = (),
) -> None:
    """Install the wheels of ``packages`` together, those that claim this Python where none are named, and dependency groups."""
    requirements = []
    chosen_packages = list(claimed(session) if packages is None else packages)
    missing = OURS - {PACKAGES[package]["project"]["name"] for package in chosen_packages}
    for package in chosen_packages:
        built = wheel(session, package)
        if built is None:
            return
        project = PACKAGES[package]["project"]
        # An extra that is for a package of ours which is not installed here would be looked for on the index.
        optional = [name for name in extras_of(project) if missing.isdisjoint(brought(project, name))] if extras else []
        chosen = f"[{','.join(optional)}]" if optional else ""
        requirements.append(f"{project['name']}{chosen} @ {built.as_uri()}")
    uv(
        session,
        "pip",
        "install",
        "--quiet",
        *options,
        *requirements,
        *nox.project.dependency_groups(WORKSPACE, *groups),
    )


def locked(session: nox.Session, requirements: Iterable[str], file: Path, *options: str) -> None:
    """Write into ``file`` the releases that are chosen for ``requirements``."""
    wanted = Path(session.virtualenv.location) / "wanted.in"
    wanted.write_text("\n".join(requirements), encoding="utf-8")
    uv(session, "pip", "compile", "--quiet", *options, "--output-file", str(file), str(wanted))
