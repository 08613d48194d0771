"""Run AutoGen AgentChat's own test suite twice, unobserved and with every agent and team observed, and compare.

What must hold, and how it's checked, is the same as for LangGraph: see ``langgraph_suite``.

    python tools/upstream/autogen_suite.py [--no-spans] [pytest arguments]

The suite is the one of the *installed* version, taken from its source distribution on the package index. What it needs
to run stands here, because that distribution doesn't say.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from langgraph_suite import CHECKS, ROOT, details, fetch, judge, pip, run_pytest, run_unobserved, table, under_test

PACKAGE = "autogen-agentchat"
NEEDS = (
    "autogen-ext[anthropic,diskcache,http-tool,mcp,ollama,openai,redis,semantic-kernel-core]=={version}",
    "aiofiles",
    "openai<2",  # the tests build its objects by hand, in the shape of their day
    "pytest>=8,<10",
    "pytest-asyncio>=1,<2",
    "pytest-xdist",
)


def install_test_dependencies(work: Path, version: str) -> None:
    """Install what the suite needs, without moving a version under test."""
    constraints = work / "constraints.txt"
    constraints.write_text("\n".join(under_test(PACKAGE)), encoding="utf-8")
    pip("install", *(need.format(version=version) for need in NEEDS), "--constraint", str(constraints))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observe", default="ai_dev_squad_autogen:observe", metavar="MODULE:FUNC")
    parser.add_argument("--workers", type=int, default=2, help="pytest-xdist processes (default 2)")
    parser.add_argument("--reruns", type=int, default=3, help="how often a differing test is rerun each way")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "upstream", help="where suites and results are")
    parser.add_argument("--no-install", action="store_true", help="the test dependencies are there already")
    parser.add_argument("--no-spans", action="store_true", help="as without an exporter: journal lines, no real spans")
    options, arguments = parser.parse_known_args(argv)
    os.environ["UPSTREAM_PLUGIN"] = "observe_autogen_plugin"
    os.environ.pop("OPENAI_API_KEY", None)  # with a key, some tests ask the real service
    if options.no_spans:
        os.environ["UPSTREAM_SPANS"] = "off"

    version = importlib.metadata.version(PACKAGE)
    work = options.cache.resolve() / f"{PACKAGE}-{version}"
    suite = fetch(PACKAGE, version, work)
    if not options.no_install:
        install_test_dependencies(work, version)
    arguments = ["-n", str(options.workers), "--dist", "worksteal", *(arguments or ["tests"])]

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
