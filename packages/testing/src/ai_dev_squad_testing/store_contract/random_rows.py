"""Any rows and any questions, for what has to hold whatever they are."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ai_dev_squad_dashboard.engine import FIGURE_NAMES, Selection, SpanRow
from ai_dev_squad_testing.store_contract.sample import DAY, HOUR, MINUTE, SECOND, T0

__all__ = ["BATCHES", "FIGURES_OF_ROWS", "NAMES", "SUMS_OF_ROWS", "TRACES_OF_ROWS", "selections", "spans"]

NAMES = st.sampled_from([None, "a", "b", "c"])
OPERATIONS = ("invoke_workflow", "invoke_agent", "execute_tool", "chat", "other")


@st.composite
def spans(draw: st.DrawFn) -> SpanRow:
    """Any span: of few traces and names, over three days, so that everything meets."""
    operation = draw(st.sampled_from(OPERATIONS))
    call = operation == "chat"
    count = st.none() | st.integers(0, 10_000)
    return SpanRow(
        trace_id=f"{draw(st.integers(1, 6)):032x}",
        span_id=f"{draw(st.integers(1, 1 << 63)):016x}",
        parent_span_id=draw(st.none() | st.just(f"{7:016x}")),
        start_us=T0 + draw(st.integers(0, 3 * DAY) | st.integers(0, 200).map(lambda minutes: minutes * MINUTE)),
        duration_us=draw(st.integers(-5, 5) | st.integers(0, 10 * HOUR)),
        name=draw(st.sampled_from(["one", "two"])),
        operation=operation,
        status=draw(st.sampled_from(["ok", "error", "cancelled"])),
        framework=draw(NAMES),
        service=draw(NAMES),
        session_id=draw(NAMES),
        user_id=draw(NAMES),
        labels=draw(st.sampled_from([None, None, '{"tenant":"a"}', '{"tenant":"b","tag":"new"}'])),
        agent=draw(NAMES),
        tool=draw(NAMES) if operation == "execute_tool" else None,
        provider=draw(NAMES) if call else None,
        model=draw(NAMES) if call else None,
        error_type=draw(NAMES),
        task=draw(NAMES),
        version=draw(NAMES),
        resumes=draw(st.none() | st.integers(7, 9).map("{:032x}".format)),
        input_tokens=draw(count) if call else None,
        output_tokens=draw(count) if call else None,
        cache_read_tokens=draw(count) if call else None,
        cache_write_tokens=draw(count) if call else None,
        reasoning_tokens=draw(count) if call else None,
        usage_source=draw(st.sampled_from(["provider", "estimated", "missing"])) if call else None,
        cost_usd=draw(st.none() | st.floats(0, 100)) if call else None,
        cache_saving_usd=draw(st.none() | st.floats(0, 10)) if call else None,
    )


def _each_once(batches: list[list[SpanRow]]) -> list[list[SpanRow]]:
    seen: set[tuple[str, str]] = set()
    return [
        [row for row in batch if (row.trace_id, row.span_id) not in seen and not seen.add((row.trace_id, row.span_id))]  # type: ignore[func-returns-value]
        for batch in batches
    ]


BATCHES = st.lists(st.lists(spans(), max_size=12), min_size=1, max_size=6).map(_each_once)


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    """Any time, on and off the edges of minutes and hours, and any filters."""
    moments = (
        st.integers(-HOUR, 3 * DAY)
        | st.integers(0, 72).map(lambda n: n * HOUR)
        | st.integers(0, 300).map(lambda n: n * MINUTE)
    )
    start, end = sorted((T0 + draw(moments), T0 + draw(moments)))
    names = st.just(()) | st.lists(st.sampled_from(["a", "b", "absent"]), max_size=2).map(tuple)
    pairs = st.sampled_from(
        [(), (("tenant", "a"),), (("tenant", "a"), ("tenant", "b")), (("tenant", "b"), ("tag", "new"))]
    )
    return Selection(
        start,
        end,
        frameworks=draw(names),
        providers=draw(names),
        models=draw(names),
        agents=draw(names),
        services=draw(names),
        sessions=draw(names),
        users=draw(names),
        labels=draw(pairs),
    )


# What the properties below are about, for engines that look at fewer examples of it.
SUMS_OF_ROWS: dict[str, Any] = {
    "batches": BATCHES,
    "selection": selections(),
    "step": st.sampled_from([1, MINUTE, 15 * MINUTE, HOUR, DAY, 7 * MINUTE + 1]),
    "gone": st.sets(st.integers(0, 70), max_size=1),
    "key": NAMES,
}
FIGURES_OF_ROWS: dict[str, Any] = {
    "batches": BATCHES,
    "by": st.sets(st.sampled_from(FIGURE_NAMES), max_size=3).map(tuple),
    "step": st.sampled_from([SECOND, 5 * SECOND, 15 * MINUTE, HOUR]),
    "now": st.integers(0, 4 * DAY),
    "since": st.none() | st.integers(0, 3 * DAY),
    "latency": st.booleans(),
}
TRACES_OF_ROWS: dict[str, Any] = {"batches": BATCHES, "frameworks": st.just(()) | st.just(("a",))}
