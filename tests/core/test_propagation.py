"""Trace context over process boundaries: what leaves, what is believed, and what is put back."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context, trace

from ai_dev_squad.context import session, session_id_var
from ai_dev_squad.tracing import TraceManager, continue_trace, environment, extract, inject

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID, SPAN_ID = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331


def test_a_header_carries_the_current_span_without_the_sdk() -> None:
    """Injecting writes the ids of the current span, which needs no receiver."""
    with TraceManager("squad", use_global=False).trace_operation("op") as span:
        headers = inject({"x": "y"})

    ids = span.get_span_context()
    assert headers == {"x": "y", "traceparent": f"00-{ids.trace_id:032x}-{ids.span_id:016x}-01"}


def test_without_a_span_nothing_is_written() -> None:
    """No current span, no header: the receiver begins its own trace."""
    assert inject({}) == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": PARENT},
        {"Traceparent": PARENT, "Other": "x"},
        {"TRACEPARENT": PARENT},
        [("host", "h"), ("traceparent", PARENT)],
        [(b"traceparent", PARENT.encode())],
        {"traceparent": [PARENT]},
    ],
)
def test_headers_are_understood_in_every_usual_shape(headers: Any) -> None:
    """Mappings in any case, pairs, ASGI's bytes, lists of values and environments all name the sender."""
    ids = trace.get_current_span(extract(headers)).get_span_context()

    assert (ids.trace_id, ids.span_id, ids.is_remote, ids.trace_flags) == (TRACE_ID, SPAN_ID, True, 1)


def test_continuing_a_trace_puts_spans_below_the_sender_and_is_undone() -> None:
    """Inside the block our spans belong to the sender's trace; afterwards nothing is current."""
    manager = TraceManager("squad", use_global=False)
    before = context.get_current()
    with continue_trace({"traceparent": PARENT, "tracestate": "vendor=x"}) as sender:
        inside = manager.start_span("op").get_span_context()

    assert sender is not None
    assert (sender.span_id, inside.trace_id, inside.trace_state.get("vendor")) == (SPAN_ID, TRACE_ID, "x")
    assert inside.span_id != SPAN_ID
    assert context.get_current() == before


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}, {"traceparent": "00-" + "0" * 32 + "-1-01"}])
def test_headers_that_name_nobody_change_nothing(headers: dict[str, str]) -> None:
    """Missing and malformed headers leave the current span as it is."""
    with TraceManager("squad", use_global=False).trace_operation("op") as span:
        with continue_trace(headers) as sender:
            current = trace.get_current_span()

    assert (sender, current) == (None, span)


@given(st.dictionaries(st.sampled_from(["traceparent", "tracestate", "baggage", "x"]), st.text() | st.binary()))
def test_hostile_headers_never_raise_and_leave_nothing_behind(headers: dict[str, Any]) -> None:
    """Whatever a sender writes, the block runs and the context afterwards is the one before."""
    before = context.get_current()
    with continue_trace(headers, session=True):
        pass

    assert (context.get_current(), session_id_var.get()) == (before, None)


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 1))
def test_what_is_injected_is_extracted(trace_id: int, span_id: int, flags: int) -> None:
    """A round trip keeps trace id, span id and the sampling decision."""
    sent = trace.SpanContext(trace_id, span_id, False, trace.TraceFlags(flags))
    headers = inject({}, context=trace.set_span_in_context(trace.NonRecordingSpan(sent)))
    got = trace.get_current_span(extract(headers)).get_span_context()

    assert (got.trace_id, got.span_id, got.trace_flags) == (trace_id, span_id, flags)


def test_the_session_travels_only_when_asked_for() -> None:
    """The session id is baggage: neither sent nor believed unless both sides say so."""
    with session("s 1,ü;=", "c"):
        silent, told = inject({}), inject({"baggage": "a=b"}, session=True)
    with continue_trace(told):
        unasked = session_id_var.get()
    with continue_trace(told, session=True):
        asked = session_id_var.get()

    assert silent == {}
    assert told == {"baggage": "a=b,ai_dev_squad.session.id=s%201%2C%C3%BC%3B%3D"}
    assert (unasked, asked, session_id_var.get()) == (None, "s 1,ü;=", None)


def test_a_child_process_continues_the_trace() -> None:
    """environment() carries the span to a real child process, which continues it from os.environ."""
    program = (
        "import os\n"
        "from ai_dev_squad.tracing import TraceManager, continue_trace\n"
        "with continue_trace(os.environ), TraceManager('child').trace_operation('op') as span:\n"
        "    print(f'{span.get_span_context().trace_id:032x}')\n"
    )
    with TraceManager("squad", use_global=False).trace_operation("op") as span:
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
        )

    assert done.stdout.strip() == f"{span.get_span_context().trace_id:032x}"


def test_an_inherited_trace_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an outer process left in our environment is replaced by our span, or removed when there is none."""
    monkeypatch.setenv("TRACEPARENT", PARENT)
    monkeypatch.setenv("BAGGAGE", "a=b")

    assert {"TRACEPARENT", "BAGGAGE"}.isdisjoint(environment())
    assert environment({"TRACEPARENT": PARENT, "X": "1"}) == {"X": "1"}
    assert os.environ["TRACEPARENT"] == PARENT
