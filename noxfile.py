"""Everything that is checked or run: `nox` for all checks, `nox -s demo` for the main job, `nox -l` for the list.

Facts are read where they stand: packages are folders with a pyproject.toml, Python versions are core's
classifiers, tool versions are the dependency groups of the root pyproject.toml.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.10.14"
nox.options.sessions = ["lint", "types", "tests", "web"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
# A missing interpreter is skipped, and the closing lines say so, on a CI machine too.
nox.options.error_on_missing_interpreters = False

ROOT = Path(__file__).parent
WORKSPACE = nox.project.load_toml(ROOT / "pyproject.toml")
PACKAGES = {
    str(project.parent.relative_to(ROOT / "packages")): nox.project.load_toml(project)
    for project in sorted(ROOT.glob("packages/**/pyproject.toml"))
}
PYTHONS = nox.project.python_versions(PACKAGES["core"])
FRONTEND = ROOT / "packages" / "dashboard" / "frontend"

# pyenv keeps interpreters that `pyenv global` does not name off PATH.
_pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
_hidden = [str(path) for version in PYTHONS for path in sorted(_pyenv.glob(f"versions/{version}.*/bin"))]
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *_hidden])
# uv reads its own settings, so a mirror configured for pip is handed on.
if "PIP_INDEX_URL" in os.environ:
    os.environ.setdefault("UV_DEFAULT_INDEX", os.environ["PIP_INDEX_URL"])


def third_party() -> list[str]:
    """What the packages and their extras require, other than one another."""
    projects = [data["project"] for data in PACKAGES.values()]
    ours = {project["name"] for project in projects}
    groups = [[project["dependencies"], *project.get("optional-dependencies", {}).values()] for project in projects]
    return sorted({text for group in groups for texts in group for text in texts if Requirement(text).name not in ours})


def uv(session: nox.Session, *args: str) -> None:
    """Run uv, fetched with pip first where nobody installed it: 4 s that save 40 in each environment."""
    if session.venv_backend != "uv" and not shutil.which("uv", path=session.bin):
        session.install("--quiet", "uv>=0.9,<1")
    session.run_install("uv", *args, env={"UV_PYTHON_DOWNLOADS": "never"})


def install(
    session: nox.Session,
    *groups: str,
    packages: Iterable[str] = PACKAGES,
    extras: bool = True,
    options: tuple[str, ...] = (),
) -> None:
    """Install the wheels of ``packages``, built here from the tree and installed together, and dependency groups."""
    # Not session.create_tmp(): it would move the tests' temporary directories into the tree.
    wheels = Path(session.virtualenv.location) / "wheels"
    wheels.mkdir(exist_ok=True)
    for old in wheels.iterdir():
        old.unlink()
    requirements = []
    for package in packages:
        uv(session, "build", "--quiet", "--wheel", "--out-dir", str(wheels), str(ROOT / "packages" / package))
        project = PACKAGES[package]["project"]
        (wheel,) = wheels.glob(project["name"].replace("-", "_") + "-[0-9]*.whl")
        optional = project.get("optional-dependencies", {}) if extras else {}
        chosen = f"[{','.join(optional)}]" if optional else ""
        requirements.append(f"{project['name']}{chosen} @ {wheel.resolve().as_uri()}")
    uv(
        session,
        "pip",
        "install",
        "--quiet",
        *options,
        *requirements,
        *nox.project.dependency_groups(WORKSPACE, *groups),
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    uv(session, "pip", "install", "--quiet", *nox.project.dependency_groups(WORKSPACE, "lint"))
    session.run("ruff", "--version")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of all packages and of a program that uses their public names."""
    install(session, "types")
    session.run("mypy", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests on the built wheels, installed together. Arguments after -- go to pytest."""
    install(session, "test")
    run_tests(session)


@nox.session(python=PYTHONS[1])
def floor(session: nox.Session) -> None:
    """Run all tests with the oldest releases that the packages claim to support."""
    # Not on Python 3.10: there, older agents of LangChain don't hand callbacks on to asynchronous models, as is documented.
    # Only what is asked for by name is taken at its lowest, so the packages' own requirements are named.
    install(session, "floor", options=("--resolution=lowest-direct", *third_party()))
    uv(session, "pip", "list", "--quiet")
    run_tests(session)


def run_tests(session: nox.Session) -> None:
    """Everything, or what the arguments after -- name.

    Each framework in a process of its own: what one imports, leaves open or leaves in memory is no other's trouble. Two
    processes at a time, as most machines have two cores.
    """
    if session.posargs:
        run_pytest(session, *session.posargs)
        return
    adapters = sorted(path.name for path in (ROOT / "packages" / "adapters").iterdir())
    groups = {"everything but adapters": ["tests", "--ignore=tests/adapters", "--ignore=tests/browser"]}
    groups |= {name: sorted(map(str, Path("tests/adapters").glob(f"test_{name}_*.py"))) for name in adapters}
    pytest = shutil.which("pytest", path=session.bin)
    assert pytest is not None

    def run(group: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [pytest, *group], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )

    given = {**os.environ, **session.env, "AI_DEV_SQUAD_TEST_WHEELS": "1"}
    environment = {key: value for key, value in given.items() if value is not None}
    environment["PATH"] = os.pathsep.join([session.bin, environment["PATH"]])
    failed = []
    with ThreadPoolExecutor(2) as pool:
        for name, done in zip(groups, pool.map(run, groups.values()), strict=True):
            session.log(f"pytest: {name}")
            print(done.stdout, flush=True)
            if done.returncode:
                failed.append(name)
    if failed:
        session.error(f"failed: {', '.join(failed)}")


def run_pytest(session: nox.Session, *args: str) -> None:
    """Run pytest with the wheels as the thing under test: a repository test fails when it is anything else."""
    session.run("pytest", *args, env={"AI_DEV_SQUAD_TEST_WHEELS": "1"})


@nox.session
def web(session: nox.Session) -> None:
    """Walk every page of the dashboard in a real browser, and send its routes what nobody expects."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        session.skip("there is no Chromium on this machine; on Debian: apt-get install chromium")
    install(session, "test", "web", packages=("core", "dashboard", "testing"))
    arguments = session.posargs or ["tests/browser"]
    session.run("pytest", *arguments, env={"AI_DEV_SQUAD_TEST_WHEELS": "1", "CHROMIUM": browser})


@nox.session
def demo(session: nox.Session) -> None:
    """Run a dev squad and the parity lab on every framework against a scripted model, and open the dashboard on both."""
    install(session, "demo", extras=False)
    session.run("python", "-m", "ai_dev_squad_parity.demo", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Execute all code in the documentation and check that the reference is up to date."""
    install(session, "test")
    session.run("python", "tools/generate_reference.py", "--check")
    run_pytest(session, "tests/integration/test_docs.py", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel of every package into dist/."""
    for package in PACKAGES:
        uv(session, "build", "--out-dir", str(ROOT / "dist"), str(ROOT / "packages" / package))


@nox.session
def bench(session: nox.Session) -> None:
    """Measure side by side with peers. Results are printed, never asserted. Arguments after -- go to the program."""
    install(session)
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session
def upstream_langgraph(session: nox.Session) -> None:
    """Run LangGraph's own suite observed and unobserved, and compare the outcome of every test."""
    install(session, "upstream", packages=("core", "adapters/langgraph"), extras=False)
    session.run("python", "tools/upstream/langgraph_suite.py", *session.posargs)


@nox.session
def upstream_autogen(session: nox.Session) -> None:
    """Run AutoGen AgentChat's own suite observed and unobserved, and compare the outcome of every test."""
    install(session, "upstream", packages=("core", "adapters/autogen"), extras=False)
    session.run("python", "tools/upstream/autogen_suite.py", *session.posargs)


@nox.session
def upstream_crewai(session: nox.Session) -> None:
    """Run CrewAI's own suite observed and unobserved, compare every outcome, and the tokens with recorded answers."""
    install(session, "upstream", packages=("core", "adapters/crewai"), extras=False)
    session.run("python", "tools/upstream/crewai_suite.py", *session.posargs)


@nox.session
def audit(session: nox.Session) -> None:
    """Look up known vulnerabilities in everything that users of all extras install."""
    uv(session, "pip", "install", "--quiet", *nox.project.dependency_groups(WORKSPACE, "audit"))
    wanted, locked = (Path(session.virtualenv.location) / name for name in ("wanted.in", "locked.txt"))
    wanted.write_text("\n".join(third_party()), encoding="utf-8")
    uv(session, "pip", "compile", "--quiet", "--output-file", str(locked), str(wanted))
    session.run("pip-audit", "--strict", "--disable-pip", "--no-deps", "--requirement", str(locked), *session.posargs)
    # What the dashboard's wheel carries along from npm, by its lock file.
    session.run_install("npm", "audit", "--omit=dev", "--package-lock-only", "--prefix", str(FRONTEND), external=True)
