"""Run the OpenAI Agents SDK's own test suite twice, unobserved and with every run observed, and compare.

What must hold, and how it's checked, is the same as for LangGraph: see ``langgraph_suite``.

    python tools/upstream/openai_agents_suite.py [--no-spans] [pytest arguments]

The suite is the one of the *installed* version, taken from its source distribution on the package index. Without arguments its
core files run, which take two minutes each way: agents, runs, tools, streams, guardrails, hand-offs, approvals, models, tracing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from langgraph_suite import CHECKS, ROOT, details, fetch, judge, pip, run_pytest, run_unobserved, table, under_test

PACKAGE = "openai-agents"
NEEDS = (
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
    constraints = work / "constraints.txt"
    constraints.write_text("\n".join(under_test(PACKAGE)), encoding="utf-8")
    pip("install", *NEEDS, "--constraint", str(constraints))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observe", default="ai_dev_squad_openai_agents:observe", metavar="MODULE:FUNC")
    parser.add_argument("--workers", type=int, default=2, help="pytest-xdist processes (default 2)")
    parser.add_argument("--reruns", type=int, default=3, help="how often a differing test is rerun each way")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "upstream", help="where suites and results are")
    parser.add_argument("--no-install", action="store_true", help="the test dependencies are there already")
    parser.add_argument("--no-spans", action="store_true", help="as without an exporter: journal lines, no real spans")
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

    unobserved = run_unobserved(suite, arguments, work / "unobserved")
    observed = run_pytest(suite, arguments, work / "observed", options.observe)
    verdicts = judge(suite, work, options.observe, unobserved, observed, options.reruns)
    print(table(PACKAGE, version, unobserved, observed, verdicts))
    print(*details(observed, verdicts), sep="\n")
    print(f"\nEverything is in {work}")
    counts = {observed.total("started"), observed.total("ended")}
    differ = any(words.startswith("differs") for words in verdicts.values())
    return int(differ or len(counts) != 1 or counts == {0} or any(observed.total(name) for name in CHECKS))


if __name__ == "__main__":
    sys.exit(main())
