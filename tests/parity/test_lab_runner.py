"""Every cell runs in a process of its own: what one of them does wrong is its verdict and nobody else's trouble."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from ai_dev_squad import read_journal
from ai_dev_squad_dashboard import lab_results as results
from ai_dev_squad_parity.lab import processes
from ai_dev_squad_parity.lab.runner import Plan, run
from ai_dev_squad_parity.lab.scenario import columns, find_scenarios
from ai_dev_squad_parity.lab.template import write
from ai_dev_squad_testing.model_server import ModelServer, reply, tokens

SPEC = """\
from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply

SCENARIO = Scenario(
    name="{name}", title="T", purpose="P", script=lambda: Script([reply("hello")]), timeout_s={timeout}
)
"""

PROGRAM = """\
{top}

def build(base_url, model):
    {build}

def run(program):
    pass
"""


# From nothing, and forked from a process that has imported something.
PRELOADS = [
    pytest.param({}, id="from nothing"),
    pytest.param(
        {"langgraph": ("ai_dev_squad_langgraph", "no_such_module")},
        id="forked",
        marks=pytest.mark.skipif(sys.platform != "linux", reason="cells are forked on Linux only"),
    ),
]


def scenario(folder: Path, *, top: str = "", build: str = "pass", timeout: float = 60, spec: str | None = None) -> Path:
    """A scenario of one program, for LangGraph, which does what a test wants."""
    folder.mkdir(parents=True)
    (folder / "spec.py").write_text(SPEC.format(name=folder.name, timeout=timeout) if spec is None else spec)
    (folder / "on_langgraph.py").write_text(PROGRAM.format(top=top, build=build))
    return folder


def cells(plan: Plan) -> dict[str, tuple[str, str]]:
    """Scenario → verdict and reason, of a run on one framework."""
    return {cell.scenario: (cell.verdict, cell.reason) for cell in run(plan).cells}


@pytest.mark.parametrize("preload", PRELOADS)
def test_whatever_a_cell_does_wrong_is_its_own_verdict(tmp_path, preload):
    """A crash, a signal, a hang, an import error, an exception and a malformed scenario each cost one cell, with the cure."""
    scenario(tmp_path / "crashes", build="import os; os._exit(3)")
    scenario(tmp_path / "dies", build="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    scenario(tmp_path / "hangs", build="import time; time.sleep(60)", timeout=2)
    scenario(tmp_path / "imports", top="import no_such_framework")
    scenario(tmp_path / "malformed", spec="SCENARIO = 'a text'")
    scenario(tmp_path / "misnamed", spec=SPEC.format(name="other", timeout=1))
    scenario(tmp_path / "raises", build="raise RuntimeError('no')")
    scenario(tmp_path / "syntax", spec="SCENARIO = (")
    scenario(tmp_path / "needs", spec="import no_such_package")
    scenario(tmp_path / "nothing").joinpath("on_langgraph.py").unlink()
    scenario(
        tmp_path / "unable",
        top="from ai_dev_squad_parity.lab.scenario import Cannot\n"
        "CANNOT = Cannot('it has no such thing', 'https://example.org/docs')",
    )
    heard = []
    matrix = run(Plan(find_scenarios(tmp_path), ("langgraph",), jobs=2, preload=preload), heard.append)

    assert {cell.scenario: (cell.verdict, cell.reason) for cell in matrix.cells} == {
        "crashes": ("fails", "the process ended with code 3 and said nothing"),
        "dies": ("fails", "the process was killed by SIGKILL"),
        "hangs": ("fails", "did not end within 2 s"),
        "imports": (
            "fails",
            (
                "no_such_framework is not installed in the environment of langgraph; pip install ai-dev-squad-langgraph, or name "
                "another: --python langgraph=PATH"
            ),
        ),
        "malformed": ("fails", f"{tmp_path}/malformed/spec.py has no SCENARIO = Scenario(...)"),
        "misnamed": ("fails", f"{tmp_path}/misnamed/spec.py names itself 'other'; use the folder's name 'misnamed'"),
        "raises": ("fails", "RuntimeError: no"),
        "syntax": (
            "fails",
            f"{tmp_path}/syntax/spec.py cannot be loaded: SyntaxError: '(' was never closed (spec.py, line 1)",
        ),
        "needs": (
            "fails",
            (
                f"{tmp_path}/needs/spec.py cannot be imported: No module named 'no_such_package'; the lab reads it without the "
                f"frameworks: move what needs it to the programs, or install it beside the lab ({sys.executable})"
            ),
        ),
        "nothing": (
            "fails",
            (
                f"ScenarioError: {tmp_path}/nothing/on_langgraph.py is missing; write it, or say in it why not: "
                "CANNOT = Cannot(reason, source)"
            ),
        ),
        "unable": ("framework can't", "it has no such thing"),
    }
    assert sorted(cell.scenario for cell in heard) == sorted(cell.scenario for cell in matrix.cells)
    results.save(matrix, tmp_path / "parity.json")
    assert results.load(tmp_path / "parity.json") == matrix


FORKED = pytest.mark.skipif(sys.platform != "linux", reason="cells are forked on Linux only")

TELLS = """\
import json, os, sys
    own = os.getpgid(0) == os.getpid(), os.getcwd() == os.environ["AI_DEV_SQUAD_LAB_STATE"], not sys.stdin.read()
    print(json.dumps(["wave" in sys.modules, "left_behind" in sys.modules, *own]), flush=True)
    sys.modules["left_behind"] = sys
    os._exit(7)"""


@FORKED
def test_forked_cells_share_what_is_imported_and_nothing_else(tmp_path):
    """The modules are there already; directory, group, standard input and what another cell did are the cell's own."""
    for name in ("first", "second"):
        scenario(tmp_path / name, build=TELLS)
    keep = tmp_path / "kept"
    plan = Plan(
        find_scenarios(tmp_path), ("langgraph",), preload={"langgraph": ("wave", "ai_dev_squad_langgraph")}, keep=keep
    )

    assert cells(plan) == dict.fromkeys(
        ("first", "second"), ("fails", "the process ended with code 7 and said nothing")
    )
    printed = [(keep / name / "langgraph" / "run.order.printed").read_text() for name in ("first", "second")]
    assert printed == ["[true, false, true, true, true]\n"] * 2


@FORKED
def test_what_dies_while_it_imports_is_the_verdict_of_each_cell(tmp_path, monkeypatch):
    """A framework whose import ends the process costs its own cells, each of them with the reason."""
    (tmp_path / "deadly.py").write_text("import os; print('no more', flush=True); os._exit(5)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name in ("first", "second"):
        scenario(tmp_path / "all" / name)
    plan = Plan(find_scenarios(tmp_path / "all"), ("langgraph",), jobs=2, preload={"langgraph": ("deadly",)})

    assert [(cell.reason, cell.output) for cell in run(plan).cells] == [
        ("the process ended with code 5 and said nothing", "no more\n")
    ] * 2


@pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX")
@pytest.mark.parametrize("preload", PRELOADS)
def test_a_hanging_program_takes_its_children_with_it(tmp_path, monkeypatch, preload):
    """What a program started is ended with it, so that nothing is left running after the lab."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]})).recv(1)"
        build = (
            "import subprocess, sys\n"
            f"    subprocess.call([sys.executable, '-c', {child!r}], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"
        )
        scenario(tmp_path / "all" / "hangs", build=build, timeout=3)
        server.settimeout(60)
        connections = []

        class Process(subprocess.Popen):
            """Its limit is reached when the child is there, however long the machine takes to start it."""

            def wait(self, timeout=None):
                if timeout != 3:
                    return super().wait(timeout)
                connections.append(server.accept()[0])
                raise subprocess.TimeoutExpired(self.args, timeout)

        def told(asking, limit_s):
            if limit_s != 3:
                return real_told(asking, limit_s)
            connections.append(server.accept()[0])
            raise TimeoutError

        real_told = processes._told
        monkeypatch.setattr(subprocess, "Popen", Process)
        monkeypatch.setattr(processes, "_told", told)
        assert cells(Plan(find_scenarios(tmp_path / "all"), ("langgraph",), preload=preload)) == {
            "hangs": ("fails", "did not end within 3 s")
        }
    (connection,) = connections
    with connection:
        connection.settimeout(20)
        assert connection.recv(1) == b"", "the child is gone, so its end of the connection is closed"


def test_a_missing_environment_is_said_with_the_cure(tmp_path):
    """An interpreter that is not there, and one without our packages, cost their own framework's cells only."""
    bare = tmp_path / "bare"
    venv.create(bare, with_pip=False)
    python = bare / ("Scripts" if os.name == "nt" else "bin") / "python"
    folder = scenario(tmp_path / "s" / "ask", build="raise RuntimeError('got here')")
    for framework in ("crewai", "autogen"):
        (folder / f"on_{framework}.py").write_text((folder / "on_langgraph.py").read_text())
    plan = Plan({"ask": folder}, pythons={"crewai": python, "autogen": tmp_path / "gone"})

    assert {cell.framework: cell.reason for cell in run(plan).cells} == {
        "langgraph": "RuntimeError: got here",
        "crewai": f"{python} has no ai-dev-squad-parity; install it there with ai-dev-squad-crewai, or name another environment: "
        "--python crewai=PATH",
        "autogen": f"{tmp_path}/gone cannot be started ([Errno 2] No such file or directory: '{tmp_path}/gone'); name the "
        "environment: --python autogen=PATH",
    }


def test_the_template_passes_and_is_measured(tmp_path):
    """What `parity new` writes runs at once: scored against the model server's truth, measured in pairs, traces kept."""
    folder = write("my_task", tmp_path)
    traces = tmp_path / "traces" / "ai_dev_squad.jsonl"
    matrix = run(Plan({"my_task": folder}, ("langgraph",), repeat=3, traces=traces))
    (cell,) = matrix.cells

    assert (cell.verdict, cell.reason) == ("passes", "")
    assert all(check.ok for check in cell.checks)
    assert {name: len(measure.values) for name, measure in cell.measures.items()} == {
        "wall": 3, "framework": 3, "observation": 3, "calls": 1, "tokens": 1, "cost": 1, "memory": 1, "import": 1, "quality": 4,
    }  # fmt: skip
    assert (cell.measures["tokens"].median, cell.measures["quality"].median) == (230, 1.0)
    assert {line.trace_id for line in read_journal(traces) if line.trace_id} == set(cell.trace_ids)
    assert matrix.versions["langgraph"].keys() >= {"python", "langgraph", "ai-dev-squad", "ai-dev-squad-langgraph"}
    assert matrix.scenarios[0].programs.keys() == {*columns([find_scenarios()["plain_call"]])}


def test_a_program_with_an_event_loop_can_be_repeated(tmp_path):
    """Clients keep their connections from run to run, so all runs of a cell share one event loop."""
    folder = write("my_task", tmp_path)
    program = (folder / "on_langgraph.py").read_text()
    (folder / "on_langgraph.py").write_text(
        program.replace("def run(", "async def run(").replace("agent.invoke(", "await agent.ainvoke(")
    )

    assert cells(Plan({"my_task": folder}, ("langgraph",), repeat=2)) == {"my_task": ("passes", "")}


def test_a_real_model_is_stopped_by_its_share_of_the_cap(tmp_path, monkeypatch):
    """Whatever one run may spend is enforced by our budget before the call is sent; the verdict names the cap."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    folder = write("my_task", tmp_path)
    with ModelServer([reply("Paris", usage=tokens(10, 2), times=None)]) as real:
        plan = Plan({"my_task": folder}, ("langgraph",), model_server=real.base_url, cap_usd=1e-6)
        ((verdict, reason),) = cells(plan).values()
        assert verdict == "fails"
        assert reason.startswith(
            "its share of the spending cap is used up; raise --cap-usd, or run fewer cells or repeats. answer: raises BudgetExceeded"
        )
        assert real.truth.calls == ()

        plan = Plan({"my_task": folder}, ("langgraph",), model_server=real.base_url, cap_usd=1.0)
        assert cells(plan) == {"my_task": ("passes", "")}


def test_a_model_endpoint_that_died_is_the_verdict_of_each_cell(tmp_path, monkeypatch):
    """Cells whose model does not answer say so, and what to do."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    folder = write("my_task", tmp_path)
    with ModelServer([]) as gone:
        address = gone.base_url
    plan = Plan({"my_task": folder}, ("langgraph",), model_server=address, cap_usd=1.0)
    ((verdict, reason),) = cells(plan).values()

    assert verdict == "fails"
    assert reason.startswith(f"{address} did not answer (")
    assert "Error); start the service, or correct --model-server. answer: raises " in reason


def test_a_quality_function_that_raises_is_a_verdict_too(tmp_path):
    """A mistake in the user's own check is named as one, and takes nothing else down."""
    folder = write("my_task", tmp_path)
    spec = (folder / "spec.py").read_text()
    (folder / "spec.py").write_text(spec.replace('return float("Paris" in answer)', "return 1 / 0"))

    assert cells(Plan({"my_task": folder}, ("langgraph",))) == {
        "my_task": (
            "fails",
            "could not be judged: ValueError: quality() of spec.py raised ZeroDivisionError: division by zero",
        )
    }
