"""Everything that is checked or run: `nox` for all checks, `nox -s demo` for the main job, `nox -l` for the list.

Facts are read where they stand: packages are folders with a pyproject.toml, Python versions are core's
classifiers, tool versions are the dependency groups of the root pyproject.toml. A package is tested on the Python
versions that it claims itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.10.14"
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
OURS = {data["project"]["name"] for data in PACKAGES.values()}
PYTHONS = nox.project.python_versions(PACKAGES["core"])
# What proves the same on every interpreter is run by the one that runs nox: it is there for certain.
ONE = next((version for version in PYTHONS if version == f"{sys.version_info[0]}.{sys.version_info[1]}"), PYTHONS[0])
# Frameworks that have no adapter, and what is tried with their spans.
ADOPTED = nox.project.load_toml(ROOT / "tests" / "adopted" / "frameworks.toml")
FRONTEND = ROOT / "packages" / "dashboard" / "frontend"

# pyenv keeps interpreters that `pyenv global` does not name off PATH.
_pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
_hidden = [str(path) for version in PYTHONS for path in sorted(_pyenv.glob(f"versions/{version}.*/bin"))]
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *_hidden])
# The newest interpreter that is there runs its tests on the other clock, instead of on both: what all run, the others prove on
# today's.
AHEAD = next((version for version in reversed(PYTHONS) if version != ONE and shutil.which(f"python{version}")), ONE)
# Two cores are kept busy by three processes of tests, which wait for servers, browsers and children; more would only share them.
AT_ONCE = min(4, (os.cpu_count() or 2) + 1)
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
        optional = {
            name: texts
            for name, texts in (extras_of(project) if extras else {}).items()
            if missing.isdisjoint(Requirement(text).name for text in texts)
        }
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
    install(session, "test", *(["clients", "shippers", "engine"] if session.python == ONE else []))
    # The dashboard and the lab are nearly all `once`: Python, HTTP and SQL that prove the same on each interpreter. What is
    # run on all of them is named, with the reason, at the top of tests/conftest.py.
    if session.python == ONE:
        run_tests(session, environment={"AI_DEV_SQUAD_TEST_INSTALLS": "1"})
    elif session.python == AHEAD:
        run_tests(session, "-m", "not once")
    else:
        # Between the oldest and the newest interpreter only our own use of one can differ: threads, signals, contexts, forks.
        run_tests(session, "-m", "not once", groups=shares(3, "core", "guide", "testing"))


# CrewAI takes openai 2 only. Beside it the other frameworks resolve to releases that take it too, and are tested together;
# without it they are what a user gets today. And beside theirs its own oldest release cannot be had.
HOLDS_BACK = "adapters/crewai"
# The frameworks of which it is an older release. Of the others it holds back OpenAI's client alone, which `wire` has at its newest.
HELD_BACK = ("adapters/openai-agents", "adapters/pydantic-ai")


@nox.session(python=PYTHONS[0])
@nox.parametrize("packages", [tuple(PACKAGES), ("core", "cli", "testing", HOLDS_BACK)], ids=["together", "alone"])
def floor(session: nox.Session, packages: tuple[str, ...]) -> None:
    """Run all tests with the oldest releases that the packages claim to support; and those of CrewAI's alone with its own."""
    # Only what is asked for by name is taken at its lowest, so the packages' own requirements are named.
    lowest = ("--resolution=lowest-direct", *third_party(packages))
    together = packages == tuple(PACKAGES)
    install(session, "floor", packages=None if together else packages, options=lowest)
    uv(session, "pip", "list", "--quiet")
    run_tests(session, groups=None if together else {HOLDS_BACK: tests_of(HOLDS_BACK)})


_AHEAD_DAYS = 400
# In UTC: other prices hold than by day (DeepSeek's), and in Kolkata it is tomorrow already.
_AHEAD_HOUR = 20


@nox.session(python=sorted({ONE, AHEAD}))
def clock(session: nox.Session) -> None:
    """Run the tests, but for those about time-outs, on a clock that is 400 days ahead, in the evening, in another time zone.

    The newest interpreter runs what runs on each, so this is its session of tests too; the one that runs nox the rest. Left out
    is what takes long and can tell no date, named in tests/conftest.py; what the dashboard shows of dates stays.
    """
    install(session, "test", "clock")
    environment = ahead_of_time(session)
    if session.python != AHEAD:
        run_tests(session, "-m", "once and not timeouts and not undated", environment=environment)
    elif AHEAD == ONE:
        run_tests(session, "-m", "not timeouts and not undated", environment=environment)
    else:
        run_tests(session, "-m", "not once and not timeouts", environment=environment)
        if not session.posargs:
            run_pytest(session, "-m", "timeouts and not once", "tests/core")


nox.options.sessions = [
    "lint",
    "types",
    *(f"tests-{version}" for version in PYTHONS if version == ONE or version != AHEAD),
    "clock",
    "newest",
    "wire",
    "web",
    "cluster",
]


def ahead_of_time(session: nox.Session) -> dict[str, str]:
    """The environment that changes the clock and the zone; empty on an interpreter that has no other session of tests."""
    preload = "import json, libfaketime; print(json.dumps(libfaketime.get_reload_information()[1]))"
    found = session.run("python", "-c", preload, silent=True, success_codes=(0, 1))
    if found is None:  # --install-only
        return {}
    evening = _AHEAD_DAYS * 86_400 + _AHEAD_HOUR * 3_600 - int(time.time()) % 86_400
    environment = {"FAKETIME": f"+{evening}", "TZ": "Asia/Kolkata"}
    if str(found).startswith("{"):
        environment |= json.loads(str(found))
    tell = "import time; print(time.time(), time.timezone)"
    now, zone = str(session.run("python", "-c", tell, env=environment, silent=True)).split()[-2:]
    missing = ""
    if float(now) < time.time() + (_AHEAD_DAYS - 1) * 86_400:
        missing = f"libfaketime does not change Python's clock on this machine ({sys.platform})"
    elif zone != "-19800":
        missing = "this machine does not know the zone Asia/Kolkata; on Debian: apt-get install tzdata"
    if not missing:
        return environment
    if session.python == ONE:
        session.skip(missing)
    session.warn(f"{missing}: the tests run on its own clock")
    return {}


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


@nox.session
def newest(session: nox.Session) -> None:
    """Run the contracts of the adapters whose frameworks CrewAI holds back, on the newest releases. Arguments after -- go to pytest,
    for which the other adapters are there, too.
    """
    adapters = [package for package in claimed(session) if package.startswith("adapters/") and package != HOLDS_BACK]
    install(session, "test", packages=("core", "cli", "testing", *adapters))
    if session.posargs:
        run_pytest(session, *session.posargs)
        return
    run_groups(session, {package: tests_of(package, "contract", "truth") for package in HELD_BACK})


@nox.session
@nox.parametrize("framework", [*ADOPTED], ids=[*ADOPTED])
def adopted(session: nox.Session, framework: str) -> None:
    """Run frameworks that have no adapter, each by itself, with their spans adopted: docs/how-to/observe-anything.md."""
    install(session, "adopted", packages=("core", "testing"), extras=False)
    uv(session, "pip", "install", "--quiet", *ADOPTED[framework]["requires"])
    # Strangers' warnings are errors everywhere else.
    quiet = {"AI_DEV_SQUAD_ADOPTED": framework, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    session.run("pytest", "-q", "--noconftest", "-W", "ignore", "tests/adopted", env=quiet)


@nox.session
def wire(session: nox.Session) -> None:
    """Read real client libraries on the wire, and live beside what else is put there. Arguments after -- go to pytest."""
    install(session, "wire", packages=("core", "testing", "cli", "dashboard"))
    if session.posargs:
        run_pytest(session, *session.posargs)
        return
    cuts = "tests/wire/test_wire_bytes.py"  # every reader, encoding and cut: as long as all the others together
    # CrewAI keeps the releases 2 of MCP's SDK away from all other tests.
    machines = ["tests/dashboard/test_mcp.py", "tests/integration/test_mcp_context.py"]
    run_groups(session, {"bytes": [cuts], "clients": ["tests/wire", f"--ignore={cuts}"], "machines": machines})


@nox.session
def web(session: nox.Session) -> None:
    """Walk every page of the dashboard in a real browser, and send its routes what nobody expects.

    Each process has a browser and dashboards of its own. Six shares, so that none has nothing to do for long.
    """
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        session.skip("there is no Chromium on this machine; on Debian: apt-get install chromium")
    install(session, "test", "web", packages=("core", "cli", "dashboard", "testing"))
    if session.posargs:
        run_pytest(session, *session.posargs, environment={"CHROMIUM": browser})
        return
    routes = "tests/browser/test_openapi.py"  # as long as any share
    walks = {name: [file for file in files if file != routes] for name, files in shares(6, "browser").items()}
    run_groups(session, {"routes": [routes], **walks}, environment={"CHROMIUM": browser})


@nox.session
def cluster(session: nox.Session) -> None:
    """Break, one after the other, the parts of an installation beyond one machine, on hosts made of network namespaces.

    A balancer, two dashboards, two receivers, Redis and the engine of ClickHouse. A fault of each kind; with ``-- --long`` all of
    them, some ten minutes. Other arguments after -- go to pytest.
    """
    lacks = [name for name in ("ip", "haproxy", "redis-server") if shutil.which(name) is None]
    if lacks:
        session.skip(
            f"there is no {lacks[0]} on this machine; on Debian: apt-get install iproute2 haproxy redis-server"
        )
    if os.name != "posix" or os.geteuid() != 0:
        session.skip("network namespaces are made by root only")
    install(session, "test", "engine", packages=("core", "cli", "dashboard", "testing"))
    given = [each for each in session.posargs if each != "--long"]
    is_long = {"AI_DEV_SQUAD_CLUSTER_LONG": "1"} if "--long" in session.posargs else {}
    run_pytest(session, "-rs", *(given or ["tests/cluster"]), environment=is_long)


@nox.session
def demo(session: nox.Session) -> None:
    """Run a dev squad and the parity lab on every framework against a scripted model, and open the dashboard on both."""
    install(session, "demo", extras=False, options=tuple(PROVIDERS))
    session.run("python", "-m", "ai_dev_squad_parity.demo", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Execute all code in the documentation and check that the reference is up to date."""
    install(session, "test")
    session.run("python", "tools/generate_reference.py", "--check")
    run_pytest(session, "tests/integration/test_docs.py", *session.posargs)


@nox.session
def site(session: nox.Session) -> None:
    """Build the documentation as a site into dist/site, refuse a dead link or anchor, and look at its pages in a real browser."""
    uv(session, "pip", "install", "--quiet", *nox.project.dependency_groups(WORKSPACE, "site"))
    session.run("mkdocs", "build", env={"NO_MKDOCS_2_WARNING": "1"})
    session.run("python", "tools/site/check.py", "dist/site")


@nox.session
def release(session: nox.Session) -> None:
    """Build every package into dist/ as it would be published, twice, and refuse what differs, lacks something or is described wrongly."""
    uv(session, "pip", "install", "--quiet", "uv>=0.9,<1", *nox.project.dependency_groups(WORKSPACE, "release"))
    session.run("python", "tools/release/check.py", str(ROOT / "dist"))


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which lines and branches of core its tests, the adapters' contracts and those of the wire run, on its wheel."""
    # CrewAI keeps the newest clients away, which the tests of the wire need.
    packages = [package for package in claimed(session) if package != HOLDS_BACK]
    install(session, "test", "wire", "coverage", packages=packages)
    adapters = [package for package in packages if package.startswith("adapters/")]
    contracts = [path for package in adapters for path in tests_of(package, "contract")]
    tests = [f"tests/{folder}" for folder in ("core", "guide", "testing", "wire")]
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *(session.posargs or [*tests, *contracts]), success_codes=[0, 1])
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")
    measured = str(Path(session.create_tmp(), "coverage.json"))
    session.run("coverage", "json", "--quiet", "-o", measured)
    session.run("python", "tools/coverage_totals.py", measured)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure side by side with peers. Results are printed, never asserted. Arguments after -- go to the program."""
    install(session)
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session
def deploy(session: nox.Session) -> None:
    """Check images, chart, manifests, unit and Collector configurations, then build both images and run them.

    `nox -s deploy -- --check` only checks, which takes seconds; other arguments after -- go to tools/deploy/image.py. What a machine
    lacks is said and skipped.
    """
    install(session, "deploy", packages=("core", "cli", "dashboard"), extras=False)
    session.run("python", "tools/deploy/check.py")
    if session.posargs != ["--check"]:
        session.run("python", "tools/deploy/image.py", *session.posargs)


_CLIENTS = {"openai": "openai>=3,<4", "anthropic": "anthropic>=2,<3"}
_FRAMEWORKS = sorted(
    path.stem.removesuffix("_suite")
    for path in Path("tools/upstream").glob("*_suite.py")
    if path.stem != "client_suite"
)


@nox.session
@nox.parametrize("suite", [*_FRAMEWORKS, *_CLIENTS], ids=[*_FRAMEWORKS, *_CLIENTS])
def upstream(session: nox.Session, suite: str) -> None:
    """Run the own suite of a framework (or client) observed and unobserved, and compare the outcome of every test."""
    if suite in _CLIENTS:
        install(session, "upstream", packages=("core",), extras=False)
        uv(session, "pip", "install", "--quiet", _CLIENTS[suite])
        session.run("python", "tools/upstream/client_suite.py", suite, *session.posargs)
    else:
        install(session, "upstream", packages=("core", f"adapters/{suite.replace('_', '-')}"), extras=False)
        session.run("python", f"tools/upstream/{suite}_suite.py", *session.posargs)


def locked(session: nox.Session, requirements: Iterable[str], file: Path, *options: str) -> None:
    """Write into ``file`` the releases that are chosen for ``requirements``."""
    wanted = Path(session.virtualenv.location) / "wanted.in"
    wanted.write_text("\n".join(requirements), encoding="utf-8")
    uv(session, "pip", "compile", "--quiet", *options, "--output-file", str(file), str(wanted))


@nox.session
def lock(session: nox.Session) -> None:
    """Write the newest releases of everything that an editor's environment has into requirements-dev.txt, for every Python and system."""
    requirements = [*third_party(), *nox.project.dependency_groups(WORKSPACE, "dev")]
    session.env["UV_CUSTOM_COMPILE_COMMAND"] = "nox -s lock"
    options = ("--universal", "--upgrade", "--no-annotate", f"--python-version={PYTHONS[0]}")
    locked(session, requirements, ROOT / "requirements-dev.txt", *options)


@nox.session
def dev(session: nox.Session) -> None:
    """Make .venv for an editor and quick runs: every package in place, beside the releases of requirements-dev.txt."""
    editable = [
        f"--editable={ROOT / 'packages' / package}[{','.join(extras_of(data['project']))}]"
        for package, data in PACKAGES.items()
        if package in claimed(session)
    ]
    uv(session, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(ROOT / ".venv"))
    into = ("--python", str(ROOT / ".venv"), "--requirements", str(ROOT / "requirements-dev.txt"))
    uv(session, "pip", "install", "--quiet", *into, *editable)


@nox.session
def audit(session: nox.Session) -> None:
    """Look up known vulnerabilities in everything that users of all extras install."""
    uv(session, "pip", "install", "--quiet", *nox.project.dependency_groups(WORKSPACE, "audit"))
    chosen = Path(session.virtualenv.location) / "locked.txt"
    locked(session, third_party(), chosen)
    session.run("pip-audit", "--strict", "--disable-pip", "--no-deps", "--requirement", str(chosen), *session.posargs)
    # What the dashboard's wheel carries along from npm, by its lock file.
    session.run_install("npm", "audit", "--omit=dev", "--package-lock-only", "--prefix", str(FRONTEND), external=True)
