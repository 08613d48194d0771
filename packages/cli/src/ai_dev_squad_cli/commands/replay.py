"""``ai-dev-squad replay``: the operations of journals as spans, to any receiver of OTLP."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ai_dev_squad_cli.reading import add_paths, all_lines, since_us
from ai_dev_squad_cli.terminal import CommandError, log_paths, say, show_json

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from ai_dev_squad.schema import JournalLine

__all__ = ["register"]

_BATCH = 256


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "replay",
        help="send journals as spans over OTLP",
        description="Send each operation that ended as the span that the program would have sent, with its own ids and times: "
        "to a Collector, a dashboard, Jaeger, Tempo, or whatever takes OTLP. Needs ai-dev-squad[otlp] or [otlp-grpc].",
    )
    add_paths(parser)
    parser.add_argument(
        "--to", metavar="URL", help="the receiver, such as http://127.0.0.1:4318 (default: OTEL_EXPORTER_OTLP_ENDPOINT)"
    )
    parser.add_argument(
        "--protocol", choices=("http/protobuf", "grpc"), help="default: by the port, or what is installed"
    )
    parser.add_argument("--header", action="append", default=[], metavar="NAME=VALUE", help="for a login; repeatable")
    parser.add_argument(
        "--run",
        dest="runs",
        action="append",
        default=[],
        metavar="RUN",
        help="only this run, by the beginning of its id; repeatable",
    )
    parser.add_argument("--since", metavar="TIME", help="only what ended since: 30m, 24h, 7d, or a date")
    parser.add_argument(
        "--service", default="ai-dev-squad", help="the service that spans are of (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="S", help="seconds that a request is tried for (default: 30)"
    )
    parser.add_argument("--json", action="store_true", help="say what was done as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from opentelemetry.sdk.resources import Resource

    from ai_dev_squad.tracing.exporters import build_exporter
    from ai_dev_squad_cli.replayed import span_of

    headers = dict(_header(text) for text in options.header)
    try:
        exporter, place = build_exporter(
            "otlp",
            {
                "endpoint": options.to,
                "protocol": options.protocol,
                "headers": headers or None,
                "timeout": options.timeout,
            },
        )
    except ImportError as error:
        raise CommandError(str(error)) from error
    resource = Resource.create({"service.name": options.service})
    sent, batch = 0, list[Any]()
    try:
        for line in _wanted(options):
            span = span_of(line, resource)
            if span is not None:
                batch.append(span)
            if len(batch) >= _BATCH:
                sent, batch = sent + _send(exporter, batch, place, sent), []
        sent += _send(exporter, batch, place, sent)
    finally:
        exporter.shutdown()
    if options.json:
        show_json({"spans": sent, "to": place})
    else:
        say(f"{sent} spans sent to {place}")


def _wanted(options: argparse.Namespace) -> Iterator[JournalLine]:
    first_us, beginnings = since_us(options), tuple(name.lower() for name in options.runs)
    for line in all_lines(log_paths(options.path)):
        if beginnings and not (line.trace_id or "").startswith(beginnings):
            continue
        if line.timestamp.timestamp() * 1e6 >= first_us:
            yield line


def _send(exporter: Any, batch: Sequence[ReadableSpan], place: str, before: int) -> int:
    from opentelemetry.sdk.trace.export import SpanExportResult

    if batch and exporter.export(batch) is not SpanExportResult.SUCCESS:
        raise CommandError(
            f"{place} did not take the spans, {before} were sent before; see that it runs and takes OTLP there, "
            "and whether it asks for a login (--header)"
        )
    return len(batch)


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise CommandError(f"--header {text!r} is not NAME=VALUE; write it like Authorization='Bearer abc'", 2)
    return name.strip(), value.strip()
