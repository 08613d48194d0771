"""What every test starts from: a fresh runtime, an empty directory, a clean environment, and no network."""

from __future__ import annotations

import gc
import ipaddress
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis.configuration import set_hypothesis_home_dir
from opentelemetry import context as otel_context
from opentelemetry.context import Context

from ai_dev_squad import guard
from ai_dev_squad.context import correlation_id_var, session_id_var, user_id_var
from ai_dev_squad_testing import reset

ROOT = Path(__file__).resolve().parent.parent

# The same examples in every run; `--hypothesis-profile=explore` looks for new ones.
set_hypothesis_home_dir(ROOT / ".cache" / "hypothesis")
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True, database=None)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True, max_examples=2000)
hypothesis.settings.register_profile(
    "mutants",  # of tools/mutation: each of thousands is tried, and nobody reads the least example
    parent=hypothesis.settings.get_profile("repeatable"),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    max_examples=30,
)
hypothesis.settings.load_profile("repeatable")

# LiteLLM looks for newer prices when it is imported, in a thread, which may come to it amid any test.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

OBSERVED_VARIABLES = ("AI_DEV_SQUAD_", "DASHBOARD_", "OTEL_", "LANGSMITH_", "LANGCHAIN_", "OPENAI_", "TIKTOKEN_")
PROXY_VARIABLES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
KEPT_VARIABLES = {"AI_DEV_SQUAD_TEST_WHEELS"}

# The dashboard and the lab are pure Python, HTTP and SQL: what their tests prove on one interpreter holds on all, and nox
# runs them on one. Interpreters differ in threads, sockets, processes and the wheels of what is written in C, so these run on
# each: a whole dashboard starts, listens, is sent journals and spans, and answers every route; the lab runs a cell.
# The walls between packages are read from sources, which are the same everywhere too, and the contract's own rules are tried
# on adapters that break them, each in a pytest of its own. Prices, reports of usage and redaction are pure functions of text
# and numbers. Of an adapter the contract, contexts, the truth of numbers and the wire are proven on each; how a framework's
# objects are translated depends on no interpreter.
_ADAPTERS = tuple(
    sorted(path.name.replace("-", "_") for path in (ROOT / "packages/adapters").iterdir() if path.is_dir())
)


def _of_each_adapter(*subjects: str) -> tuple[str, ...]:
    """The adapters' test files on these subjects, where they have one."""
    files = (f"tests/adapters/test_{name}_{subject}.py" for name in _ADAPTERS for subject in subjects)
    return tuple(file for file in files if (ROOT / file).is_file())


_RULES = tuple(f"tests/testing/test_{what}.py" for what in ("contract_report", "contract_rules", "plugin"))
ONCE = (
    *_of_each_adapter("budgets", "content", "known_bugs", "translate", "tree"),
    *(f"tests/core/test_{what}" for what in ("advice", "genai_", "pricing", "redaction")),
    "tests/dashboard/",
    "tests/integration/test_mcp_context.py",
    "tests/integration/test_packages.py",
    "tests/integration/test_walls.py",
    "tests/parity/",
    "tests/upgrade/",
    *_RULES,
)
EVERYWHERE = (
    "tests/dashboard/test_ingest_queue.py",
    "tests/dashboard/test_journal_ingest.py",
    "tests/dashboard/test_otlp_sdk.py",
    "tests/dashboard/test_security_routes.py",
    "tests/dashboard/test_server.py",
    "tests/parity/test_lab_runner.py::test_the_template_passes_and_is_measured",
    "tests/parity/test_squad.py",
)
# What takes long and can tell neither date nor zone: sources that are read, secrets in texts, a framework's objects that are
# translated, words that are looked for, questions that are refused, processes that are started and judged by what they called or
# kept. Not the lab's commands, reports and comparisons, which write and read moments.
UNDATED = (
    *_of_each_adapter("content", "known_bugs", "translate", "tree"),
    "tests/core/test_redaction",
    "tests/dashboard/test_fuzz_corpus.py",
    "tests/dashboard/test_search.py",
    "tests/dashboard/test_server_process.py",
    "tests/dashboard/test_shippers.py",
    "tests/dashboard/test_sql.py",
    "tests/dashboard/test_store_faults.py",
    "tests/integration/test_packages.py",
    "tests/integration/test_repository.py",
    "tests/integration/test_upstream_suite.py",
    "tests/integration/test_walls.py",
    "tests/integration/test_write_an_adapter.py",
    "tests/parity/test_lab_cell.py",
    "tests/parity/test_lab_loops.py",
    "tests/parity/test_lab_providers.py",
    "tests/parity/test_lab_runner.py::test_a_model_endpoint_that_died",
    "tests/parity/test_lab_runner.py::test_a_real_model_is_stopped",
    "tests/parity/test_lab_runner.py::test_forked_cells",
    "tests/parity/test_lab_runner.py::test_whatever_a_cell_does_wrong",
    "tests/parity/test_lab_sabotage.py",
    "tests/parity/test_lab_scenario.py",
    "tests/parity/test_squad.py",
    "tests/parity/test_squad_frameworks.py",
    *_RULES,
)
# Nor can whatever is tried on moments of its own: a property takes them from its strategies.


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that widens the socket guard."""
    config.addinivalue_line("markers", "dials(*hosts): this test may try to reach these hosts besides the loopback")
    sys.addaudithook(_sockets.audit)


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure() -> None:
    """Collect connections that other people's clients hold open to the very end, before pytest looks for what is left."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(3):
            gc.collect()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what proves the same on every interpreter or on every date, before ``-m`` chooses."""
    named = (*ONCE, *EVERYWHERE, *UNDATED)
    gone = [name for name in named if not any(ROOT.glob(name.partition("::")[0] + "*"))]
    if gone:
        raise pytest.UsageError(f"tests/conftest.py names {gone}, which are not there; give their new names")
    for item in items:
        if item.nodeid.startswith(ONCE) and not item.nodeid.startswith(EVERYWHERE):
            item.add_marker(pytest.mark.once)
        if item.nodeid.startswith(UNDATED) or getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.undated)


def pytest_collection_finish() -> None:
    """Leave what the frameworks' modules hold, which stays to the end, out of every collection that a test or its end asks for."""
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    """Say in the first lines what is under test: the built wheels or the source tree."""
    return f"under test: {Path(guard.__file__).parent}"


class SocketGuard:
    """Refuses every connection and look-up beyond the loopback while a test runs, and remembers what it refused."""

    def __init__(self) -> None:
        self.active = False
        self.allowed: set[str] = set()
        self.refused: list[str] = []

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        """Interpreter audit hook: it sees connections of every thread and library, except those made in C."""
        if event not in {"socket.connect", "socket.getaddrinfo", "socket.sendto"} or not self.active:
            return
        address = args[1] if event != "socket.getaddrinfo" else (args[0],)
        # A path, not a tuple: a Unix socket.
        if not isinstance(address, tuple) or not address:
            return
        host = address[0].decode() if isinstance(address[0], bytes) else address[0]
        if host in self.allowed or _is_loopback(host):
            return
        self.refused.append(f"{event} {host}")
        raise ConnectionRefusedError(f"tests may not reach {host!r}; mark the test with @pytest.mark.dials({host!r})")


def _is_loopback(host: str | None) -> bool:
    if host in {None, "", "localhost", "0.0.0.0", "::"}:
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


_sockets = SocketGuard()


@pytest.fixture
def socket_guard() -> SocketGuard:
    """The guard of this test."""
    return _sockets


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    marker = request.node.get_closest_marker("dials")
    _sockets.allowed = set(marker.args) if marker else set()
    _sockets.refused.clear()
    _sockets.active = True
    yield
    _sockets.active = False
    if _sockets.refused:
        pytest.fail(f"connections beyond the loopback: {', '.join(_sockets.refused)}")


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _no_network: None) -> Iterator[None]:
    for name in os.environ:
        if name not in KEPT_VARIABLES and (name.startswith(OBSERVED_VARIABLES) or name.lower() in PROXY_VARIABLES):
            monkeypatch.delenv(name)
    # LangChain's own tracing would otherwise look for its server.
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    # CrewAI keeps outputs of tasks for the user, in a format that its releases do not share.
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
    # Where it has not asked for a day, a verbose CrewAI asks the package index for a newer release, unless it is a CI machine.
    monkeypatch.setenv("CREWAI_DISABLE_VERSION_CHECK", "true")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    # Healed scopes and sessions may stay in a thread's context; the thread of the tests outlives them.
    otel_context.attach(Context())
    for var in (session_id_var, correlation_id_var, user_id_var):
        var.set(None)
    reset()
    before = guard.set_strict(True)
    yield
    guard.set_strict(before)
    reset()
