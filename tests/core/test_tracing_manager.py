"""The trace manager: who makes spans, what they say, and what ends them."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from ai_dev_squad.redaction import Redactor
from ai_dev_squad.tracing import TraceManager, register_control_flow


@pytest.fixture
def traced() -> Any:
    """A manager whose spans can be looked at: call it for the spans that ended so far."""
    memory = InMemorySpanExporter()
    manager = TraceManager("squad", use_global=False)
    manager.add_exporter(memory)

    def spans() -> dict[str, ReadableSpan]:
        assert manager.force_flush(5_000)
        return {span.name: span for span in memory.get_finished_spans()}

    spans.manager = manager
    yield spans
    manager.shutdown()
    assert trace.get_current_span() is trace.INVALID_SPAN


def told(span: ReadableSpan) -> dict[str, Any]:
    """All that a span says about how its block ended."""
    return {
        "status": span.status.status_code.name,
        "description": span.status.description,
        "attributes": dict(span.attributes or {}),
        "exceptions": [
            (event.attributes["exception.type"], event.attributes["exception.message"])
            for event in span.events
            if event.name == "exception"
        ],
    }


def test_without_a_receiver_spans_have_ids_that_nest_and_record_nothing() -> None:
    """A span nobody receives has a trace id of its own at the root, its parent's below, and is not recording."""
    manager = TraceManager("squad", use_global=False)

    with manager.trace_operation("outer") as outer, manager.trace_operation("inner") as inner:
        ids = [span.get_span_context() for span in (outer, inner)]

    assert not manager.recording
    assert [span.is_recording() for span in (outer, inner)] == [False, False]
    assert all(one.is_valid and one.trace_flags.sampled for one in ids)
    assert ids[0].trace_id == ids[1].trace_id
    assert ids[0].span_id != ids[1].span_id


def test_the_parents_sampling_decision_stands() -> None:
    """Below a remote parent that was not sampled, an identity is not sampled either, and keeps the trace state."""
    remote = trace.SpanContext(7, 8, True, trace.TraceFlags(0), trace.TraceState([("vendor", "x")]))
    parent = trace.set_span_in_context(trace.NonRecordingSpan(remote))

    own = TraceManager("squad", use_global=False).start_span("child", context=parent).get_span_context()

    assert (own.trace_id, own.trace_flags, own.trace_state.get("vendor")) == (7, 0, "x")


def test_ids_stay_unique_when_the_program_seeds_random() -> None:
    """Programs that call random.seed still get distinct trace ids, with and without a receiver."""
    manager = TraceManager("squad", use_global=False)
    seen = set()
    for _ in range(2):
        for _ in range(3):
            random.seed(42)
            seen.add(manager.start_span("x").get_span_context().trace_id)
        manager.add_exporter(InMemorySpanExporter())

    assert len(seen) == 6
    manager.shutdown()


def test_the_sdk_is_not_imported_until_somebody_receives_spans() -> None:
    """Tracing without an exporter needs the OpenTelemetry API only."""
    program = (
        "import sys\n"
        "from ai_dev_squad.tracing import TraceManager, inject\n"
        "manager = TraceManager('squad')\n"
        "with manager.trace_agent_operation('a', 'langgraph', 'run'):\n"
        "    headers = inject({})\n"
        "import json\n"
        "print(json.dumps([sorted(headers), sorted(m for m in sys.modules if m.startswith('opentelemetry.sdk'))]))\n"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert json.loads(out) == [["traceparent"], []]


def test_importing_the_package_loads_no_opentelemetry() -> None:
    """``from ai_dev_squad.tracing import trace_function`` alone imports no OpenTelemetry."""
    program = (
        "import sys\nfrom ai_dev_squad.tracing import trace_function\n"
        "@trace_function\ndef work(): pass\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry')])\n"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert out.strip() == "[]"


def test_the_guides_spans_carry_both_vocabularies(traced: Any) -> None:
    """Operation, agent and model spans have the guide's names and attributes beside the GenAI ones."""
    manager = traced.manager
    with manager.trace_operation("op", {"a": 1, "none": None, "list": ["x", 1]}):
        with manager.trace_agent_operation("planner", "langgraph", "node_execution"):
            with manager.trace_llm_interaction("gpt-4o", "openai", "planner"):
                pass

    spans = traced()
    assert {name: (span.kind, dict(span.attributes)) for name, span in spans.items()} == {
        "op": (SpanKind.INTERNAL, {"a": 1, "list": ("x", "1")}),
        "agent.node_execution": (
            SpanKind.INTERNAL,
            {
                "agent.id": "planner",
                "agent.framework": "langgraph",
                "agent.operation": "node_execution",
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "planner",
                "ai_dev_squad.framework": "langgraph",
            },
        ),
        "llm.interaction": (
            SpanKind.CLIENT,
            {
                "llm.model": "gpt-4o",
                "llm.provider": "openai",
                "agent.id": "planner",
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.provider.name": "openai",
                "gen_ai.agent.name": "planner",
            },
        ),
    }
    assert spans["llm.interaction"].parent.span_id == spans["agent.node_execution"].context.span_id
    assert spans["agent.node_execution"].parent.span_id == spans["op"].context.span_id


def test_an_exception_marks_the_span_once_and_passes_unchanged(traced: Any) -> None:
    """A failing block: ERROR with the message, error.type, one exception event, and the very same exception."""
    boom = ValueError("no such city")
    with pytest.raises(ValueError, match="no such city") as caught:
        with traced.manager.trace_operation("op"):
            raise boom

    assert caught.value is boom
    assert told(traced()["op"]) == {
        "status": "ERROR",
        "description": "no such city",
        "attributes": {"error.type": "ValueError"},
        "exceptions": [("ValueError", "no such city")],
    }


def test_an_exception_that_the_block_recorded_itself_is_not_recorded_again(traced: Any) -> None:
    """The guide records in the block and lets the exception go: still one event."""
    with pytest.raises(KeyError):
        with traced.manager.trace_operation("op") as span:
            try:
                raise KeyError("k")
            except KeyError as error:
                span.record_exception(error)
                raise

    assert told(traced()["op"])["exceptions"] == [("KeyError", "'k'")]


def test_success_leaves_the_status_unset(traced: Any) -> None:
    """A block that succeeds says nothing about its status."""
    with traced.manager.trace_operation("op"):
        pass

    assert told(traced()["op"]) == {"status": "UNSET", "description": None, "attributes": {}, "exceptions": []}


class Pause(Exception):
    """A framework's way to stop and wait for a person."""


@pytest.mark.parametrize(
    "error, status",
    [
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "closed_early"),
        (KeyboardInterrupt(), "cancelled"),
        (SystemExit(0), None),
        (Pause("wait"), "interrupted"),
    ],
)
def test_what_only_steers_ends_the_span_without_an_error(traced: Any, error: BaseException, status: str | None) -> None:
    """Cancellation, early close and declared control flow end the span, say so, and are no errors."""
    register_control_flow(Pause, "interrupted")
    with pytest.raises(type(error)):
        with traced.manager.trace_operation("op"):
            raise error

    assert told(traced()["op"]) == {
        "status": "UNSET",
        "description": None,
        "attributes": {} if status is None else {"ai_dev_squad.status": status},
        "exceptions": [],
    }


def test_an_exit_with_a_code_is_an_error(traced: Any) -> None:
    """SystemExit(3) is a failure of the block."""
    with pytest.raises(SystemExit):
        with traced.manager.trace_operation("op"):
            raise SystemExit(3)

    assert told(traced()["op"])["attributes"] == {"error.type": "SystemExit"}


class Hostile(Exception):
    """Breaks when looked at."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    @property
    def status_code(self) -> int:
        raise RuntimeError("no status")


def test_a_hostile_exception_is_still_only_the_users(traced: Any) -> None:
    """An exception whose text and properties raise passes unchanged and is recorded without its text."""
    with pytest.raises(Hostile):
        with traced.manager.trace_operation("op"):
            raise Hostile

    assert told(traced()["op"])["description"] == "<Hostile has no readable message>"


def test_redaction_reaches_every_text_that_leaves() -> None:
    """Exception text, stack trace, attributes and even the user's own attributes are redacted; structure stays."""
    memory = InMemorySpanExporter()
    manager = TraceManager("squad", use_global=False, redact=lambda text: text.replace("sk-secret", "[key]"))
    manager.add_exporter(memory)
    with pytest.raises(ValueError, match="sk-secret"):
        with manager.trace_operation("op", {"given": "sk-secret", "object": ["sk-secret"]}) as span:
            span.set_attribute("own", "sk-secret")
            span.set_attribute("number", 3)
            raise ValueError("bad key sk-secret")
    manager.shutdown()

    (span,) = memory.get_finished_spans()
    assert dict(span.attributes) == {
        "given": "[key]",
        "object": ("[key]",),
        "own": "[key]",
        "number": 3,
        "error.type": "ValueError",
    }
    assert span.status.description == "bad key [key]"
    assert "sk-secret" not in span.to_json()


def test_the_name_of_an_attribute_makes_its_text_secret() -> None:
    """In our spans, in those that the user adds to, and in events, as names do everywhere else; counts stay."""
    memory = InMemorySpanExporter()
    manager = TraceManager("squad", use_global=False, redact=Redactor().text)
    manager.add_exporter(memory)
    with manager.trace_operation("op", {"db.password": "hunter2", "max_tokens": 5, "api_keys": ["a1", "b2"]}) as span:
        span.set_attribute("http.request.header.x-api-key", ["abc"])
        span.add_event("sent", {"authorization": "Bearer abc", "size": 3})
    with manager.trace_operation("other", {"client_secret": "abc", "gen_ai.token.type": "input"}):
        pass
    manager.shutdown()

    first, second = memory.get_finished_spans()
    assert dict(first.attributes) == {
        "db.password": "[redacted:password]",
        "max_tokens": 5,
        "api_keys": ("[redacted:api-key]", "[redacted:api-key]"),
        "http.request.header.x-api-key": ("[redacted:api-key]",),
    }
    assert dict(first.events[0].attributes) == {"authorization": "[redacted:authorization]", "size": 3}
    assert dict(second.attributes) == {"client_secret": "[redacted:secret]", "gen_ai.token.type": "input"}


def test_spans_come_from_the_applications_provider() -> None:
    """With the application's provider, its resource, its receivers and its user spans share our traces."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    manager = TraceManager("squad", provider=provider)

    with manager.trace_operation("ours"):
        with provider.get_tracer("shop").start_as_current_span("theirs"):
            pass

    theirs, ours = memory.get_finished_spans()
    assert (theirs.name, theirs.parent.span_id) == ("theirs", ours.context.span_id)
    assert ours.resource.attributes["service.name"] == "shop"
    assert ours.instrumentation_scope.name == "ai_dev_squad"


def test_our_shutdown_leaves_the_applications_provider_alone() -> None:
    """After our shutdown the application's spans go on to its own receivers, and no longer to our exporter."""
    theirs, ours = InMemorySpanExporter(), InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(theirs))
    manager = TraceManager("squad", provider=provider)
    manager.add_exporter(ours)
    provider.get_tracer("shop").start_span("before").end()
    manager.shutdown()
    provider.get_tracer("shop").start_span("after").end()

    assert [span.name for span in theirs.get_finished_spans()] == ["before", "after"]
    assert [span.name for span in ours.get_finished_spans()] == ["before"]


def test_a_provider_without_processors_refuses_exporters_with_a_cure() -> None:
    """A foreign provider that takes no processors is named, with what to do."""

    class Foreign(trace.TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
            return trace.get_tracer("x")

    with pytest.raises(TypeError, match=r"Foreign takes no span processors.*use_global=False"):
        TraceManager("squad", provider=Foreign()).add_exporter("console")


GLOBAL = """
import json
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from ai_dev_squad.tracing import TraceManager
memory = InMemorySpanExporter()
"""


def run_global(body: str) -> Any:
    """Run a program of its own, because a global provider is set once in a process."""
    done = subprocess.run([sys.executable, "-c", GLOBAL + body], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_a_manager_never_sets_the_global_provider_unasked() -> None:
    """With an exporter added, the global provider is still the API's placeholder."""
    assert (
        run_global(
            "manager = TraceManager('squad')\nmanager.add_exporter(memory)\n"
            "print(json.dumps(type(trace.get_tracer_provider()).__name__))"
        )
        == "ProxyTracerProvider"
    )


def test_a_provider_that_the_application_sets_later_is_picked_up() -> None:
    """After refresh, spans come from the application's provider and still reach our exporter, once."""
    assert run_global(
        "manager = TraceManager('squad')\n"
        "manager.add_exporter(memory)\n"
        "manager.start_span('early').end()\n"
        "provider, theirs = TracerProvider(), InMemorySpanExporter()\n"
        "provider.add_span_processor(SimpleSpanProcessor(theirs))\n"
        "trace.set_tracer_provider(provider)\n"
        "manager.refresh()\n"
        "manager.start_span('late').end()\n"
        "manager.force_flush()\n"
        "print(json.dumps([[s.name for s in m.get_finished_spans()] for m in (memory, theirs)]))"
    ) == [["early", "late"], ["late"]]


def test_set_global_makes_the_guides_way_work_over_reconfiguration() -> None:
    """With set_global, processors added to the global provider receive our spans and the user's, and a second manager
    takes over from the first.
    """
    assert run_global(
        "first = TraceManager('first', set_global=True)\n"
        "tracer = trace.get_tracer('user')\n"
        "before = tracer.start_span('nobody').is_recording()\n"
        "trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(memory))\n"
        "with first.trace_operation('ours'):\n"
        "    tracer.start_span('users').end()\n"
        "second = TraceManager('second', set_global=True)\n"
        "first.shutdown()\n"
        "second_memory = InMemorySpanExporter()\n"
        "second.add_exporter(second_memory)\n"
        "tracer.start_span('afterwards').end()\n"
        "second.force_flush()\n"
        "print(json.dumps([before, isinstance(trace.get_tracer_provider(), TracerProvider)] +\n"
        "    [[(s.name, s.resource.attributes['service.name']) for s in m.get_finished_spans()]\n"
        "     for m in (memory, second_memory)]))"
    ) == [False, True, [["users", "first"], ["ours", "first"]], [["afterwards", "second"]]]


def test_a_tracer_taken_early_follows_later_configuration() -> None:
    """manager.tracer taken before an exporter was added records once one is."""
    manager = TraceManager("squad", use_global=False)
    tracer = manager.tracer
    silent = tracer.start_span("silent")
    memory = InMemorySpanExporter()
    manager.add_exporter(memory)
    with tracer.start_as_current_span("loud", attributes={"a": 1}):
        assert trace.get_current_span().is_recording()
    manager.shutdown()
    afterwards = tracer.start_span("afterwards")

    assert [silent.is_recording(), afterwards.is_recording()] == [False, False]
    assert [(span.name, dict(span.attributes)) for span in memory.get_finished_spans()] == [("loud", {"a": 1})]


def test_a_disabled_sdk_still_gives_every_span_its_own_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """With OTEL_SDK_DISABLED the journal's ids stay valid and distinct."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    manager = TraceManager("squad", use_global=False)
    manager.add_exporter(InMemorySpanExporter())
    spans = [manager.start_span("x").get_span_context() for _ in range(2)]

    assert not manager.recording
    assert all(span.is_valid for span in spans)
    assert spans[0].span_id != spans[1].span_id
    manager.shutdown()


def test_resource_attributes_name_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, version, environment and further attributes stand in the resource, beside those of the environment."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=blue,service.name=ignored")
    memory = InMemorySpanExporter()
    manager = TraceManager(
        "squad", "2.1", use_global=False, environment="production", resource_attributes={"region": "eu"}
    )
    manager.add_exporter(memory)
    manager.start_span("x").end()
    manager.shutdown()

    attributes = memory.get_finished_spans()[0].resource.attributes
    assert {key: value for key, value in attributes.items() if not key.startswith("telemetry.")} == {
        "service.name": "squad",
        "service.version": "2.1",
        "deployment.environment.name": "production",
        "region": "eu",
        "team": "blue",
        **({"service.instance.id": attributes["service.instance.id"]} if "service.instance.id" in attributes else {}),
    }


@pytest.mark.parametrize(
    "arguments, kept",
    [
        ({}, True),
        ({"sampler": "always_off"}, False),
        ({"sampler": "ALWAYS_ON"}, True),
        ({"sampler": "traceidratio", "sample_ratio": 0}, False),
        ({"sampler": "parentbased_traceidratio", "sample_ratio": 1.0}, True),
        ({"sampler": 0.0}, False),
        ({"sampler": ALWAYS_OFF}, False),
    ],
)
def test_samplers_by_name_ratio_and_object(arguments: dict[str, Any], kept: bool) -> None:
    """A sampler decides whether a span is recorded; its ids are valid either way."""
    memory = InMemorySpanExporter()
    manager = TraceManager("squad", use_global=False, **arguments)
    manager.add_exporter(memory)
    span = manager.start_span("x")
    span.end()
    manager.shutdown()

    assert span.get_span_context().is_valid
    assert len(memory.get_finished_spans()) == int(kept)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"service_name": " "}, "service_name=' ' is empty"),
        ({"sampler": "sometimes"}, "unknown sampler 'sometimes'; allowed: 'always_on'"),
        ({"sampler": "traceidratio", "sample_ratio": 7}, "ratio 7 is not between 0 and 1"),
        ({"sampler": "always_on", "sample_ratio": 0.5}, "takes no ratio"),
        ({"sampler": 0.5, "sample_ratio": 0.5}, "is a ratio already"),
        ({"sample_ratio": 0.5}, "needs sampler="),
        ({"sampler": object()}, "neither a name, a ratio nor"),
        ({"max_queue_size": 0}, "max_queue_size=0 is not a positive number"),
        ({"batch_delay_ms": -1}, "batch_delay_ms=-1 is not a positive number"),
    ],
)
def test_bad_settings_name_value_and_cure(arguments: dict[str, Any], message: str) -> None:
    """A setting that can't work is refused at once, before the SDK is needed."""
    with pytest.raises(ValueError, match=message):
        TraceManager(**{"service_name": "squad", **arguments})


def test_a_bad_batch_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_BSP_* variables are honoured, and refused by name when they are no numbers."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "many")
    with pytest.raises(ValueError, match="OTEL_BSP_MAX_QUEUE_SIZE='many' is not a positive number"):
        TraceManager("squad")


def test_leaving_a_block_in_a_foreign_context_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    """A generator finalised elsewhere ends its span without OpenTelemetry's complaint about the context."""
    import contextvars

    manager = TraceManager("squad", use_global=False)

    def body() -> Any:
        with manager.trace_operation("op"):
            yield 1

    generator = body()
    contextvars.copy_context().run(next, generator)
    generator.close()

    assert caplog.messages == []
    assert context.get_current() == {}


def test_a_failing_processor_costs_telemetry_only() -> None:
    """A span processor of the application's that raises does not reach the block."""
    from opentelemetry.sdk.trace import SpanProcessor

    from ai_dev_squad import guard

    class Broken(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            raise RuntimeError("broken")

    manager = TraceManager("squad", use_global=False)
    manager.add_span_processor(Broken())
    guard.set_strict(False)
    with manager.trace_operation("op") as span:
        reached = span.get_span_context().is_valid

    assert reached
    manager.shutdown()


def test_a_status_that_the_block_set_to_ok_stays(traced: Any) -> None:
    """OpenTelemetry lets OK win; so do we."""
    with traced.manager.trace_operation("op") as span:
        span.set_status(StatusCode.OK)

    assert told(traced()["op"])["status"] == "OK"
