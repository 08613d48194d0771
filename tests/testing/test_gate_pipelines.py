"""The gate in pipelines: the GitHub action's script and the GitLab job's are run as runners run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_squad_testing.gate import Samples, save_samples

GATE = Path(__file__).resolve().parents[2] / "deploy/gate"
ACTION = yaml.safe_load((GATE / "action.yml").read_text(encoding="utf-8"))
JOB = yaml.safe_load((GATE / "gitlab.yml").read_text(encoding="utf-8"))[".ai-dev-squad-gate"]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A baseline, runs that took as much, and runs that took half as much again."""
    for name, cost in (("baseline", 1.0), ("same", 1.0), ("dearer", 1.5)):
        save_samples(Samples({"refund": {"cost": [cost, cost]}}), tmp_path / "a place" / f"{name}.json")
    return tmp_path / "a place"


def bash(script: str, workspace: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A step as a runner runs it, with the Python that has the packages under the name ``python``."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=workspace, env={**os.environ, "PATH": path, **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def acted(workspace: Path, **inputs: str) -> tuple[int, str, str]:
    """Exit code, summary and outputs of the action with these inputs."""
    (step,) = ACTION["runs"]["steps"]
    given = {name: str(each["default"]) for name, each in ACTION["inputs"].items()} | {"install": "", **inputs}
    environment = {
        name: given[text.removeprefix("${{ inputs.").removesuffix(" }}")] for name, text in step["env"].items()
    }
    files = {"GITHUB_STEP_SUMMARY": workspace / "summary", "GITHUB_OUTPUT": workspace / "output"}
    for file in files.values():
        file.write_text("")
    done = bash(step["run"], workspace, environment | {name: str(file) for name, file in files.items()})
    return done.returncode, files["GITHUB_STEP_SUMMARY"].read_text(), files["GITHUB_OUTPUT"].read_text()


def test_the_action_stops_what_is_dearer(workspace: Path) -> None:
    """The summary has the table, the output the answer, and the reports lie where they were asked for."""
    code, summary, output = acted(
        workspace, path="dearer.json", baseline="baseline.json", exact="true", measures="cost"
    )

    assert (code, output) == (1, "worse=true\n")
    assert "| ❌ | refund | cost | $1.000000 | $1.500000 | +50% |" in summary
    assert sorted(path.name for path in (workspace / "gate").iterdir()) == ["gate.md", "gate.sarif", "gate.xml"]
    assert acted(workspace, path="same.json", baseline="baseline.json", exact="true")[::2] == (0, "worse=false\n")


def test_the_action_begins_without_a_baseline(workspace: Path) -> None:
    """The first time there is nothing to compare with; the main branch keeps one."""
    assert acted(workspace, path="same.json", baseline="nowhere.json") == (0, "", "")
    assert acted(workspace, path="same.json", baseline="nowhere.json", save="kept.json") == (0, "", "")
    assert (workspace / "kept.json").read_bytes() == (workspace / "baseline.json").read_bytes()


def test_an_input_is_no_command(workspace: Path) -> None:
    """What a pull request can put into an input is an argument at most: no shell reads it."""
    code, _, _ = acted(workspace, path="$(touch hacked) `touch hacked`; touch hacked", baseline="baseline.json")

    assert code == 2
    assert not (workspace / "hacked").exists()


def test_the_job_stops_what_is_dearer(workspace: Path) -> None:
    """The GitLab job's script, with its own variables: the same answers, and the report where its artifacts are looked for."""
    variables: dict[str, Any] = {
        **JOB["variables"],
        "GATE_INSTALL": "",
        "GATE_BASELINE": "baseline.json",
        "GATE_OPTIONS": "--exact",
    }
    script = "\n".join(JOB["script"])
    codes = [
        bash(script, workspace, {**variables, "GATE_PATH": name}).returncode for name in ("dearer.json", "same.json")
    ]

    assert codes == [1, 0]
    assert (workspace / JOB["artifacts"]["reports"]["junit"]).exists()
