"""Langfuse's scores, as its API and its blob storage export write them: what somebody thinks of a trace or of an observation.

Which of ``value`` and ``string_value`` says what depends on the kind of the score:
https://langfuse.com/docs/evaluation/evaluation-methods/data-model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .records import Record
from .told import Judged, Untellable, judged, moment_ns, score, span_id, text, trace_id

__all__ = ["is_score", "tell_score"]

_KINDS: Final = frozenset({"NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION"})


def is_score(record: Mapping[str, Any]) -> bool:
    """Whether a record, its fields named as in exports, is a score: it has a value and a kind, or where it came from."""
    return record.get("start_time") is None and ("data_type" in record or str(record.get("source")) in _SOURCES)


_SOURCES: Final = frozenset({"API", "EVAL", "ANNOTATION"})


def tell_score(record: Record) -> Iterator[Judged]:
    """The mark that a score is. Raises ``Untellable`` for one of a session or of a run over a dataset, which is none of a run."""
    trace, at = record.get("trace_id"), moment_ns(record.get("timestamp") or record.get("created_at"))
    if trace is None or trace == "":
        raise Untellable("a score of a session or of a dataset's run, which is of no trace")
    kind = str(record.get("data_type") or "").upper()
    if at is None or (kind and kind not in _KINDS):
        raise Untellable("a score of Langfuse without a moment, or of an unknown kind")
    value, said, comment = score(record.get("value")), text(record.get("string_value")), text(record.get("comment"))
    label = None
    if kind in ("TEXT", "CORRECTION"):
        value, comment = None, "\n".join(filter(None, (said, comment))) or None
    elif said is not None and kind != "NUMERIC":
        label = said
        # Without a configuration that maps categories to numbers it is always 0.
        if kind == "CATEGORICAL" and not record.get("config_id"):
            value = None
    yield judged(
        trace_id(trace),
        span_id(record.get("observation_id")) or None,
        at,
        name=text(record.get("name")),
        score=value,
        label=label,
        comment=comment,
        by=text(record.get("author_user_id")) if record.get("source") == "ANNOTATION" else None,
    )
