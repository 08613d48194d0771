"""Run the tests of every package on its wheel, in an environment of its own, as one who installed it would:

    python tools/release/prove.py DIST

The wheels are those that were built of the sdists. Nothing comes from the checkout but the tests; where a package was imported from is said,
and refused when that is anywhere else. Ends with 1 when a package has no proof or a test failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = {
    path.parent: tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    for path in ROOT.glob("packages/**/pyproject.toml")
}
CORE, TESTING, CLI, DASHBOARD = (f"ai-dev-squad{part}" for part in ("", "-testing", "-cli", "-dashboard"))
AT_ONCE = 2
"""Tests wait for servers and children, so two processes of them keep two cores busy."""


@dataclass(frozen=True)
class Proof:
    """What proves a wheel: tests, the extras they need of it, and the wheels beside it."""

    tests: tuple[str, ...]
    beside: tuple[str, ...]
    extras: tuple[str, ...] = ()


PROOFS: Mapping[str, Proof] = {
    CORE: Proof(
        ("tests/core",), (TESTING, CLI), ("offline", "otlp", "otlp-grpc", "prometheus", "redis", "requests", "tokens")
    ),
    CLI: Proof(
        ("tests/cli/test_commands.py", "tests/cli/test_runs_in_terminal.py"),
        (CORE, TESTING, DASHBOARD),
        ("live", "replay"),
    ),
    TESTING: Proof(
        ("tests/testing/test_plugin.py", "tests/testing/test_model_server_chat.py", "tests/testing/test_captured.py"),
        (CORE, CLI, DASHBOARD),
    ),
    DASHBOARD: Proof(
        (
            "tests/dashboard/test_store_duckdb.py",
            "tests/dashboard/test_otlp_http.py",
            "tests/dashboard/test_journal_ingest.py",
        ),
        (CORE, CLI, TESTING),
        ("grpc", "mcp", "redis"),
    ),
    "ai-dev-squad-parity": Proof(
        ("tests/parity/test_lab_scoring.py", "tests/parity/test_lab_statistics.py", "tests/parity/test_lab_report.py"),
        (CORE, CLI, TESTING, DASHBOARD),
        ("lab",),
    ),
} | {
    project["name"]: Proof(
        (f"tests/adapters/test_{folder.name.replace('-', '_')}_contract.py",), (CORE, CLI, TESTING, DASHBOARD)
    )
    for folder, project in sorted(PROJECTS.items())
    if folder.parent.name == "adapters"
}
"""Whole where it takes minutes; of what takes an hour, the part that would notice a file that the wheel lacks. `nox` runs the rest."""


def wheel_of(dist: Path, name: str) -> Path:
    """The one wheel of a distribution."""
    (wheel,) = dist.glob(f"{name.replace('-', '_')}-*.whl")
    return wheel


def prove(dist: Path, name: str, folder: Path) -> str | None:
    """Install and run; what went wrong, ``None`` where nothing did."""
    proof = PROOFS[name]
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    extras = f"[{','.join(proof.extras)}]" if proof.extras else ""
    wheels = [f"{name}{extras} @ {wheel_of(dist, name).as_uri()}"]
    wheels += [f"{other} @ {wheel_of(dist, other).as_uri()}" for other in proof.beside]
    origin = "import importlib, sys; print(importlib.import_module(sys.argv[1]).__file__)"
    module = name.replace("-", "_")
    steps: tuple[tuple[str | Path, ...], ...] = (
        ("uv", "venv", "--quiet", "--python", sys.executable, folder),
        ("uv", "pip", "install", "--quiet", "--python", python, "--group", "test", *wheels),
        (python, "-c", origin, module),
        (python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *proof.tests),
    )
    said = ""
    for step in steps:
        done = subprocess.run(
            step,
            cwd=ROOT,
            env={
                **os.environ,
                "AI_DEV_SQUAD_TEST_WHEELS": "1",
                "VIRTUAL_ENV": str(folder),
                "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]]),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        said = done.stdout.strip()
        if done.returncode:
            return f"{name}: {' '.join(map(str, step[:4]))} … ended with {done.returncode}:\n{said[-6_000:]}"
        if origin in step:
            if "site-packages" not in said or not Path(said.splitlines()[-1]).is_relative_to(folder):
                return f"{name}: it was imported from {said}, which is not the environment that its wheel is in"
            print(f"{name}: {said}", flush=True)
    print(f"{name}: {said.splitlines()[-1]}", flush=True)
    return None


def main() -> int:
    """Prove every package that the tree has."""
    dist = Path(sys.argv[1]).resolve()
    names = sorted(
        (project["name"] for project in PROJECTS.values()), key=lambda name: name != CORE
    )  # the longest first
    faults = [f"{name}: no test proves its wheel; name some in PROOFS" for name in names if name not in PROOFS]
    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(AT_ONCE) as pool:
        asked = [pool.submit(prove, dist, name, Path(home).resolve() / name) for name in names if name in PROOFS]
        faults += filter(None, (each.result() for each in asked))
    print(*(f"refused: {fault}" for fault in faults), sep="\n")
    print(f"{len(names)} packages, each tested on its wheel: {len(faults)} refused")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
