"""The conversations that the dashboard's benchmarks store and send have the length that their figures are told for."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from dashboard_search import CHARACTERS, conversations
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_requests import SENT


def test_a_stored_conversation_has_14_kB_a_span() -> None:
    """The text of its calls, on the average of each run."""
    texts = [row.text or "" for row in conversations(24)]
    assert [sum(map(len, run)) / len(run) for run in (texts[:12], texts[12:])] == [CHARACTERS, CHARACTERS]


def test_a_sent_conversation_has_14_kB_of_messages_a_span() -> None:
    """What its calls were given and answered, as the JSON that is sent, to one character a call."""
    (body,) = SENT["conversations"](120, 1)
    spans = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
    sent = [
        sum(len(each.value.string_value) for each in span.attributes if each.key.endswith(".messages"))
        for span in spans
    ]
    assert [sum(sent[run : run + 12]) // 12 for run in range(0, 120, 12)] == [14_000] * 10
