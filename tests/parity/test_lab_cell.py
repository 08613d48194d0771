"""What a cell's process finds out about itself."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from ai_dev_squad_parity.lab import cell
from ai_dev_squad_parity.lab.cell import Order, Report
from ai_dev_squad_parity.providers.clients import Client
from ai_dev_squad_testing.model_server import ModelServer


def test_a_cells_peak_memory_is_its_own():
    """The memory of the process that started it is not counted: frameworks are compared by what they need themselves."""
    ours = bytearray(300 * 2**20)
    ours[::4096] = b"x" * len(ours[::4096])
    program = "from ai_dev_squad_parity.lab.cell import _peak_mib; print(_peak_mib())"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert 5 < float(found.stdout) < 250


def test_a_library_that_the_framework_refuses_is_not_installed(tmp_path, monkeypatch):
    """A release that does not go with the framework is a matter of the environment, and the cell says so in the framework's words."""

    def refused(url: str, model: str, streamed: bool) -> None:
        raise ImportError("Please install `anthropic>=2` to use the Anthropic model")

    monkeypatch.setattr(cell, "client_of", lambda framework, provider, streamed: Client(refused, ("langgraph",)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AI_DEV_SQUAD_LAB_STATE", str(tmp_path))
    with ModelServer() as server:
        order = Order(
            scenario="", provider="anthropic", streamed=False, framework="langgraph", observer="ours", base_url=server.url,
            model="claude-sonnet-4-5", control_url=server.url, output=str(tmp_path),
        )  # fmt: skip
        (tmp_path / "order.json").write_bytes(msgspec.json.encode(order))
        assert cell.main([str(tmp_path / "order.json")]) == 0
    report = msgspec.json.decode((tmp_path / f"{order.phase}.json").read_bytes(), type=Report)
    assert (report.cannot, report.error) == (
        {
            "whose": "environment",
            "reason": "what is installed in the environment of langgraph does not go together: "
            "Please install `anthropic>=2` to use the Anthropic model",
            "source": "",
        },
        None,
    )
