"""OTLP over HTTP: ``/v1/traces``, ``/v1/logs`` and ``/v1/metrics``, in protobuf and JSON, as the specification asks.

A request is answered when what it says is on disk. What is not valid is refused for good (400, 413, 415), what cannot be
taken now is to come again (429, 503); errors are a ``google.rpc.Status`` in the encoding of the request.
"""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, request
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from ai_dev_squad import get_settings
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store.base import StoreError

from .otlp_body import BadBody, TooLarge, UnknownEncoding, read_body
from .otlp_receive import SIGNALS, Encoding, Receiver, Rejected, Signal, Submit, Taken
from .otlp_shapes import InvalidRequest
from .pricing import Prices
from .queue import Busy

__all__ = ["create_blueprint", "receiver", "response_message"]

_ENCODINGS: dict[str, Encoding] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_TYPES = {encoding: content_type for content_type, encoding in _ENCODINGS.items()}
_RETRY_AFTER_S = 5
_CODES = {400: 3, 413: 8, 415: 3, 429: 8, 503: 14}
"""HTTP status → ``google.rpc.Code``."""

_RESPONSES: dict[Signal, tuple[Any, str, str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
}


def receiver(submit: Submit, taken: Taken | None = None) -> Receiver:
    """What takes requests, with the prices that the core's settings name. Share it between HTTP and gRPC. ``taken`` is told of each."""
    return Receiver(submit, Prices(get_settings().prices_file), taken=taken)


def create_blueprint(submit: Submit, settings: DashboardSettings, into: Receiver | None = None) -> Blueprint:
    """The three paths. ``submit`` is ``IngestQueue.submit``; ``into`` a receiver that others use as well."""
    blueprint = Blueprint("otlp", __name__)
    into = into or receiver(submit)
    limit = settings.max_request_mib << 20
    for signal in SIGNALS:
        blueprint.add_url_rule(f"/v1/{signal}", endpoint=signal, methods=["POST"], view_func=_view(into, signal, limit))
    return blueprint


def _view(into: Receiver, signal: Signal, limit: int) -> Any:
    def take() -> Response:
        encoding = _ENCODINGS.get(request.mimetype)
        try:
            if encoding is None:
                kinds = " or ".join(_ENCODINGS)
                raise UnknownEncoding(f"Content-Type {request.mimetype[:80]!r} is not understood; use {kinds}")
            # A form is nothing that we read; bodies of any other size are limited here and nowhere else.
            request.max_content_length = None
            if (request.content_length or 0) > limit:
                raise TooLarge(f"the body is more than {limit >> 20} MiB; send smaller batches")
            body = read_body(request.stream, request.headers.get("Content-Encoding", ""), limit)
            rejected = into.receive(signal, encoding, body)
        except (InvalidRequest, BadBody) as error:
            return _refusal(400, str(error), encoding)
        except TooLarge as error:
            return _refusal(413, str(error), encoding)
        except UnknownEncoding as error:
            return _refusal(415, str(error), encoding)
        except Busy as error:
            return _refusal(429, str(error), encoding, error.retry_after_s)
        except StoreError as error:
            return _refusal(503, str(error), encoding, _RETRY_AFTER_S)
        return Response(_accepted(signal, encoding, rejected), mimetype=_TYPES[encoding])

    return take


def response_message(signal: Signal, rejected: Rejected) -> Any:
    """The protobuf message that says what was taken."""
    kind, field, _ = _RESPONSES[signal]
    message = kind()
    if rejected.count or rejected.message:
        setattr(message.partial_success, field, rejected.count)
        message.partial_success.error_message = rejected.message
    return message


def _accepted(signal: Signal, encoding: Encoding, rejected: Rejected) -> bytes:
    if encoding == "protobuf":
        answer: bytes = response_message(signal, rejected).SerializeToString()
        return answer
    if not (rejected.count or rejected.message):
        return b"{}"
    partial = {_RESPONSES[signal][2]: str(rejected.count), "errorMessage": rejected.message}
    return msgspec.json.encode({"partialSuccess": partial})


def _refusal(status: int, message: str, encoding: Encoding | None, retry_after_s: int | None = None) -> Response:
    if encoding == "protobuf":
        body = Status(code=_CODES[status], message=message).SerializeToString()
    else:
        body = msgspec.json.encode({"code": _CODES[status], "message": message})
    response = Response(body, status, mimetype=_TYPES[encoding or "json"])
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response
