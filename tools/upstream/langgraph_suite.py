"""Run LangGraph's own test suite twice, unobserved and with every graph observed, and compare test by test.

Observation may not change what a program does: the outcome of every test must be the same, every operation that
started must have ended, no span may stay current after a test, and no context may fail to detach.

    python tools/upstream/langgraph_suite.py [--package langgraph-prebuilt] [--no-spans] [pytest arguments]

Settings of the product come from its environment variables, such as AI_DEV_SQUAD_CAPTURE_CONTENT=true.

The suite is the one of the *installed* version, taken from its source distribution on the package index; its test
dependencies come from the dependency group ``test`` of the same distribution. The exit code is 1 on a difference.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OURS = "ai-dev-squad"
CHECKS = {
    "left_open": "operations left open",
    "closed_twice": "operations closed twice",
    "closed_unopened": "operations closed without a start",
    "dropped": "journal lines dropped",
    "wire_off": "processes in which the wire was off",
    "leaked_spans": "spans still current after a test",
    "internal_failures": "internal failures reported by the observer",
}
"""The lists of ``observe_langgraph_plugin.Observations`` that must be empty, in words."""

Outcomes = Mapping[str, str]

BETWEEN = "it asserts which parent or trace a span has, and an observed run's operations are in between"
"""Why a suite's test of a framework's own spans differs: one trace of both is what observing is for. Values are compared by all."""


@dataclass
class Run:
    """One run of the suite."""

    outcomes: dict[str, str]
    seconds: float
    cached: bool = False
    observations: list[dict[str, Any]] = field(default_factory=list)
    detached: list[str] = field(default_factory=list)
    """The records that a context failed to detach: a framework may leave some itself."""

    def total(self, name: str) -> int:
        return sum(seen[name] if isinstance(seen[name], int) else len(seen[name]) for seen in self.observations)

    def listed(self, name: str) -> list[str]:
        return [entry for seen in self.observations for entry in seen[name]]


# ---------------------------------------------------------------------------------------------- comparing


def differing(unobserved: Outcomes, observed: Outcomes) -> list[str]:
    """The tests whose outcome differs, those that only one run has included."""
    return sorted(test for test in unobserved.keys() | observed.keys() if unobserved.get(test) != observed.get(test))


def verdict(unobserved: Sequence[str | None], observed: Sequence[str | None]) -> str:
    """Judge a test by all its outcomes, the first pair and the reruns.

    ``differs`` when an observed rerun ends as no unobserved run did; otherwise ``flaky``, by itself or because the
    first difference never came back.
    """
    return "differs" if set(observed[1:]) - set(unobserved) or len(observed) == 1 else "flaky"


def explain(test: str, words: str, explained: Mapping[str, str]) -> str:
    """``words``, or why the test differs: ``explained`` has the reason by how its id begins."""
    reason = next((reason for start, reason in explained.items() if test.startswith(start)), None)
    return f"explained: {reason}" if reason and words.startswith("differs") else words


# ---------------------------------------------------------------------------------------------- the suite


def pip(*arguments: str) -> None:
    """Run pip, or uv, where it is, for what both can: installing takes it seconds where pip takes minutes."""
    uv = shutil.which("uv") if arguments[0] == "install" else None
    command = [sys.executable, "-m", "pip", "--quiet", *arguments]
    if uv:
        # A distribution's pyproject names its neighbours in the repository that it was made in.
        command = [uv, "pip", "install", "--quiet", "--no-sources", "--python", sys.executable, *arguments[1:]]
    subprocess.run(command, check=True)


def fetch(package: str, version: str, into: Path, name: str = "suite", *, whole: bool = False) -> Path:
    """Unpack ``tests`` and ``pyproject.toml`` of the source distribution into ``into / name`` and return that.

    The package itself is left behind, so that the tests import the installed one. ``whole`` unpacks everything, for
    tests that read other files; the package is then below ``src``, where no import finds it.
    """
    suite = into / name
    if suite.is_dir():
        return suite
    sdists = into / "sdist" / package
    pip("download", "--no-deps", "--no-binary", package, "--dest", str(sdists), f"{package}=={version}")
    (sdist,) = sdists.glob("*.tar.gz")
    unpacked = into / "unpacked"
    with tarfile.open(sdist) as archive:
        top = archive.getnames()[0].partition("/")[0]
        parts = (f"{top}/",) if whole else (f"{top}/tests/", f"{top}/pyproject.toml")
        wanted = [member for member in archive if member.name.startswith(parts)]
        if hasattr(tarfile, "data_filter"):
            archive.extractall(unpacked, members=wanted, filter="data")
        else:
            archive.extractall(unpacked, members=wanted)  # an old interpreter; the index is trusted
    if not (unpacked / top / "tests").is_dir():
        raise SystemExit(f"{sdist.name} has no tests directory; choose a version whose source distribution ships one")
    (unpacked / top).rename(suite)
    shutil.rmtree(unpacked)
    return suite


def under_test(package: str) -> list[str]:
    """``package`` and everything that our packages require, as ``name==version`` of what is installed."""
    required = {package}
    for distribution in importlib.metadata.distributions():
        if distribution.metadata["Name"].startswith(OURS):
            required |= {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in distribution.requires or ()}
    installed = {
        distribution.metadata["Name"]: distribution.version for distribution in importlib.metadata.distributions()
    }
    return sorted(f"{name}=={installed[name]}" for name in required & installed.keys() if not name.startswith(OURS))


def install_test_dependencies(suite: Path, package: str) -> None:
    """Install the suite's own dependency group, without moving a version under test."""
    install(suite.parent, under_test(package), "--group", f"{suite / 'pyproject.toml'}:test", "pytest-xdist")


def install(work: Path, kept: Iterable[str], *needs: str) -> None:
    """Install ``needs``, an argument of pip each, without moving the versions in ``kept``."""
    constraints = work / "constraints.txt"
    constraints.write_text("\n".join(kept), encoding="utf-8")
    pip("install", *needs, "--constraint", str(constraints))


def environment_key() -> str:
    """Changes with the interpreter and with every installed version but ours: what the unobserved run depends on."""
    found = sorted(
        f"{distribution.metadata['Name']}=={distribution.version}"
        for distribution in importlib.metadata.distributions()
        if not distribution.metadata["Name"].startswith(OURS)
    )
    return hashlib.sha256("\n".join([platform.python_version(), *found]).encode()).hexdigest()[:16]


def run_pytest(suite: Path, arguments: Iterable[str], work: Path, observe: str | None) -> Run:
    """Run pytest in the suite, observed by the function ``observe`` or not at all; raise when it did not even run."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    outcomes = work / "outcomes.json"
    environment = {
        **os.environ,
        "NO_DOCKER": "true",
        "LANGSMITH_TRACING": "false",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
        "UPSTREAM_OUTCOMES": str(outcomes),
    }
    plugins = ["-p", "outcome_plugin"]
    if observe:
        environment |= {"UPSTREAM_OBSERVE": observe, "UPSTREAM_OBSERVATIONS": str(work / "observed")}
        plugins += ["-p", os.environ.get("UPSTREAM_PLUGIN", "observe_langgraph_plugin")]
    command = [sys.executable, "-m", "pytest", *plugins, "-q", "-p", "no:cacheprovider"]
    command += ["-o", "addopts=--strict-markers --strict-config", *arguments]
    started = time.monotonic()
    with (work / "output.txt").open("w", encoding="utf-8") as output:
        done = subprocess.run(command, cwd=suite, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
    if done.returncode not in (0, 1):
        print(*Path(output.name).read_text(encoding="utf-8").splitlines()[-15:], sep="\n", file=sys.stderr)
        raise SystemExit(f"pytest ended with code {done.returncode}; its output is in {output.name}")
    directories = [path for path in (work / "observed").glob("*") if path.is_dir()]
    silent = [path.name for path in directories if not (path / "observations.json").is_file()]
    if silent or bool(observe) != bool(directories):
        raise SystemExit(f"no observations from {silent or 'any process'}; pytest's output is in {output.name}")
    return Run(
        outcomes=json.loads(outcomes.read_text(encoding="utf-8")),
        seconds=time.monotonic() - started,
        observations=[
            json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(directory / "observations.json" for directory in directories)
        ],
        detached=[
            record
            for path in sorted((work / "detached").glob("*.json"))
            for record in json.loads(path.read_text(encoding="utf-8"))
        ],
    )


def run_unobserved(suite: Path, arguments: list[str], work: Path) -> Run:
    """As ``run_pytest`` without observation; the result is kept for as long as the environment stays the same."""
    key = hashlib.sha256(repr(arguments).encode()).hexdigest()[:8]
    cache = work.parent / f"unobserved-{environment_key()}-{key}.json"
    if cache.is_file():
        return Run(**json.loads(cache.read_text(encoding="utf-8")), cached=True)
    run = run_pytest(suite, arguments, work, None)
    kept = {"outcomes": run.outcomes, "seconds": run.seconds, "detached": run.detached}
    cache.write_text(json.dumps(kept), encoding="utf-8")
    return run


def judge(suite: Path, work: Path, observe: str, unobserved: Run, observed: Run, reruns: int) -> dict[str, str]:
    """Rerun the differing tests both ways, one process and nothing beside them; return a verdict for each.

    A context that fails to detach in the observed run only is a difference, too.
    """
    more = Counter(observed.detached) - Counter(unobserved.detached)
    left = {record: f"differs: {count} times more than unobserved" for record, count in more.items()}
    tests = differing(unobserved.outcomes, observed.outcomes)
    if not tests:
        return left
    ways: list[tuple[Run, str | None]] = [(unobserved, None), (observed, observe)]
    seen = [{test: [first.outcomes.get(test)] for test in tests} for first, _ in ways]
    # A test that only one run knows cannot be asked for by name.
    targets = [test for test in tests if test in unobserved.outcomes and test in observed.outcomes]
    for _ in range(reruns if targets else 0):
        for (_, function), outcomes in zip(ways, seen, strict=True):
            again = run_pytest(suite, targets, work / "rerun", function).outcomes
            for test in targets:
                outcomes[test].append(again.get(test))
    return left | {
        test: f"{verdict(seen[0][test], seen[1][test])}: unobserved {seen[0][test]}, observed {seen[1][test]}"
        for test in tests
    }


# ---------------------------------------------------------------------------------------------- reporting


def table(package: str, version: str, unobserved: Run, observed: Run, verdicts: Mapping[str, str]) -> str:
    """The comparison as a Markdown table."""
    counts = [Counter(run.outcomes.values()) for run in (unobserved, observed)]
    rows = [(f"{package} {version}", "unobserved" + " (kept)" * unobserved.cached, "observed")]
    rows += [("---", "--:", "--:")]
    rows += [(word, f"{counts[0][word]:,}", f"{counts[1][word]:,}") for word in sorted(counts[0] | counts[1])]
    rows += [("seconds", f"{unobserved.seconds:.0f}", f"{observed.seconds:.0f}")]
    rows += [("tests with another outcome", "", str(sum(v.startswith("differs") for v in verdicts.values())))]
    rows += [("… for a reason that is known", "", str(sum(v.startswith("explained") for v in verdicts.values())))]
    rows += [("flaky tests", "", str(sum(v.startswith("flaky") for v in verdicts.values())))]
    if observed.total("graphs"):
        rows += [("objects observed", "", f"{observed.total('graphs'):,}")]
    rows += [("operations started", "", f"{observed.total('started'):,}")]
    rows += [("operations ended", "", f"{observed.total('ended'):,}")]
    rows += [("model calls on the wire", "", f"{observed.total('wire_calls'):,}")]
    rows += [("… in observed runs", "", f"{observed.total('wire_captured'):,}")]
    rows += [("spans started", "", f"{observed.total('spans_started'):,}")]
    rows += [("spans ended", "", f"{observed.total('spans_ended'):,}")]
    statuses: Counter[str] = Counter()
    for seen in observed.observations:
        statuses.update(seen["statuses"])
    rows += [(f"… {status}", "", f"{count:,}") for status, count in statuses.most_common()]
    rows += [("loops told", "", str(observed.total("loops")))]
    rows += [("contexts that failed to detach", str(len(unobserved.detached)), str(len(observed.detached)))]
    rows += [(words, "", str(observed.total(name))) for name, words in CHECKS.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def details(observed: Run, verdicts: Mapping[str, str], limit: int = 20) -> list[str]:
    """What to look at, at most ``limit`` lines of a kind."""
    found = {"tests": [f"{test}: {words}" for test, words in verdicts.items()]}
    found["loops told"] = observed.listed("loops")
    found |= {words: observed.listed(name) for name, words in CHECKS.items()}
    lines = []
    for title, entries in found.items():
        if entries:
            lines += ["", f"{title} ({len(entries)}):", *(f"  {entry}" for entry in entries[:limit])]
            lines += [f"  … and {len(entries) - limit} more"] * (len(entries) > limit)
    return lines


def suite_parser(
    description: str | None, observe: str, *, workers: int = 2, spans: bool = True
) -> argparse.ArgumentParser:
    """The options that the programs for all suites have. ``spans`` is whether the suite can be run with real ones."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observe", default=observe, metavar="MODULE:FUNC")
    parser.add_argument("--workers", type=int, default=workers, help="pytest-xdist processes (default %(default)s)")
    parser.add_argument("--reruns", type=int, default=3, help="how often a differing test is rerun each way")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "upstream", help="where suites and results are")
    parser.add_argument("--no-install", action="store_true", help="the test dependencies are there already")
    if spans:
        parser.add_argument(
            "--no-spans", action="store_true", help="as without an exporter: journal lines, no real spans"
        )
    return parser


def differs(observed: Run, verdicts: Mapping[str, str], counted: Sequence[str] = ("started", "ended")) -> bool:
    """Whether anything was found that may not be: ``counted`` are to be equal, and not 0."""
    counts = {observed.total(name) for name in counted}
    changed = any(words.startswith("differs") for words in verdicts.values())
    return changed or len(counts) != 1 or counts == {0} or any(observed.total(name) for name in CHECKS)


def compare(
    package: str,
    version: str,
    suite: Path,
    work: Path,
    arguments: Sequence[str],
    options: argparse.Namespace,
    counted: Sequence[str] = ("started", "ended"),
    explained: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Run the suite both ways and print what came out. Returns the exit code: 1 on a difference.

    ``explained`` says why tests differ, by how their ids begin: those whose subject is what observing is for.
    """
    unobserved = run_unobserved(suite, arguments, work / "unobserved")
    observed = run_pytest(suite, arguments, work / "observed", options.observe)
    verdicts = judge(suite, work, options.observe, unobserved, observed, options.reruns)
    verdicts = {test: explain(test, words, explained) for test, words in verdicts.items()}
    print(table(package, version, unobserved, observed, verdicts))
    print(*details(observed, verdicts), sep="\n")
    print(f"\nEverything is in {work}")
    return int(differs(observed, verdicts, counted))


def main(argv: Sequence[str] | None = None) -> int:
    parser = suite_parser(__doc__, "ai_dev_squad_langgraph._observe:observe_in_place")
    parser.add_argument("--package", default="langgraph", help="langgraph (default) or langgraph-prebuilt")
    options, arguments = parser.parse_known_args(argv)
    spans = not options.no_spans
    if not spans:
        os.environ["UPSTREAM_SPANS"] = "off"

    version = importlib.metadata.version(options.package)
    work = options.cache.resolve() / f"{options.package}-{version}"
    suite = fetch(options.package, version, work)
    if not options.no_install:
        install_test_dependencies(suite, options.package)
    arguments = ["-n", str(options.workers), "--dist", "worksteal", *(arguments or ["tests"])]
    counted = ("started", "ended", *(("spans_started", "spans_ended") if spans else ()))
    return compare(options.package, version, suite, work, arguments, options, counted)


if __name__ == "__main__":
    sys.exit(main())
