"""Everything that is checked or run: `nox` for all checks, `nox -s demo` for the main job, `nox -l` for the list.

Facts are read where they stand: packages are folders with a pyproject.toml, Python versions are core's
classifiers, tool versions are the dependency groups of the root pyproject.toml. A package is tested on the Python
versions that it claims itself. How an environment is made and tests are grouped stands in tools/sessions.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent / "tools"))

from sessions.clock import ahead_of_time
from sessions.groups import run_groups, run_pytest, run_tests, shares, tests_of
from sessions.workspace import (
    AHEAD,
    ONE,
    PACKAGES,
    PROVIDERS,
    PYTHONS,
    ROOT,
    WORKSPACE,
    claimed,
    extras_of,
    install,
    locked,
    third_party,
    uv,
)

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
# A missing interpreter is skipped, and the closing lines say so, on a CI machine too.
nox.options.error_on_missing_interpreters = False
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

# Frameworks that have no adapter, and what is tried with their spans.
ADOPTED = nox.project.load_toml(ROOT / "tests" / "adopted" / "frameworks.toml")


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
# without it they are what a user gets today. And its oldest release takes no OpenTelemetry as old as core does.
HOLDS_BACK = "adapters/crewai"
# The frameworks of which it is an older release. Of the others it holds back OpenAI's client alone, which `wire` has at its newest.
HELD_BACK = ("adapters/openai-agents", "adapters/pydantic-ai")


@nox.session(python=PYTHONS[0])
@nox.parametrize("packages", [tuple(PACKAGES), ("core", "cli", "testing")], ids=["together", "core"])
def floor(session: nox.Session, packages: tuple[str, ...]) -> None:
    """Run all tests with the oldest releases that the packages claim to support; and those of core with its own."""
    # Only what is asked for by name is taken at its lowest, so the packages' own requirements are named.
    lowest = ("--resolution=lowest-direct", *third_party(packages))
    together = packages == tuple(PACKAGES)
    install(session, "floor", packages=None if together else packages, options=lowest)
    uv(session, "pip", "list", "--quiet")
    run_tests(session, groups=None if together else shares(2, "core", "guide", "testing"))


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


@nox.session
def newest(session: nox.Session) -> None:
    """Run the contracts of the adapters whose frameworks CrewAI holds back, on the newest releases, and agents that ask by MCP's
    newest SDK. Arguments after -- go to pytest, for which the other adapters are there, too.
    """
    adapters = [package for package in claimed(session) if package.startswith("adapters/") and package != HOLDS_BACK]
    install(session, "test", "agents", packages=("core", "cli", "dashboard", "testing", *adapters))
    if session.posargs:
        run_pytest(session, *session.posargs)
        return
    contracts = {package: tests_of(package, "contract", "truth") for package in HELD_BACK}
    run_groups(session, {**contracts, "machines": ["tests/dashboard/test_mcp_agents.py"]})


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
    """Build every package into dist/ as it would be published, twice, refuse what differs, lacks something or is described wrongly, and
    run each one's tests on its wheel. ``nox -s release -- --repository URL`` puts the addresses there into the metadata.
    """
    uv(session, "pip", "install", "--quiet", "uv>=0.9,<1", *nox.project.dependency_groups(WORKSPACE, "release"))
    session.run("python", "tools/release/check.py", str(ROOT / "dist"), *session.posargs)
    session.run("python", "tools/release/prove.py", str(ROOT / "dist"))


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which lines and branches of core its tests, the adapters' contracts and those of the wire run, on its wheel."""
    # CrewAI keeps the newest clients away, which the tests of the wire need.
    packages = [package for package in claimed(session) if package != HOLDS_BACK]
    install(session, "test", "wire", "coverage", packages=packages)
    adapters = [package for package in packages if package.startswith("adapters/")]
    contracts = [path for package in adapters for path in tests_of(package, "contract")]
    parts = [*shares(4, "core").values(), ["tests/guide", "tests/testing"], ["tests/wire"], contracts]
    session.run("coverage", "erase")
    # A process each: what a part has measured is kept when a later one is stopped, and `coverage combine` takes what is there.
    for part in [session.posargs] if session.posargs else parts:
        session.run("coverage", "run", "-m", "pytest", *part, success_codes=[0, 1])
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")
    measured = str(Path(session.create_tmp(), "coverage.json"))
    session.run("coverage", "json", "--quiet", "-o", measured)
    session.run("python", "tools/coverage_totals.py", measured)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change core's code in one place at a time, and refuse where too few changes fail a test: ``nox -s mutation -- prices --share 0.1``.

    Without arguments one in twenty of what is about prices, budgets, redaction and the journal's writer.
    """
    install(session, "test", "mutation", packages=("core", "cli", "testing"))
    areas = ("prices", "budgets", "redaction", "journal")
    for arguments in [session.posargs] if session.posargs else [[area, "--share", "0.05"] for area in areas]:
        session.run("python", "tools/mutation/run.py", *arguments)


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
    session.run_install(
        "npm",
        "audit",
        "--omit=dev",
        "--package-lock-only",
        "--prefix",
        str(ROOT / "packages" / "dashboard" / "frontend"),
        external=True,
    )
