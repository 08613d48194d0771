"""The MCP server judged by the protocol's own tools: the conformance suite and the inspector, both from npm.

They run where ``AI_DEV_SQUAD_TEST_NODE_MODULES`` names a folder into which ``npm install @modelcontextprotocol/conformance
@modelcontextprotocol/inspector`` has put them, and where Node 22 or newer is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad_dashboard.app import create_app, running
from ai_dev_squad_dashboard.server import DashboardServer
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import open_memory_store

sys.path.insert(0, str(Path(__file__).parent))
from sample import fill

MODULES = Path(os.environ.get("AI_DEV_SQUAD_TEST_NODE_MODULES", "node_modules"))
SUITE = MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
INSPECTOR = MODULES / "@modelcontextprotocol" / "inspector" / "cli" / "build" / "cli.js"
SCENARIOS = ("server-initialize", "ping", "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection")
"""Those that ask nothing of a server but the protocol: the others call tools, resources and prompts of the suite's own server,
or want what ours does not offer (logging, completion, subscriptions)."""

pytestmark = pytest.mark.skipif(
    not SUITE.is_file() or shutil.which("node") is None,
    reason="AI_DEV_SQUAD_TEST_NODE_MODULES names no folder with @modelcontextprotocol/conformance, or node is missing",
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A dashboard on this machine that asks nobody for a token, with the sample's runs."""
    store = open_memory_store()
    fill(store, time.time_ns() // 1000, runs=3, long_spans=0)
    settings = DashboardSettings(port=0, logs=())
    app = create_app(settings, store=store, follow=False)
    server = DashboardServer(app, settings)
    server.start()
    yield f"http://127.0.0.1:{server.port}/mcp"
    server.stop()
    running(app).close()


def said(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["node", *arguments], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_conformance_suite_finds_nothing(url: str, scenario: str) -> None:
    """The protocol's own suite: the handshake, lists, and that a foreign host name is refused."""
    done = said(str(SUITE), "server", "--url", url, "--scenario", scenario)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]


def test_the_inspector_lists_and_calls(url: str) -> None:
    """Its command line finds tools, resources and prompts, and a run by a tool."""

    def inspected(method: str, *more: str) -> dict[str, Any]:
        done = said(str(INSPECTOR), "--cli", url, "--transport", "http", "--method", method, *more)
        assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    assert {"list_runs", "get_run", "cost_report", "query"} <= {
        tool["name"] for tool in inspected("tools/list")["tools"]
    }
    assert "ai-dev-squad://runs" in {each["uri"] for each in inspected("resources/list")["resources"]}
    assert inspected("prompts/list")["prompts"]
    answer = inspected("tools/call", "--tool-name", "list_runs", "--tool-arg", "limit=2")
    assert not answer.get("isError")
    assert len(answer["structuredContent"]["recorded"]["runs"]) == 2
