"""The lab catches an observer that lies: with one capture switched off, exactly the checks that concern it turn red."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from ai_dev_squad_parity.lab.captured import Captured, Operation, captured, from_journal
from ai_dev_squad_parity.lab.cell import Order, Report
from ai_dev_squad_parity.lab.runner import Plan, run
from ai_dev_squad_parity.lab.scenario import find_scenarios, load_scenario
from ai_dev_squad_parity.lab.scoring import Evidence, score
from ai_dev_squad_testing.model_server import ModelServer

SCENARIOS = find_scenarios()

# Python runs a module of this name at its start, so that the cell's own process is sabotaged and nothing else.
PLUG_IN = """\
import copy
from ai_dev_squad.events.journal import Journal
from ai_dev_squad.operations import Operation
from ai_dev_squad.schema import Usage

write, end = Journal.write, Operation.end_as
Journal.write_later = lambda self, pending: self.write(pending.line())  # all lines pass `write`

{sabotage}
"""

REAL = {
    "a model call is dropped": (
        "plain_call",
        """\
def dropped(self, line):
    if line.operation != "chat":
        write(self, line)
Journal.write = dropped
""",
        {
            "coverage": "0 in the journal, 1 captured on the wire",
            "calls": "model calls by how they ended: {} captured, {'ok': 1} true",
            "tokens": "(input, output, cached, reasoning): missing (200, 30, 0, 0) x 1",
            "cost": "",
            "parents": "calls by agent: missing assistant x 1",
        },
    ),
    "a model call is captured by nobody": (
        "plain_call",
        """\
from ai_dev_squad.wire import observer
from ai_dev_squad.wire.matching import Match
def dropped(self, line):
    if line.operation != "chat":
        write(self, line)
Journal.write = dropped
observer.match = lambda *asked: Match(observed=False)
""",
        {
            "coverage": "0 of 1 model calls captured; 1 outside of observed runs; "
            "1 more announced by a framework and not seen on the wire",
            "calls": "model calls by how they ended: {} captured, {'ok': 1} true",
            "tokens": "(input, output, cached, reasoning): missing (200, 30, 0, 0) x 1",
            "cost": "",
            "parents": "calls by agent: missing assistant x 1",
        },
    ),
    "the wire sees nothing": (
        "plain_call",
        """\
from ai_dev_squad.wire import switch
switch.install = lambda observer: __import__("contextlib").nullcontext()
""",
        {
            "coverage": "1 in the journal, 0 captured on the wire; 0 seen on the wire, 1 came to the model server; "
            "the self-check has said nothing; is AI_DEV_SQUAD_WIRE off?",
        },
    ),
    "a model call is doubled": (
        "plain_call",
        """\
def doubled(self, line):
    write(self, line)
    if line.operation == "chat":
        twin = copy.copy(line)
        twin.span_id = line.span_id[::-1]
        write(self, twin)
Journal.write = doubled
""",
        {
            "coverage": "2 in the journal, 1 captured on the wire",
            "calls": "model calls by how they ended: {'ok': 2} captured, {'ok': 1} true",
            "tokens": "(input, output, cached, reasoning): too many (200, 30, 0, 0) x 1",
            "cost": "",
            "parents": "calls by agent: too many assistant x 1",
        },
    ),
    "a parent is lost": (
        "plain_call",
        """\
def orphaned(self, line):
    if line.operation == "chat":
        line.parent_span_id = "00000000000000aa"
    write(self, line)
Journal.write = orphaned
""",
        {
            "trace": "chat gpt-4o-mini has a parent that was not captured",
            "parents": "chat gpt-4o-mini stands under no agent or workflow",
        },
    ),
    "an interrupt is marked as an error": (
        "interrupt_and_resume",
        """\
def failed(self, status, error=None, *more):
    if status == "interrupted":
        status, error = "error", RuntimeError("waiting for a person")
    return end(self, status, error, *more)
Operation.end_as = failed
""",
        # A run that failed is not what the next one continues.
        {"status": "", "interrupts": "", "trace": "the later traces have no link to the first"},
    ),
    "the usage of a stream is zero": (
        "streaming",
        """\
from ai_dev_squad.wire.attempts import Attempt
Attempt._usage = lambda self: Usage(input_tokens=0, output_tokens=0, source="provider")
""",
        {
            "tokens": "(input, output, cached, reasoning): missing (200, 30, 0, 0) x 1, too many (0, 0, 0, 0) x 1",
            "cost": "",
        },
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_a_sabotaged_adapter_turns_its_cell_red_for_the_right_reason(name, tmp_path, monkeypatch):
    """A cell whose observer is sabotaged in its own process fails by the checks of what was sabotaged, and by no other."""
    scenario, sabotage, broken = REAL[name]
    (tmp_path / "sitecustomize.py").write_text(PLUG_IN.format(sabotage=sabotage))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    matrix = run(Plan({scenario: SCENARIOS[scenario]}, frameworks=("autogen",)))

    (cell,) = matrix.cells
    assert (cell.verdict, {check.name: check.detail for check in cell.checks if not check.ok}) == ("fails", broken)
    assert all(f"{check}: " in cell.reason for check in broken)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What was captured of an agent that calls a tool, and what is true: a cell that passes."""
    folder, output = SCENARIOS["tool_call"], tmp_path_factory.mktemp("cell")
    scenario = load_scenario(folder)
    with ModelServer(scenario.script()) as server:
        order = Order(
            scenario=str(folder), framework="autogen", observer="ours", base_url=server.base_url, model="gpt-4o-mini",
            control_url=server.url, output=str(output),
        )  # fmt: skip
        (output / "order.json").write_bytes(msgspec.json.encode(order))
        subprocess.run(
            [sys.executable, "-m", "ai_dev_squad_parity.lab.cell", str(output / "order.json")],
            env={**os.environ, "OPENAI_API_KEY": "scripted"}, check=True, timeout=60,
        )  # fmt: skip
        truth = server.settle(5)
    report = msgspec.json.decode((output / "run.json").read_bytes(), type=Report)
    assert report.captured is not None
    return Evidence(
        "autogen", from_journal(Path(output, "logs"), report.spans), truth, scenario.expected, report, report.captured
    )


def broken(evidence: Evidence) -> dict[str, str]:
    """The checks that are red, with what they say."""
    return {check.name: check.detail or check.captured for check in score(evidence) if not check.ok}


def with_changed(evidence: Evidence, kind: str, **changes: object) -> Evidence:
    """The same evidence, with all operations of a kind changed."""

    def change(operation: Operation) -> Operation:
        return replace(operation, **changes) if operation.operation == kind else operation

    return replace(evidence, captured=remade(evidence, map(change, evidence.captured.operations)))


def remade(evidence: Evidence, operations) -> Captured:
    """Other operations, with the same spans, of the same calls on the wire."""
    return captured(operations, evidence.captured.spans, evidence.captured.coverage)


def test_what_nobody_sabotaged_is_green(recorded):
    """The recorded cell passes every check, so that whatever turns red below does so by the sabotage."""
    assert broken(recorded) == {}


def test_the_arguments_of_a_tool_are_missed(recorded):
    """A tool call without its arguments is another tool call."""
    assert broken(with_changed(recorded, "execute_tool", arguments=None)) == {
        "tools": "tool calls: missing ('look_up', '{\"word\":\"fig\"}') x 1, too many ('look_up', '{}') x 1"
    }


def test_a_tool_call_is_missed(recorded):
    """Without the tool's operation only the tools are wrong."""
    rest = [operation for operation in recorded.captured.operations if operation.operation != "execute_tool"]
    assert broken(replace(recorded, captured=remade(recorded, rest))) == {
        "tools": "tool calls: missing ('look_up', '{\"word\":\"fig\"}') x 1"
    }


def test_an_operation_is_left_open(recorded):
    """An operation that never ends is found in the journal and in what the core says is open."""
    left = with_changed(recorded, "execute_tool", status="open", closed=0)
    left = replace(left, report=msgspec.structs.replace(left.report, open=["execute_tool look_up"]))
    assert broken(left) == {
        "events": "execute_tool look_up began 1 and ended 0 times",
        "closed": "execute_tool look_up",
    }


def test_a_call_lands_in_the_wrong_session(recorded):
    """A trace has one session."""
    trace = recorded.captured.operations[0].trace_id
    assert broken(with_changed(recorded, "chat", session="somebody else's")) == {
        "sessions": f"trace {trace} has several sessions"
    }


def test_a_session_is_lost(recorded):
    """A session that took part and that no operation names is missed."""
    expected = replace(recorded.expected, sessions=("ann",))
    assert broken(replace(recorded, expected=expected)) == {"sessions": "sessions without a trace: ann"}


def test_the_cost_is_off_by_a_factor(recorded):
    """Tokens may be right and their price wrong."""
    calls = [call.cost_usd for call in recorded.captured.calls]
    assert broken(with_changed(recorded, "chat", cost_usd=2 * calls[0])) == {"cost": f"${4 * calls[0]:.6f}"}


def test_the_cost_is_unknown_where_the_price_is_known(recorded):
    """No cost is not zero cost."""
    assert broken(with_changed(recorded, "chat", cost_usd=None)) == {"cost": "$0.000000"}


def test_an_error_does_not_say_of_which_type(recorded):
    """An error without a type is half an error."""
    failing = replace(recorded, expected=replace(recorded.expected, failed_tools=1))
    assert broken(with_changed(failing, "execute_tool", status="error", error_type="LookupError")) == {}
    assert broken(with_changed(failing, "execute_tool", status="error", error_type=None)) == {
        "status": "no error.type on execute_tool look_up"
    }


def test_a_tools_failure_is_missed(recorded):
    """A tool call that failed and is captured as a success is wrong."""
    failing = replace(recorded, expected=replace(recorded.expected, failed_tools=1))
    assert broken(failing) == {"tools": "0 failed, 1 should have"}


def test_calls_go_to_the_wrong_agent(recorded):
    """Each model call belongs to the agent whose role the model played."""
    assert broken(with_changed(recorded, "chat", agent="somebody else")) == {
        "parents": "calls by agent: missing clerk x 2, too many somebody else x 2"
    }


def test_parallel_calls_are_captured_one_after_the_other(recorded):
    """Calls that were under way at the same time must overlap."""
    parallel = replace(recorded, expected=replace(recorded.expected, parallel=2))
    assert broken(parallel) == {"events": "1 model calls at once, 2 were"}


def test_a_stream_has_no_first_chunk(recorded):
    """Whoever streams wants to know when the answer began."""
    streamed = replace(recorded, expected=replace(recorded.expected, streamed=True))
    assert broken(streamed) == {"events": "no time to first chunk"}
    assert broken(with_changed(streamed, "chat", first_chunk_us=2000)) == {}


def test_a_resumed_run_is_not_linked(recorded):
    """A run that continues another one says which."""
    (trace,) = {operation.trace_id for operation in recorded.captured.operations}
    linked = replace(recorded, expected=replace(recorded.expected, linked=True))
    assert broken(linked) == {"trace": "the later traces have no link to the first"}
    assert broken(with_changed(linked, "invoke_agent", links=((trace, "00f067aa0ba902b7"),))) == {}


def test_a_span_forgets_what_the_conventions_require(recorded):
    """The exported spans are judged for themselves, whatever the journal says."""
    spans = [
        msgspec.structs.replace(
            span, attributes={key: value for key, value in span.attributes.items() if key != "gen_ai.provider.name"}
        )
        for span in recorded.captured.spans
    ]
    assert broken(
        replace(recorded, captured=captured(recorded.captured.operations, spans, recorded.captured.coverage))
    ) == {"conventions": "chat gpt-4o-mini: gen_ai.provider.name is missing"}


def test_the_program_ends_otherwise(recorded):
    """Observing that changes the answer is the worst of all."""
    other = msgspec.structs.replace(recorded.outcome, answer="Nobody knows.")
    assert broken(replace(recorded, outcome=other)) == {"answer": "Nobody knows."}
