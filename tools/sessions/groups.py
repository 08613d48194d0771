"""Which tests run together, and how many groups of them at a time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox

from .workspace import PACKAGES, claimed

# Two cores are kept busy by three processes of tests, which wait for servers, browsers and children; more would only share them.
AT_ONCE = min(4, (os.cpu_count() or 2) + 1)


def run_tests(
    session: nox.Session,
    *options: str,
    groups: Mapping[str, list[str]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Everything, or these groups, with these options of pytest, or what the arguments after -- name.

    Each framework in a process of its own: what one imports, leaves open or leaves in memory is no other's trouble.
    """
    if session.posargs:
        run_pytest(session, *session.posargs, environment=environment)
        return
    run_groups(session, everything(session) if groups is None else groups, *options, environment=environment)


def everything(session: nox.Session) -> dict[str, list[str]]:
    """Group → its paths. The longest first, so that each process has something to do until the end."""
    packages = claimed(session)
    for package in PACKAGES.keys() - packages:
        session.warn(f"{package} does not claim Python {session.python}: its tests are left out")
    groups = {package: tests_of(package) for package in sorted(packages) if package.startswith("adapters/")}
    own = {"adapters", "adopted", "browser", "cluster", "core", "dashboard", "guide", "testing", "wire"}
    others = sorted(folder.name for folder in Path("tests").iterdir() if folder.is_dir() and folder.name not in own)
    lab, core, dashboard = shares(2, *others), shares(2, "core", "guide", "testing"), shares(2, "dashboard")
    groups |= {**lab, **core, **dashboard}
    longest = [name for name in (*lab, "adapters/crewai", *core, *dashboard, "adapters/langgraph") if name in groups]
    return {name: groups[name] for name in [*longest, *groups] if groups[name]}


def tests_of(adapter: str, *subjects: str) -> list[str]:
    """An adapter's test files, those on these subjects where some are named."""
    name = adapter.removeprefix("adapters/").replace("-", "_")
    files = [path for subject in subjects or "*" for path in Path("tests/adapters").glob(f"test_{name}_{subject}.py")]
    return sorted(map(str, files))


def shares(count: int, *folders: str) -> dict[str, list[str]]:
    """The test files in these folders of tests in ``count`` groups; by file, as a file's tests share what they start."""
    files = sorted(str(file) for folder in folders for file in Path("tests", folder).glob("test_*.py"))
    return {f"{', '.join(folders)} {share + 1} of {count}": files[share::count] for share in range(count)}


def run_groups(
    session: nox.Session,
    groups: Mapping[str, list[str]],
    *options: str,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Each group of paths in a process of its own, one more at a time than there are cores: a test waits for what it started."""
    pytest = shutil.which("pytest", path=session.bin)
    assert pytest is not None

    def run(group: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [pytest, *options, *group],
            env=complete,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    given = {**os.environ, **session.env, "AI_DEV_SQUAD_TEST_WHEELS": "1", **(environment or {})}
    complete = {key: value for key, value in given.items() if value is not None}
    complete["PATH"] = os.pathsep.join([session.bin, complete["PATH"]])
    failed = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, done in zip(groups, pool.map(run, groups.values()), strict=True):
            session.log(f"pytest: {name}")
            print(done.stdout, flush=True)
            if done.returncode:
                failed.append(name)
    if failed:
        session.error(f"failed: {', '.join(failed)}")


def run_pytest(session: nox.Session, *args: str, environment: Mapping[str, str] | None = None) -> None:
    """Run pytest with the wheels as the thing under test: a repository test fails when it is anything else."""
    session.run("pytest", *args, env={"AI_DEV_SQUAD_TEST_WHEELS": "1", **(environment or {})})
