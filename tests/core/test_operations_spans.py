"""Operations as spans: what a receiver of spans gets is what the journal says, and neither changes the other."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import ai_dev_squad
from ai_dev_squad import clock, context, operations
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
    ModelRequest,
    Operation,
)
from ai_dev_squad.schema import EventType, JournalLine, Link, Usage
from ai_dev_squad_testing import capture, fixed_ids_and_clock

KINDS = (WORKFLOW, AGENT, REMOTE_AGENT, TASK, TOOL, RETRIEVAL, CHAT, TEXT_COMPLETION, EMBEDDINGS)
REMOTE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"


def start(kind: Kind, name: str = "it", **options: Any) -> Operation:
    """An operation of a framework that exists in these tests only."""
    return operations.start(kind, name, framework="test", **options)


# --- the span can be rebuilt from the closing line --------------------------------------------------------------------

NAME_KEYS = {
    "invoke_workflow": "gen_ai.workflow.name",
    "invoke_agent": "gen_ai.agent.name",
    "task": "ai_dev_squad.task.name",
    "execute_tool": "gen_ai.tool.name",
    "retrieval": "gen_ai.data_source.id",
    "chat": "gen_ai.request.model",
    "text_completion": "gen_ai.request.model",
    "embeddings": "gen_ai.request.model",
}
USAGE_KEYS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_input_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_output_tokens": "gen_ai.usage.reasoning.output_tokens",
    "audio_input_tokens": "gen_ai.usage.audio.input_tokens",
    "audio_output_tokens": "gen_ai.usage.audio.output_tokens",
    "cache_read_audio_input_tokens": "ai_dev_squad.usage.cache_read_audio.input_tokens",
    "cache_write_1h_input_tokens": "ai_dev_squad.usage.cache_write_1h.input_tokens",
    "image_input_tokens": "gen_ai.usage.image.input_tokens",
    "image_output_tokens": "gen_ai.usage.image.output_tokens",
    "source": "ai_dev_squad.usage.source",
}


def rebuilt(closing: JournalLine, events: list[JournalLine]) -> dict[str, Any]:
    """The span that the lines of one operation tell of, by nothing but what stands in the file."""
    line = json.loads(msgspec.json.encode(closing))
    metadata, usage, cost, error = (line.get(part) or {} for part in ("metadata", "usage", "cost", "error"))
    operation = line["operation"]
    calls_somebody = operation not in {"invoke_workflow", "invoke_agent", "task", "execute_tool"}
    ended = nanoseconds(closing.timestamp)
    attributes = {
        "gen_ai.operation.name": operation,
        NAME_KEYS[operation]: line["name"],
        "ai_dev_squad.framework": line["framework"],
        "agent.framework": line["framework"],
        "agent.id": line.get("agent_id"),
        "ai_dev_squad.session.id": line.get("session_id"),
        "ai_dev_squad.correlation.id": line.get("correlation_id"),
        **({"llm.model": line["name"]} if "gen_ai.provider.name" in metadata else {}),
        "llm.provider": metadata.get("gen_ai.provider.name"),
        **metadata,
        "ai_dev_squad.status": None if line["status"] == "ok" else line["status"],
        **{USAGE_KEYS[name]: value for name, value in usage.items()},
        **{f"ai_dev_squad.cost.{name}": value for name, value in cost.items() if name != "reason"},
        "error.type": error.get("type"),
    }
    exception = {
        "exception.type": error.get("type"),
        "exception.message": error.get("message", ""),
        "exception.stacktrace": error.get("stacktrace"),
    }
    return {
        "name": f"{operation} {line['name']}",
        "kind": SpanKind.CLIENT if calls_somebody or metadata.get("ai_dev_squad.remote") else SpanKind.INTERNAL,
        "ids": (line["trace_id"], line["span_id"], line.get("parent_span_id")),
        "times": (ended - round(line["duration_ms"] * 1e6), ended),
        "attributes": as_attributes(attributes),
        "status": (StatusCode.ERROR, error.get("message") or error["type"]) if error else (StatusCode.UNSET, None),
        "events": [
            *(
                (event.event_type, nanoseconds(event.timestamp), as_attributes(event.metadata or {}))
                for event in events
            ),
            *([("exception", ended, exception)] if "stacktrace" in error else []),
        ],
        "links": [
            (link["trace_id"], link["span_id"], {"ai_dev_squad.link.type": link["type"]} if "type" in link else {})
            for link in line.get("links", ())
        ],
    }


def as_attributes(values: dict[str, Any]) -> dict[str, Any]:
    """Plain values and lists of texts as they are, structures as JSON; what is ``None`` is left out."""
    found = {}
    for key, value in values.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            found[key] = tuple(value)
        elif isinstance(value, (list, dict)):
            found[key] = msgspec.json.encode(value).decode()
        elif value is not None:
            found[key] = value
    return found


def exported(span: ReadableSpan) -> dict[str, Any]:
    """The same of a real span."""
    return {
        "name": span.name,
        "kind": span.kind,
        "ids": (
            f"{span.context.trace_id:032x}",
            f"{span.context.span_id:016x}",
            None if span.parent is None else f"{span.parent.span_id:016x}",
        ),
        "times": (span.start_time, span.end_time),
        "attributes": dict(span.attributes or {}),
        "status": (span.status.status_code, span.status.description),
        "events": [(event.name, event.timestamp, dict(event.attributes or {})) for event in span.events],
        "links": [
            (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}", dict(link.attributes or {}))
            for link in span.links
        ],
    }


def nanoseconds(moment: datetime) -> int:
    """Since 1970, exactly."""
    return (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1) * 1000


@contextmanager
def one_clock(steps: Iterator[int]) -> Iterator[None]:
    """Every look at any clock is the next of ``steps`` microseconds later, and all clocks agree."""
    passed = 0

    def look() -> int:
        nonlocal passed
        passed += next(steps)
        return passed * 1000

    began = datetime(2026, 1, 1, tzinfo=timezone.utc)
    replaced = {
        (clock, "monotonic_ns"): look,
        # The end of a span and of its operation is one moment: the clock that the line shows doesn't move on.
        (clock, "now"): lambda zone: began + timedelta(microseconds=passed),
        (clock, "wall_ns"): lambda: nanoseconds(began) + passed * 1000,
    }
    with ExitStack() as undo:
        for (module, name), stopped in replaced.items():
            undo.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, stopped)
        yield


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | numbers | texts
json_values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)
metadata = st.none() | st.dictionaries(st.sampled_from(["a", "b.c", "langgraph.step"]), json_values, max_size=3)
counts = st.none() | st.integers(0, 10**9)
usages = st.none() | st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_input_tokens=counts,
    reasoning_output_tokens=counts,
    source=st.sampled_from(["provider", "estimated", "missing"]),
)
links = st.builds(
    Link,
    trace_id=st.integers(1, 2**128 - 1).map("{:032x}".format),
    span_id=st.integers(1, 2**64 - 1).map("{:016x}".format),
    type=st.none() | st.just("resume"),
)
statuses = st.sampled_from(["ok", "error", "interrupted", "cancelled", "handoff", "closed_early", "abandoned"])
# A duration of up to a hundred days is exact to the nanosecond in a line's milliseconds.
past = st.integers(1, 30 * 86_400_000_000).map(lambda us: (1_767_225_600_000_000 - us) * 1000)
names = st.none() | st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)


@settings(max_examples=150)
@given(data=st.data(), kind=st.sampled_from(KINDS), status=statuses, below=st.booleans())
def test_the_span_can_be_rebuilt_from_the_closing_line(
    data: st.DataObject, kind: Kind, status: Any, below: bool
) -> None:
    """Name, kind, ids, times, attributes, status, events and links of the exported span are what the journal says."""
    draw = data.draw
    with (
        capture(spans=True) as captured,
        one_clock(itertools.cycle(draw(st.lists(st.integers(0, 10**9), min_size=1, max_size=5)))),
        ai_dev_squad.session(draw(names), draw(names), user_id=draw(names)),  # type: ignore[arg-type]
    ):
        root = start(WORKFLOW) if below else None
        name = draw(st.sampled_from(["gpt-4o-mini", "ein Name", "名"]))
        operation = start(
            kind,
            name,
            parent=root,
            attributes=draw(metadata),
            agent_id=draw(names),
            attempt=draw(st.none() | st.integers(1, 5)),
            links=draw(st.lists(links, max_size=2)),
            request=ModelRequest(name, "openai") if kind.is_model_call and draw(st.booleans()) else None,
            started_at_ns=draw(st.none() | past),
        )
        if kind.is_model_call:
            operation.usage = draw(usages)
        for more in draw(st.lists(metadata, max_size=2)):
            operation.event(EventType.AGENT_HANDOFF, "hands off", more)
        for link in draw(st.lists(links, max_size=2)):
            operation.link(link)
        operation.annotate(draw(metadata) or {})
        error = draw(st.sampled_from([ValueError("no"), ValueError(""), failing()])) if status == "error" else None
        operation.end_as(status, error)
        if root is not None:
            root.stop()

    own = [line for line in captured.lines if line.span_id == operation.span_id]
    span = next(span for span in captured.spans if f"{span.context.span_id:016x}" == operation.span_id)
    assert exported(span) == rebuilt(own[-1], [line for line in own if line.event_type == "agent.handoff"])


def failing() -> Exception:
    """An error with a stack, and a secret in its text."""
    try:
        raise RuntimeError("Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123456789")
    except RuntimeError as error:
        return error


# --- with and without a receiver --------------------------------------------------------------------------------------


def a_small_run() -> None:
    """Everything that operations do, with errors, events, links and a tree."""
    root = start(WORKFLOW, "squad", agent_id="squad", links=[Link(trace_id="a" * 32, span_id="b" * 16)])
    with context.attached(root):
        task = start(TASK, "plan", parent=root, attempt=2, attributes={"step": 1})
        call = start(CHAT, "gpt-4o-mini", parent=task, request=ModelRequest("gpt-4o-mini", "openai"))
        call.usage = Usage(input_tokens=10, output_tokens=2, source="provider")
        call.first_chunk()
        call.stop()
        start(TOOL, "search", parent=task, started_at_ns=1_767_225_600_000_000_000).fail(failing())
        task.event(EventType.AGENT_HANDOFF, "hands off", {"to": "coder"})
        task.hand_off()
    root.interrupt()


def test_a_receiver_of_spans_changes_nothing_in_the_journal() -> None:
    """Ids, order, times and content of the lines are the same with and without spans, and with metrics as well."""
    found = []
    for options in (
        {},
        {"spans": True},
        {"spans": True, "meter_provider": "global"},
        {"sampler": "always_off", "spans": True},
    ):
        with capture(**options) as captured, fixed_ids_and_clock():
            a_small_run()
        found.append(msgspec.json.encode(captured.lines))

    assert found[1:] == found[:1] * 3


def test_without_a_receiver_a_span_carries_the_ids() -> None:
    """``span`` is a span like any other: the program's spans and headers get the operation's ids from it."""
    with capture():
        root = start(WORKFLOW)
        with context.attached(root):
            task = start(TASK, parent=root)
        with context.attached(task):
            headers = ai_dev_squad.inject({})
        task.stop()
        root.stop()

    assert not task.span.is_recording()
    assert headers == {"traceparent": f"00-{root.trace_id}-{task.span_id}-01"}


# --- parents ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", [False, True])
@pytest.mark.parametrize("flags, state", [("01", "vendor=1,other=2"), ("00", "")])
def test_a_remote_parent_is_kept_with_its_flags_and_state(recording: bool, flags: str, state: str) -> None:
    """Below a sender's span the trace goes on: same trace and run, same sampling decision, same trace state."""
    with capture(spans=recording) as captured:
        sender = ai_dev_squad.extract({"traceparent": f"{REMOTE}-{flags}", "tracestate": state})
        root = start(WORKFLOW, context=sender)
        task = start(TASK, parent=root)
        with context.attached(task):
            headers = ai_dev_squad.inject({})
        task.stop()
        root.stop()

    _, trace_id, span_id = REMOTE.split("-")
    assert [(o.trace_id, o.parent_span_id, o.run_id) for o in (root, task)] == [
        (trace_id, span_id, trace_id),
        (trace_id, root.span_id, trace_id),
    ]
    assert headers == {
        "traceparent": f"00-{trace_id}-{task.span_id}-{flags}",
        **({"tracestate": state} if state else {}),
    }
    # Who isn't sampled isn't exported; the journal has it all the same.
    assert len(captured.spans) == (2 if recording and flags == "01" else 0)
    assert len(captured.closing()) == 2


def test_continuing_a_trace_makes_the_sender_the_parent() -> None:
    """Inside ``continue_trace`` an operation without a parent belongs to the sender's trace."""
    with capture(), ai_dev_squad.continue_trace({"traceparent": f"{REMOTE}-01"}):
        root = start(WORKFLOW)
        root.stop()

    assert f"00-{root.trace_id}-{root.parent_span_id}" == REMOTE


@pytest.mark.parametrize("recording", [False, True])
def test_a_span_of_the_programs_own_stays_in_between(recording: bool) -> None:
    """A child that starts inside the program's own span has that span as its parent, and the operation's run."""
    with capture(spans=recording) as captured:
        tracer = ai_dev_squad.get_trace_manager().tracer
        root = start(WORKFLOW)
        with context.attached(root), tracer.start_as_current_span("mine") as mine:
            own = mine.get_span_context()
            task = start(TASK, parent=root)
            task.stop()
        root.stop()

    assert (task.trace_id, task.parent_span_id, task.run_id) == (root.trace_id, f"{own.span_id:016x}", root.run_id)
    assert [span.name for span in captured.spans] == (["task it", "mine", "invoke_workflow it"] if recording else [])


@pytest.mark.parametrize("recording", [False, True])
def test_in_a_foreign_context_the_framework_knows_the_parent(recording: bool) -> None:
    """If the given parent isn't the innermost operation of this context, it's the parent all the same."""
    with capture(spans=recording):
        root, other = start(WORKFLOW), start(WORKFLOW)
        with context.attached(other):
            task = start(TASK, parent=root)

    assert (task.trace_id, task.parent_span_id) == (root.trace_id, root.span_id)


@pytest.mark.parametrize("recording", [False, True])
def test_an_explicit_context_overrules_both(recording: bool) -> None:
    """``context`` decides about the parent span; run, session and agent are the parent operation's."""
    with capture(spans=recording):
        root, other = start(WORKFLOW, agent_id="squad"), start(WORKFLOW)
        elsewhere = trace.set_span_in_context(other.span)
        with context.attached(root):
            task = start(TASK, parent=root, context=elsewhere)

    assert (task.trace_id, task.parent_span_id) == (other.trace_id, other.span_id)
    assert (task.run_id, task.agent_id) == (root.run_id, "squad")


def test_a_healed_scope_is_no_parent() -> None:
    """What starts in a context whose operation is over is a root, not its child."""
    with capture():
        root = start(WORKFLOW)
        scope = context.enter(root)
        root.stop()
        context.heal(scope)
        late = start(TASK)
        late.stop()

    assert (late.parent_span_id, late.trace_id != root.trace_id) == (None, True)


def test_a_parent_from_before_there_was_a_receiver() -> None:
    """A child that is exported below a parent that was not still has the parent's ids."""
    with capture():
        root = start(WORKFLOW)
        ai_dev_squad.get_trace_manager().add_exporter(memory := InMemorySpanExporter())
        task = start(TASK, parent=root)
        task.stop()
        root.stop()

        ai_dev_squad.flush()

    assert [exported(span)["ids"] for span in memory.get_finished_spans()] == [
        (root.trace_id, task.span_id, root.span_id)
    ]


def test_attributes_that_no_exporter_takes_become_text() -> None:
    """Structures are JSON text in the span, lists of texts stay lists, ``None`` is left out; the line has them whole."""
    attributes = {"a": {"b": [1, None]}, "c": ["x", "y"], "d": None, "e": [1, 2], "f": True, "g": 1.5}
    with capture(spans=True) as captured:
        start(TASK, attributes=attributes).stop()

    found = dict(captured.spans[0].attributes or {})
    assert {key: found.get(key) for key in attributes} == {
        "a": '{"b":[1,null]}',
        "c": ("x", "y"),
        "d": None,
        "e": "[1,2]",
        "f": True,
        "g": 1.5,
    }
    assert captured.closing()[0].metadata == attributes


@pytest.mark.parametrize("recording", [False, True])
@pytest.mark.parametrize("around", ["nothing", "the application", "the sender of a request", "an operation"])
def test_only_below_a_span_of_the_application_a_root_says_that_it_is_one(recording: bool, around: str) -> None:
    """No journal tells of that span; one of ours, or of a sender elsewhere, may be told of by a journal."""
    tracer = TracerProvider().get_tracer("the application's")
    with capture(spans=recording), ExitStack() as stack:
        if around == "the application":
            stack.enter_context(tracer.start_as_current_span("request"))
        elif around == "the sender of a request":
            stack.enter_context(ai_dev_squad.continue_trace({"traceparent": f"{REMOTE}-01"}))
        elif around == "an operation":
            outer = start(WORKFLOW)
            stack.callback(outer.stop)
            stack.enter_context(context.attached(outer))
        run = start(WORKFLOW, parent=outer if around == "an operation" else None)
        run.stop()

    expected = {"ai_dev_squad.local_root": True} if around == "the application" else None
    assert (run.attributes, run.parent_span_id is None) == (expected, around == "nothing")
