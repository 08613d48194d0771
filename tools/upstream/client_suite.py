"""Run the own test suite of OpenAI's or Anthropic's client twice, without and with a tap on the wire, and compare.

The outcome of every test must be the same, every exchange that was asked must end exactly once, and nothing may fail
inside of the tap.

    python tools/upstream/client_suite.py {openai,anthropic} [pytest arguments]

The suite is the one of the *installed* version, taken from its source distribution on the package index, and run whole.
Its tests of single resources want a mock server and a description of the API that aren't in it: a server that answers
501 stands there instead, and a test that fails by that answer counts as ``no server``. The exit code is 1 on a
difference, and when the tap saw nothing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from langgraph_suite import ROOT, Run, fetch, judge, pip, run_pytest, run_unobserved

NEEDS = ("pytest>=9,<10", "pytest-asyncio>=1.4,<2", "pytest-xdist", "rich", "inline-snapshot>=0.28", "griffe>=1")
SUITES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "openai": (("{package}[aiohttp,realtime]", "Pillow", "azure-identity", "botocore", "trio"), ()),
    "anthropic": (
        (
            "{package}[aiohttp,bedrock,vertex,mcp]",
            "respx",
            "time-machine",
            "dirty-equals",
            "importlib-metadata",
            "hypothesis",
            "http-snapshot[httpx]==0.1.9",
            "packaging",
            "opentelemetry-sdk",
        ),
        ("-p", "tests._alias_httpx"),
    ),
}
"""By package: what its tests need beside, as its distribution says, and arguments that it gives pytest."""
CHECKS = {"ended_twice": "exchanges ended twice", "internal_failures": "internal failures reported by the tap"}

NO_SERVER = "the suite's mock server is not in its source distribution"


class NoServer(BaseHTTPRequestHandler):
    """Tells whoever asks that the mock server isn't there, and that trying again won't help."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.dumps({"error": {"message": NO_SERVER}}).encode()
        self.send_response(501)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-should-retry", "false")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names that the base class looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""


@contextmanager
def no_server() -> Iterator[None]:
    """Have the suite's clients ask a server that has nothing, for as long as the block runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), NoServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        os.environ["TEST_API_BASE_URL"] = f"http://127.0.0.1:{server.server_port}"
        os.environ["UPSTREAM_NO_SERVER"] = NO_SERVER
        try:
            yield
        finally:
            server.shutdown()


def table(package: str, version: str, without: Run, tapped: Run, verdicts: Mapping[str, str]) -> str:
    """The comparison as a Markdown table."""
    counts = [Counter(run.outcomes.values()) for run in (without, tapped)]
    rows = [(f"{package} {version}", "without" + " (kept)" * without.cached, "tapped"), ("---", "--:", "--:")]
    rows += [(word, f"{counts[0][word]:,}", f"{counts[1][word]:,}") for word in sorted(counts[0] | counts[1])]
    rows += [("seconds", f"{without.seconds:.0f}", f"{tapped.seconds:.0f}")]
    for kind in ("differs", "flaky"):
        rows += [(f"tests that are {kind}", "", str(sum(words.startswith(kind) for words in verdicts.values())))]
    rows += [(f"exchanges {name}", "", f"{tapped.total(name):,}") for name in ("asked", "ended", "with_usage")]
    for group in ("apis", "statuses"):
        found: Counter[str] = Counter()
        for seen in tapped.observations:
            found.update(seen[group])
        rows += [(f"… {name}", "", f"{count:,}") for name, count in found.most_common()]
    rows += [(words, "", str(tapped.total(name))) for name, words in CHECKS.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", choices=SUITES)
    parser.add_argument("--workers", type=int, default=2, help="pytest-xdist processes (default 2)")
    parser.add_argument("--reruns", type=int, default=3, help="how often a differing test is rerun each way")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "upstream", help="where suites and results are")
    parser.add_argument("--no-install", action="store_true", help="the test dependencies are there already")
    options, arguments = parser.parse_known_args(argv)
    os.environ["UPSTREAM_PLUGIN"] = "observe_wire_plugin"
    needs, given = SUITES[options.package]

    version = importlib.metadata.version(options.package)
    work = options.cache.resolve() / f"{options.package}-{version}"
    suite = fetch(options.package, version, work, whole=True)
    if not options.no_install:
        pinned = f"{options.package}=={version}"
        pip("install", pinned, *NEEDS, *(need.format(package=options.package) for need in needs))
    # Thousands of tests fail by the missing server: most of a run would be printing how.
    arguments = ["-n", str(options.workers), "--dist", "worksteal", "--tb=short", *given, *(arguments or ["tests"])]

    with no_server():
        without = run_unobserved(suite, arguments, work / "without")
        tapped = run_pytest(suite, arguments, work / "tapped", "tap")
        verdicts = judge(suite, work, "tap", without, tapped, options.reruns)
    print(table(options.package, version, without, tapped, verdicts))
    print(*[f"{test}: {words}" for test, words in verdicts.items()], sep="\n")
    for name in CHECKS:
        print(*tapped.listed(name)[:20], sep="\n")
    print(f"\nEverything is in {work}")
    differ = any(words.startswith("differs") for words in verdicts.values())
    counts = {tapped.total("asked"), tapped.total("ended")}
    return int(differ or len(counts) != 1 or counts == {0} or any(tapped.total(name) for name in CHECKS))


if __name__ == "__main__":
    sys.exit(main())
