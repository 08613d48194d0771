"""What is configured and what was built from it: on first use, once, changed in parts, and brought to its end."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import ai_dev_squad
from ai_dev_squad import guard, operations, runtime
from ai_dev_squad.events import read_journal
from ai_dev_squad.operations import CHAT, TASK, ModelRequest, Operation
from ai_dev_squad.schema import JournalLine, Usage
from ai_dev_squad_testing import capture

JOURNAL = Path("logs/ai_dev_squad.jsonl")


def start(name: str = "it", **options: Any) -> Operation:
    """An operation of a framework that exists in these tests only."""
    return operations.start(TASK, name, framework="test", **options)


def written(path: Path = JOURNAL) -> list[JournalLine]:
    """The lines on disk, without any flush of ours."""
    return list(read_journal(path, strict=True))


def python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A program, run by an interpreter of its own in the test's directory."""
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


# --- first use --------------------------------------------------------------------------------------------------------


def test_it_works_with_no_call_at_all() -> None:
    """The first operation builds everything with defaults; the journal is in ``logs``."""
    start().stop()

    assert ai_dev_squad.flush()
    assert [(line.event_type, line.name) for line in written()] == [("task.start", "it"), ("task.complete", "it")]


IN_A_LOOP = """
import asyncio, sys, threading
import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.schema import Usage

async def squad():
    work = operations.start(operations.WORKFLOW, "squad", framework="test")
    request = operations.ModelRequest("gpt-4o-mini", "openai")
    call = operations.start(operations.CHAT, "gpt-4o-mini", framework="test", parent=work, request=request)
    call.usage = Usage(input_tokens=412, output_tokens=36, source="provider")
    await asyncio.sleep(0)
    call.stop()
    work.stop()

async def main():
    await asyncio.sleep(0)
    opened.clear()
    await squad()
    seen = list(opened)
    print(seen, ai_dev_squad.get_cost_tracker().totals().cost_usd > 0)

opened = []
def watch(event, args):
    if event in {"open", "os.mkdir", "os.listdir", "os.scandir"} and threading.current_thread() is threading.main_thread():
        opened.append((event, str(args[0])))
ai_dev_squad.get_settings()  # as observe does
sys.addaudithook(watch)
asyncio.run(main())
"""


def test_the_first_run_in_an_event_loop_touches_no_file() -> None:
    """What is read or made is read and made before, or in a thread of ours: a loop is not held up, and where file access in one is
    refused, as blockbuster does in tests and in LangGraph's development server, the first calls have their prices too.
    """
    done = python(IN_A_LOOP)

    assert (done.stdout, done.stderr) == ("[] True\n", "")


IMPORT = """
import sys, threading
happened = []
def watch(event, args):
    if event.startswith("socket.") or event in {"subprocess.Popen", "os.mkdir", "os.fork", "_thread.start_new_thread"}:
        happened.append(event)
    if event == "open" and set(str(args[1])) & set("wax+"):
        happened.append(f"{event} {args[0]}")
sys.addaudithook(watch)
before = set(sys.modules)
import ai_dev_squad
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
heavy = {"opentelemetry", "tiktoken", "requests", "httpx", "msgspec", "asyncio", "logging", "rich"}
print(happened, threading.active_count(), sorted(loaded & heavy))
"""


def test_importing_the_package_costs_next_to_nothing() -> None:
    """The import loads nothing but the package, starts no thread, opens no socket, creates no file."""
    done = python(IMPORT, "-I", "-B")

    assert done.stderr == ""
    assert done.stdout == "[] 1 []\n"


def test_asking_for_a_part_builds_no_file_and_no_thread() -> None:
    """Configuring and getting the parts creates neither file nor thread; the first line does."""
    threads = threading.active_count()
    ai_dev_squad.configure(log_dir="a")
    ai_dev_squad.get_logger(), ai_dev_squad.get_trace_manager(), ai_dev_squad.get_cost_tracker()
    assert (threading.active_count(), list(Path().iterdir())) == (threads, [])

    start().stop()

    assert ai_dev_squad.flush()
    # A writer that was quick has kept what was open for a moment, in a file that starts with a dot.
    assert [path.name for path in Path("a").iterdir() if not path.name.startswith(".")] == ["ai_dev_squad.jsonl"]


ARCHIVED = """
import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.frameworks import adapted_frameworks
from ai_dev_squad.schema import Usage

request = operations.ModelRequest("gpt-4o-mini", "openai")
call = operations.start(operations.CHAT, "gpt-4o-mini", framework="test", request=request)
call.usage = Usage(input_tokens=100, output_tokens=20, source="provider")
call.stop()
print(ai_dev_squad.__file__, "langgraph" in adapted_frameworks(), call.cost.usd)
"""


def test_a_package_that_lies_in_an_archive_has_its_tables(tmp_path: Path) -> None:
    """A program that was packed, as zipapp does it, has prices and names of frameworks as any other."""
    package = Path(ai_dev_squad.__file__).parent
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", root_dir=package.parent, base_dir=package.name)

    done = python(f"import sys; sys.path.insert(0, {archive!r})" + ARCHIVED)

    assert (done.stdout, done.stderr) == (f"{Path(archive, package.name, '__init__.py')} True 2.7e-05\n", "")


def test_many_threads_at_first_use_build_one_pipeline() -> None:
    """Twenty threads that are all the first get the same parts, and every line arrives."""
    together = threading.Barrier(20)

    def first(number: int) -> Any:
        together.wait()
        start(str(number)).stop()
        return runtime.pipeline()

    with ThreadPoolExecutor(20) as pool:
        pipelines = list(pool.map(first, range(20)))

    assert len(set(map(id, pipelines))) == 1
    assert ai_dev_squad.flush()
    assert sorted(line.name or "" for line in written() if line.status) == sorted(map(str, range(20)))


# --- configuring again ------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], Any]] = {
    "logger": ai_dev_squad.get_logger,
    "tracing": ai_dev_squad.get_trace_manager,
    "costs": ai_dev_squad.get_cost_tracker,
    "budgets": lambda: ai_dev_squad.get_cost_tracker().budget_manager,
    "metrics": lambda: runtime.pipeline().metrics,
    "redactor": lambda: runtime.pipeline().redactor,
}


@pytest.mark.parametrize(
    "change, replaced",
    [
        ({}, set()),
        ({"log_dir": "logs", "service_name": "one"}, set()),
        ({"capture_content": True}, set()),
        ({"shutdown_timeout_s": 1, "handle_sigterm": False}, set()),
        ({"console": True}, {"logger"}),
        ({"log_level": "ERROR"}, {"logger"}),
        ({"log_dir": "elsewhere"}, {"logger", "budgets"}),
        ({"budget_file": "b.json"}, {"budgets"}),
        ({"ledger_size": 5}, set()),
        ({"service_name": "two"}, {"tracing"}),
        ({"redact_emails": True}, {"redactor", "logger"}),
        ({"meter_provider": MeterProvider(shutdown_on_exit=False)}, {"metrics"}),
    ],
    ids=lambda value: ",".join(sorted(value)) or "nothing",
)  # fmt: skip
def test_a_later_call_changes_only_what_it_gives(change: dict[str, Any], replaced: set[str]) -> None:
    """Whatever doesn't depend on a changed setting stays the very same object, and earlier settings stay in force."""
    ai_dev_squad.configure(service_name="one", queue_size=100)
    before = {name: get() for name, get in PARTS.items()}

    ai_dev_squad.configure(**change)

    assert {name for name, get in PARTS.items() if get() is not before[name]} == replaced
    assert ai_dev_squad.get_settings().queue_size == 100


def test_budgets_and_spend_outlive_a_later_call() -> None:
    """Budgets, callbacks, own prices and the ledger are kept, also when the journal goes elsewhere."""
    tracker = ai_dev_squad.configure_cost_tracking()
    tracker.add_pricing_model(ai_dev_squad.ModelPricing("m", ai_dev_squad.ModelProvider.CUSTOM, 1.0, 1.0, 10))
    tracker.budget_manager.set_budget("day", 1.5, "daily")
    alerts: list[Any] = []
    tracker.budget_manager.alert_callbacks.append(alerts.append)
    tracker.track_llm_usage("m", "custom", 1000, 0, 1)

    ai_dev_squad.configure_logging(log_dir="elsewhere")
    ai_dev_squad.get_cost_tracker().track_llm_usage("m", "custom", 1400, 0, 1)

    assert [entry.cost_usd for entry in ai_dev_squad.get_cost_tracker().entries] == [1.0, 1.4]
    assert list(ai_dev_squad.get_cost_tracker().budget_manager.budgets) == ["day"]
    assert [alert["threshold"] for alert in alerts] == [0.8, 0.9]


PLACELESS = """
import os, sys
import ai_dev_squad
from ai_dev_squad import operations
os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
ai_dev_squad.configure(log_dir=sys.argv[1])
operations.start(operations.TASK, "work", framework="tests").stop()
print(ai_dev_squad.flush())
"""


@pytest.mark.parametrize("log_dir", ["logs", "x" * 300])
def test_a_place_that_cannot_be_looked_at_stops_no_program(log_dir: str) -> None:
    """The current directory is gone, or a name is too long for the disk: the program goes on, and is told."""
    ended = subprocess.run([sys.executable, "-c", PLACELESS, log_dir], capture_output=True, text=True, check=True)

    assert ended.stdout == "False\n"
    assert "Your program is fine; some telemetry is missing" in ended.stderr


@pytest.mark.parametrize(
    "bad",
    [
        {"log_level": "loud"},
        {"unknown": 1},
        {"service_name": "two", "exporter": "nowhere"},
        {"set_global": True, "exporter": object()},
        {"set_global": True, "endpoint": "not an endpoint"},
        {"log_dir": "occupied"},
        {"redact_patterns": ["("]},
        {"meter_provider": 42},
        {"ledger_size": 5, "prices_file": "missing.json"},
        {"prices_file": "malformed.json", "service_name": "two"},
        {"sampler": 2, "ledger_size": 5},
    ],
    ids=",".join,
)
def test_a_bad_call_leaves_everything_as_it_was(bad: dict[str, Any]) -> None:
    """An error in any part changes no part and no setting; what was open goes on."""
    from opentelemetry import trace

    Path("occupied").write_text("a file")
    Path("malformed.json").write_text('{"prices": {"openai/x": {"input": -1}}}')
    ai_dev_squad.configure(service_name="one", ledger_size=10)
    before = {name: get() for name, get in PARTS.items()}
    settings, provider = ai_dev_squad.get_settings(), trace.get_tracer_provider()
    open_one = start("open")

    with pytest.raises((ValueError, TypeError)):
        ai_dev_squad.configure(**bad)

    assert {name for name, get in PARTS.items() if get() is not before[name]} == set()
    assert ai_dev_squad.get_settings() is settings
    assert trace.get_tracer_provider() is provider
    assert ai_dev_squad.get_cost_tracker().max_entries == 10
    open_one.stop()
    assert ai_dev_squad.flush()
    assert [line.name for line in written() if line.status] == ["open"]


def test_what_was_logged_before_a_change_is_not_lost() -> None:
    """An old journal writes what it was given, an old exporter delivers, an operation that began before ends in both."""
    first, second = InMemorySpanExporter(), InMemorySpanExporter()
    ai_dev_squad.configure(exporter=first)
    across = start("across")
    start("before").stop()
    ai_dev_squad.configure(log_dir="second", exporter=second)
    start("after").stop()
    across.stop()

    assert ai_dev_squad.flush()
    assert [line.name for line in written() if line.status] == ["before", "across"]
    assert [line.name for line in written(Path("second")) if line.status] == ["after"]
    assert [span.name for span in first.get_finished_spans()] == ["task before"]
    assert [span.name for span in second.get_finished_spans()] == ["task after"]


def test_several_threads_configure_at_once() -> None:
    """Calls at the same time happen one after the other: every setting given is in force, nothing is lost."""
    together = threading.Barrier(8)
    given: list[dict[str, Any]] = [
        {"service_name": "x"},
        {"log_level": "INFO"},
        {"ledger_size": 7},
        {"redact_cards": True},
        {"console": False},
        {"queue_size": 1000},
        {"capture_content": True},
        {"environment": "test"},
    ]

    def configure(arguments: dict[str, Any]) -> None:
        together.wait()
        for _ in range(5):
            ai_dev_squad.configure(**arguments)
            start().stop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(configure, given))

    settings = ai_dev_squad.get_settings()
    assert [getattr(settings, name) for arguments in given for name in arguments] == [
        value for arguments in given for value in arguments.values()
    ]
    assert ai_dev_squad.flush()
    assert len([line for line in written() if line.status]) == 40


def test_a_new_redactor_reaches_every_sink() -> None:
    """Patterns that are configured later apply to spans, too, whose exporter stays."""
    memory = InMemorySpanExporter()
    ai_dev_squad.configure(journal=False, exporter=memory)
    manager = ai_dev_squad.get_trace_manager()
    ai_dev_squad.configure(redact_patterns=[r"CUST-\d+"])

    with manager.trace_operation("look up", {"customer": "CUST-123"}):
        pass

    assert ai_dev_squad.get_trace_manager() is manager
    assert ai_dev_squad.flush()
    assert [dict(span.attributes or {}) for span in memory.get_finished_spans()] == [{"customer": "[redacted:custom]"}]


def test_switched_off_nothing_is_written_or_exported(capfd: pytest.CaptureFixture[str]) -> None:
    """``enabled=False``: no file, no span, no metric, no output, whatever else is configured."""
    memory = InMemorySpanExporter()
    ai_dev_squad.configure(
        enabled=False, exporter=memory, console=True, meter_provider=MeterProvider(shutdown_on_exit=False)
    )
    call = operations.start(CHAT, "gpt-4o", framework="test", request=ModelRequest("gpt-4o", "openai"))
    call.stop()
    ai_dev_squad.get_logger().log_agent_start("planner", "developer", "test")

    assert ai_dev_squad.flush()
    ai_dev_squad.shutdown()
    assert (list(Path().iterdir()), memory.get_finished_spans(), runtime.pipeline().metrics) == ([], (), None)
    assert capfd.readouterr() == ("", "")


# --- flush and shutdown -----------------------------------------------------------------------------------------------


def test_flush_means_on_disk_and_exported(receiver: Any) -> None:
    """After ``flush`` every line is in the file, every span is with the collector, all spend is saved."""
    ai_dev_squad.configure(endpoint=receiver.url, protocol="http/protobuf", export_timeout_s=10)
    ai_dev_squad.get_cost_tracker().budget_manager.set_budget("all", 10, "total")
    for number in range(50):
        start(str(number)).stop()
    ai_dev_squad.get_cost_tracker().track_llm_usage("gpt-4o", "openai", 1_000_000, 0, 1)

    assert ai_dev_squad.flush()

    assert [line.name for line in written() if line.status] == [str(number) for number in range(50)]
    assert sorted(receiver.spans()) == sorted(f"task {number}" for number in range(50))
    saved = ai_dev_squad.BudgetManager(state_path="logs/budgets.json")
    saved.set_budget("all", 10, "total")
    assert [status.spent_usd for status in saved.status()] == [2.5]


def test_flush_says_when_it_could_not() -> None:
    """A journal that can't be written, or a dead endpoint, is ``False``, not an exception."""
    before = guard.set_strict(False)
    try:
        ai_dev_squad.configure(log_dir="gone/logs")
        Path("gone").write_text("no directory")
        start().stop()
        assert not ai_dev_squad.flush(5)
        Path("gone").unlink()
        assert ai_dev_squad.flush(5)
    finally:
        guard.set_strict(before)
    # The journal tells of the outage, too.
    found = sorted(line.event_type for line in written(Path("gone/logs")))
    assert found == ["task.complete", "task.start", "telemetry.dropped"]


def test_flush_before_first_use_builds_nothing() -> None:
    """There is nothing to wait for, and nothing is built for it."""
    assert ai_dev_squad.flush()
    ai_dev_squad.shutdown()
    assert runtime.exchange(None, {}) == (None, {})


def test_use_after_shutdown_starts_anew() -> None:
    """Shutting down twice is harmless; the next operation is written to the same journal, with the same settings."""
    ai_dev_squad.configure(log_dir="here", service_name="mine")
    start("first").stop()
    ai_dev_squad.shutdown()
    ai_dev_squad.shutdown()
    before = threading.active_count()
    start("second").stop()
    ai_dev_squad.shutdown()

    assert [line.name for line in written(Path("here")) if line.status] == ["first", "second"]
    assert ai_dev_squad.get_settings().service_name == "mine"
    assert threading.active_count() <= before


def test_shutdown_ends_what_is_open() -> None:
    """What nobody ended is abandoned, and an end that comes later has no effect."""
    operation = start()
    ai_dev_squad.shutdown()

    assert not operation.stop()
    assert [line.status for line in written() if line.status] == ["abandoned"]


@pytest.mark.parametrize("broken", ["budgets", "tracing", "journal"])
def test_a_part_that_fails_to_close_keeps_no_other_from_it(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    """The others are closed, the failure is reported, and the next use starts anew."""
    pipeline = runtime.pipeline()
    closed: list[str] = []

    def close(name: str) -> Callable[..., None]:
        def closing(*_: Any) -> None:
            closed.append(name)
            if name == broken:
                raise OSError("on purpose")

        return closing

    pipeline.costs.budget_manager.close = close("budgets")  # type: ignore[method-assign]
    pipeline.tracing.shutdown = close("tracing")  # type: ignore[method-assign]
    pipeline.logger.close = close("journal")  # type: ignore[method-assign, assignment]
    before = guard.set_strict(False)
    try:
        ai_dev_squad.shutdown()
    finally:
        guard.set_strict(before)

    assert closed == ["budgets", "tracing", "journal"]
    assert caplog.messages == [
        f"closing {broken} failed (OSError: on purpose). Your program is fine; some telemetry is missing. Reported once."
    ]
    assert runtime.pipeline() is not pipeline


DEAD = """
import ai_dev_squad
from ai_dev_squad import operations
ai_dev_squad.configure(endpoint="http://127.0.0.1:{port}", protocol="http/protobuf", export_timeout_s=0.2)
operations.start(operations.TASK, "it", framework="test").stop()
{then}
"""


@pytest.mark.parametrize("then", ["", "ai_dev_squad.flush()", "ai_dev_squad.shutdown(); ai_dev_squad.shutdown()"])
@pytest.mark.parametrize("death", ["closed", "silent"])
def test_a_dead_endpoint_loses_spans_and_says_so_in_the_journal(
    then: str, death: str, closed_port: int, silent_port: int
) -> None:
    """The program ends by itself, its journal is complete, and counts the spans that were lost."""
    port = closed_port if death == "closed" else silent_port
    done = python(DEAD.format(port=port, then=then))

    assert (done.returncode, done.stdout) == (0, "")
    lines = written()
    assert [line.event_type for line in lines] == ["task.start", "task.complete", "telemetry.dropped"]
    assert (lines[-1].level, lines[-1].metadata and lines[-1].metadata["spans"]) == ("WARNING", 1)
    assert lines[-1].message.startswith("1 spans could not be delivered: ")


# --- costs ------------------------------------------------------------------------------------------------------------


def test_budget_events_reach_the_journal() -> None:
    """Every threshold that is passed, and a refusal, is a line, without any callback."""
    with capture() as captured:
        budgets = ai_dev_squad.get_cost_tracker().budget_manager
        budgets.set_budget("day", 10.0, "daily", alert_thresholds=[0.5], agent_id="planner", on_exceed="stop")
        call = operations.start(
            CHAT, "gpt-4o", framework="test", agent_id="planner", request=ModelRequest("gpt-4o", "openai")
        )
        call.usage = Usage(input_tokens=4_000_000, output_tokens=0, source="provider")
        call.stop()
        refused = operations.start(
            CHAT, "gpt-4o", framework="test", agent_id="planner", request=ModelRequest("gpt-4o", "openai")
        )
        with pytest.raises(ai_dev_squad.BudgetExceeded):
            refused.reserve()

    events = [line for line in captured.lines if line.event_type.startswith("budget.")]
    assert [(line.event_type, line.level) for line in events] == [
        ("budget.alert", "WARNING"),
        ("budget.exceeded", "ERROR"),
    ]
    assert [(line.metadata or {})["budget_name"] for line in events] == ["day", "day"]


SPEND = """
import ai_dev_squad
tracker = ai_dev_squad.get_cost_tracker()
tracker.budget_manager.set_budget("total", 10.0, "total", on_exceed="stop")
(status,) = tracker.budget_manager.status()
print(status.spent_usd)
tracker.track_llm_usage("gpt-4o", "openai", 1_000_000, 0, 1)
"""


def test_spend_survives_a_restart() -> None:
    """A second process goes on counting where the first one ended, without a flush in either."""
    assert [python(SPEND).stdout for _ in range(3)] == ["0.0\n", "2.5\n", "5.0\n"]
    assert Path("logs/budgets.json").exists()
