"""Phoenix's annotations of spans and of traces: rows of its client's dataframe, or of the API's answers.

An annotation of a span does not say of which trace it is, so it waits until the spans are read. Fields:
https://arize.com/docs/phoenix/tracing/llm-traces/how-to-annotate-traces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .records import Record
from .told import Context, Judged, Untellable, judged, moment_ns, object_of, score, span_id, text, trace_id

__all__ = ["is_annotation", "left_annotations", "tell_annotation"]


def is_annotation(record: Record) -> bool:
    """Whether it is none of a span's records."""
    return "annotator_kind" in record and "start_time" not in record


def tell_annotation(record: Record, context: Context) -> Iterator[Judged]:
    """The mark that an annotation of a trace is; one of a span waits in ``context``."""
    if record.get("trace_id") is not None:
        yield _judged(record, trace_id(record["trace_id"]), None)
    elif record.get("span_id") is not None:
        context.waiting.setdefault(span_id(record["span_id"]), []).append(record)
    else:
        raise Untellable("an annotation of a session, which is of no trace")


def left_annotations(context: Context, spans: Mapping[str, Mapping[str, bool]]) -> Iterator[Judged]:
    """The marks that annotations of spans are. ``spans``: trace → its spans."""
    if not context.waiting:
        return
    for trace, members in spans.items():
        for span in context.waiting.keys() & members.keys():
            for record in context.waiting.pop(span):
                try:
                    yield _judged(record, trace, span)
                except Untellable as error:
                    context.skipped[str(error)] += 1
    for records in context.waiting.values():
        context.skipped["an annotation of a span that is not in these files; name the file with its spans as well"] += (
            len(records)
        )


def _judged(record: Record, trace: str, span: str | None) -> Judged:
    at = moment_ns(record.get("created_at")) or moment_ns(record.get("updated_at"))
    if at is None:
        raise Untellable("an annotation of Phoenix without a moment")
    result = object_of(record.get("result"))

    def said(name: str) -> object:
        return record.get(f"result.{name}", result.get(name))

    return judged(
        trace,
        span,
        at,
        name=text(record.get("annotation_name") or record.get("name")),
        score=score(said("score")),
        label=text(said("label")),
        comment=text(said("explanation")),
        by=text(record.get("user_id")) if record.get("annotator_kind") == "HUMAN" else None,
    )
