"""Every cell in a process of its own, in the environment of its framework; a crash, a hang or a missing package is that
cell's verdict and never stops the run.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from ai_dev_squad.frameworks import adapted_frameworks
from ai_dev_squad_dashboard.lab_results import VERSION, LabCell, LabResult, LabScenario
from ai_dev_squad_parity.lab.cell import Order, Report
from ai_dev_squad_parity.lab.processes import Processes
from ai_dev_squad_parity.lab.scenario import Scenario, ScenarioError, columns, load_scenario
from ai_dev_squad_parity.lab.verdict import Ended, judge, refuse
from ai_dev_squad_testing.model_server import ModelServer, Truth

__all__ = ["Plan", "machine", "now", "processes", "run", "run_phase"]

SCRIPTED = "scripted"


@dataclass(frozen=True)
class Plan:
    """What is to be run."""

    scenarios: Mapping[str, Path]
    """Name → folder."""
    frameworks: tuple[str, ...] = ()
    """Empty: those that there are programs for."""
    observer: str = "ours"
    repeat: int = 0
    """How often each program is run unobserved and observed, to measure; 0 only scores."""
    jobs: int = 1
    pythons: Mapping[str, Path] = field(default_factory=dict)
    """Framework → the interpreter of its environment; this one where it is not named."""
    without: Mapping[str, str] = field(default_factory=dict)
    """Framework → why there is no environment to run it in: its cells are *not installed*, with this reason."""
    preload: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Framework → modules that are imported once, in a process that its cells are forked from. The cells of a framework that
    is not named start from nothing."""
    model_server: str = SCRIPTED
    """``scripted``, or the base URL of an OpenAI-compatible service."""
    model: str = "gpt-4o-mini"
    cap_usd: float | None = None
    """With a real model: the most that the whole run may spend, in USD. Every run of a program gets an equal share."""
    keep: Path | None = None
    """Where journals and reports of the processes are kept; thrown away when ``None``."""
    traces: Path | None = None
    """A journal that the scored runs are also written to, for a dashboard."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The frameworks whose cells are run, in the order of the matrix."""
        return self.frameworks or columns(self.scenarios.values())


def run(plan: Plan, on_cell: Callable[[LabCell], None] = lambda cell: None) -> LabResult:
    """Run every cell. ``on_cell`` hears of each as it ends, in the caller's thread or another."""
    scenarios: dict[str, Scenario | ScenarioError] = {name: _load(folder) for name, folder in plan.scenarios.items()}
    versions: dict[str, dict[str, str]] = {}
    frameworks = plan.columns
    with processes(plan) as started_by, ThreadPoolExecutor(max_workers=max(1, plan.jobs)) as pool:

        def one(name: str, framework: str) -> LabCell:
            scenario = scenarios[name]
            if isinstance(scenario, ScenarioError):
                cell = refuse(name, framework, str(scenario))
            elif framework in plan.without:
                cell = refuse(name, framework, plan.without[framework], "not installed")
            else:
                try:
                    cell = _cell(plan, started_by, scenario, framework, versions)
                except Exception as error:  # noqa: BLE001 - the other cells go on
                    cell = refuse(name, framework, f"could not be judged: {type(error).__name__}: {error}")
            on_cell(cell)
            return cell

        waiting = [pool.submit(one, name, framework) for name in scenarios for framework in frameworks]
        cells = tuple(future.result() for future in waiting)
    return LabResult(
        version=VERSION,
        created=now(),
        observer=plan.observer,
        model_server=plan.model_server,
        repeat=plan.repeat,
        machine=machine(plan.jobs),
        versions={name: versions[name] for name in frameworks if name in versions},
        scenarios=tuple(_info(name, plan.scenarios[name], scenario) for name, scenario in scenarios.items()),
        cells=cells,
    )


def now() -> str:
    """The moment of a run, as results have it."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def machine(jobs: int) -> dict[str, Any]:
    """What a run was made on, as results have it."""
    return {
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "jobs": jobs,
    }


def _load(folder: Path) -> Scenario | ScenarioError:
    try:
        return load_scenario(folder)
    except ScenarioError as error:
        return error
    except ImportError as error:
        return ScenarioError(
            f"{folder / 'spec.py'} cannot be imported: {error}; the lab reads it without the frameworks: move what needs it "
            f"to the programs, or install it beside the lab ({sys.executable})"
        )


def _info(name: str, folder: Path, scenario: Scenario | ScenarioError) -> LabScenario:
    def source(path: Path) -> str:
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    known = isinstance(scenario, Scenario)
    programs = {path.stem.removeprefix("on_"): source(path) for path in sorted(folder.glob("on_*.py"))}
    return LabScenario(
        name=name,
        title=scenario.title if known else name,  # type: ignore[union-attr]
        purpose=scenario.purpose if known else "",  # type: ignore[union-attr]
        spec=source(folder / "spec.py"),
        programs=programs,
    )


def _cell(
    plan: Plan, started_by: Processes, scenario: Scenario, framework: str, versions: dict[str, dict[str, str]]
) -> LabCell:
    scripted = plan.model_server == SCRIPTED
    directory = plan.keep / scenario.name / framework if plan.keep else None
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    with (
        nullcontext(str(directory)) if directory else tempfile.TemporaryDirectory(prefix="parity-") as name,
        ModelServer(scenario.script()) if scripted else nullcontext() as server,
    ):
        output = Path(name).resolve()
        ended = Ended([], "", None)
        for phase in scenario.phases:
            first = phase == scenario.phases[0]
            order = Order(
                scenario=str(plan.scenarios[scenario.name].resolve()),
                framework=framework,
                observer=plan.observer,
                base_url=server.base_url if server is not None else plan.model_server,
                model=plan.model,
                # Only the first process starts the script anew: what follows goes on where it stopped.
                control_url=server.url if server is not None and first else None,
                output=str(output),
                scripted=scripted,
                phase=phase,
                rounds=_rounds(plan, scenario),
                cap_usd=None if scripted else _share(plan, scenario),
            )
            ended = run_phase(started_by, scenario, order, ended)
            if ended.failure is not None or ended.reports[-1].captured is None:
                break
        if ended.reports:
            versions.setdefault(framework, ended.reports[0].versions)
        truth = _truth(server)
        if plan.traces is not None:
            _copy_journal(output / "logs", plan.traces)
        cell = judge(scenario, framework, plan.observer, ended, truth, output / "logs")
        return cell if scripted else _with_cure(cell, ended, plan.model_server)


def _rounds(plan: Plan, scenario: Scenario) -> int:
    # What several processes do together cannot be repeated by one of them.
    return plan.repeat if scenario.measured and len(scenario.phases) == 1 else 0


def _share(plan: Plan, scenario: Scenario) -> float | None:
    """What one run of a program may spend."""
    if plan.cap_usd is None:
        return None
    runs = _rounds(plan, scenario) + len(scenario.phases)
    return plan.cap_usd / (len(plan.scenarios) * len(plan.columns) * runs)


_writing = threading.Lock()


def _copy_journal(logs: Path, target: Path) -> None:
    with _writing:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab") as to:
            for journal in sorted(logs.glob("*.jsonl")):
                to.write(journal.read_bytes())


def _with_cure(cell: LabCell, ended: Ended, address: str) -> LabCell:
    """Name the cure where it was the real model that failed."""
    raised = next((r.captured.raised for r in ended.reports if r.captured and r.captured.raised), None)
    if raised is None or cell.verdict != "fails":
        return cell
    if any("Connect" in name or "Timeout" in name for name in raised.bases):
        cure = f"{address} did not answer ({raised.type}); start the service, or correct --model-server. "
    elif "Authentication" in raised.type:
        cure = f"{address} refuses the key; set OPENAI_API_KEY. "
    elif "BudgetExceeded" in raised.bases:
        cure = "its share of the spending cap is used up; raise --cap-usd, or run fewer cells or repeats. "
    else:
        return cell
    return replace(cell, reason=cure + cell.reason)


def _truth(server: Any) -> Truth | None:
    if server is None:
        return None
    try:
        return server.settle(5)  # type: ignore[no-any-return]
    except TimeoutError:
        return server.truth  # type: ignore[no-any-return]


def processes(plan: Plan) -> Processes:
    """Where the plan's cells get their processes from; to be closed when the last one has ended."""
    environment = {
        **os.environ,
        # Frameworks that send usage home, or ask for a newer release, would wait for it, and be counted for waiting.
        **{variable: value for info in adapted_frameworks().values() for variable, value in info.quiet.items()},
        "AUTOGEN_DISABLE_RUNTIME_TRACING": os.environ.get("AUTOGEN_DISABLE_RUNTIME_TRACING", "false"),
        # LiteLLM fetches its price list when it is imported, and waits for it where there is no network.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PYTHONUNBUFFERED": "1",
    }
    if plan.model_server == SCRIPTED:
        environment["OPENAI_API_KEY"] = "scripted"
    return Processes(plan.pythons, plan.preload, environment)


def run_phase(started_by: Processes, scenario: Scenario, order: Order, before: Ended) -> Ended:
    """Run one phase in a process of its own, bounded in time."""
    output = Path(order.output)
    order_file = output / f"{order.phase}.order.json"
    order_file.write_bytes(msgspec.json.encode(order))
    limit_s = scenario.timeout_s * (1 + 3 * order.rounds)
    python = started_by.python(order.framework)
    try:
        end = started_by.run(order.framework, order_file, limit_s)
    except OSError as error:
        return before.failed(
            f"{python} cannot be started ({error}); name the environment: --python {order.framework}=PATH"
        )
    if end.code is None:
        return before.failed(f"did not end within {limit_s:g} s", end.printed)
    try:
        report = msgspec.json.decode((output / f"{order.phase}.json").read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError):
        return before.failed(_why_it_died(end.code, end.printed, order, python), end.printed)
    return before.and_then(report, end.printed)


def _why_it_died(code: int, printed: str, order: Order, python: Path) -> str:
    if "No module named 'ai_dev_squad" in printed or "No module named ai_dev_squad" in printed:
        return (
            f"{python} has no ai-dev-squad-parity; install it there with ai-dev-squad-{order.framework}, or name another "
            f"environment: --python {order.framework}=PATH"
        )
    if code < 0:
        return f"the process was killed by {signal.Signals(-code).name}"
    return f"the process ended with code {code} and said nothing"
