"""Read spans as the dashboard reads them, without running one: for programs that judge or convert what others recorded.

from ai_dev_squad_dashboard.reader import Span, read_spans

for read in read_spans([(Span(...), "openinference.instrumentation.langchain")]):
    print(read.row.operation, read.row.status, read.row.input_tokens, read.row.cost_usd, read.counts)
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

from ai_dev_squad.runs import MODEL_OPERATIONS
from ai_dev_squad_dashboard.ingest.counting import Counting
from ai_dev_squad_dashboard.ingest.otlp_shapes import Event, Link, Origin, Span
from ai_dev_squad_dashboard.ingest.pricing import Prices
from ai_dev_squad_dashboard.ingest.translate import translated
from ai_dev_squad_dashboard.store.rows import SpanRow

__all__ = ["Event", "Link", "ReadSpan", "Span", "SpanRow", "read_spans"]


@dataclass(frozen=True)
class ReadSpan:
    """What a span means."""

    row: SpanRow
    counts: bool
    """``False`` where another span tells of the same model call: that one has the tokens and the cost."""


def read_spans(
    spans: Iterable[tuple[Span, str]], *, prices_file: str | os.PathLike[str] | None = None
) -> list[ReadSpan]:
    """What these spans mean, in their order, whichever instrumentation made them. Each comes with the name of its scope.

    ``prices_file`` is a JSON file with prices of your own. Raises ``ValueError`` and ``OSError`` for one that cannot be read.
    """
    now_us, prices = time.time_ns() // 1000, Prices(prices_file)
    rows, answers = [], []
    for span, scope in spans:
        row, answer = translated(span, Origin(scope=scope), now_us, prices)
        rows.append(row)
        answers.append(answer)
    Counting().settle(rows, answers)
    return [ReadSpan(row, row.operation not in MODEL_OPERATIONS or row.usage_source is not None) for row in rows]
