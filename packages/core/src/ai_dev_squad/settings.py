"""Every setting in one place: its meaning, its default, the environment variable that sets it.

Order: an argument of ``configure``, then the environment, then the default. Bad values raise ``ValueError`` with the
setting's name, the value, what is allowed and the cure.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ai_dev_squad import attributes as keys
from ai_dev_squad.environment import as_type, first_given
from ai_dev_squad.guard import report
from ai_dev_squad.schema import LogLevel

__all__ = ["Settings", "asks_for_exporter"]

# Values of OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT, besides true and false.
_CONTENT_MODES = {"no_content": False, "span_only": True, "event_only": True, "span_and_event": True}
_OTLP_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


# What the attributes of a resource say of the service, where no setting does.
_RESOURCE_NAMES = {
    "service_name": (keys.SERVICE_NAME,),
    "service_version": (keys.SERVICE_VERSION,),
    "environment": (keys.DEPLOYMENT_ENVIRONMENT, "deployment.environment"),
}


def _setting(default: Any, part: str, env: str | tuple[str, ...], meaning: str, **more: Any) -> Any:
    names = (env,) if isinstance(env, str) else env
    metadata = {"part": part, "env": names, "meaning": meaning, **more}
    if isinstance(default, (dict, list)):
        return field(default_factory=type(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the product behaves. Made by ``Settings.resolve``; ``configure`` takes the same names as arguments."""

    enabled: bool = _setting(
        True,
        "all",
        "AI_DEV_SQUAD_ENABLED",
        "Off: nothing is written or exported, and `observe` returns what it was given.",
    )
    wire: bool = _setting(
        True,
        "wire",
        "AI_DEV_SQUAD_WIRE",
        "See model calls where they leave the process: tokens as the provider reports them, and calls that no framework "
        "announces.",
    )
    count_unobserved: bool = _setting(
        False,
        "wire",
        "AI_DEV_SQUAD_COUNT_UNOBSERVED",
        "Also count, price and budget model calls that belong to no observed run.",
    )
    # Journal and logging
    log_dir: str = _setting("logs", "logging", "AI_DEV_SQUAD_LOG_DIR", "Where the journal is written.")
    journal: bool = _setting(True, "logging", "AI_DEV_SQUAD_JOURNAL", "Write the journal file.")
    log_level: str = _setting(
        "DEBUG",
        "logging",
        "AI_DEV_SQUAD_LOG_LEVEL",
        "Events below this level are not logged.",
        allowed=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    )
    console: bool = _setting(False, "logging", "AI_DEV_SQUAD_CONSOLE", "Also print events for people, on stderr.")
    queue_size: int = _setting(
        65_536, "logging", "AI_DEV_SQUAD_QUEUE_SIZE", "Lines that may wait to be written.", minimum=1
    )
    on_full: str = _setting(
        "drop",
        "logging",
        "AI_DEV_SQUAD_ON_FULL",
        "When the queue is full: drop the line and count it, or block the caller.",
        allowed=("drop", "block"),
    )
    fsync: bool = _setting(False, "logging", "AI_DEV_SQUAD_FSYNC", "Force every batch through to the disk.")
    max_bytes: int = _setting(
        64 * 1024 * 1024, "logging", "AI_DEV_SQUAD_MAX_BYTES", "Rotate the journal at this size; 0 never.", minimum=0
    )
    max_age_s: float = _setting(
        0.0, "logging", "AI_DEV_SQUAD_MAX_AGE_S", "Rotate the journal at this age in seconds; 0 never.", minimum=0
    )
    keep_files: int = _setting(10, "logging", "AI_DEV_SQUAD_KEEP_FILES", "How many rotated files are kept.", minimum=0)
    compress: bool = _setting(True, "logging", "AI_DEV_SQUAD_COMPRESS", "Compress rotated files with gzip.")
    # Tracing
    service_name: str = _setting(
        "ai-dev-squad", "tracing", ("AI_DEV_SQUAD_SERVICE_NAME", "OTEL_SERVICE_NAME"), "The name of your service."
    )
    service_version: str = _setting("1.0.0", "tracing", "AI_DEV_SQUAD_SERVICE_VERSION", "Its version.")
    environment: str | None = _setting(
        None, "tracing", "AI_DEV_SQUAD_ENVIRONMENT", "Its environment, such as production."
    )
    exporter: Any = _setting(
        None,
        "tracing",
        ("AI_DEV_SQUAD_EXPORTER", "OTEL_TRACES_EXPORTER"),
        "Where spans go: a name, or an OpenTelemetry exporter. Unset: nowhere, unless an endpoint is set.",
        allowed=("otlp", "console", "jaeger", "none"),
    )
    endpoint: str | None = _setting(
        None, "tracing", "AI_DEV_SQUAD_ENDPOINT", "The OTLP endpoint; unset: that of OTEL_EXPORTER_OTLP_ENDPOINT."
    )
    protocol: str | None = _setting(
        None,
        "tracing",
        "AI_DEV_SQUAD_PROTOCOL",
        "The OTLP protocol; unset: that of OTEL_EXPORTER_OTLP_PROTOCOL, else told from the endpoint's port.",
        allowed=("grpc", "http/protobuf"),
    )
    headers: dict[str, str] = _setting({}, "tracing", (), "Headers for the OTLP endpoint.")
    sampler: Any = _setting(
        None,
        "tracing",
        "OTEL_TRACES_SAMPLER",
        "An OpenTelemetry sampler, its name, or the share of traces to keep.",
        allowed=(
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ),
    )
    resource_attributes: dict[str, Any] = _setting({}, "tracing", (), "Further attributes of your service.")
    set_global: bool = _setting(
        False, "tracing", "AI_DEV_SQUAD_SET_GLOBAL", "Make our tracer provider the process's own, if it has none."
    )
    instrument_requests: bool = _setting(
        False, "tracing", "AI_DEV_SQUAD_INSTRUMENT_REQUESTS", "Trace calls made with the requests library."
    )
    export_timeout_s: float = _setting(
        2.0,
        "tracing",
        "AI_DEV_SQUAD_EXPORT_TIMEOUT_S",
        "How long a dead endpoint may hold up a flush or the exit.",
        minimum=0,
    )
    meter_provider: Any = _setting(
        None, "metrics", (), "Record GenAI metrics here: a MeterProvider, or 'global' for the application's own."
    )
    legacy_metrics: bool = _setting(
        False,
        "metrics",
        "AI_DEV_SQUAD_LEGACY_METRICS",
        "Also record gen_ai.client.token.usage and gen_ai.client.operation.duration of model calls, by which older dashboards go.",
    )
    genai_events: bool = _setting(
        False,
        "metrics",
        ("AI_DEV_SQUAD_GENAI_EVENTS", "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"),
        "Tell of each model call in an event gen_ai.client.inference.operation.details, to the application's logger provider.",
    )
    prometheus: bool = _setting(
        False, "metrics", "AI_DEV_SQUAD_PROMETHEUS", "Count for a Prometheus; `serve_metrics` turns it on, and serves."
    )
    # Costs
    ledger_size: int = _setting(
        10_000, "costs", "AI_DEV_SQUAD_LEDGER_SIZE", "Model calls kept in memory; totals are exact without.", minimum=1
    )
    budget_file: str | None = _setting(
        None,
        "costs",
        "AI_DEV_SQUAD_BUDGET_FILE",
        "Where spend is kept over restarts; unset: budgets.json in log_dir, or budgets.sqlite3 for the shared store.",
    )
    budget_store: str = _setting(
        "file",
        "costs",
        "AI_DEV_SQUAD_BUDGET_STORE",
        "Who decides on reservations: each process for itself (`file`), all processes of this machine (`shared`), or those "
        "of many hosts (`redis://…`, `rediss://…`, `unix://…`).",
    )
    budget_store_away: str = _setting(
        "allow",
        "costs",
        "AI_DEV_SQUAD_BUDGET_STORE_AWAY",
        "While the shared store does not answer, hold calls against what this process knows (`allow`), or `refuse` those "
        "that a budget may stop.",
        allowed=("allow", "refuse"),
    )
    budget_store_timeout_s: float = _setting(
        0.25,
        "costs",
        "AI_DEV_SQUAD_BUDGET_STORE_TIMEOUT_S",
        "How long a call may wait for the shared store, in seconds.",
        minimum=0.01,
    )
    budget_lease_s: float = _setting(
        30.0,
        "costs",
        "AI_DEV_SQUAD_BUDGET_LEASE_S",
        "How long the shared store keeps a reservation of a process that has died, in seconds; open calls renew theirs.",
        minimum=1,
    )
    prices_file: str | None = _setting(None, "costs", "AI_DEV_SQUAD_PRICES_FILE", "A JSON file with your own prices.")
    # Loops
    on_loop: str = _setting(
        "warn",
        "loops",
        "AI_DEV_SQUAD_ON_LOOP",
        "When an agent repeats itself without anything new: tell (`warn`), also refuse the next call of its run (`stop`), "
        "or don't look (`off`).",
        allowed=("warn", "stop", "off"),
    )
    loop_limit: int = _setting(
        5, "loops", "AI_DEV_SQUAD_LOOP_LIMIT", "How many equal rounds in a row are a loop.", minimum=2
    )
    # Content and redaction
    capture_content: bool = _setting(
        False,
        "content",
        ("AI_DEV_SQUAD_CAPTURE_CONTENT", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"),
        "Capture prompts, answers, tool arguments and results.",
        words=_CONTENT_MODES,
    )
    redact_patterns: tuple[Any, ...] = _setting((), "redaction", (), "Further regular expressions to redact.")
    redact_emails: bool = _setting(False, "redaction", "AI_DEV_SQUAD_REDACT_EMAILS", "Redact e-mail addresses.")
    redact_cards: bool = _setting(False, "redaction", "AI_DEV_SQUAD_REDACT_CARDS", "Redact payment card numbers.")
    drop_keys: tuple[str, ...] = _setting(
        (), "redaction", "AI_DEV_SQUAD_DROP_KEYS", "Keys whose values are never captured (comma-separated, globs)."
    )
    max_content_chars: int = _setting(
        16_384,
        "redaction",
        "AI_DEV_SQUAD_MAX_CONTENT_CHARS",
        "Longer captured strings are cut, and say so.",
        minimum=64,
    )
    max_messages: int = _setting(
        100,
        "redaction",
        "AI_DEV_SQUAD_MAX_MESSAGES",
        "Of a longer captured chat the first message and the newest are kept; what is missing between is said.",
        minimum=2,
    )
    # Process
    shutdown_timeout_s: float = _setting(
        5.0, "process", "AI_DEV_SQUAD_SHUTDOWN_TIMEOUT_S", "How long the exit may wait for the last lines.", minimum=0
    )
    handle_sigterm: bool = _setting(
        True, "process", "AI_DEV_SQUAD_HANDLE_SIGTERM", "Flush on SIGTERM when the program has no handler of its own."
    )

    @classmethod
    def resolve(cls, arguments: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
        """Settings from ``arguments`` over the environment over defaults. Raises ``ValueError`` or ``TypeError``."""
        environ = os.environ if environ is None else environ
        known = {setting.name: setting for setting in fields(cls)}
        unknown = sorted(set(arguments) - set(known))
        if unknown:
            raise TypeError(f"unknown setting {', '.join(map(repr, unknown))}; allowed: {', '.join(sorted(known))}")
        values: dict[str, Any] = {}
        for name, setting in known.items():
            if arguments.get(name) is not None:
                values[name] = _checked(setting, arguments[name], name)
                continue
            found = first_given(environ, setting.metadata["env"])
            if found is None:
                continue
            variable, text = found
            try:
                values[name] = _checked(setting, text, variable)
            except ValueError as error:
                if not variable.startswith("OTEL_"):
                    raise
                # OTEL_* variables speak to every OpenTelemetry program; one we don't understand isn't an error.
                report(f"reading {variable}", error)
        resource = {**_resource_attributes(environ), **values.get("resource_attributes", {})}
        for name, attributes in _RESOURCE_NAMES.items():
            found = first_given(resource, attributes)
            if name not in values and found is not None:
                values[name] = str(found[1])
        # The exporter reads these itself, with all that belongs to them; we only need to know that it's wanted.
        if "exporter" not in values and ("endpoint" in values or any(environ.get(name) for name in _OTLP_ENDPOINTS)):
            values["exporter"] = "otlp"
        return cls(**values)

    @property
    def journal_path(self) -> Path:
        """The journal's file."""
        return Path(self.log_dir) / "ai_dev_squad.jsonl"

    def part(self, name: str) -> tuple[Any, ...]:
        """The values that one part of the product depends on; equal values mean that it can stay as it is."""
        return tuple(getattr(self, f.name) for f in fields(self) if f.metadata["part"] in {name, "all"})


def _resource_attributes(environ: Mapping[str, str]) -> dict[str, str]:
    """OTEL_RESOURCE_ATTRIBUTES, in which values are percent-encoded, as the specification of OpenTelemetry's SDK has it."""
    pairs = (item.partition("=") for item in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs if name.strip() and value.strip()}


def asks_for_exporter(arguments: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> bool:
    """Whether an exporter was asked of us. If not, it comes from ``OTEL_*`` variables, which speak to every program."""
    environ = os.environ if environ is None else environ
    return any(
        arguments.get(setting.name) is not None or any(environ.get(name) for name in setting.metadata["env"][:1])
        for setting in fields(Settings)
        if setting.name in {"exporter", "endpoint", "protocol", "headers"}
    )


def _checked(setting: Field[Any], value: Any, source: str) -> Any:
    if isinstance(value, LogLevel):
        value = value.name
    if isinstance(value, str):
        value = setting.metadata.get("words", {}).get(value.strip().lower(), value)
    value = as_type(str(setting.type), value, source)
    allowed = setting.metadata.get("allowed")
    if allowed and isinstance(value, str):
        match = next((item for item in allowed if str(value).lower() == item.lower()), None)
        if match is None:
            raise ValueError(f"{source}={value!r} is not allowed; use one of {', '.join(map(repr, allowed))}")
        return match
    minimum = setting.metadata.get("minimum")
    if minimum is not None and not value >= minimum:
        raise ValueError(f"{source}={value!r} is too small; use {minimum} or more")
    return value
