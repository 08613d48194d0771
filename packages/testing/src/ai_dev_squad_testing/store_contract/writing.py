"""What is written: once, as a whole, as it was."""

from __future__ import annotations

from typing import Any

import pytest

from ai_dev_squad_dashboard.engine import Batch, LogRow, OpenRow, Store, StoreError, Subject, Written
from ai_dev_squad_testing.store_contract.harness import Opens
from ai_dev_squad_testing.store_contract.sample import ALL, HOUR, MINUTE, OTHER_RUN, RUN, SECOND, T0, morning, span

__all__ = ["WhatIsWritten"]


class WhatIsWritten(Opens):
    """What is written: once, as a whole, as it was."""

    def test_positions(self, filled: Store) -> None:
        """The newest position of each source counts, and the others stay."""
        filled.write(Batch(positions={"journal:/a": "99"}))
        assert filled.positions() == {"journal:/a": "99", "journal:/b": "4"}
        assert filled.position("journal:/a") == "99"

    def test_a_span_counts_once(self, filled: Store) -> None:
        """The same span again, in another batch or the same one, changes nothing: the first one wins."""
        before = (filled.totals(ALL), filled.traces(ALL), filled.state().spans)
        again = [row._replace(name="again", cost_usd=9.0, duration_us=1) for row in morning().spans]
        assert filled.write(Batch(spans=again)) == Written(spans=0, duplicates=6, logs=0)
        assert (filled.totals(ALL), filled.traces(ALL), filled.state().spans) == before
        new = span(RUN, 77, 1, T0 + 3 * HOUR, 1, "late")
        assert filled.write(Batch(spans=[new, again[0], new._replace(name="x")])) == Written(1, 2, 0)
        found = filled.span(RUN, new.span_id)
        assert found is not None
        assert found[0].name == "late"

    def test_an_id_that_comes_twice_for_different_spans_is_counted(self, filled: Store) -> None:
        """The first is kept and the other is told once, however often it is sent; the same span again is none."""
        kept = span("1" * 32, 1, None, T0, SECOND, "kept")
        other = kept._replace(start_us=T0 + MINUTE, name="other")
        renamed = kept._replace(name="chat", operation="chat")
        assert filled.write(Batch(spans=[kept, other, kept])) == Written(1, 2, 0, clashes=1)
        assert filled.write(Batch(spans=[other, kept._replace(start_us=T0 + 5)])) == Written(0, 2, 0)
        assert filled.write(Batch(spans=[renamed])) == Written(0, 1, 0, clashes=1)
        found = filled.trace("1" * 32)
        assert found is not None
        assert ([each.name for each in found.spans], found.clashes) == (["kept"], 2)

    def test_a_batch_is_all_or_nothing(self, filled: Store) -> None:
        """A row that cannot be stored leaves nothing of its batch behind, and the next batch is stored."""
        before = (filled.state().spans, filled.state().logs, filled.positions())
        bad = Batch(
            spans=[span("1" * 32, 1, None, T0, 1, "fine", agent="new"), span("no id", 2, None, T0, 1, "bad")],
            logs=[LogRow(T0, "INFO", "log", "x")],
            positions={"journal:/a": "1000"},
        )
        with pytest.raises(StoreError, match="no id"):
            filled.write(bad)
        with pytest.raises(StoreError, match="start_us"):
            filled.write(Batch(spans=[span("1" * 32, 1, None, 1 << 70, 1, "far")], positions={"a": "b"}))
        assert (filled.state().spans, filled.state().logs, filled.positions()) == before
        assert filled.write(Batch(spans=bad.spans[:1])) == Written(1, 0, 0)
        assert filled.facets(ALL).agents == ("planner", "new")

    def test_hostile_text_comes_back_as_it_was(self, store: Store) -> None:
        """NUL, lone surrogates, markup, quotes and ten megabytes are only text."""
        texts = ["a\x00b", "<script>", "'; DROP TABLE spans", "\u202e\x1b[31m", "\U0001f600", "x" * 10_000_000, ""]
        rows = [
            span(RUN, n + 1, None, T0 + n, 1, text, text=text, details=text.encode()) for n, text in enumerate(texts)
        ]
        store.write(Batch(spans=[*rows, span(RUN, 99, None, T0, 1, "\ud800", error_message="\udfff!")]))
        found = [store.span(RUN, row.span_id) for row in rows]
        assert [each[0] for each in found if each] == rows
        broken = store.span(RUN, f"{99:016x}")
        assert broken is not None
        assert (broken[0].name, broken[0].error_message) == ("?", "?!")

    def test_a_closed_store_says_so(self, store: Store) -> None:
        """Closing twice is harmless; whoever asks afterwards is told."""
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.totals(ALL)
        with pytest.raises(StoreError, match="closed"):
            store.write(morning())

    def test_what_was_written_is_there_when_the_store_is_opened_again(self) -> None:
        """Rows, positions and what was deleted outlive the process: every answer is that of before, and nothing comes back."""

        def told(store: Store) -> tuple[Any, ...]:
            answers = (store.traces(ALL), store.logs(ALL).rows, store.facets(ALL), store.trace(RUN), store.run(RUN))
            return (*answers, store.positions(), store.running(0), store.metric_names(), store.deletions())

        with self.place() as place:
            first = self.open(place)
            first.write(morning())
            first.write(Batch(opened=[OpenRow("b" * 32, f"{1:016x}", None, T0, "on", "task")]))
            first.delete(Subject("trace", OTHER_RUN), by="ada", at_us=T0)
            before = told(first)
            first.close()
            second = self.open(place)
            assert told(second) == before
            assert second.write(Batch(spans=morning().spans)).spans == 0
            assert told(second) == before
            second.close()
