"""Makes span exporters from a name and options: ``otlp``, ``jaeger``, ``console``."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

__all__ = ["EXPORTER_TYPES", "OtlpTarget", "build_exporter", "resolve_otlp"]

_log = logging.getLogger("ai_dev_squad")

GRPC, HTTP = "grpc", "http/protobuf"
DEFAULT_ENDPOINT = "http://localhost:4317"
_WELL_KNOWN_PORTS = {4317: GRPC, 4318: HTTP}
# The ports of Jaeger's own, retired protocols: Thrift agent, Thrift collector, model.proto.
_RETIRED_JAEGER_PORTS = {5775, 6831, 6832, 14250, 14268}
_MODULES = {
    GRPC: ("opentelemetry.exporter.otlp.proto.grpc.trace_exporter", "ai-dev-squad[otlp-grpc]"),
    HTTP: ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "ai-dev-squad[otlp]"),
}
_NOISY_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.common.http",
)


@dataclass(frozen=True)
class OtlpTarget:
    """Where OTLP goes and how."""

    endpoint: str
    protocol: str
    insecure: bool


def build_exporter(exporter_type: str, options: Mapping[str, Any]) -> tuple[SpanExporter, str]:
    """The exporter, and a name for its destination to show to people.

    Raises ``ValueError`` for an unknown type or a bad value, ``TypeError`` for an unknown option, ``ImportError`` with
    the line to install when an optional package is missing.
    """
    build = _BUILDERS.get(exporter_type)
    if build is None:
        raise ValueError(
            f"Unknown exporter type: {exporter_type!r}; allowed: {', '.join(map(repr, EXPORTER_TYPES))}, "
            "or an exporter object of your own"
        )
    return build(dict(options))


def resolve_otlp(
    endpoint: str | None,
    protocol: str | None,
    insecure: bool | None = None,
    environ: Mapping[str, str] = os.environ,
) -> OtlpTarget:
    """Endpoint and protocol from the arguments, the ``OTEL_EXPORTER_OTLP_*`` variables and what the one tells of the
    other. Without any of these: gRPC to ``http://localhost:4317``.

    A port 4317 or 4318 in the ``endpoint`` argument names the protocol; so do, in this order, the variables, such a
    port in a variable's endpoint, a path, which means nothing in gRPC, and what is installed, if that is HTTP alone.
    Raises ``ValueError`` for what can't work.
    """
    signal, base = (environ.get(f"OTEL_EXPORTER_OTLP_{name}") or None for name in ("TRACES_ENDPOINT", "ENDPOINT"))
    chosen = endpoint or signal or base or DEFAULT_ENDPOINT
    parts = _split(chosen)
    by_port = _WELL_KNOWN_PORTS.get(parts.port or 0)
    by_variable = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    has_path = parts.path not in {"", "/"}
    by_path = HTTP if has_path or (_installed(HTTP) and not _installed(GRPC)) else GRPC
    guesses = (by_port, by_variable) if endpoint else (by_variable, by_port)
    wanted = protocol or guesses[0] or guesses[1] or by_path
    wanted = wanted.strip().lower()
    wanted = HTTP if wanted == "http" else wanted
    if wanted not in _MODULES:
        raise ValueError(f"OTLP protocol {wanted!r} is not supported; allowed: {', '.join(map(repr, _MODULES))}")
    if chosen is DEFAULT_ENDPOINT and wanted == HTTP:
        chosen = "http://localhost:4318"
    if "://" not in chosen:
        chosen = f"{_scheme_of(chosen, insecure, environ)}://{chosen}"
    elif insecure and chosen.startswith("https:"):
        raise ValueError(
            f"endpoint {chosen!r} always uses TLS, so insecure=True contradicts it; write http:// or leave insecure out"
        )
    if wanted == HTTP and (_split(chosen).path in {"", "/"} or (chosen == base and not (endpoint or signal))):
        chosen = chosen.rstrip("/") + "/v1/traces"
    return OtlpTarget(chosen, wanted, not chosen.startswith("https:"))


def _split(endpoint: str) -> SplitResult:
    parts: SplitResult | None = None
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        valid = bool(parts.hostname) and parts.scheme in {"", "http", "https"} and (parts.port or 1) > 0
    except ValueError:  # a port that is no number, an address in broken brackets
        valid = False
    if parts is None or not valid:
        raise ValueError(f"OTLP endpoint {endpoint!r} is no URL; write it like 'http://localhost:4317'")
    return parts


def _scheme_of(endpoint: str, insecure: bool | None, environ: Mapping[str, str]) -> str:
    if insecure is None:
        variable = environ.get("OTEL_EXPORTER_OTLP_TRACES_INSECURE") or environ.get("OTEL_EXPORTER_OTLP_INSECURE")
        if variable is None:
            raise ValueError(
                f"OTLP endpoint {endpoint!r} does not say whether to use TLS; write 'http://{endpoint}' (plain) or "
                f"'https://{endpoint}' (TLS), or give insecure=True or False"
            )
        insecure = variable.strip().lower() == "true"
    return "http" if insecure else "https"


# --- the types --------------------------------------------------------------------------------------------------------

_OTLP_OPTIONS = (
    "endpoint",
    "protocol",
    "headers",
    "insecure",
    "timeout",
    "compression",
    "certificate_file",
    "client_key_file",
    "client_certificate_file",
)


def _otlp(options: dict[str, Any]) -> tuple[SpanExporter, str]:
    _refuse_unknown("otlp", options, _OTLP_OPTIONS)
    target = resolve_otlp(options.pop("endpoint", None), options.pop("protocol", None), options.pop("insecure", None))
    _check_timeout(options.get("timeout"))
    module = _load(target.protocol)
    build = _grpc_exporter if target.protocol == GRPC else _http_exporter
    exporter = build(module, target, {name: value for name, value in options.items() if value is not None})

    from ai_dev_squad.tracing.delivery import quieten  # needs the SDK

    quieten(*_NOISY_LOGGERS)
    return exporter, target.endpoint


def _jaeger(options: dict[str, Any]) -> tuple[SpanExporter, str]:
    """Jaeger takes OTLP since 1.35; its Thrift exporter is gone. Host and port keep working."""
    _refuse_unknown("jaeger", options, ("host", "port", *_OTLP_OPTIONS))
    host, port = options.pop("host", None) or "localhost", options.pop("port", None)
    if options.get("endpoint"):
        return _otlp(options)
    if port is not None and int(port) in _RETIRED_JAEGER_PORTS:
        _log.info("Jaeger's port %s takes a retired protocol; spans go to its OTLP port on %s instead", port, host)
        port = None
    protocol = options.get("protocol") or _WELL_KNOWN_PORTS.get(int(port or 0))
    if protocol is None:
        # Both protocols reach Jaeger on its default ports: use the one that is installed.
        protocol = HTTP if _installed(HTTP) and not _installed(GRPC) else GRPC
    port = port or (4317 if protocol == GRPC else 4318)
    scheme = "https" if options.pop("insecure", None) is False else "http"
    return _otlp({**options, "protocol": protocol, "endpoint": f"{scheme}://{host}:{int(port)}"})


def _console(options: dict[str, Any]) -> tuple[SpanExporter, str]:
    """Spans as JSON on standard output, or on ``out``."""
    import sys

    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    _refuse_unknown("console", options, ("out", "formatter"))
    # The SDK's default is standard output as it was at import; a redirection since then counts.
    options.setdefault("out", sys.stdout)
    return ConsoleSpanExporter(**options), "the console"


_BUILDERS: dict[str, Callable[[dict[str, Any]], tuple[SpanExporter, str]]] = {
    "otlp": _otlp,
    "jaeger": _jaeger,
    "console": _console,
}
EXPORTER_TYPES = tuple(_BUILDERS)
"""The names that ``add_exporter`` knows."""


def _http_exporter(module: Any, target: OtlpTarget, options: dict[str, Any]) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http import Compression

    compression = options.pop("compression", None)
    if compression is not None:
        options["compression"] = _choice(
            "compression",
            compression,
            {"none": Compression.NoCompression, "gzip": Compression.Gzip, "deflate": Compression.Deflate},
        )
    if "headers" in options:
        options["headers"] = {str(name): str(value) for name, value in dict(options["headers"]).items()}
    exporter: SpanExporter = module.OTLPSpanExporter(endpoint=target.endpoint, **options)
    return exporter


def _grpc_exporter(module: Any, target: OtlpTarget, options: dict[str, Any]) -> SpanExporter:
    grpc = import_module("grpc")  # it ships no types
    compression = options.pop("compression", None)
    if compression is not None:
        options["compression"] = _choice(
            "compression", compression, {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}
        )
    if "headers" in options:
        # HTTP/2 knows lower-case names only, and gRPC refuses others.
        options["headers"] = tuple((str(name).lower(), str(value)) for name, value in dict(options["headers"]).items())
    files = [options.pop(f"{name}_file", None) for name in ("certificate", "client_key", "client_certificate")]
    if any(files):
        options["credentials"] = grpc.ssl_channel_credentials(*(_read(path) for path in files))
    exporter: SpanExporter = module.OTLPSpanExporter(endpoint=target.endpoint, insecure=target.insecure, **options)
    return exporter


def _choice(name: str, value: Any, allowed: Mapping[str, Any]) -> Any:
    if value in allowed.values():
        return value
    chosen = allowed.get(str(value).lower())
    if chosen is None:
        raise ValueError(f"{name}={value!r} is not allowed; use one of {', '.join(map(repr, allowed))}")
    return chosen


def _check_timeout(value: Any) -> None:
    if value is not None and not (isinstance(value, (int, float)) and value > 0):
        raise ValueError(f"timeout={value!r} is not a positive number of seconds; write it like timeout=10")


def _read(path: str | os.PathLike[str] | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


def _refuse_unknown(exporter_type: str, options: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise TypeError(
            f"unknown option {', '.join(map(repr, unknown))} for exporter {exporter_type!r}; "
            f"allowed: {', '.join(allowed)}"
        )


def _installed(protocol: str) -> bool:
    try:
        return find_spec(_MODULES[protocol][0]) is not None
    except ImportError:
        return False


def _load(protocol: str) -> Any:
    name, distribution = _MODULES[protocol]
    try:
        return import_module(name)
    except ImportError as error:
        other = f'; or use OTLP over HTTP (port 4318): pip install "{_MODULES[HTTP][1]}"' if protocol == GRPC else ""
        raise ImportError(
            f'OTLP over {protocol} needs a package that is not installed: pip install "{distribution}"{other}'
        ) from error
