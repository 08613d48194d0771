"""Run AutoGen AgentChat's own test suite twice, unobserved and with every agent and team observed, and compare.

What must hold, and how it's checked, is the same as for LangGraph: see ``langgraph_suite``.

    python tools/upstream/autogen_suite.py [--no-spans] [pytest arguments]

The suite is the one of the *installed* version, taken from its source distribution on the package index. What it needs
to run stands here, because that distribution doesn't say.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from langgraph_suite import compare, fetch, install, suite_parser, under_test

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
    install(work, under_test(PACKAGE), *(need.format(version=version) for need in NEEDS))


def main(argv: Sequence[str] | None = None) -> int:
    parser = suite_parser(__doc__, "ai_dev_squad_autogen:observe")
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
    return compare(PACKAGE, version, suite, work, arguments, options)


if __name__ == "__main__":
    sys.exit(main())
