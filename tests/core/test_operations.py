"""Operations by their journal lines: one start, exactly one end, whoever ends them and however."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

import ai_dev_squad
from ai_dev_squad import context, operations, outliving
from ai_dev_squad.events import read_journal
from ai_dev_squad.operations import (
    AGENT,
    CHAT,
    EMBEDDINGS,
    REMOTE_AGENT,
    RETRIEVAL,
    TASK,
    TEXT_COMPLETION,
    TOOL,
    WORKFLOW,
    Kind,
    Operation,
    open_operations,
)
from ai_dev_squad.schema import ErrorInfo, EventType, JournalLine, Link, Status, Usage
from ai_dev_squad_testing import Captured, capture, fixed_ids_and_clock

TRACE = f"{1:032x}"


@pytest.fixture
def captured() -> Iterator[Captured]:
    """What is observed in the test, with ids 1, 2, 3 and a clock that ticks at every look."""
    with capture() as everything, fixed_ids_and_clock():
        yield everything


def start(kind: Kind, name: str = "it", **options: Any) -> Operation:
    """An operation of a framework that exists in these tests only."""
    return operations.start(kind, name, framework="test", **options)


def as_json(*lines: JournalLine) -> list[dict[str, Any]]:
    """Lines as they stand in the file."""
    return [json.loads(msgspec.json.encode(line)) for line in lines]


# --- opening and closing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, operation, opening, closing, metadata",
    [
        pytest.param(WORKFLOW, "invoke_workflow", "agent.start", "agent.stop", None, id="workflow"),
        pytest.param(AGENT, "invoke_agent", "agent.start", "agent.stop", None, id="agent"),
        pytest.param(
            REMOTE_AGENT,
            "invoke_agent",
            "agent.start",
            "agent.stop",
            {"ai_dev_squad.remote": True},
            id="remote agent",
        ),
        pytest.param(TASK, "task", "task.start", "task.complete", None, id="task"),
        pytest.param(TOOL, "execute_tool", "tool.call", "tool.result", None, id="tool"),
        pytest.param(RETRIEVAL, "retrieval", "tool.call", "tool.result", None, id="retrieval"),
        pytest.param(CHAT, "chat", "llm.request", "llm.response", None, id="chat"),
        pytest.param(TEXT_COMPLETION, "text_completion", "llm.request", "llm.response", None, id="text completion"),
        pytest.param(EMBEDDINGS, "embeddings", "llm.request", "llm.response", None, id="embeddings"),
    ],
)
def test_each_kind_opens_and_closes(
    captured: Captured, kind: Kind, operation: str, opening: str, closing: str, metadata: Any
) -> None:
    """An operation is two lines of its kind's events with the same ids; the second one has status and duration."""
    assert start(kind).stop()

    both = {
        "schema": 1,
        "level": "INFO",
        "framework": "test",
        "name": "it",
        "operation": operation,
        "trace_id": TRACE,
        "span_id": f"{2:016x}",
        **({"metadata": metadata} if metadata else {}),
        **({"agent_id": "it"} if kind is AGENT else {}),  # an agent without an id is known by its name
    }
    assert as_json(*captured.lines) == [
        {**both, "timestamp": "2026-01-01T00:00:01Z", "event_type": opening, "message": f"{operation} it"},
        {
            **both,
            "timestamp": "2026-01-01T00:00:03Z",
            "event_type": closing,
            "message": f"{operation} it: ok",
            "status": "ok",
            "duration_ms": 2000.0,
        },
    ]


ENDS: list[tuple[Callable[[Operation], bool], Status, str, str, str]] = [
    # how, status, level, closing event of a task, closing event of an agent
    (Operation.stop, "ok", "INFO", "task.complete", "agent.stop"),
    (lambda operation: operation.fail(ValueError("no")), "error", "ERROR", "task.fail", "agent.stop"),
    (Operation.interrupt, "interrupted", "INFO", "task.complete", "agent.stop"),
    (Operation.hand_off, "handoff", "INFO", "task.complete", "agent.stop"),
    (Operation.cancel, "cancelled", "WARNING", "task.fail", "agent.stop"),
    (Operation.close_early, "closed_early", "INFO", "task.complete", "agent.stop"),
    (Operation.abandon, "abandoned", "WARNING", "task.fail", "agent.stop"),
]


@pytest.mark.parametrize("end, status, level, of_task, of_agent", ENDS, ids=[end[1] for end in ENDS])
def test_each_end_says_how_it_was(
    captured: Captured, end: Callable[[Operation], bool], status: Status, level: str, of_task: str, of_agent: str
) -> None:
    """Status, level and event of the closing line, by the method and by ``end_as`` alike."""
    task, agent, other = start(TASK), start(AGENT), start(TASK)

    assert [end(task), end(agent), other.end_as(status, ValueError("no") if status == "error" else None)] == [True] * 3

    assert [(line.status, line.level, line.event_type) for line in captured.closing()] == [
        (status, level, of_task),
        (status, level, of_agent),
        (status, level, of_task),
    ]
    assert [operation.status for operation in (task, agent, other)] == [status] * 3
    error = ErrorInfo(type="ValueError", message="no") if status == "error" else None
    assert [line.error for line in captured.closing()] == [error] * 3


def test_an_end_is_the_only_one(captured: Captured) -> None:
    """Whatever is said after the end returns ``False``, writes nothing and changes nothing."""
    operation = start(TASK)
    assert operation.status is None
    assert operation.stop()
    before = as_json(*captured.lines)

    assert not any(end(operation) for end, *_ in ENDS)
    assert not operation.end_as("error", ValueError("late"))

    assert as_json(*captured.lines) == before
    assert operation.status == "ok"
    assert open_operations() == []


def test_fifty_threads_end_an_operation_once() -> None:
    """Of fifty threads that end the same operations at the same moment, one succeeds for each."""
    threads, rounds = 50, 20
    with capture() as captured:
        many = [start(TASK, f"{number}") for number in range(rounds)]
        together = threading.Barrier(threads)

        def end_all(number: int) -> list[bool]:
            together.wait()
            return [ENDS[(number + shift) % len(ENDS)][0](operation) for shift, operation in enumerate(many)]

        with ThreadPoolExecutor(threads) as pool:
            results = list(pool.map(end_all, range(threads)))

    assert [sum(column) for column in zip(*results, strict=True)] == [1] * rounds
    assert sorted(line.name for line in captured.closing()) == sorted(operation.name for operation in many)


def test_tasks_of_asyncio_end_an_operation_once(captured: Captured) -> None:
    """A cancellation that races with the end in another task gives one closing line."""

    async def race() -> list[bool]:
        operation = start(TASK)

        async def end(how: Callable[[Operation], bool]) -> bool:
            await asyncio.sleep(0)
            return how(operation)

        return await asyncio.gather(end(Operation.cancel), end(Operation.stop), end(Operation.abandon))

    assert asyncio.run(race()) == [True, False, False]
    assert [line.status for line in captured.closing()] == ["cancelled"]


# --- where it belongs -------------------------------------------------------------------------------------------------


def test_ids_tie_the_tree_together(captured: Captured) -> None:
    """A child has its parent's trace, the parent's span as parent, and the outermost operation's run."""
    root = start(WORKFLOW, "squad")
    task = start(TASK, "plan", parent=root)
    tool = start(TOOL, "search", parent=task)
    for operation in (tool, task, root):
        operation.stop()

    found = [(o.trace_id, o.span_id, o.parent_span_id, o.run_id) for o in (root, task, tool)]
    assert found == [
        (TRACE, f"{2:016x}", None, TRACE),
        (TRACE, f"{3:016x}", f"{2:016x}", TRACE),
        (TRACE, f"{4:016x}", f"{3:016x}", TRACE),
    ]
    lines = [(line.trace_id, line.span_id, line.parent_span_id) for line in captured.lines]
    assert lines == [o[:3] for o in found] + [o[:3] for o in reversed(found)]


def test_session_and_user_come_from_the_thread_at_the_root(captured: Captured) -> None:
    """What ``session`` set around the root holds for all below it, also when they start outside of the block."""
    with ai_dev_squad.session("s", "c", user_id="u"):
        root = start(WORKFLOW)
    task = start(TASK, parent=root)
    task.stop()
    root.stop()

    assert [(line.session_id, line.correlation_id, line.metadata) for line in captured.lines] == [
        ("s", "c", {"ai_dev_squad.user.id": "u"})
    ] * 4


def test_agent_and_session_given_to_a_child_are_its_own(captured: Captured) -> None:
    """``agent_id`` and ``session_id`` of a child win over the parent's and pass on to what is below it."""
    root = start(WORKFLOW, agent_id="squad", session_id="outer")
    plain = start(TASK, parent=root)
    own = start(TASK, parent=root, agent_id="coder", session_id="inner")
    below = start(TOOL, parent=own)

    assert [(o.agent_id, o.session_id) for o in (root, plain, own, below)] == [
        ("squad", "outer"),
        ("squad", "outer"),
        ("coder", "inner"),
        ("coder", "inner"),
    ]
    for operation in (below, own, plain, root):
        operation.stop()
    assert [(line.agent_id, line.session_id) for line in captured.closing()] == [
        ("coder", "inner"),
        ("coder", "inner"),
        ("squad", "outer"),
        ("squad", "outer"),
    ]


def test_the_programs_session_wins_over_the_frameworks(captured: Captured) -> None:
    """At the root, the session of the running code is kept over the one that a framework knows."""
    with ai_dev_squad.session("the program's"):
        start(WORKFLOW, session_id="the thread of a checkpoint").stop()

    assert captured.closing()[0].session_id == "the program's"


def test_without_a_parent_the_current_operation_is_it(captured: Captured) -> None:
    """An operation that is started inside another one's scope is its child, in this context only."""
    root = start(WORKFLOW)
    with context.attached(root):
        inside = start(TASK)
    outside = start(TASK)

    assert (inside.trace_id, inside.parent_span_id) == (root.trace_id, root.span_id)
    assert (outside.trace_id != root.trace_id, outside.parent_span_id) == (True, None)


# --- while it runs ----------------------------------------------------------------------------------------------------


def test_what_is_known_is_written_when_it_is_known(captured: Captured) -> None:
    """Attributes stand in both lines, annotations in the closing one; the later value counts, and ``None`` is none."""
    given = {"a": 1, "b": 1}
    operation = start(TASK, attributes=given)
    operation.annotate({"b": 2})
    operation.annotate({"c": [3, None], "a": None, "d": None})
    operation.stop()

    assert [line.metadata for line in captured.lines] == [{"a": 1, "b": 1}, {"a": 1, "b": 2, "c": [3, None]}]
    assert given == {"a": 1, "b": 1}


def test_annotations_alone(captured: Captured) -> None:
    """Without attributes at the start, the closing line has what was annotated."""
    operation = start(TASK)
    operation.annotate({"c": 3})
    operation.stop()

    assert [line.metadata for line in captured.lines] == [None, {"c": 3}]


def test_facts_without_a_field_stand_in_the_metadata(captured: Captured) -> None:
    """Attempt and provider have no field in a line; the metadata carries them."""
    start(TASK, attributes={"a": 1}, attempt=2).stop()
    start(CHAT, "gpt-4o", request=operations.ModelRequest("gpt-4o", "openai")).cancel()

    assert [line.metadata for line in captured.closing()] == [
        {"a": 1, "ai_dev_squad.attempt": 2},
        {"gen_ai.provider.name": "openai"},
    ]


def test_an_event_belongs_to_its_operation(captured: Captured) -> None:
    """``event`` writes a line with the operation's ids and ends nothing."""
    operation = start(WORKFLOW, agent_id="squad")
    operation.event(EventType.AGENT_INTERRUPT, "waits for a person", {"question": "go on?"})
    operation.interrupt()

    assert as_json(captured.lines[1]) == [
        {
            "schema": 1,
            "timestamp": "2026-01-01T00:00:02Z",
            "level": "INFO",
            "event_type": "agent.interrupt",
            "message": "waits for a person",
            "agent_id": "squad",
            "framework": "test",
            "name": "it",
            "operation": "invoke_workflow",
            "trace_id": TRACE,
            "span_id": f"{2:016x}",
            "metadata": {"question": "go on?"},
        }
    ]
    assert captured.tree() == "invoke_workflow it: interrupted"


def test_links_stand_in_both_lines(captured: Captured) -> None:
    """Links given at the start are in the opening line, those added later in the closing one too."""
    first, second = Link(trace_id="a" * 32, span_id="b" * 16, type="resume"), Link(trace_id="c" * 32, span_id="d" * 16)
    given = [first]
    operation = start(WORKFLOW, links=given)
    operation.link(second)
    operation.stop()

    assert [line.links for line in captured.lines] == [[first], [first, second]]
    assert given == [first]


def test_the_first_chunk_counts_once(captured: Captured) -> None:
    """The time to the first chunk is that of the first call and stands in the closing line."""
    operation = start(CHAT, "gpt-4o")
    operation.first_chunk()
    operation.first_chunk()
    operation.stop()

    assert operation.first_chunk_s == 2.0
    assert captured.closing()[0].metadata == {"gen_ai.response.time_to_first_chunk": 2.0}


def test_a_start_may_be_back_dated() -> None:
    """``started_at_ns`` moves the start, and so the duration, into the past."""
    with capture() as captured, fixed_ids_and_clock():
        # The clock stands at 2026-01-01T00:00:00 when the operation starts, and two seconds later it ends.
        start(WORKFLOW, started_at_ns=1_767_225_600_000_000_000 - 500_000_000).stop()

    assert captured.closing()[0].duration_ms == 2500.0


def test_calls_are_counted_for_the_agent_around_them() -> None:
    """With a meter, model and tool calls count for the nearest agent or workflow, not for those further out."""
    from opentelemetry.sdk.metrics import MeterProvider

    provider = MeterProvider(shutdown_on_exit=False)
    with capture(meter_provider=provider):
        squad = start(WORKFLOW)
        start(CHAT, parent=squad).stop()
        agent = start(AGENT, parent=squad)
        task = start(TASK, parent=agent)
        for kind in (CHAT, TOOL, EMBEDDINGS, RETRIEVAL):
            start(kind, parent=task).stop()
        for operation in (task, agent, squad):
            operation.stop()
    provider.shutdown()

    assert (squad.own_model_calls, squad.own_tool_calls) == (1, 0)
    assert (agent.own_model_calls, agent.own_tool_calls) == (2, 1)


# --- errors -----------------------------------------------------------------------------------------------------------


def raised(message: str = "no") -> ValueError:
    """An exception with a stack."""
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def test_a_stack_is_kept_once_where_the_error_arose(captured: Captured) -> None:
    """An error that passes through its parents has its stack in the innermost line only."""
    root = start(WORKFLOW)
    task = start(TASK, parent=root)
    tool = start(TOOL, parent=task)
    error = raised("no sk-abcdefghijklmnopqrstuvwx1234")
    for operation in (tool, task, root):
        operation.fail(error)

    found = [line.error for line in captured.closing()]
    assert [(info.type, info.message) for info in found if info] == [("ValueError", "no [redacted:openai-key]")] * 3
    stacks = [info.stacktrace for info in found if info]
    assert stacks[1:] == [None, None]
    assert stacks[0] is not None
    assert stacks[0].startswith("Traceback (most recent call last):")
    assert stacks[0].endswith("ValueError: no [redacted:openai-key]\n")
    assert "abcdefghijkl" not in stacks[0]


def test_another_error_keeps_its_own_stack(captured: Captured) -> None:
    """What fails after an error of its children was handled has a stack, even if it lies where that one lay."""
    root = start(WORKFLOW)
    for _ in range(50):
        start(TASK, parent=root).fail(raised("handled"))
    # CPython gives a freed exception's place to the next one.
    try:
        raise ValueError("its own")
    except ValueError as error:
        root.fail(error)

    info = captured.closing("invoke_workflow")[0].error
    assert info is not None
    assert info.stacktrace is not None
    assert info.stacktrace.endswith("ValueError: its own\n")


def test_the_error_stays_as_it_is(captured: Captured) -> None:
    """The exception's arguments, notes, cause, context and traceback are untouched."""
    error = raised()
    before = (error.args, error.__traceback__, error.__cause__, error.__context__, dict(error.__dict__))

    start(TASK).fail(error)

    assert (error.args, error.__traceback__, error.__cause__, error.__context__, dict(error.__dict__)) == before


def test_an_error_in_our_own_words(captured: Captured) -> None:
    """An adapter that has no exception says what happened itself."""
    info = ErrorInfo(type="tool_error", message="said the tool")
    start(TOOL).fail(info)

    assert captured.closing()[0].error is info


# --- nothing is kept --------------------------------------------------------------------------------------------------


def test_nothing_is_kept_of_an_operation_that_ended() -> None:
    """Ten thousand operations of every kind, with scopes, errors and children, leave no object behind."""
    ai_dev_squad.configure(journal=False, ledger_size=100)

    def run(rounds: int) -> list[weakref.ref[Operation]]:
        seen = []
        for number in range(rounds):
            root = start(WORKFLOW, attributes={"number": number})
            scope = context.enter(root)
            task = start(TASK, parent=root)
            call = start(CHAT, "gpt-4o", parent=task, request=operations.ModelRequest("gpt-4o", "openai"))
            call.stop()
            task.fail(raised())
            context.heal(scope)
            root.stop()
            start(TOOL).cancel()
            seen += [weakref.ref(operation) for operation in (root, task, call)]
        return seen

    run(200)
    gc.collect()
    before = len(gc.get_objects())
    seen = run(2_500)
    # The thread's context still holds the last scope, as a context keeps what was put into it.
    context.heal(context.enter(start(TASK)))
    open_operations()[0].stop()
    alive = [ref for ref in seen if ref() is not None]
    del seen

    gc.collect()
    assert alive == []
    # 10,000 operations: one object for each would show.
    assert len(gc.get_objects()) - before < 1_000
    assert open_operations() == []


def test_an_operation_that_nobody_ended_is_known(captured: Captured) -> None:
    """Open operations are listed, and abandoning them ends the innermost first."""
    root = start(WORKFLOW, "squad")
    task = start(TASK, "plan", parent=root)
    assert open_operations() == [root, task]

    assert operations.abandon_open_operations() == 2

    assert open_operations() == []
    assert [(line.name, line.status) for line in captured.closing()] == [("plan", "abandoned"), ("squad", "abandoned")]
    assert operations.abandon_open_operations() == 0


def test_a_model_call_may_outlive_the_operation_around_it(captured: Captured) -> None:
    """A call left open by its node ends with its answer; after a cancellation, or without a model, nothing stays open."""
    node = start(TASK, "node")
    request = operations.ModelRequest("gpt-4o", "openai")
    background, cancelled = (start(CHAT, name, parent=node, request=request) for name in ("background", "cancelled"))
    tool = start(TOOL, "search", parent=node)
    ended = [background.left_open("abandoned"), cancelled.left_open("cancelled"), tool.left_open("abandoned")]
    node.stop()

    assert ended == [False, True, True]
    assert open_operations() == [background]
    background.stop()
    assert [(line.name, line.status) for line in captured.closing()] == [
        ("cancelled", "cancelled"),
        ("search", "abandoned"),
        ("node", "ok"),
        ("background", "ok"),
    ]


def test_what_outlives_for_too_long_is_abandoned(captured: Captured) -> None:
    """A call that is left open for longer than the limit ends when the next run begins."""
    request = operations.ModelRequest("gpt-4o", "openai")
    call = start(CHAT, "forgotten", request=request)
    assert not call.left_open("abandoned")
    for _ in range(int(outliving.OUTLIVES_S)):  # each looks at the clock, which is a second later each time
        start(TASK, "meanwhile").stop()

    assert [(line.name, line.status) for line in captured.closing() if line.name != "meanwhile"] == [
        ("forgotten", "abandoned")
    ]


def test_a_line_tells_what_was_so_when_it_was_written(tmp_path: Path) -> None:
    """It is made by the journal's thread, later; what somebody changes in between is not in it."""
    ai_dev_squad.configure(log_dir=tmp_path)
    request = operations.ModelRequest(model="gpt-4o-mini", provider="openai")
    call = operations.start(operations.CHAT, "gpt-4o-mini", framework="my-squad", request=request)
    call.name = "another"
    call.link(Link(trace_id="1" * 32, span_id="2" * 16))
    call.name = "gpt-4o-mini"
    call.usage = Usage(input_tokens=3, output_tokens=1, source="provider")
    call.annotate({"my.key": 1})
    call.stop()
    call.usage, call.cost = None, None
    call.annotate({"my.key": 2})
    ai_dev_squad.flush()

    opening, closing = read_journal(tmp_path)
    assert (opening.name, opening.links, opening.status) == ("gpt-4o-mini", None, None)
    assert (closing.usage, closing.metadata["my.key"]) == (Usage(input_tokens=3, output_tokens=1, source="provider"), 1)
    assert closing.cost is not None
    assert closing.links == [Link(trace_id="1" * 32, span_id="2" * 16)]
