"""An environment of a framework's own, where it is not installed or its pins do not go with what is: made once, kept, used offline.

What an environment gets is an extra of this package, named as the framework. Our own packages come from wherever they are
installed from here: the package index, a wheel, or a folder.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import Requirement
from platformdirs import user_cache_path

from ai_dev_squad.file_locks import lock_file
from ai_dev_squad.frameworks import adapted_frameworks
from ai_dev_squad_parity.lab.processes import end_group

__all__ = ["Environments", "InstallError", "make", "requirements_of", "unmet", "where"]

_PACKAGE: Final = "ai-dev-squad-parity"
_EDITABLE: Final = "--editable="
_INSTALL_S: Final = 1800.0


@dataclass(frozen=True)
class Environments:
    """The interpreters that frameworks are run with, and why some have none."""

    pythons: Mapping[str, Path]
    """Framework → the interpreter of its environment; the others run with this one."""
    failed: Mapping[str, str]
    """Framework → why its environment could not be made, and what to do."""


class InstallError(RuntimeError):
    """An environment could not be made; the message says why and what to do."""


def make(
    frameworks: Iterable[str],
    mode: str,
    *,
    given: Mapping[str, Path],
    besides: Callable[[str], Sequence[str]],
    say: Callable[[str], None],
) -> Environments:
    """The environments of ``frameworks``, made where they are not there yet: ``always``, or ``auto``: of those that cannot be run here.

    ``given`` are interpreters that stay as they are, ``besides`` tells what a framework's programs require beside it. ``say`` hears what is
    done, before it is.
    """
    pythons, failed = dict(given), {}
    for name in frameworks:
        wanted = requirements_of(name)
        why = "its own environment" if mode == "always" else unmet(wanted)
        if name in given or why is None:
            continue
        try:
            pythons[name] = _environment(name, [*wanted, *besides(name)], why, say)
        except InstallError as error:
            failed[name] = str(error)
            say(f"{name}: {error}")
    return Environments(pythons, failed)


def requirements_of(framework: str) -> list[str]:
    """What the programs of a framework require, as ``pip install`` takes it."""
    extra = framework.replace("_", "-")
    known = importlib.metadata.metadata(_PACKAGE).get_all("Provides-Extra") or []
    if extra in known:
        return [f"{_PACKAGE}[{extra}]"]
    # An adapter by others: it requires its framework, and the lab what its cells need.
    return [f"{_PACKAGE}[lab]", str(adapted_frameworks()[framework].adapter)]


def unmet(requirements: Iterable[str]) -> str | None:
    """Why these are not all here, with what they require themselves; ``None``: they are, and go together."""
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "the lab") for text in requirements]
    while waiting:
        wanted, by = waiting.pop(0)
        try:
            found = importlib.metadata.distribution(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            return f"{wanted.name} is not installed here"
        if not wanted.specifier.contains(found.version, prereleases=True):
            return f"{wanted.name} {found.version} is installed here, and {by} requires {wanted.name}{wanted.specifier}"
        for extra in ("", *wanted.extras):
            if (wanted.name, extra) not in seen:
                seen.add((wanted.name, extra))
                own = map(Requirement, found.requires or ())
                waiting += [(one, f"{wanted.name} {found.version}") for one in own if _applies(one, extra)]
    return None


def _applies(requirement: Requirement, extra: str) -> bool:
    if requirement.marker is None:
        return not extra
    # What has no condition on an extra stands without any, too.
    return requirement.marker.evaluate({"extra": extra}) and not (extra and requirement.marker.evaluate({"extra": ""}))


def where() -> Path:
    """The folder that environments are kept in; it can be deleted at any time."""
    return user_cache_path("ai-dev-squad") / "parity" / "environments"


def _environment(framework: str, requirements: list[str], why: str, say: Callable[[str], None]) -> Path:
    """The interpreter of an environment with these. Raises ``InstallError``."""
    sources = [*_sourced(requirements)]
    folder = where() / f"{framework}-{_key(sources)}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    with _locked(folder.with_suffix(".lock")):
        if (folder / "made.json").is_file() and python.is_file():
            say(f"{framework}: {why}; using its environment {folder}")
            return python
        # One that was interrupted is none.
        shutil.rmtree(folder, ignore_errors=True)
        uv = shutil.which("uv")
        say(f"{framework}: {why}; making an environment with {'uv' if uv else 'venv and pip'} in {folder}")
        began = time.monotonic()
        try:
            for command in _commands(uv, folder, python, sources):
                _carry_out(command, folder.with_suffix(".log"))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        (folder / "made.json").write_text(json.dumps({"requirements": sources}, indent=1), encoding="utf-8")
        say(f"{framework}: ready after {time.monotonic() - began:.0f} s")
    return python


def _commands(uv: str | None, folder: Path, python: Path, sources: Sequence[str]) -> list[list[str]]:
    if uv is not None:
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(python), *sources],
        ]
    return [
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", *sources],
    ]


def _carry_out(command: list[str], log: Path) -> None:
    with log.open("wb") as printed:
        process = subprocess.Popen(  # noqa: S603 - the installer, with what this package requires
            command, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code: int | None = process.wait(_INSTALL_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # Also when this process is interrupted: an installer that goes on would write into the next attempt.
            if process.poll() is None:
                end_group(process.pid)
                process.wait()
    if code != 0:
        said = " ".join(log.read_text(encoding="utf-8", errors="replace").split())[-600:]
        ended = f"took longer than {_INSTALL_S:g} s" if code is None else f"ended with code {code}"
        raise InstallError(
            f"its environment could not be made: the installer {ended}: {said or 'it said nothing'}; all of it is in {log}. "
            f"Try again with a network, set an index (UV_DEFAULT_INDEX, PIP_INDEX_URL), or name one: --python FRAMEWORK=PATH"
        )


def _sourced(requirements: Iterable[str]) -> Iterator[str]:
    """The requirements, those of ours from where they are installed from here; and what ours require of ours."""
    ours: dict[str, set[str]] = {}
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop(0)
        if not wanted.name.startswith("ai-dev-squad"):
            yield str(wanted)
            continue
        new = wanted.extras - ours.get(wanted.name, set()) or ({""} if wanted.name not in ours else set())
        ours.setdefault(wanted.name, set()).update(wanted.extras)
        try:
            own = [Requirement(text) for text in importlib.metadata.requires(wanted.name) or ()]
        except importlib.metadata.PackageNotFoundError:
            continue  # the index has it, or its absence is told
        for extra in new | {""} if new else ():
            waiting += [one for one in own if one.name.startswith("ai-dev-squad") and _applies(one, extra)]
    for name, extras in sorted(ours.items()):
        yield _installable(name, extras - {""})


def _installable(name: str, extras: set[str]) -> str:
    named = f"{name}[{','.join(sorted(extras))}]" if extras else name
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return named
    told = json.loads(found.read_text("direct_url.json") or "{}")
    path = _path(told.get("url", ""))
    if path is None:
        return f"{named}=={found.version}"
    if told.get("dir_info", {}).get("editable"):
        return f"{_EDITABLE}{path}{named.removeprefix(name)}"
    return f"{named} @ {told['url']}"


def _path(url: str) -> Path | None:
    """Where a ``file:`` URL leads, if there is something."""
    parts = urlsplit(url)
    path = Path(url2pathname(parts.path)) if parts.scheme == "file" else None
    return path if path is not None and path.exists() else None


def _key(sources: Sequence[str]) -> str:
    """Two environments with the same key have the same in them, but for what the index offered on their days."""
    parts = [sys.version, sys.executable, *sorted(sources)]
    parts += [str(_age(path)) for source in sources if (path := _path(source.partition(" @ ")[2])) is not None]
    # What is editable is read where it stands: only what it requires is copied.
    projects = [Path(source[len(_EDITABLE) :].partition("[")[0]) for source in sources if source.startswith(_EDITABLE)]
    parts += [(project / "pyproject.toml").read_text(encoding="utf-8", errors="replace") for project in projects]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _age(path: Path) -> float:
    """When a wheel, or the newest file of a folder, was written."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return max((file.stat().st_mtime for file in files), default=0.0)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time: the second finds what the first has made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        lock_file(file.fileno())
        yield
