"""Run Agent Framework's own test suite twice, unobserved and with every agent, workflow and client observed, and compare.

What must hold, and how it's checked, is the same as for LangGraph: see ``langgraph_suite``. Only our spans
are made by a provider of ours: the suite counts those of the provider that a program shares with whoever is observed.

    git clone https://github.com/microsoft/agent-framework
    python tools/upstream/agent_framework_suite.py --checkout agent-framework [pytest arguments]

The suite is the one of the *installed* version, by its tag ``python-VERSION``: the source distribution ships no tests. What it needs to
run stands here.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from langgraph_suite import BETWEEN, compare, install, suite_parser, under_test

PACKAGE = "agent-framework-core"
FOLDER = "python/packages/core"
NEEDS = ("mcp[ws]<2", "numpy", "pytest-asyncio>=1,<2", "pytest-retry", "pytest-timeout", "pytest-xdist", "aiohttp")

_OBSERVABILITY = "tests/core/test_observability.py::test_"
EXPLAINED = {
    f"{_OBSERVABILITY}{name}": BETWEEN
    for name in (
        "chat_client_streaming_sync_setup_span_is_parented_to_chat_span",
        "chat_span_nested_under_agent_span",
        "function_call_spans_nested_under_agent_span",
        "http_span_nested_under_chat_span",
        "parallel_function_call_spans_nested_under_agent_span",
    )
}


def fetch(checkout: Path, version: str, into: Path) -> Path:
    """Unpack the suite of this version without the package, so that its tests import the installed one."""
    suite = into / "suite"
    if suite.is_dir():
        return suite
    archive = ["git", "-C", str(checkout), "archive", f"python-{version}", FOLDER]
    done = subprocess.run(archive, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode().strip()
        raise SystemExit(
            f"{checkout} has no {FOLDER} at the tag python-{version} ({said}); fetch its tags, or install a tagged version"
        )
    into.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as packed:
        wanted = [
            member for member in packed if member.name.startswith((f"{FOLDER}/tests/", f"{FOLDER}/pyproject.toml"))
        ]
        packed.extractall(into / "unpacked", members=wanted, filter="data")
    (into / "unpacked" / FOLDER).rename(suite)
    return suite


def main(argv: Sequence[str] | None = None) -> int:
    parser = suite_parser(__doc__, "ai_dev_squad_agent_framework:observe", spans=False)
    parser.add_argument("--checkout", type=Path, required=True, help="a clone of microsoft/agent-framework")
    options, arguments = parser.parse_known_args(argv)
    os.environ |= {"UPSTREAM_PLUGIN": "observe_agent_framework_plugin", "UPSTREAM_SPANS": "apart"}

    version = importlib.metadata.version(PACKAGE)
    work = options.cache.resolve() / f"{PACKAGE}-{version}"
    suite = fetch(options.checkout, version, work)
    if not options.no_install:
        install(work, under_test(PACKAGE), *NEEDS, f"agent-framework-openai=={version}")
    arguments = ["-m", "not integration", "-n", str(options.workers), "--dist", "worksteal", *(arguments or ["tests"])]
    return compare(PACKAGE, version, suite, work, arguments, options, explained=EXPLAINED)


if __name__ == "__main__":
    sys.exit(main())
