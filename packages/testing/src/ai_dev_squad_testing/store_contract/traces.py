"""One trace, one span, and what an id names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ai_dev_squad_dashboard.engine import Batch, Found, OpenRow, OutlineSpan, Store
from ai_dev_squad_testing.store_contract.harness import Opens
from ai_dev_squad_testing.store_contract.sample import (
    ALL,
    CREW_ROW,
    HOUR,
    MINUTE,
    OTHER_RUN,
    RUN,
    SECOND,
    T0,
    morning,
    span,
)

__all__ = ["Traces"]


class Traces(Opens):
    """One trace, one span, and what an id names."""

    def test_a_whole_trace(self, asked: Store) -> None:
        """A trace has its spans by start without their content, and its log lines by time."""
        trace = asked.trace(RUN)
        assert trace is not None
        batch = morning()
        assert trace.row == CREW_ROW
        assert list(trace.spans) == [
            row._replace(details=None, text=None, asked=None, answered=None) for row in batch.spans[:5]
        ]
        assert list(trace.logs) == batch.logs[:2]
        assert (trace.running, trace.truncated) == ((), False)

    def test_the_outline_of_a_trace(self, filled: Store) -> None:
        """The same spans, of each what a tree shows; of the log lines their number. Without spans it is asked for to
        see what changed.
        """
        trace, outline = filled.trace(RUN), filled.outline(RUN)
        assert trace is not None
        assert outline is not None
        assert outline.row == trace.row
        assert [span._asdict() for span in outline.spans] == [
            {name: getattr(span, name) for name in OutlineSpan.__annotations__} for span in trace.spans
        ]
        assert (outline.lines, outline.told, outline.running, outline.truncated) == (len(trace.logs), (), (), False)
        assert filled.outline(RUN, limit=2) == replace(outline, spans=outline.spans[:2], truncated=True)
        assert filled.outline(RUN, limit=0) == replace(outline, spans=(), truncated=True)

    @pytest.mark.parametrize(
        "text, found",
        [
            (RUN, [Found("trace", RUN, RUN, "plan the week", T0, exact=True)]),
            (f" '{RUN.upper()}'\n", [Found("trace", RUN, RUN, "plan the week", T0, exact=True)]),
            ("0AF76519-16cd-43dd-8448-eb211c80319c", [Found("trace", RUN, RUN, "plan the week", T0, exact=True)]),
            ("0af76519", [Found("trace", RUN, RUN, "plan the week", T0, exact=False)]),
            ("0af76519…", [Found("trace", RUN, RUN, "plan the week", T0, exact=False)]),
            ("0af7651", []),
            (f"{4:016X}", [Found("span", f"{4:016x}", RUN, "calendar", T0 + 5 * SECOND, exact=True)]),
            (f"00-{RUN}-{4:016x}-01", [Found("span", f"{4:016x}", RUN, "calendar", T0 + 5 * SECOND, exact=True)]),
            (f"00-{RUN}-{'9' * 16}-01", [Found("trace", RUN, RUN, "plan the week", T0, exact=True)]),
            (
                f"{1:016x}",
                [
                    Found("span", f"{1:016x}", OTHER_RUN, "llama", T0 + 30 * MINUTE, exact=True),
                    Found("span", f"{1:016x}", RUN, "plan the week", T0, exact=True),
                ],
            ),
            ("monday", [Found("session", "monday", None, "plan the week", T0, exact=True)]),
            ("mond…", [Found("session", "monday", None, "plan the week", T0, exact=False)]),
            ("mond", []),
            ("MONDAY", []),
            ("", []),
            ("…", []),
            ("'); DROP TABLE spans; --", []),
        ],
    )
    def test_what_an_id_names(self, asked: Store, text: str, found: list[Found]) -> None:
        """An id opens what it names as it is copied: in any case, with dashes, in quotes, as a header, or its beginning."""
        assert list(asked.find(text)) == found

    def test_a_user_has_an_id_as_well(self, store: Store) -> None:
        """Whom runs were for is found by the whole id, or its beginning."""
        store.write(Batch(spans=[span(RUN, 1, None, T0, 1, "run", user_id="ann@example.com")]))
        assert list(store.find("ann@example.com")) == [Found("user", "ann@example.com", None, "run", T0, exact=True)]
        assert [one.exact for one in store.find("ann@ex")] == [False]

    def test_what_runs_has_an_id_as_well(self, store: Store) -> None:
        """A trace of which nothing has finished yet is found, under the name of its root, once."""
        opened = [OpenRow(RUN, f"{n:016x}", None if n == 1 else f"{1:016x}", T0 - n, f"op {n}", "chat") for n in (2, 1)]
        store.write(Batch(opened=opened))
        assert list(store.find(RUN)) == [Found("trace", RUN, RUN, "op 1", T0 - 1, exact=True)]
        store.write(Batch(spans=[span(RUN, 1, None, T0, 1, "done")]))
        assert list(store.find(RUN)) == [Found("trace", RUN, RUN, "done", T0, exact=True)]

    def test_a_long_trace_is_cut_and_says_so(self, asked: Store) -> None:
        """No more spans than asked for."""
        trace = asked.trace(RUN, limit=2)
        assert trace is not None
        assert ([row.name for row in trace.spans], trace.truncated) == (["plan the week", "planner"], True)

    def test_spans_of_one_start_stand_as_they_came(self, store: Store) -> None:
        """However long they lasted and whatever their ids are; the root before what is in it."""
        store.write(Batch(spans=[span(RUN, 9, 1, T0, 5, "first"), span(RUN, 3, 1, T0, 50, "second")]))
        store.write(Batch(spans=[span(RUN, 7, 1, T0, 500, "third"), span(RUN, 1, None, T0, 500, "root")]))
        trace = store.trace(RUN)
        assert trace is not None
        assert [row.name for row in trace.spans] == ["root", "first", "second", "third"]

    @pytest.mark.parametrize("trace_id", ["", "zz", "0" * 32, "'", "0af7651916cd43dd8448eb211c80319g"])
    def test_there_is_no_such_trace(self, asked: Store, trace_id: str) -> None:
        """An unknown or impossible id finds nothing."""
        assert asked.trace(trace_id) is None
        assert asked.span(trace_id, f"{1:016x}") is None
        assert asked.span(RUN, trace_id) is None

    def test_one_span_with_all_that_is_known(self, asked: Store) -> None:
        """A span comes back exactly as it was written, with its own log lines."""
        batch = morning()
        assert asked.span(RUN, f"{3:016x}") == (batch.spans[2]._replace(asked=None, answered=None), ())
        assert asked.span(RUN, f"{4:016x}") == (batch.spans[3], (batch.logs[1],))

    def test_details_of_a_trace(self, asked: Store) -> None:
        """Details are read for all spans that have some, to download a trace; beside other runs they are the same, and so is the trace."""
        told = [(f"{3:016x}", morning().spans[2].details)]
        alone, first = asked.trace(RUN), asked.trace(RUN, limit=1)
        assert list(asked.details(RUN)) == told
        with asked.snapshot():
            assert asked.run(RUN, beside=(RUN, f"{9:032x}")) is not None
            assert (list(asked.details(RUN)), list(asked.details(RUN, limit=0))) == (told, [])
            assert (asked.trace(RUN), asked.trace(RUN, limit=1)) == (alone, first)

    def test_what_runs_disappears_when_its_span_arrives(self, store: Store) -> None:
        """An operation is shown from its beginning to its end, whichever of the two is told first."""
        begun = [OpenRow(RUN, f"{n:016x}", None if n == 1 else f"{1:016x}", T0 + n, "x", "chat") for n in (1, 2, 3)]
        store.write(Batch(opened=begun))
        store.write(Batch(opened=begun))
        assert store.running(T0) == begun[::-1]
        assert store.running(T0, limit=1) == begun[:-2:-1]
        trace = store.trace(RUN)
        assert trace is not None
        assert (trace.row.status, trace.row.spans, trace.running) == ("running", 0, tuple(begun))
        store.write(Batch(spans=[span(RUN, 3, 1, T0 + 3, 1, "x"), span(RUN, 4, 1, T0 + 4, 1, "x")]))
        assert store.running(T0) == [begun[1], begun[0]]
        late = OpenRow(RUN, f"{4:016x}", None, T0 + 4, "x", "chat")
        both = OpenRow(RUN, f"{5:016x}", None, T0 + 5, "x", "chat")
        store.write(Batch(opened=[late, both], spans=[span(RUN, 5, 1, T0 + 5, 1, "x")]))
        assert store.running(T0) == [begun[1], begun[0]]
        assert store.running(T0 + 2) == [begun[1]]
        assert store.running(T0 + 3) == []

    @pytest.mark.parametrize(
        "away, skewed", [(HOUR, True), (-HOUR, True), (-2 * SECOND, True), (30 * SECOND, False), (-SECOND, False)]
    )
    def test_a_clock_that_differs_stretches_no_run(self, store: Store, away: int, skewed: bool) -> None:
        """A run whose operations cannot have been when they say lasts as long as its root, and says why; it keeps its model."""
        call = {"operation": "chat", "model": "m", "usage_source": "provider"}
        rows = [span(RUN, 1, None, T0, SECOND, "run"), span(RUN, 2, 1, T0 + away, SECOND, "m", **call)]
        store.write(Batch(spans=rows))
        (row,) = store.traces(ALL).rows
        stretched = max(T0, T0 + away) + SECOND - min(T0, T0 + away)
        assert (row.duration_us, row.skewed, row.models) == (SECOND if skewed else stretched, skewed, ("m",))
        assert len(store.traces(ALL, min_duration_us=2 * SECOND).rows) == (row.duration_us >= 2 * SECOND)
        assert store.totals(ALL).run_p95_us == pytest.approx(SECOND, rel=0.05)

    def test_a_clock_that_was_set_back_is_in_no_percentile(self, store: Store) -> None:
        """What ended before it began has no duration; it counts, and its trace does not end before it begins."""
        call = {"operation": "chat", "model": "m", "usage_source": "provider", "session_id": "s"}
        store.write(Batch(spans=[span(RUN, 1, None, T0, -SECOND, "m", **call)]))
        assert (store.totals(ALL).calls, store.totals(ALL).p95_us, store.totals(ALL).run_p95_us) == (1, None, None)
        store.write(Batch(spans=[span(f"{n:032x}", 1, None, T0, SECOND, "m", **call) for n in range(1, 8)]))
        for by in ("model", "session", "workflow"):
            (group,) = store.groups(ALL, by)
            assert (group.calls, group.mean_us) == (8, 7 * SECOND // 8)
            assert group.p50_us == pytest.approx(SECOND, rel=0.05)
        assert [row.duration_us for row in store.traces(ALL, order="duration").rows] == [*[SECOND] * 7, 0]
        found = store.span(RUN, f"{1:016x}")
        assert found is not None
        assert found[0].duration_us == -SECOND
        # A root of which nobody knows how long it took does not tell whether what comes later is of another clock.
        later = f"{9:032x}"
        store.write(Batch(spans=[span(later, 1, None, T0, -1, "m"), span(later, 2, 1, T0 + HOUR, SECOND, "m")]))
        trace = store.trace(later)
        assert trace is not None
        listed = [row for row in store.traces(ALL).rows if row.trace_id == later]
        assert [(row.duration_us, row.skewed) for row in (trace.row, *listed)] == [(HOUR + SECOND, False)] * 2
