"""A run that continues one that waited is linked to it, once."""

from __future__ import annotations

from ai_dev_squad import operations
from ai_dev_squad.resumption import Resumptions
from ai_dev_squad.schema import Link
from ai_dev_squad_testing import capture


def run(name: str) -> operations.Operation:
    """A workflow that has begun."""
    return operations.start(operations.WORKFLOW, name, framework="tiny")


def test_the_later_run_is_linked_to_the_one_that_waited() -> None:
    """By the key that both know; a second answer finds nothing, and neither does a run that no other can be told from."""
    resumptions = Resumptions()
    with capture() as captured:
        waited, nameless = run("desk"), run("nameless")
        resumptions.interrupted(waited, "thread-1", {"ids": ["a"]})
        resumptions.interrupted(nameless, None, {}, "waits for ann")
        later, again, other = run("desk"), run("desk"), run("other")
        resumptions.resumed(later, "thread-1", {"answer": "a"})
        resumptions.resumed(again, "thread-1", {})
        resumptions.resumed(other, None, {})
        for operation in (waited, nameless, later, again, other):
            operation.stop()

    events = [(line.event_type, line.message, line.metadata) for line in captured.lines if "." in line.event_type]
    told = [event for event in events if event[0] in {"agent.interrupt", "agent.resume"}]
    assert told == [
        ("agent.interrupt", "desk waits for a person", {"ids": ["a"]}),
        ("agent.interrupt", "nameless waits for ann", {}),
        ("agent.resume", "desk resumes", {"answer": "a", "resumes_trace_id": waited.trace_id}),
        ("agent.resume", "desk resumes", {}),
        ("agent.resume", "other resumes", {}),
    ]
    assert later.links == [Link(trace_id=waited.trace_id, span_id=waited.span_id, type="resumes")]
    assert again.links is None


def test_several_runs_go_on_from_the_very_place_where_one_waited() -> None:
    """Each is linked to what waited there, also after a later wait in the same conversation; from another place it is what
    waited last (langgraph#6663).
    """
    resumptions, later = Resumptions(), [run("desk") for _ in range(6)]
    with capture():
        first, second = run("desk"), run("desk")
        resumptions.interrupted(first, "thread-1", {}, place="point-1")
        resumptions.resumed(later[0], "thread-1", {}, place="point-1")
        resumptions.resumed(later[1], "thread-1", {}, place="point-1")
        resumptions.resumed(later[2], "thread-1", {}, place="elsewhere")
        resumptions.interrupted(second, "thread-1", {}, place="point-2")
        resumptions.resumed(later[3], "thread-1", {}, place="point-1")
        resumptions.resumed(later[4], "thread-1", {}, place="changed by hand")
        resumptions.resumed(later[5], "thread-1", {}, place="point-2")
        for operation in (first, second, *later):
            operation.stop()

    continued = [None if operation.links is None else operation.links[0].span_id for operation in later]
    assert continued == [first.span_id, first.span_id, None, first.span_id, second.span_id, second.span_id]


def test_of_many_that_wait_the_oldest_are_forgotten() -> None:
    """Thousands of runs that nobody answers leave nothing behind that grows (langfuse#2974)."""
    resumptions, later = Resumptions(), []
    with capture():
        for number in range(4_097):
            waited = run("desk")
            resumptions.interrupted(waited, number, {})
            waited.stop()
        for number in (0, 1):
            later.append(run("desk"))
            resumptions.resumed(later[-1], number, {})
            later[-1].stop()

    assert [operation.links is not None for operation in later] == [False, True]
