"""Every setting: where its value comes from, and what is said of a bad one."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import ai_dev_squad
from ai_dev_squad import LogLevel, Settings, guard, runtime

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}

# setting: (an argument, what it becomes; a text in a variable, what it becomes), all other than the default
VALUES: dict[str, tuple[Any, Any, str, Any]] = {
    "enabled": (False, False, "off", False),
    "wire": (False, False, "off", False),
    "count_unobserved": (True, True, "on", True),
    "log_dir": (Path("a/b"), "a/b", "c", "c"),
    "journal": (False, False, "0", False),
    "log_level": ("warning", "WARNING", "info", "INFO"),
    "console": (True, True, "1", True),
    "queue_size": (10, 10, "20", 20),
    "on_full": ("block", "block", "BLOCK", "block"),
    "fsync": (True, True, "yes", True),
    "max_bytes": (0, 0, "1000000", 1_000_000),
    "max_age_s": (60, 60.0, "3600", 3600.0),
    "keep_files": (0, 0, "3", 3),
    "compress": (False, False, "no", False),
    "service_name": ("mine", "mine", "yours", "yours"),
    "service_version": ("2.1", "2.1", "3", "3"),
    "environment": ("staging", "staging", "production", "production"),
    "exporter": ("console", "console", "Jaeger", "jaeger"),
    "endpoint": ("http://localhost:4318", "http://localhost:4318", "http://collector:4317", "http://collector:4317"),
    "protocol": ("grpc", "grpc", "http/protobuf", "http/protobuf"),
    "headers": ({"a": "b"}, {"a": "b"}, "", None),
    "sampler": (0.25, 0.25, "always_off", "always_off"),
    "resource_attributes": ({"team": "x"}, {"team": "x"}, "", None),
    "set_global": (True, True, "true", True),
    "instrument_requests": (True, True, "On", True),
    "export_timeout_s": (0, 0.0, "0.5", 0.5),
    "meter_provider": ("global", "global", "", None),
    "legacy_metrics": (True, True, "on", True),
    "genai_events": (True, True, "true", True),
    "prometheus": (True, True, "1", True),
    "ledger_size": (1, 1, "500", 500),
    "budget_file": ("b.json", "b.json", "c.json", "c.json"),
    "budget_store": ("shared", "shared", "redis://h", "redis://h"),
    "budget_store_away": ("refuse", "refuse", "Refuse", "refuse"),
    "budget_store_timeout_s": (1, 1.0, "0.5", 0.5),
    "budget_lease_s": (60, 60.0, "10", 10.0),
    "prices_file": ("p.json", "p.json", "q.json", "q.json"),
    "on_loop": ("stop", "stop", "OFF", "off"),
    "loop_limit": (3, 3, "10", 10),
    "capture_content": (True, True, "true", True),
    "redact_patterns": ([r"\d+"], (r"\d+",), "", None),
    "redact_emails": (True, True, "1", True),
    "redact_cards": (True, True, "1", True),
    "drop_keys": (["a", "b_*"], ("a", "b_*"), " a, b_* ,", ("a", "b_*")),
    "max_content_chars": (100, 100, "64", 64),
    "max_messages": (2, 2, "500", 500),
    "shutdown_timeout_s": (0.5, 0.5, "1", 1.0),
    "handle_sigterm": (False, False, "false", False),
}


def test_every_setting_is_tested_here() -> None:
    """A new setting needs a line in the table above, a meaning, and a default that it is checked against."""
    assert list(VALUES) == list(FIELDS)
    assert [name for name, field in FIELDS.items() if not field.metadata["meaning"].endswith(".")] == []


@pytest.mark.parametrize("name", VALUES)
def test_the_argument_wins_over_the_environment_over_the_default(name: str) -> None:
    """Each setting and each of its variables works, in this order; the first variable that is set counts."""
    argument, resolved, text, from_environment = VALUES[name]
    default = getattr(Settings(), name)
    variables = FIELDS[name].metadata["env"]

    assert getattr(Settings.resolve({}, {}), name) == default != resolved
    assert getattr(Settings.resolve({name: argument}, dict.fromkeys(variables, text)), name) == resolved
    assert getattr(Settings.resolve({name: None}, dict.fromkeys(variables, "")), name) == default
    for number, variable in enumerate(variables):
        later = dict.fromkeys(variables[number + 1 :], "anything")
        assert getattr(Settings.resolve({}, {variable: text, **later}), name) == from_environment != default
    assert bool(variables) == bool(text)


def test_types_are_those_of_the_fields() -> None:
    """What comes out of a variable has the type that an argument has."""
    for name, (argument, _, text, _) in VALUES.items():
        if text:
            variable = FIELDS[name].metadata["env"][0]
            given, read = Settings.resolve({name: argument}, {}), Settings.resolve({}, {variable: text})
            if name != "sampler":
                assert type(getattr(given, name)) is type(getattr(read, name)), name


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("enabled", "maybe", "enabled='maybe' is neither true nor false; write 'true' or 'false'"),
        ("journal", 2, "journal=2 is neither true nor false; write 'true' or 'false'"),
        ("log_dir", "", "log_dir='' is not text; write a string that is not empty, or leave it out"),
        ("log_dir", 5, "log_dir=5 is not text; write a string that is not empty, or leave it out"),
        (
            "log_level",
            "loud",
            "log_level='loud' is not allowed; use one of 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'",
        ),
        ("queue_size", 0, "queue_size=0 is too small; use 1 or more"),
        ("queue_size", "many", "queue_size='many' is not a whole number; write it like queue_size=10"),
        ("queue_size", 1.5, "queue_size=1.5 is not a whole number; write it like queue_size=10"),
        ("queue_size", True, "queue_size=True is not a whole number; write it like queue_size=10"),
        ("queue_size", float("inf"), "queue_size=inf is not a whole number; write it like queue_size=10"),
        ("on_full", "wait", "on_full='wait' is not allowed; use one of 'drop', 'block'"),
        ("max_bytes", -1, "max_bytes=-1 is too small; use 0 or more"),
        ("max_age_s", "a day", "max_age_s='a day' is not a number; write it like max_age_s=2.5"),
        ("keep_files", [], "keep_files=[] is not a whole number; write it like keep_files=10"),
        ("export_timeout_s", float("nan"), "export_timeout_s=nan is not a number; write it like export_timeout_s=2.5"),
        ("shutdown_timeout_s", float("inf"), "shutdown_timeout_s=inf is not a number; write it like shutdown_timeout_s=2.5"),
        ("shutdown_timeout_s", -0.1, "shutdown_timeout_s=-0.1 is too small; use 0 or more"),
        ("exporter", "zipkin", "exporter='zipkin' is not allowed; use one of 'otlp', 'console', 'jaeger', 'none'"),
        ("protocol", "http", "protocol='http' is not allowed; use one of 'grpc', 'http/protobuf'"),
        ("headers", "a=b", "headers='a=b' is no dictionary with text keys; write it like {'name': 'value'}"),
        ("resource_attributes", {1: 2}, "resource_attributes={1: 2} is no dictionary with text keys; write it like {'name': 'value'}"),
        ("redact_patterns", "abc", r"redact_patterns='abc' is no list; write it like redact_patterns=[r'\bCUST-[0-9]{8}\b']"),
        ("drop_keys", 5, "drop_keys=5 is no list of strings; write it like ['password', 'api_*']"),
        ("drop_keys", ["a", 5], "drop_keys=['a', 5] is no list of strings; write it like ['password', 'api_*']"),
        ("max_content_chars", 1, "max_content_chars=1 is too small; use 64 or more"),
        ("ledger_size", 0, "ledger_size=0 is too small; use 1 or more"),
    ],
)  # fmt: skip
def test_a_bad_value_names_itself_what_is_allowed_and_the_cure(name: str, value: Any, message: str) -> None:
    """The same for arguments and, where the value can be written there, for variables, which are named instead."""
    with pytest.raises(ValueError, match=exactly(message)):
        Settings.resolve({name: value}, {})

    if isinstance(value, str) and value and FIELDS[name].metadata["env"]:
        variable = FIELDS[name].metadata["env"][0]
        with pytest.raises(ValueError, match=exactly(message.replace(f"{name}=", f"{variable}="))):
            Settings.resolve({}, {variable: value})


def exactly(text: str) -> str:
    """A pattern for this text and no other."""
    return rf"\A{re.escape(text)}\Z"


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    """A typing error in a name is a ``TypeError`` that lists what there is."""
    message = f"unknown setting 'log_dri', 'servicename'; allowed: {', '.join(sorted(FIELDS))}"

    with pytest.raises(TypeError, match=exactly(message)):
        ai_dev_squad.configure(servicename="x", log_dri="y")


def test_what_only_looks_like_a_number_is_one() -> None:
    """Whole floats are whole numbers, and blanks around a number in a variable do no harm."""
    assert Settings.resolve({"queue_size": 1e3}, {"AI_DEV_SQUAD_KEEP_FILES": " 3 "}).queue_size == 1000
    assert Settings.resolve({}, {"AI_DEV_SQUAD_KEEP_FILES": " 3 "}).keep_files == 3


def test_a_level_may_be_the_enumerations_member() -> None:
    """``LogLevel.ERROR`` and ``"error"`` are the same."""
    assert Settings.resolve({"log_level": LogLevel.ERROR}, {}).log_level == "ERROR"


def test_patterns_may_have_names() -> None:
    """A mapping from kind to expression goes to the redactor as it is."""
    ai_dev_squad.configure(journal=False, redact_patterns={"customer-id": r"CUST-\d+"})

    assert runtime.pipeline().redactor.text("CUST-12") == "[redacted:customer-id]"


# --- OTEL_* variables: they speak to every program --------------------------------------------------------------------


@contextmanager
def lenient() -> Iterator[None]:
    """As in production: failures are reported, not raised."""
    before = guard.set_strict(False)
    try:
        yield
    finally:
        guard.set_strict(before)


@pytest.mark.parametrize(
    "variable, value",
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_EXPORTER", "otlp,console"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER", "parentbased_nobody"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "sometimes"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "not an endpoint"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_TRACES_SAMPLER_ARG", "half"),
    ],
)
def test_a_value_that_we_do_not_understand_is_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str, value: str
) -> None:
    """It is said once in the log, and everything else is as without it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    if variable == "OTEL_TRACES_SAMPLER_ARG":
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv(variable, value)
    with lenient():
        ai_dev_squad.configure(journal=False, export_timeout_s=0)
        with ai_dev_squad.get_trace_manager().trace_operation("it"):
            pass
        ai_dev_squad.shutdown(0)

    ours = [record.getMessage() for record in caplog.records if record.name == "ai_dev_squad"]
    about = [message for message in ours if "spans do not reach" not in message]
    assert len(about) == 1
    assert value in about[0]


def test_an_endpoint_that_was_set_for_others_needs_no_package_of_ours(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """``OTEL_EXPORTER_OTLP_ENDPOINT`` without the OTLP extra is reported; asked of us, it is an error with the line to install."""
    for protocol in ("grpc", "http"):
        monkeypatch.setitem(sys.modules, f"opentelemetry.exporter.otlp.proto.{protocol}.trace_exporter", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    with lenient():
        ai_dev_squad.configure(journal=False)
    assert not ai_dev_squad.get_trace_manager().recording
    (message,) = caplog.messages
    assert "pip install" in message

    with pytest.raises(ImportError, match="pip install"):
        ai_dev_squad.configure(exporter="otlp")
    monkeypatch.setenv("AI_DEV_SQUAD_ENDPOINT", "http://localhost:4318")
    with pytest.raises(ImportError, match="pip install"):
        ai_dev_squad.configure(service_name="other")


@pytest.mark.parametrize(
    "value, captured",
    [("true", True), ("false", False), ("span_only", True), ("EVENT_ONLY", True), ("span_and_event", True), ("no_content", False)],
)  # fmt: skip
def test_the_conventions_words_for_content(value: str, captured: bool) -> None:
    """OpenTelemetry's modes of content capture are understood, in its variable only."""
    variable = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

    assert Settings.resolve({}, {variable: value}).capture_content is captured
    if value not in {"true", "false"}:
        with pytest.raises(ValueError, match="neither true nor false"):
            Settings.resolve({"journal": value}, {})


@pytest.mark.parametrize(
    "environment, exporter",
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x:4318"}, "otlp"),
        ({"AI_DEV_SQUAD_ENDPOINT": "http://x:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318", "OTEL_TRACES_EXPORTER": "none"}, "none"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318", "AI_DEV_SQUAD_EXPORTER": "console"}, "console"),
    ],
)
def test_an_endpoint_means_that_an_exporter_is_wanted(environment: dict[str, str], exporter: str | None) -> None:
    """Naming an endpoint is enough; naming an exporter, or none, decides."""
    assert Settings.resolve({}, environment).exporter == exporter


# --- the guide's variables, in a program ------------------------------------------------------------------------------


def test_the_guides_variables_work_end_to_end(receiver: Any) -> None:
    """Level, directory, environment and endpoint reach the journal and the collector of an unchanged program."""
    program = """
import ai_dev_squad
from ai_dev_squad import operations

ai_dev_squad.get_logger().log_task_start("plan", "plan", "planner", "test")
ai_dev_squad.get_logger().log_task_error("plan", "plan", "planner", "test", "no idea")
operations.start(operations.TASK, "it", framework="test").stop()
assert ai_dev_squad.flush(10)
"""
    environment = {
        **os.environ,
        "AI_DEV_SQUAD_LOG_LEVEL": "ERROR",
        "AI_DEV_SQUAD_LOG_DIR": "elsewhere",
        "AI_DEV_SQUAD_ENVIRONMENT": "production",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines = [json.loads(line) for line in Path("elsewhere/ai_dev_squad.jsonl").read_text("utf-8").splitlines()]
    assert [(line["level"], line["event_type"]) for line in lines] == [("ERROR", "task.fail")]
    assert not Path("logs").exists()
    assert receiver.spans() == ["task it"]
    ((_, _, request),) = receiver.requests
    resource = {item.key: item.value.string_value for item in request.resource_spans[0].resource.attributes}
    assert resource["deployment.environment.name"] == "production"


@pytest.mark.parametrize(
    "arguments, environment, expected",
    [
        ({}, {}, ("ai-dev-squad", "1.0.0", None)),
        (
            {},
            {
                "OTEL_RESOURCE_ATTRIBUTES": "service.name=my%20shop, service.version = 9.9,deployment.environment=test",
            },
            ("my shop", "9.9", "test"),
        ),
        (
            {"service_version": "3"},
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop,service.version=9.9", "OTEL_SERVICE_NAME": "till"},
            ("till", "3", None),
        ),
        (
            {"resource_attributes": {"service.name": "given", "deployment.environment.name": "production"}},
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop,service.version=9.9"},
            ("given", "9.9", "production"),
        ),
        ({}, {"OTEL_RESOURCE_ATTRIBUTES": "nonsense,=x,service.name="}, ("ai-dev-squad", "1.0.0", None)),
    ],
)
def test_what_the_resource_says_of_the_service_is_stronger_than_a_default(
    arguments: dict[str, Any], environment: dict[str, str], expected: tuple[str, str, str | None]
) -> None:
    """Name, version and environment: an argument wins, then our variables, then the resource's attributes."""
    settings = Settings.resolve(arguments, environment)
    assert (settings.service_name, settings.service_version, settings.environment) == expected


_APPLICATION = """
import sys
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import ai_dev_squad
from ai_dev_squad import operations

def own_exporter():
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))

provider = TracerProvider()
trace.set_tracer_provider(provider)
{steps}
with trace.get_tracer("app").start_as_current_span("its own"):
    operations.start(operations.TASK, "ours", framework="test").stop()
assert ai_dev_squad.flush(10)
ai_dev_squad.shutdown()
provider.shutdown()
"""


@pytest.mark.parametrize(
    "steps, environment, times",
    [
        pytest.param("ai_dev_squad.configure(); own_exporter()", {}, 1, id="it exports"),
        pytest.param("own_exporter(); ai_dev_squad.configure()", {}, 1, id="it exported before"),
        pytest.param("", {}, 1, id="it does not export"),
        pytest.param("own_exporter()", {"AI_DEV_SQUAD_EXPORTER": "otlp"}, 2, id="we are asked as well"),
    ],
)
def test_an_application_that_exports_gets_every_span_once(
    receiver: Any, steps: str, environment: dict[str, str], times: int
) -> None:
    """OTEL_* variables are everybody's: where the application sends its spans by them, ours are among those already."""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    environment = {**os.environ, **endpoint, **environment}
    program = _APPLICATION.format(steps=steps)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    spans = [
        span.name
        for _, _, request in receiver.requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert sorted(spans) == sorted(["its own", "task ours"] * times)
