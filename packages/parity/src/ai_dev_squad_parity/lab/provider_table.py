"""The table of providers: each through the real client library of each framework, plain and streamed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ai_dev_squad_dashboard.lab_results import VERSION, LabCell, LabProvider, LabProviderCell, LabProviders
from ai_dev_squad_parity.lab.cell import Order
from ai_dev_squad_parity.lab.processes import Processes
from ai_dev_squad_parity.lab.runner import Plan, machine, now, processes, run_phase
from ai_dev_squad_parity.lab.verdict import Ended, judge, refuse
from ai_dev_squad_parity.providers.spec import PROVIDERS, Provider, scenario_of
from ai_dev_squad_testing.model_server import ModelServer

__all__ = ["run_providers"]


def run_providers(
    names: Sequence[str], plan: Plan, on_cell: Callable[[LabProviderCell], None] = lambda cell: None
) -> LabProviders:
    """Run each provider of ``names`` on the plan's frameworks. ``on_cell`` hears of each cell as it ends, in any thread."""

    def one(name: str, framework: str, *, streamed: bool) -> LabProviderCell:
        try:
            if framework in plan.without:
                missing = refuse(name, framework, plan.without[framework], "not installed")
                cell = _of(missing, {}, streamed=streamed)
            else:
                cell = _cell(started_by, PROVIDERS[name], framework, streamed=streamed)
        except Exception as error:  # noqa: BLE001 - the other cells go on
            reason = f"could not be judged: {type(error).__name__}: {error}"
            cell = _of(refuse(name, framework, reason), {}, streamed=streamed)
        on_cell(cell)
        return cell

    with processes(plan) as started_by, ThreadPoolExecutor(max_workers=max(1, plan.jobs)) as pool:
        waiting = [
            pool.submit(one, name, framework, streamed=streamed)
            for name in names
            for framework in plan.frameworks
            for streamed in (False, True)
        ]
        cells = tuple(future.result() for future in waiting)
    rows = (PROVIDERS[name] for name in names)
    return LabProviders(
        version=VERSION,
        created=now(),
        machine=machine(plan.jobs),
        providers=tuple(LabProvider(row.name, row.title, row.wire, row.model) for row in rows),
        cells=cells,
    )


def _cell(started_by: Processes, provider: Provider, framework: str, *, streamed: bool) -> LabProviderCell:
    scenario = scenario_of(provider, streamed=streamed)
    with tempfile.TemporaryDirectory(prefix="parity-") as name, ModelServer(scenario.script()) as server:
        output = Path(name)
        order = Order(
            scenario="",
            provider=provider.name,
            streamed=streamed,
            framework=framework,
            observer="ours",
            base_url=server.url,
            model=provider.model,
            control_url=server.url,
            output=str(output),
        )
        ended = run_phase(started_by, scenario, order, Ended([], "", None))
        try:
            truth = server.settle(5)
        except TimeoutError:
            truth = server.truth
        cell = judge(
            scenario, framework, "ours", ended, truth, output / "logs",
            provider=provider.priced_as, said_usd=provider.cost_usd,
        )  # fmt: skip
        used = {
            name: version for report in ended.reports for name, version in report.versions.items() if name != "python"
        }
        return _of(cell, used, streamed=streamed)


def _of(cell: LabCell, client: dict[str, str], *, streamed: bool) -> LabProviderCell:
    fields = {name: getattr(cell, name) for name in cell.__dataclass_fields__}
    return LabProviderCell(**fields, streamed=streamed, client=client)
