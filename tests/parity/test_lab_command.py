"""The lab's commands: what they print, write and return, and which cure they name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest

from ai_dev_squad_dashboard import cli
from ai_dev_squad_dashboard.lab_results import LabProviders, load, save
from ai_dev_squad_parity.lab import preflight
from ai_dev_squad_parity.lab.command import main
from ai_dev_squad_parity.lab.files import write_providers, write_results
from ai_dev_squad_parity.lab.preflight import PreflightError
from ai_dev_squad_parity.lab.runner import Plan
from ai_dev_squad_parity.lab.scenario import BUILT_IN, find_scenarios
from ai_dev_squad_testing.model_server import ModelServer

sys.path.insert(0, str(Path(__file__).parent))
from lab_matrix import cell, matrix

BROKEN = """\
def build(base_url, model):
    raise RuntimeError("not written yet")

def run(program):
    pass
"""


def test_a_new_scenario_is_run_shown_and_exported(tmp_path, monkeypatch, capsys):
    """From `new` to `run`, `show`, `export` and `diff`, by the commands alone and in the directory of the journals."""
    monkeypatch.setenv("AI_DEV_SQUAD_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.chdir(tmp_path)
    output = tmp_path / "logs" / "parity"

    assert main(["new", "my_task"]) == 0
    assert main(["run", "--scenarios", "scenarios", "--framework", "langgraph", "--jobs", "2"]) == 0
    assert capsys.readouterr().out.endswith(
        f"\n1 cells: 1 pass\nWritten to {output}: JSON, Markdown, HTML, CSV, JUnit XML and a badge\n"
    )
    (kept,) = (output / "history").iterdir()
    found = load(output / "parity.json")
    assert load(kept) == found
    assert kept.name == f"{found.created.replace(':', '-')}.json"
    assert sorted(path.name for path in output.iterdir()) == [
        "badge.svg", "history", "junit.xml", "parity.csv", "parity.html", "parity.json", "parity.md", "traces",
    ]  # fmt: skip

    assert main(["show", "my_task", "langgraph"]) == 0
    assert "Captured against truth" in capsys.readouterr().out
    assert main(["export", "--format", "junit"]) == 0
    assert capsys.readouterr().out == (output / "junit.xml").read_text()
    assert main(["export", "--format", "json", "--file", "copy/of.json"]) == 0
    assert load(Path("copy/of.json")) == found
    assert main(["diff", str(kept), "copy/of.json"]) == 0
    assert capsys.readouterr().out == "no regressions\n"


def test_a_run_that_fails_says_so_with_its_exit_code(tmp_path):
    """As a program of its own, without the dashboard: exit code 1, what failed on stderr even when quiet, results written."""
    assert main(["new", "my_task", "--directory", str(tmp_path)]) == 0
    (tmp_path / "my_task" / "on_langgraph.py").write_text(BROKEN)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ai_dev_squad_parity.lab", "run", "--quiet", "--framework", "langgraph"),
            *("--scenarios", str(tmp_path / "my_task"), "--output", str(tmp_path / "out")),
        ],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "my_task on langgraph fails: RuntimeError: not written yet\n"
    assert load(tmp_path / "out" / "parity.json").cells[0].verdict == "fails"


def test_the_dashboards_command_line_has_the_lab(tmp_path, capsys):
    """`ai-dev-squad parity` is the same command, found through its entry point."""
    assert cli.main(["parity", "new", "my_task", "--directory", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path}/my_task: change spec.py")
    assert cli.main(["parity", "new", "my_task", "--directory", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"ai-dev-squad: {tmp_path}/my_task is in use; choose another name, or another --directory\n"
    )


def test_a_move_is_told_from_a_run(tmp_path, monkeypatch, capsys):
    """All scenarios in one page, one scenario's program line by line; what is not in the run names the cure."""
    run = Path(__file__).parents[1] / "dashboard" / "data" / "parity.json"

    assert main(["move", "langgraph", "autogen", "--from", str(run)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("# LangGraph 1.2.22 → AutoGen 0.7.5\n\n3 of 3 scenarios pass on both.\n")
    assert main(["move", "langgraph", "autogen", "plain_call", "--from", str(run)]) == 0
    assert capsys.readouterr().out.startswith("--- before\n+++ after\n@@ ")

    assert main(["move", "langgraph", "pydantic_ai", "--from", str(run)]) == 1
    assert "the run has no cells of 'pydantic_ai', only of langgraph, crewai, autogen; " in capsys.readouterr().err
    assert main(["move", "langgraph", "autogen", "gone", "--from", str(run)]) == 1
    assert "the run has no scenario 'gone'; it has handoff, plain_call, tool_call" in capsys.readouterr().err


def test_asking_for_help_imports_no_framework():
    """The command line is made quickly: neither frameworks nor what judges a run is imported for its parsers."""
    program = (
        "import sys; from ai_dev_squad_parity.lab.command import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'msgspec', 'langgraph', 'crewai', 'autogen_core', 'pydantic', 'rich'} & sys.modules.keys()))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert printed.splitlines()[-1] == "[]"


def test_the_list_has_every_scenario(capsys):
    """Names and titles; a scenario that cannot be used says why."""
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert [line.split()[0] for line in lines] == list(find_scenarios(BUILT_IN))
    assert "plain_call             Plain call" in lines


def test_a_diff_fails_where_something_regressed(tmp_path, capsys):
    """Exit code 1 and one line for each regression, or JSON for programs."""
    save(matrix(cell()), tmp_path / "old.json")
    save(matrix(cell(verdict="fails", reason="boom")), tmp_path / "new.json")
    both = [str(tmp_path / "old.json"), str(tmp_path / "new.json")]

    assert main(["diff", *both]) == 1
    assert capsys.readouterr().out == ("regressed  ask on langgraph, verdict: passes → fails: boom\n1 regression\n")
    assert main(["diff", "--json", *both]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "regressions": [
            {
                "scenario": "ask", "framework": "langgraph", "kind": "verdict", "before": "passes", "after": "fails: boom",
                "what": "",
            }
        ],
        "improvements": [],
        "notes": [],
    }  # fmt: skip
    assert main(["diff", *reversed(both)]) == 0


def test_a_badge_is_printed_or_written(tmp_path, capsys):
    """Of the whole run, or of one framework."""
    write_results(matrix(), tmp_path)
    source = ["--from", str(tmp_path / "parity.json")]

    assert main(["badge", *source]) == 0
    assert capsys.readouterr().out == (tmp_path / "badge.svg").read_text()
    assert main(["badge", "--framework", "langgraph", "--file", str(tmp_path / "deep" / "one.svg"), *source]) == 0
    assert 'aria-label="LangGraph: 1/1 pass"' in (tmp_path / "deep" / "one.svg").read_text()


def test_the_published_file_has_the_providers_whichever_was_run_first(tmp_path):
    """A table of providers goes into the HTML file of the run beside it, and a run's file has the table that is there."""
    rows = [{"name": "a", "title": "Provider A", "wire": "chat", "model": "m"}]
    cells = [{"scenario": "a", "framework": "crewai", "verdict": "passes"}]
    given = {"version": 1, "created": "2026-11-23T10:00:00Z", "providers": rows, "cells": cells}
    table = msgspec.convert(given, LabProviders)

    write_results(matrix(), tmp_path)
    assert "Provider A" not in (tmp_path / "parity.html").read_text()
    write_providers(table, tmp_path)
    assert "Provider A" in (tmp_path / "parity.html").read_text()
    write_results(matrix(), tmp_path)
    assert "Provider A" in (tmp_path / "parity.html").read_text()
    (tmp_path / "providers.json").write_text("{")
    write_results(matrix(), tmp_path)
    assert "Provider A" not in (tmp_path / "parity.html").read_text()


def test_a_peers_run_stands_beside_ours(tmp_path):
    """Another observer's files carry its name, so that a run through it replaces none of ours."""
    write_results(matrix(), tmp_path)
    write_results(matrix(observer="openinference"), tmp_path)

    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["parity-openinference.json", "parity.json"]
    assert load(tmp_path / "parity.json").observer == "ours"
    assert [load(path).observer for path in (tmp_path / "history").iterdir()] == ["ours"]


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (
            ["run", "nope"],
            1,
            f"there is no scenario 'nope' in {BUILT_IN}; there are: background_call, budget_stop, ",
        ),
        (["run", "--framework", "agno"], 2, "argument --framework: invalid choice: 'agno'"),
        (["run", "--scenarios", "gone"], 1, "gone is no folder; give one that holds scenarios (NAME/spec.py)"),
        (
            ["run", "--python", "crewai"],
            2,
            "'crewai' is not FRAMEWORK=PATH; FRAMEWORK is one of langgraph, crewai, autogen",
        ),
        (["run", "--python", "x=y"], 2, "'x=y' is not FRAMEWORK=PATH"),
        (["run", "--repeat", "-1"], 2, "'-1' is not allowed; use a whole number from 0 up"),
        (["run", "--jobs", "1.5"], 2, "'1.5' is not allowed; use a whole number from 1 up"),
        (["run", "--cap-usd", "nan"], 2, "'nan' is not allowed; use a number from 1e-06 up"),
        (["run", "--model-server", "http://127.0.0.1:1/v1"], 1, "say how much at most: --cap-usd 0.50, or --no-cap"),
        (["new", "my-task"], 1, "'my-task' is no name for a scenario; use letters, digits and _, such as my_task"),
        (["new", "class"], 1, "'class' is no name for a scenario"),
        (["show"], 1, "`ai-dev-squad parity run --output DIR` writes one"),
        (
            ["export", "--from", "gone.json"],
            1,
            "gone.json is not there; `ai-dev-squad parity run --output DIR` writes one",
        ),
    ],
)
def test_every_mistake_names_its_cure(arguments, code, message, tmp_path, monkeypatch, capsys):
    """Exit code 2 for what cannot be meant, 1 for what cannot be done; the message says what is allowed."""
    monkeypatch.chdir(tmp_path)
    try:
        returned = main(arguments)
    except SystemExit as ended:
        returned = ended.code

    assert returned == code
    assert message in " ".join(capsys.readouterr().err.split())


def test_showing_a_cell_that_is_not_there_names_those_that_are(tmp_path, capsys):
    """The error lists the scenarios of that run."""
    save(matrix(), tmp_path / "parity.json")

    assert main(["show", "other", "--from", str(tmp_path / "parity.json")]) == 1
    assert capsys.readouterr().err == "parity: that run has no 'other'; it has: ask\n"


@pytest.fixture
def real(monkeypatch) -> Plan:
    """A run against a real model, with all that it needs except the model."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    return Plan({}, model_server="http://127.0.0.1:1/v1", cap_usd=1.0)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"cap_usd": None}, "a real model costs money; say how much at most: --cap-usd 0.50, or --no-cap"),
        ({"observer": "openinference"}, "openinference cannot hold a spending cap; use --observer ours, or --no-cap"),
        ({"model": "nobody-knows-me"}, "no price of 'nobody-knows-me' is known"),
        ({"model_server": "localhost:11434"}, "--model-server 'localhost:11434' is neither 'scripted' nor an address"),
        (
            {},
            "http://127.0.0.1:1/v1 does not answer ([Errno 111] Connection refused); start the service, or correct --model-server",
        ),
    ],
)
def test_a_run_that_cannot_end_well_does_not_begin(real, changes, message):
    """Cap, price, address and endpoint are looked at once, before any cell is run."""
    with pytest.raises(PreflightError) as caught:
        preflight.check(Plan(**{**real.__dict__, **changes}))
    assert str(caught.value).startswith(message)


def test_a_real_model_needs_a_key(real, monkeypatch):
    """Without a key every cell would fail alike."""
    monkeypatch.delenv("OPENAI_API_KEY")

    with pytest.raises(PreflightError, match="OPENAI_API_KEY is not set; set it to the key of the service"):
        preflight.check(real)


def test_without_a_cap_prices_do_not_matter(real):
    """A local model may be unknown to the price table; what remains is that it must answer."""
    with ModelServer([]) as server:
        plan = Plan({}, model_server=server.base_url, model="llama-local")
        preflight.check(plan, capped=False)
        with pytest.raises(PreflightError, match="no price of 'llama-local' is known"):
            preflight.check(Plan({}, model_server=server.base_url, model="llama-local", cap_usd=1.0))


class Refusing(BaseHTTPRequestHandler):
    """A service that knows nobody, or that has no list of models."""

    def do_GET(self) -> None:
        """Answer with the status that the path begins with."""
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    """The address of such a service."""
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_key_that_is_refused_is_said_before_the_run(real, refusing):
    """401 and 403 name the variable; a service without a list of models is one all the same."""
    with pytest.raises(PreflightError, match=r"refuses the key \(401\); set OPENAI_API_KEY to one it knows"):
        preflight.check(Plan({}, model_server=f"{refusing}/401", cap_usd=1.0))
    preflight.check(Plan({}, model_server=f"{refusing}/404", cap_usd=1.0))
