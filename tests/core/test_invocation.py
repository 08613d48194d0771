"""The open call of a framework: where it is current, what it belongs to, how it ends, and what ends with it."""

import asyncio
import threading
from contextvars import copy_context

import pytest
from opentelemetry import context as otel_context

from ai_dev_squad import current_operation, operations
from ai_dev_squad.invocation import Invocation
from ai_dev_squad.operations import AGENT, CHAT, TASK, TOOL, WORKFLOW, ModelRequest
from ai_dev_squad.schema import ErrorInfo, Usage
from ai_dev_squad.steps import observed_stream
from ai_dev_squad_testing import capture

REQUEST = ModelRequest(model="gpt-4o-mini", provider="openai")


@pytest.fixture
def captured():
    """What is written while a test runs."""
    with capture() as lines:
        yield lines


class Call(Invocation, framework="my-squad"):
    """A call of a framework of the tests' own."""


class Other(Invocation, framework="another"):
    """A call of another framework."""


def begin(kind=TASK, name="work", *, parent=None, cls=Call, made_current=True, **more):
    """Begin a call as an adapter does."""
    call = cls(parent)
    above = None if parent is None else parent.enclosing_operation()
    if kind is CHAT:
        more = {"request": REQUEST, **more}
    call.begin(operations.start(kind, name, framework=cls.framework, parent=above, **more))
    if made_current:
        call.make_current()
    if parent is not None and not parent.ended:
        parent.hold(call)
    return call


def ends(captured):
    """What has ended, in order: its name, its status, and whether it was late."""
    return [
        (line.name, line.status, (line.metadata or {}).get("ai_dev_squad.late", False)) for line in captured.closing()
    ]


def test_a_call_is_current_until_its_end(captured):
    """The current operation and the framework's current call are this one, and the context is what it was after."""
    before = otel_context.get_current()
    call = begin()

    assert (Call.current(), Call.last(), current_operation()) == (call, call, call.operation)
    assert call.end()
    assert (Call.current(), Call.last(), current_operation()) == (None, None, None)
    assert otel_context.get_current() is before


def test_a_call_ends_once(captured):
    """The first end counts; the others are told so and change nothing."""
    call = begin()

    assert [call.end(), call.end(ValueError("too late")), call.end()] == [True, False, False]
    assert ends(captured) == [("work", "ok", False)]


@pytest.mark.parametrize(
    "status, error, ended",
    [
        ("ok", None, ("ok", None)),
        ("interrupted", None, ("interrupted", None)),
        ("ok", ValueError("bad"), ("error", "ValueError")),
        ("interrupted", ErrorInfo(type="own"), ("error", "own")),
        ("ok", asyncio.CancelledError(), ("cancelled", None)),
        ("ok", GeneratorExit(), ("closed_early", None)),
    ],
)
def test_how_a_call_ends(captured, status, error, ended):
    """By the exception that leaves it, else as its status says; what only steers is no error."""
    call = begin()
    call.status = status
    call.end(error)

    (line,) = captured.closing()
    assert (line.status, line.error and line.error.type) == ended


def test_an_error_without_an_exception(captured):
    """A framework may turn an error into an answer; the call failed all the same, for the reason it keeps."""
    call = begin()
    call.status, call.error = "error", ErrorInfo(type="tool_error")
    call.end()

    (line,) = captured.closing()
    assert (line.status, line.error.type) == ("error", "tool_error")


def test_frameworks_do_not_meet(captured):
    """A call of one framework within one of another finds its own, and its operation belongs to what is around it."""
    outer = begin(name="outer")
    inner = begin(name="inner", cls=Other)

    assert (Call.current(), Other.current(), current_operation()) == (outer, inner, inner.operation)
    assert inner.operation.parent_span_id == outer.operation.span_id
    inner.end()
    outer.end()


def test_an_end_in_another_context_heals_the_first(captured):
    """The end of a model call is often told in a copy of the context: what was current around it is current again."""
    node = begin()
    call = begin(CHAT, "gpt-4o-mini", parent=node)
    copy_context().run(call.end)

    assert (Call.current(), Call.cause(), current_operation()) == (node, node, node.operation)
    node.end()


def test_a_span_of_the_users_own_stays_current(captured):
    """What was put into the context since is left there, whoever ends in between."""
    call = begin()
    otel_context.attach(otel_context.set_value("users", 1))
    call.end()

    assert otel_context.get_value("users") == 1


def test_what_is_open_below_ends_with_it(captured):
    """Innermost first, as abandoned: nobody will tell of it any more."""
    agent = begin(AGENT, "planner")
    task = begin(TASK, "plan", parent=agent)
    begin(TOOL, "search", parent=task)
    agent.sweep("ok")
    agent.end()

    assert ends(captured) == [("search", "abandoned", False), ("plan", "abandoned", False), ("planner", "ok", False)]


@pytest.mark.parametrize("status", ["cancelled", "closed_early"])
def test_what_is_told_to_stop_stops_all_below(captured, status):
    """Model calls too."""
    agent = begin(AGENT, "planner")
    begin(CHAT, "gpt-4o-mini", parent=agent)
    agent.sweep(status)
    agent.status = status
    agent.end()

    assert ends(captured) == [("gpt-4o-mini", status, False), ("planner", status, False)]


def test_a_model_call_may_outlive_what_it_was_made_in(captured):
    """The one around it went well: it stays open, keeps its agent, can still be found, and ends with its answer."""
    agent = begin(AGENT, "planner", agent_id="planner")
    call = begin(CHAT, "gpt-4o-mini", parent=agent)
    agent.sweep("ok")
    agent.end()

    assert (call.ended, Call.outliving()) == (False, [call])
    call.operation.usage = Usage(input_tokens=1_000, output_tokens=200, source="provider")
    call.end()

    assert ends(captured) == [("planner", "ok", False), ("gpt-4o-mini", "ok", True)]
    line = captured.closing("chat")[0]
    assert (line.agent_id, line.usage.input_tokens, line.usage.output_tokens) == ("planner", 1_000, 200)
    assert line.parent_span_id == agent.operation.span_id
    assert Call.outliving() == []


def test_a_model_call_does_not_outlive_what_failed(captured):
    """Siblings of a call that failed are told nothing by most frameworks."""
    agent = begin(AGENT, "planner")
    begin(CHAT, "gpt-4o-mini", parent=agent)
    agent.sweep("error")
    agent.end(ValueError("bad"))

    assert ends(captured) == [("gpt-4o-mini", "abandoned", False), ("planner", "error", False)]


def test_what_is_open_below_a_call_that_ends_alone_is_held_above(captured):
    """Without a sweep it goes on, and ends with the next that is open above."""
    crew = begin(TASK, "crew")
    agent = begin(AGENT, "planner", parent=crew)
    saving = begin(TASK, "save", parent=agent, made_current=False)
    agent.end()

    assert not saving.ended
    crew.sweep("ok")
    crew.end()
    assert ends(captured) == [("planner", "ok", False), ("save", "abandoned", True), ("crew", "ok", False)]


@pytest.mark.parametrize("status", ["ok", "error"])
def test_what_tells_its_end_goes_on_after_what_went_well(captured, status):
    """It keeps what is open below it, and both end as they end; what failed has nothing left at work."""
    team = begin(AGENT, "planner")
    run = begin(WORKFLOW, "review", parent=team, made_current=False)
    run.tells_its_end = True
    tool = begin(TOOL, "look_up", parent=run, made_current=False)
    team.sweep(status)
    team.end(None if status == "ok" else ValueError("bad"))
    tool.end()
    run.end()

    went_well = [("planner", "ok", False), ("look_up", "ok", False), ("review", "ok", True)]
    failed = [("look_up", "abandoned", False), ("review", "abandoned", False), ("planner", "error", False)]
    assert ends(captured) == (went_well if status == "ok" else failed)
    assert Call.outliving() == []


def test_a_thread_that_outlives_its_call_belongs_to_it(captured):
    """What begins there after the end belongs to the call whose context it copied, with its agent, and is late."""
    agent = begin(AGENT, "planner", agent_id="planner")
    task = begin(TASK, "plan", parent=agent)
    copied = copy_context()
    task.end()
    agent.end()

    def work():
        for name in ("first", "second"):
            begin(TOOL, name, parent=Call.cause()).end()

    thread = threading.Thread(target=copied.run, args=(work,))
    thread.start()
    thread.join()

    assert Call.cause() is None
    assert ends(captured)[2:] == [("first", "ok", True), ("second", "ok", True)]
    assert {(line.agent_id, line.trace_id, line.parent_span_id) for line in captured.closing("execute_tool")} == {
        ("planner", agent.operation.trace_id, task.operation.span_id)
    }


def test_a_wrapped_generator_is_current_in_its_steps(captured):
    """Inside, it is the current operation; between two items the consumer's context is as it was."""

    def body():
        yield current_operation().name
        yield current_operation().name

    def open_call(args, kwargs):
        return begin(made_current=False)

    stream = observed_stream(body, open_call)()

    assert [(item, current_operation()) for item in stream] == [("work", None)] * 2
    assert ends(captured) == [("work", "ok", False)]


def test_a_wrapped_call_looks_at_its_result(captured):
    """``take`` is given what is yielded and what is returned; a failure of it doesn't keep the call from its end."""
    taken = []

    class Looking(Call):
        def take(self, item):
            taken.append(item)

    def body():
        yield 1
        return 2

    assert list(observed_stream(body, lambda *_: begin(cls=Looking, made_current=False))()) == [1]
    assert taken == [1, 2]
    assert ends(captured) == [("work", "ok", False)]


def test_a_stream_may_go_on_after_the_end_of_its_call(captured):
    """What ended it from outside leaves the steps that follow where their consumer is."""
    call, seen = begin(made_current=False), []

    def words():
        for word in ("one", "two"):
            seen.append(current_operation())
            yield word

    stream = observed_stream(words, lambda *_: call)()
    next(stream)
    call.end()

    assert (list(stream), seen) == (["two"], [call.operation, None])
    assert otel_context.get_current() is not None
