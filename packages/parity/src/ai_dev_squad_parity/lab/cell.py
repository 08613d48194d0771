"""One cell's process: import the framework, build the program, run it, and write down what happened.

    python -m ai_dev_squad_parity.lab.cell ORDER.json

It runs in the environment of its framework and knows nothing of verdicts. The order says what to run; the result is
written beside it, so that a process that dies has said what it knew until then.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
import os
import re
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ai_dev_squad.frameworks import adapted_frameworks
from ai_dev_squad_parity.lab.observers import make
from ai_dev_squad_parity.lab.scenario import Cannot, Program, Scenario, load_program, load_scenario
from ai_dev_squad_parity.providers.clients import (
    Client,
    Missing,
    UnusableClientError,
    client_of,
    missing_of,
    program_of,
)
from ai_dev_squad_parity.providers.spec import PROVIDERS, scenario_of

__all__ = ["Order", "Outcome", "Raised", "Report", "Span", "SpanEvent", "main"]


class Order(msgspec.Struct, kw_only=True):
    """What a process is asked to do."""

    scenario: str
    """The scenario's folder."""
    framework: str
    observer: str
    base_url: str
    model: str
    control_url: str | None
    """The scripted model server's own address, to start its script again; ``None`` for a real model."""
    output: str
    """The directory for journal, spans and report."""
    provider: str | None = None
    """Instead of a scenario: the provider that is asked."""
    streamed: bool = False
    """Whether that one's answer is streamed."""
    scripted: bool = True
    """Whether ``base_url`` is the scripted model server's."""
    phase: str = "run"
    rounds: int = 0
    """How often it is run unobserved and observed, in turn, to measure what observing costs."""
    cap_usd: float | None = None
    """With a real model: the most that one run of the program may spend, in USD."""


class Raised(msgspec.Struct, kw_only=True):
    """An exception that the program ended with."""

    type: str
    bases: list[str]
    message: str


class Outcome(msgspec.Struct, kw_only=True):
    """One run of the program."""

    answer: str | None
    raised: Raised | None
    wall_ms: float
    model_ms: float | None = None
    """The time in which at least one model call was under way, as the model server saw it."""


class SpanEvent(msgspec.Struct, kw_only=True):
    """Something that happened during a span. Nanoseconds since 1970."""

    name: str
    time_ns: int
    attributes: dict[str, Any] = {}


class Span(msgspec.Struct, kw_only=True):
    """An OpenTelemetry span as it was exported. Times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    scope: str
    start_ns: int
    end_ns: int
    status: str
    attributes: dict[str, Any]
    message: str = ""
    """The description of its status."""
    links: list[tuple[str, str]] = []
    events: list[SpanEvent] = []


class Report(msgspec.Struct, kw_only=True):
    """What a process found."""

    versions: dict[str, str] = {}
    import_ms: float = 0
    captured: Outcome | None = None
    """The run with content and spans: the one that is scored."""
    unobserved: list[Outcome] = []
    observed: list[Outcome] = []
    spans: list[Span] = []
    open: list[str] = []
    peak_mib: float = 0
    cannot: dict[str, str] | None = None
    """Why there is nothing to run: whose doing that is, the reason, and where that is said."""
    error: str | None = None
    """Why nothing could be run: an import that failed, a scenario that cannot be used."""


def main(arguments: list[str] | None = None, *, imported_ms: float = 0.0) -> int:
    """Carry out the order in the file that the first argument names. The framework's import has taken ``imported_ms`` so far."""
    path = Path((arguments or sys.argv[1:])[0])
    order = msgspec.json.decode(path.read_bytes(), type=Order)
    report = Report(import_ms=imported_ms)
    os.environ["AI_DEV_SQUAD_LAB_STATE"] = order.output
    os.chdir(order.output)
    try:
        _carry_out(order, report)
    except UnusableClientError as error:
        reason = f"what is installed in the environment of {order.framework} does not go together: {error}"
        report.cannot = {"whose": "environment", "reason": reason, "source": ""}
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is this cell's verdict
        report.error = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    finally:
        report.peak_mib = _peak_mib()
        Path(order.output, f"{order.phase}.json").write_bytes(msgspec.json.encode(report, enc_hook=str))
    return 0


def _carry_out(order: Order, report: Report) -> None:
    began = time.perf_counter()
    scenario, program, distributions = _program(order)
    report.import_ms += (time.perf_counter() - began) * 1000
    report.versions = _versions(distributions)
    if isinstance(program, Missing):
        reason = f"pip install {' '.join(program.distributions)}, in the environment of {order.framework}"
        report.cannot = {"whose": "environment", "reason": reason, "source": ""}
        return
    if isinstance(program, Cannot):
        report.cannot = {"whose": program.whose, "reason": program.reason, "source": program.source}
        return
    run, output = program.phases[order.phase], Path(order.output)
    budget = min((limit for limit in (scenario.budget_usd, order.cap_usd) if limit is not None), default=None)

    # One event loop for all runs: clients keep connections, which belong to the loop that they were made in.
    runner = asyncio.Runner()

    def once(observer: Any | None) -> Outcome:
        _reset(order.control_url)
        built = program.build(order.base_url, order.model)
        return _run(run, built if observer is None else observer.observe(built), order.control_url, runner)

    # What is imported late, and the start of an observer, are not what a run costs. A real model is paid for each run, and
    # takes so long that they hardly matter.
    warm_up = order.control_url is not None

    # The scripted model stands where the provider would.
    gateway = order.base_url if order.scripted else None

    def observing(log_dir: Path, *, content: bool) -> Any:
        return make(
            order.observer, order.framework, log_dir, content=content, budget_usd=budget, gateway=gateway
        )  # fmt: skip

    def observed(number: int) -> Outcome:
        plain = observing(output / f"round-{number}", content=False)
        try:
            if warm_up:
                once(plain)
            return once(plain)
        finally:
            plain.finish()

    # A program that only a budget ends has no unobserved twin.
    if order.rounds and budget is None and warm_up:
        once(None)
    for number in range(order.rounds):
        if budget is None:
            report.unobserved.append(once(None))
        report.observed.append(observed(number))
    observer = observing(output / "logs", content=True)
    try:
        report.captured = once(observer)
    finally:
        runner.close()
        spans = observer.finish()
        report.spans = [_span(span) for span in spans]
        report.open = observer.state()["open"]


def _run(run: Callable[[Any], Any], program: Any, control_url: str | None, runner: asyncio.Runner) -> Outcome:
    answer, raised = None, None
    began = time.perf_counter()
    try:
        answer = run(program)
        if inspect.isawaitable(answer):
            answer = runner.run(_wait(answer))
    except (Exception, KeyboardInterrupt, asyncio.CancelledError) as error:  # noqa: BLE001 - it is the outcome
        raised = Raised(
            type=type(error).__name__, bases=[base.__name__ for base in type(error).__mro__], message=str(error)[:500]
        )
    wall_ms = (time.perf_counter() - began) * 1000
    return Outcome(
        answer=None if answer is None else str(answer), raised=raised, wall_ms=wall_ms, model_ms=_model_ms(control_url)
    )


async def _wait(answer: Any) -> Any:
    return await answer


def _reset(control_url: str | None) -> None:
    if control_url is not None:
        urllib.request.urlopen(urllib.request.Request(f"{control_url}/reset", method="POST"), timeout=10).close()  # noqa: S310


def _model_ms(control_url: str | None) -> float | None:
    """How long at least one model call was under way."""
    if control_url is None:
        return None
    from ai_dev_squad_testing.model_server import Truth

    spans = sorted(
        (call.arrived.timestamp(), call.arrived.timestamp() + (call.duration_s or 0))
        for call in Truth.fetch(control_url).calls
    )
    total, until = 0.0, 0.0
    for begin, end in spans:
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total * 1000


def _span(span: Any) -> Span:
    context, parent = span.get_span_context(), span.parent
    return Span(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_span_id=None if parent is None else f"{parent.span_id:016x}",
        name=span.name,
        kind=span.kind.name,
        scope=span.instrumentation_scope.name if span.instrumentation_scope else "",
        start_ns=span.start_time,
        end_ns=span.end_time,
        status=span.status.status_code.name,
        attributes=dict(span.attributes or {}),
        message=span.status.description or "",
        links=[(f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") for link in span.links],
        events=[
            SpanEvent(name=event.name, time_ns=event.timestamp, attributes=dict(event.attributes or {}))
            for event in span.events
        ],
    )


def _program(order: Order) -> tuple[Scenario, Program | Cannot | Missing, tuple[str, ...]]:
    """What is run, or why it is not; and whose versions to name."""
    if order.provider is not None:
        provider = PROVIDERS[order.provider]
        client = client_of(order.framework, provider, streamed=order.streamed)
        scenario = scenario_of(provider, streamed=order.streamed)
        if not isinstance(client, Client):
            return scenario, client, ()
        return scenario, program_of(order.framework, client, streamed=order.streamed), client.needs
    folder = Path(order.scenario)
    scenario = load_scenario(folder)
    missing = missing_of(scenario.needs)
    program = missing or load_program(folder, order.framework, scenario.phases)
    info = adapted_frameworks().get(order.framework)
    named = () if info is None else (*info.packages, *info.clients, "ai-dev-squad", str(info.adapter))
    return scenario, program, named


def _versions(distributions: tuple[str, ...]) -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _peak_mib() -> float:
    # What getrusage tells on Linux includes the peak of the process that started this one.
    status = Path("/proc/self/status")
    if status.is_file():
        peak_kib = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
        if peak_kib is not None:
            return int(peak_kib[1]) / 1024
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    for info in adapted_frameworks().values():
        for variable, value in info.quiet.items():
            os.environ.setdefault(variable, value)
    sys.exit(main())
