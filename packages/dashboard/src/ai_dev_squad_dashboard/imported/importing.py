"""An export on its way into a store: through the translation and the queue that OTLP goes through.

How far each file was read is written down with the spans, in one transaction. After a kill at any moment an import that is
started again goes on there, and a file that is imported twice adds nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

from ai_dev_squad.guard import report
from ai_dev_squad_dashboard.ingest.accepted import accepted
from ai_dev_squad_dashboard.ingest.counting import Counting
from ai_dev_squad_dashboard.ingest.pricing import Prices
from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.marks.reading import log_row
from ai_dev_squad_dashboard.store import Store
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, SpanRow

from .langfuse import LANGFUSE
from .langsmith import LANGSMITH
from .openllmetry import OPENLLMETRY
from .phoenix import PHOENIX
from .records import UnreadableFileError, UnreadableRecord, records
from .told import Context, Judged, Source, Told, Untellable
from .totals import Difference, Stated, Totals, differences, stored

__all__ = ["SOURCES", "Imported", "import_files"]

SOURCES: Final = {
    "langfuse": LANGFUSE,
    "langsmith": LANGSMITH,
    "phoenix": PHOENIX,
    "openllmetry": OPENLLMETRY,
}
_BATCH: Final = 1_000


@dataclass
class Imported:
    """What an import came to."""

    new_spans: int = 0
    known_spans: int = 0
    """Spans that were stored before, by this import or another way."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Why records were not taken → how many."""
    repeated: int = 0
    """Records that came again in the export; the first of them counts."""
    priced_here: int = 0
    """Model calls of which the source states no cost."""
    source: Totals = field(default_factory=Totals)
    here: Totals = field(default_factory=Totals)
    differences: list[Difference] = field(default_factory=list)


def import_files(
    kind: str,
    files: Sequence[Path],
    store: Store,
    *,
    prices: Prices | None = None,
    progress: Callable[[str], object] = lambda _: None,
) -> Imported:
    """Import what ``kind`` of ``SOURCES`` has exported into ``files``, and compare. Raises ``UnreadableFileError`` where a file ends
    early, with what stands before it stored, and ``StoreError``.
    """
    source, context, imported = SOURCES[kind], Context(), Imported()
    if source.note is not None:
        for record in chain.from_iterable(map(records, files)):
            if not isinstance(record, UnreadableRecord):
                source.note(record, context)
    stated = Stated()
    queue = IngestQueue(store, max_pending_rows=50_000)
    try:
        writer = _Writer(queue, prices or Prices(), imported)
        for path in files:
            _import(kind, source, path, context, stated, writer)
            progress(f"{path}: read")
        for told in source.left(context, stated.spans):
            _take(told, stated, writer)
            if writer.is_full:
                writer.write({})
        imported.skipped += context.skipped
        writer.write({})
    finally:
        queue.close(60)
    imported.repeated, imported.priced_here = stated.repeated, stated.priced_here
    imported.source, imported.here = stated.totals(), stored(store, stated)
    imported.differences = list(differences(imported.source, imported.here))
    return imported


def _import(kind: str, source: Source, path: Path, context: Context, stated: Stated, writer: _Writer) -> None:
    name, size = f"import:{kind}:{path.resolve()}", path.stat().st_size
    done, of_size = _position(writer.queue.position(name))
    done = done if of_size == size else 0
    count = 0
    try:
        for count, record in enumerate(records(path), 1):
            for told in _told(source, record, context, writer.imported):
                # What was stored before is read again, since what the source has of it is compared.
                _take(told, stated, writer, is_stored=count <= done)
            if writer.is_full:
                writer.write({name: f"{count} {size}"})
    except UnreadableFileError:
        writer.write({})
        raise
    writer.write({name: f"{max(count, done)} {size}"})


def _take(told: Told | Judged, stated: Stated, writer: _Writer, *, is_stored: bool = False) -> None:
    if isinstance(told, Judged):
        if stated.add_mark(told):
            writer.mark(told)  # a store keeps each once, and it may be of a span that was stored before
    elif stated.add(told) and not is_stored:
        writer.put(told)


def _position(text: str | None) -> tuple[int, int]:
    """Records and the size of the file that they were in."""
    count, _, size = (text or "0 0").partition(" ")
    return int(count), int(size)


def _told(source: Source, record: object, context: Context, imported: Imported) -> Iterator[Told | Judged]:
    if isinstance(record, UnreadableRecord):
        imported.skipped["a record is no JSON object"] += 1
        return
    try:
        yield from source.tell(record, context)  # type: ignore[arg-type]
    except Untellable as error:
        imported.skipped[str(error)] += 1
    except Exception as error:  # noqa: BLE001 - one odd record must not cost its neighbours
        report(f"importing a record of {source.title}", error)
        imported.skipped[f"a record could not be read ({type(error).__name__})"] += 1


class _Writer:
    """Rows that wait, and their way into the store."""

    def __init__(self, queue: IngestQueue, prices: Prices, imported: Imported) -> None:
        self.queue, self.imported = queue, imported
        self._prices, self._counting = prices, Counting()
        self._rows: list[SpanRow] = []
        self._answers: list[str | None] = []
        self._marks: list[LogRow] = []

    @property
    def is_full(self) -> bool:
        return len(self._rows) + len(self._marks) >= _BATCH

    def mark(self, told: Judged) -> None:
        self._marks.append(log_row(told.mark, told.trace_id, None))

    def put(self, told: Told) -> None:
        found = accepted(told.span, told.origin, time.time_ns() // 1000, self._prices)
        if isinstance(found, str):
            self.imported.skipped[found] += 1
            return
        self._rows.append(found.row)
        self._answers.append(found.answer)

    def write(self, positions: dict[str, str]) -> None:
        """Store what waits and ``positions`` with it."""
        if not self._rows and not self._marks and not positions:
            return
        self._counting.settle(self._rows, self._answers)
        batch = Batch(spans=self._rows, logs=self._marks, positions=positions)
        self._rows, self._answers, self._marks = [], [], []
        written = self.queue.submit(batch).result()
        # The only writer: what the commit held is this batch.
        self.imported.new_spans += written.spans
        self.imported.known_spans += written.duplicates
