"""Run Pydantic AI's own test suite twice, unobserved and with every agent observed, and compare.

What must hold, and how it's checked, is the same as for LangGraph: see ``langgraph_suite``. Our spans are made by a provider of ours:
the suite compares all those of the provider that a program shares with whoever is observed.

    python tools/upstream/pydantic_ai_suite.py --repository PATH [--no-spans] [pytest arguments]

Its source distributions have no tests, so they come out of a clone of https://github.com/pydantic/pydantic-ai, at the tag of
the *installed* version. What they need to run stands here. Without pytest arguments the files run that are about agents,
streams, tools, limits and requests; the others are about providers, whose answers are recorded.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from langgraph_suite import BETWEEN, compare, install, suite_parser, under_test

PACKAGE = "pydantic-ai-slim"
NEEDS = (
    "clai=={version}",
    "pydantic-ai-slim[anthropic,evals,google,groq,logfire,mcp,mistral,openai,retries]=={version}",
    "aiohttp==3.14.1",  # what the recordings were made with; the next ones break a fixture
    "blockbuster",
    "dirty-equals",
    "fastmcp",
    "inline-snapshot",
    "pytest-examples",
    "pytest-mock",
    "pytest-recording",
    "pytest-xdist",
    "vcrpy==8.2.1",
)
FILES = (
    *("agent", "streaming", "tools", "usage_limits", "toolsets", "direct", "history_processor"),
    *("models/test_fallback", "models/test_instrumented"),
)

EXPLAINED = {"tests/models/test_fallback.py::test_all_failed_instrumented": BETWEEN}


def extract(repository: Path, version: str, into: Path) -> Path:
    """Write ``tests`` and ``pyproject.toml`` of the version's tag into ``into / "suite"``, and return that.

    File by file: a clone without large files lacks some, which are left out.
    """
    suite = into / "suite"
    if suite.is_dir():
        return suite
    git = ["git", "-C", str(repository)]
    listed = subprocess.run(
        [*git, "ls-tree", "-r", f"v{version}", "--", "tests", "pyproject.toml"],
        check=True,
        capture_output=True,
        text=True,
    )
    environment = {**os.environ, "GIT_NO_LAZY_FETCH": "1"}
    for line in listed.stdout.splitlines():
        about, _, path = line.partition("\t")
        blob = subprocess.run(
            [*git, "cat-file", "blob", about.split()[2]], capture_output=True, env=environment, check=False
        )
        if blob.returncode == 0:
            target = suite / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(blob.stdout)
    return suite


def install_test_dependencies(work: Path, version: str) -> None:
    """Install what the suite needs, without moving a version under test."""
    install(work, under_test(PACKAGE), *(need.format(version=version) for need in NEEDS))


def main(argv: Sequence[str] | None = None) -> int:
    parser = suite_parser(__doc__, "ai_dev_squad_pydantic_ai:observe")
    parser.add_argument("--repository", type=Path, required=True, help="a clone of pydantic/pydantic-ai with its tags")
    options, arguments = parser.parse_known_args(argv)
    os.environ["UPSTREAM_PLUGIN"] = "observe_pydantic_ai_plugin"
    os.environ.pop("OPENAI_API_KEY", None)  # with a key, some tests ask the real service
    os.environ["UPSTREAM_SPANS"] = "off" if options.no_spans else "apart"

    version = importlib.metadata.version(PACKAGE)
    work = options.cache.resolve() / f"{PACKAGE}-{version}"
    work.mkdir(parents=True, exist_ok=True)
    suite = extract(options.repository, version, work)
    if not options.no_install:
        install_test_dependencies(work, version)
    files = [f"tests/{name}.py" if "/" in name else f"tests/test_{name}.py" for name in FILES]
    arguments = ["-n", str(options.workers), "--dist", "worksteal", "-p", "no:pretty", *(arguments or files)]
    return compare(PACKAGE, version, suite, work, arguments, options, explained=EXPLAINED)


if __name__ == "__main__":
    sys.exit(main())
