"""What may be asked of in SQL: views with names that stay, whatever the tables behind them become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .duckdb_columns import HEXED
from .orders import DURATION

__all__ = ["VIEWS", "View", "ViewColumn"]


@dataclass(frozen=True)
class ViewColumn:
    """A column of a view."""

    name: str
    about: str
    expression: str
    """How it comes from the table."""


@dataclass(frozen=True)
class View:
    """A view: what a row of it is, and where it comes from."""

    name: str
    about: str
    columns: tuple[ViewColumn, ...]
    source: str

    def statement(self, database: str) -> str:
        """What it is, as a question about ``database``: by its whole name, since a view may be called like its table."""
        shown = ", ".join(f"{column.expression} AS {column.name}" for column in self.columns)
        quoted = database.replace('"', '""')
        return f'SELECT {shown} FROM "{quoted}".main.{self.source}'  # noqa: S608 - all of it is ours


def _columns(**given: tuple[str, str] | str) -> tuple[ViewColumn, ...]:
    """Each column with what it is, and where it is not the table's own of this name, how it comes about."""
    return tuple(
        ViewColumn(name, said, name) if isinstance(said, str) else ViewColumn(name, *said)
        for name, said in given.items()
    )


_NAMES: Final = _columns(
    framework="What runs the agents.",
    service="The program, as OpenTelemetry names it.",
    session_id="The conversation.",
)
_USER: Final = _columns(user_id="Whom it was for.")
_TOKENS: Final = _columns(
    input_tokens="Tokens that were sent, cached ones included.",
    output_tokens="Tokens that came back, reasoning included.",
    cache_read_tokens="Of the input, what came from a cache.",
    cache_write_tokens="Of the input, what was put into a cache.",
    reasoning_tokens="Of the output, what was reasoning.",
    cost_usd="USD, where the price is known.",
)
_TIMES: Final = _columns(
    start=("When it began, UTC.", "make_timestamp(start_us)"),
    duration_ms=(
        "How long it took, in milliseconds; below zero where the sender's clock was set back meanwhile.",
        "duration_us / 1000",
    ),
)
_SPAN: Final = (
    *_columns(
        trace_id=("The run.", HEXED),
        span_id=("The operation.", "lpad(lower(hex(span_id)), 16, '0')"),
        parent_span_id=("The operation around it.", "lpad(lower(hex(parent_span_id)), 16, '0')"),
    ),
    *_TIMES,
    *_columns(
        name="What was called.",
        operation="The kind of operation, as the GenAI conventions name it.",
        status="How it ended.",
        agent="The agent.",
        error_type="The kind of error.",
        error_message="What the error said.",
    ),
    *_NAMES,
    *_USER,
)
_CALL: Final = (
    *_columns(
        provider="Who was asked.",
        model="The model that answered, else the one that was asked.",
    ),
    *_TOKENS,
    *_columns(
        usage_source="Where the tokens are from: provider, estimated or missing.",
        cost_reason="Why there is no cost.",
        first_chunk_ms=("Until the first piece of the answer, in milliseconds.", "first_chunk_us / 1000"),
    ),
)
_CONTENT: Final = _columns(
    text="What was captured, as it is searched; a long text may leave out what its run has said before.",
    details=("Attributes and content, as JSON.", "decode(details)"),
)
_SUMS: Final = _columns(
    runs=("Runs.", "count(*)"),
    failed_runs=("Runs that failed.", "count(*) FILTER (status = 'error')"),
    first_start=("When the first began, UTC.", "make_timestamp(min(start_us))"),
    last_end=("When the last ended, UTC.", "make_timestamp(max(end_us))"),
    calls=("Model calls.", "sum(calls)::BIGINT"),
    input_tokens=("Tokens that were sent.", "sum(input_tokens)"),
    output_tokens=("Tokens that came back.", "sum(output_tokens)"),
    cost_usd=("USD, of the calls whose price is known.", "sum(cost_usd)"),
    unpriced_calls=("Calls without a known price.", "sum(unpriced)::BIGINT"),
)

_ALL: Final = (
    View(
        "runs",
        "A run: a trace with the sums of its model calls.",
        (
            *_columns(
                trace_id=("The run.", HEXED),
                name="What it is called: its root's name.",
                status="How its root ended.",
                error_type="The kind of error it failed with.",
                start=("When it began, UTC.", "make_timestamp(start_us)"),
                duration_ms=(
                    "From its first start to its last end, in milliseconds; where clocks differ, the root's own time.",
                    f"{DURATION} / 1000",
                ),
            ),
            *_NAMES,
            *_USER,
            *_columns(
                spans="Operations.",
                errors="Operations that failed.",
                calls="Model calls.",
                tools="Tool calls.",
            ),
            *_TOKENS,
            *_columns(unpriced_calls=("Calls without a known price.", "unpriced")),
        ),
        "traces",
    ),
    View("spans", "An operation that has ended.", (*_SPAN, *_columns(tool="The tool."), *_CALL, *_CONTENT), "spans"),
    View("calls", "A model call.", (*_SPAN, *_CALL, *_CONTENT), "spans WHERE usage_source IS NOT NULL"),
    View(
        "tools",
        "A tool call.",
        (*_SPAN, *_columns(tool="The tool."), *_CONTENT),
        "spans WHERE operation = 'execute_tool'",
    ),
    View(
        "logs",
        "A journal line or a log record.",
        (
            *_columns(
                time=("When, UTC.", "make_timestamp(time_us)"),
                level="DEBUG, INFO, WARNING, ERROR or CRITICAL.",
                event_type="What happened.",
                message="In words.",
                agent="The agent.",
            ),
            *_NAMES,
            *_columns(
                trace_id=("The run.", HEXED),
                span_id=("The operation.", "lpad(lower(hex(span_id)), 16, '0')"),
                details=("Everything else, as JSON.", "decode(details)"),
            ),
        ),
        "logs",
    ),
    View(
        "sessions",
        "A conversation, with the sums of its runs.",
        (*_columns(session_id="The conversation."), *_SUMS),
        "traces WHERE session_id IS NOT NULL GROUP BY session_id",
    ),
    View(
        "users",
        "A user, with the sums of their runs.",
        (*_columns(user_id="Whom the runs were for."), *_SUMS),
        "traces WHERE user_id IS NOT NULL GROUP BY user_id",
    ),
    View(
        "marks",
        "What somebody thinks of a run, or of an operation in it.",
        _columns(
            trace_id=("The run.", HEXED),
            span_id=("The operation, where one is meant.", "lpad(lower(hex(span_id)), 16, '0')"),
            time=("When, UTC.", "make_timestamp(time_us)"),
            session_id="The conversation.",
            name="What was judged.",
            score="A number.",
            label="A word.",
            comment="In words.",
            made_by="Who made it on the page or by API.",
        ),
        "marks",
    ),
    View(
        "labels",
        "A tag or a member of metadata of a run.",
        _columns(trace_id=("The run.", HEXED), key="Its name; `tag` for tags.", value="What it says."),
        "labels",
    ),
)

VIEWS: Final[Mapping[str, View]] = {view.name: view for view in _ALL}
"""The views by name."""
