"""OTLP over gRPC: the three services, read and stored as over HTTP. Needs ``grpcio``, the extra ``grpc``.

What cannot be taken now is ``UNAVAILABLE`` with the seconds to wait, what is not valid ``INVALID_ARGUMENT``, as the
specification asks. Compression and the size of messages are gRPC's own business, within the same limit as over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, Protocol

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from ai_dev_squad.guard import report
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store.base import StoreError

from .otlp import receiver, response_message
from .otlp_receive import Receiver, Signal, Submit
from .otlp_shapes import InvalidRequest
from .queue import Busy

__all__ = ["Authorized", "GrpcServer", "GrpcUnavailable", "start_grpc_server"]

Authorized = Callable[[str], bool]
"""Whether the value of the metadata ``authorization``, such as ``Bearer …`` or ``""``, may send."""

_SERVICES: dict[str, Signal] = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}
_WORKERS = 8
_WAITING = 64
_RETRY_AFTER_S = 5


class GrpcServer(Protocol):
    """What ``grpc.server`` returns, as far as it is used here."""

    bound_port: int
    """The port that it listens on."""

    def stop(self, grace: float | None) -> Any:
        """Take nothing more, and give what is under way ``grace`` seconds. Returns an event that is set when it is done."""


class GrpcUnavailable(RuntimeError):
    """OTLP/gRPC cannot be served: ``grpcio`` is missing, or the port is taken. The message says how to help it."""


def start_grpc_server(
    submit: Submit,
    settings: DashboardSettings,
    port: int,
    *,
    authorized: Authorized | None = None,
    into: Receiver | None = None,
) -> GrpcServer:
    """Listen on ``settings.host`` and ``port``; 0 takes a free one, see ``bound_port``.

    ``authorized`` is asked about every request; without it all may send. ``into`` is a receiver that HTTP uses as well. End
    the server with ``server.stop(grace)``. Raises ``GrpcUnavailable``.
    """
    try:
        grpc: Any = import_module("grpc")
    except ImportError:
        raise GrpcUnavailable(
            f"grpc_port {port} needs grpcio; install it with: pip install 'ai-dev-squad-dashboard[grpc]', or leave "
            "grpc_port (DASHBOARD_GRPC_PORT) out and send OTLP over HTTP"
        ) from None
    server: Any = grpc.server(
        ThreadPoolExecutor(_WORKERS, thread_name_prefix="ai-dev-squad-otlp-grpc"),
        maximum_concurrent_rpcs=_WORKERS + _WAITING,
        options=[
            ("grpc.max_receive_message_length", settings.max_request_mib << 20),
            # A second server on the port would take every other request.
            ("grpc.so_reuseport", 0),
        ],
    )
    into = into or receiver(submit)
    for service, signal in _SERVICES.items():
        export = grpc.unary_unary_rpc_method_handler(
            _export(grpc, into, signal, authorized), response_serializer=lambda message: message.SerializeToString()
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": export}),))
    host = f"[{settings.host.strip('[]')}]" if ":" in settings.host else settings.host
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise GrpcUnavailable(
            f"grpc_port {port} on {settings.host} cannot be listened on ({error}); end what listens there, or choose another "
            "port (DASHBOARD_GRPC_PORT)"
        ) from None
    server.bound_port = bound
    server.start()
    listening: GrpcServer = server
    return listening


def _export(grpc: Any, into: Receiver, signal: Signal, authorized: Authorized | None) -> Any:
    code = grpc.StatusCode

    def export(body: bytes, context: Any) -> Any:
        if authorized is not None:
            said = dict(context.invocation_metadata()).get("authorization", "")
            if not authorized(said if isinstance(said, str) else ""):
                context.abort(
                    code.UNAUTHENTICATED,
                    "this needs an ingest token; send the metadata 'authorization: Bearer TOKEN' "
                    "(`ai-dev-squad token` makes one)",
                )
        try:
            return response_message(signal, into.receive(signal, "protobuf", body))
        except InvalidRequest as error:
            context.abort(code.INVALID_ARGUMENT, str(error))
        except Busy as error:
            _come_again(context, code, str(error), error.retry_after_s)
        except StoreError as error:
            _come_again(context, code, str(error), _RETRY_AFTER_S)
        except Exception as error:  # noqa: BLE001 - gRPC would show the traceback to the sender
            report("taking OTLP over gRPC", error)
            context.abort(code.INTERNAL, "this did not work; the dashboard's log says why")

    return export


def _come_again(context: Any, code: Any, message: str, seconds: int) -> None:
    info = AnyMessage()
    info.Pack(RetryInfo(retry_delay=Duration(seconds=seconds)))
    status = Status(code=code.UNAVAILABLE.value[0], message=message, details=[info])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code.UNAVAILABLE, message)
