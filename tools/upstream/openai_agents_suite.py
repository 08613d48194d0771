"""Run the OpenAI Agents SDK's own test suite twice, unobserved and with every run observed, and compare.

What must hold, and how it's checked, is the same as for LangGraph: see ``langgraph_suite``.

    python tools/upstream/openai_agents_suite.py [--no-spans] [pytest arguments]

The suite is the one of the *installed* version, taken from its source distribution on the package index. Without arguments its
core files run, which take two minutes each way: agents, runs, tools, streams, guardrails, hand-offs, approvals, models, tracing.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from langgraph_suite import compare, fetch, install, suite_parser, under_test

PACKAGE = "openai-agents"
NEEDS = (
    "httpx",  # which openai 3 doesn't bring
    "inline-snapshot",
    "pytest>=8,<10",
    "pytest-asyncio>=1,<2",
    "pytest-xdist",
)
CORE = ("agent", "run", "tool", "hitl", "stream", "guardrail", "handoff", "trac", "max_turns", "usage", "global_hooks")
"""How the names of the core's files begin, after ``test_``."""


def core_files(suite: Path) -> list[str]:
    """The files that run where none are named."""
    files = sorted((suite / "tests").glob("test_*.py"))
    return [str(file.relative_to(suite)) for file in files if file.stem.removeprefix("test_").startswith(CORE)]


def install_test_dependencies(work: Path) -> None:
    """Install what the suite needs, without moving a version under test."""
    install(work, under_test(PACKAGE), *NEEDS)


def main(argv: Sequence[str] | None = None) -> int:
    parser = suite_parser(__doc__, "ai_dev_squad_openai_agents:observe")
    options, arguments = parser.parse_known_args(argv)
    os.environ["UPSTREAM_PLUGIN"] = "observe_openai_agents_plugin"
    os.environ["OPENAI_API_KEY"] = "fake_key"  # as the suite's own instructions have it
    if options.no_spans:
        os.environ["UPSTREAM_SPANS"] = "off"

    version = importlib.metadata.version(PACKAGE)
    work = options.cache.resolve() / f"{PACKAGE}-{version}"
    suite = fetch(PACKAGE, version, work)
    if not options.no_install:
        install_test_dependencies(work)
    # Its own options ask for plugins that no test needs.
    settings = ["-o", "addopts=", "-o", "asyncio_mode=auto", "-n", str(options.workers), "--dist", "loadgroup"]
    arguments = [*settings, *(arguments or core_files(suite))]
    return compare(PACKAGE, version, suite, work, arguments, options)


if __name__ == "__main__":
    sys.exit(main())
