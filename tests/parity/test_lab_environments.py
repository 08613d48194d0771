"""A framework's own environment: made where it is needed, kept, used again without a network, and honest where it cannot be made."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

from ai_dev_squad.frameworks import known_frameworks
from ai_dev_squad_parity.lab import environments
from ai_dev_squad_parity.lab.environment_options import with_environments
from ai_dev_squad_parity.lab.environments import make, requirements_of, unmet, where
from ai_dev_squad_parity.lab.runner import Plan, run
from ai_dev_squad_parity.lab.scenario import find_scenarios


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No environment of this machine's user, and no index: what is installed here comes from this disk."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def installed(folder: Path, name: str, version: str, *requires: str) -> None:
    """Let a distribution be installed in ``folder``, with what it requires."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = [
        f"Name: {name}",
        f"Version: {version}",
        "Provides-Extra: more",
        *(f"Requires-Dist: {one}" for one in requires),
    ]
    (info / "METADATA").write_text("Metadata-Version: 2.4\n" + "\n".join(lines) + "\n")


def wheel(folder: Path) -> str:
    """The requirement of a wheel on this disk that has the module ``toy_of_the_lab``."""
    path = folder / "toy_of_the_lab-1.0-py3-none-any.whl"
    info = "toy_of_the_lab-1.0.dist-info"
    files = {
        "toy_of_the_lab.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.4\nName: toy-of-the-lab\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
    return f"toy-of-the-lab @ {path.as_uri()}"


@pytest.mark.parametrize(
    "asked, why",
    [
        (["fits"], None),
        (["fits[more]"], "gone is not installed here"),
        (["fits>=2"], "fits 1.5 is installed here, and the lab requires fits>=2"),
        (["clashes"], "fits 1.5 is installed here, and clashes 3.0 requires fits<1"),
        (["deep"], "fits 1.5 is installed here, and clashes 3.0 requires fits<1"),
        (["early"], None),
        (["nobody"], "nobody is not installed here"),
    ],
)
def test_a_framework_runs_here_when_all_that_it_requires_is_here_and_goes_together(tmp_path, monkeypatch, asked, why):
    """To any depth, extras and conditions included; and who requires what is named."""
    installed(tmp_path, "fits", "1.5", "gone; extra == 'more'", "never; python_version < '3'")
    installed(tmp_path, "clashes", "3.0", "fits<1")
    installed(tmp_path, "deep", "1.0", "clashes>=3", "deep")
    installed(tmp_path, "early", "1.0", "trial>=1.0b1")
    installed(tmp_path, "trial", "1.0b2")
    monkeypatch.syspath_prepend(str(tmp_path))

    assert unmet(asked) == why


def test_what_a_framework_requires_is_an_extra_of_this_package():
    """One for each framework that there are programs for; an adapter by others requires its framework itself."""
    frameworks = ("langgraph", "crewai", "autogen", "agent_framework", "openai_agents", "pydantic_ai")

    assert [requirements_of(name) for name in frameworks] == [
        [f"ai-dev-squad-parity[{name.replace('_', '-')}]"] for name in frameworks
    ]


@pytest.mark.parametrize("uv", [shutil.which("uv"), None], ids=["uv", "pip"])
def test_an_environment_is_made_once_and_then_used_without_anything(tmp_path, monkeypatch, uv):
    """What was made is found again, with no installer and no network; one that was interrupted is made anew."""
    monkeypatch.setattr(environments.shutil, "which", lambda name: uv)
    source, said = wheel(tmp_path), []
    monkeypatch.setattr(environments, "requirements_of", lambda name: [source])

    def made() -> Path:
        found = make(["toy"], "always", given={}, besides=lambda name: [], say=said.append)
        assert found.failed == {}
        return found.pythons["toy"]

    python = made()
    assert subprocess.run([python, "-c", "import toy_of_the_lab"], check=False).returncode == 0
    with monkeypatch.context() as alone:
        alone.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("nothing is installed twice"))
        assert made() == python
    (folder,) = [path for path in where().iterdir() if path.is_dir()]
    (folder / "made.json").unlink()
    (folder / "half").touch()
    assert (made(), (folder / "half").exists()) == (python, False)
    assert [line.partition("; ")[2].split(" environment")[0] for line in said if "ready" not in line] == [
        "making an",
        "using its",
        "making an",
    ]


def test_a_failing_install_is_the_verdict_of_its_cells_and_says_why(tmp_path, monkeypatch):
    """No network, or nothing that fits: the installer's own words, where all of them are, what to do; nothing half is left."""
    monkeypatch.setattr(environments, "requirements_of", lambda name: ["there-is-no-such-thing-of-the-lab"])
    said: list[str] = []
    folder = find_scenarios()["plain_call"]

    plan = with_environments(Plan({"plain_call": folder}, frameworks=("crewai",)), "always", said.append)
    (cell,) = run(plan).cells

    assert (cell.verdict, plan.pythons) == ("not installed", {})
    assert cell.reason.startswith("its environment could not be made: the installer ended with code ")
    assert "there-is-no-such-thing-of-the-lab" in cell.reason
    assert cell.reason.endswith("or name one: --python FRAMEWORK=PATH")
    assert [path.suffix for path in where().iterdir() if path.is_dir()] == []
    assert said[-1] == f"crewai: {cell.reason}"


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_interrupted_install_leaves_neither_an_installer_nor_half_an_environment(tmp_path):
    """Ctrl+C ends what was started, so that it writes into no later attempt."""
    tools = tmp_path / "tools"
    tools.mkdir()
    slow = tools / "uv"
    slow.write_text('#!/bin/sh\nfor last; do :; done\nmkdir -p "$last" && sleep 600 & echo $! > "$PIDS"; wait\n')
    slow.chmod(0o755)
    program = textwrap.dedent("""
        from ai_dev_squad_parity.lab import environments
        environments.requirements_of = lambda name: ["toy"]
        environments.make(["toy"], "always", given={}, besides=lambda name: [], say=lambda text: print(text, flush=True))
    """)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PIDS": str(tmp_path / "pids")}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # fmt: skip
        assert b"making an environment with uv" in process.stdout.readline()
        until(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().strip())
        process.send_signal(signal.SIGINT)
        process.wait(60)

    started = int((tmp_path / "pids").read_text())
    until(lambda: not alive(started))
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_dir() and path.name.startswith("toy-")] == []


def alive(process: int) -> bool:
    """Whether a process runs; one that nobody has waited for is none."""
    status = Path(f"/proc/{process}/stat")
    if Path("/proc/self").exists():
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def until(holds) -> None:
    """Wait for it, as long as a busy machine may take."""
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it did not come to hold")


def test_only_what_cannot_be_run_here_gets_an_environment(monkeypatch):
    """By itself the lab makes one where something is wrong; ``never`` makes none, and a named interpreter stays."""
    asked: list[tuple[str, tuple[str, ...]]] = []

    def environment(name, wanted, why, say):
        asked.append((name, tuple(wanted)))
        return Path(f"/{name}/python")

    monkeypatch.setattr(environments, "_environment", environment)
    monkeypatch.setattr(environments, "unmet", lambda wanted: "it is not here" if "crewai" in wanted[0] else None)
    scenarios = {name: find_scenarios()[name] for name in ("plain_call", "litellm_tool_turn")}
    plan = Plan(scenarios, frameworks=("langgraph", "crewai", "autogen"), pythons={"autogen": Path("/mine")})

    found = with_environments(plan, "auto", print)
    assert found.pythons == {"autogen": Path("/mine"), "crewai": Path("/crewai/python")}
    assert asked == [("crewai", ("ai-dev-squad-parity[crewai]", "litellm"))]
    assert with_environments(plan, "never", print) is plan
    asked.clear()
    with_environments(Plan({}, frameworks=("crewai",), observer="openinference"), "always", print, providers=True)
    (peer,) = known_frameworks()["crewai"].instrumentors["openinference"]
    assert (asked, peer.distribution) == (
        [("crewai", ("ai-dev-squad-parity[crewai]", "ai-dev-squad-parity[crewai-providers]", peer.distribution))],
        "openinference-instrumentation-crewai",
    )
