"""What a journal line becomes in the store: always a log row, and a span when it closes an operation.

Pure: the same line gives the same rows. The adapters write captured content into ``metadata`` under the names of the GenAI
conventions; here it moves to where a page looks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from ai_dev_squad import attributes as keys
from ai_dev_squad.costs.prices import Price, UnknownPrice
from ai_dev_squad.runs import MODEL_OPERATIONS, OPENING_EVENTS
from ai_dev_squad.schema import Cost, ErrorInfo, JournalLine, Link, Usage
from ai_dev_squad_dashboard.ingest import plausible
from ai_dev_squad_dashboard.ingest.carried import carried
from ai_dev_squad_dashboard.ingest.content import searched_text
from ai_dev_squad_dashboard.ingest.excerpts import answer_in, question_in
from ai_dev_squad_dashboard.ingest.labels import labels_of
from ai_dev_squad_dashboard.ingest.pricing import Prices, input_share, saving
from ai_dev_squad_dashboard.store.rows import LogRow, OpenRow, SpanRow

__all__ = ["JournalRows", "microseconds", "rows"]

_CONTENT: Final[Mapping[str, str]] = {
    keys.INPUT_MESSAGES: "input",
    keys.TOOL_CALL_ARGUMENTS: "input",
    keys.RETRIEVAL_QUERY_TEXT: "input",
    "crewai.task.description": "input",
    keys.OUTPUT_MESSAGES: "output",
    keys.TOOL_CALL_RESULT: "output",
    keys.RETRIEVAL_DOCUMENTS: "output",
    "crewai.task.output": "output",
    keys.SYSTEM_INSTRUCTIONS: "system",
    keys.TOOL_DEFINITIONS: "tools",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LARGEST = 1 << 53
_REFUSALS = frozenset({"BudgetExceeded", "LoopDetected"})
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_encode = msgspec.json.Encoder().encode
_encode_line = msgspec.json.Encoder(order="deterministic").encode
"""The same bytes, in whatever order a shipper has written the keys of a line: by them a line is known when it comes again."""


class JournalRows(NamedTuple):
    """The rows of one line."""

    log: LogRow
    span: SpanRow | None
    """Of a line that closes an operation."""
    opened: OpenRow | None
    """Of a line that opens one."""
    answer: str | None = None
    """The provider's id of the answer, where there is one: it tells whether others have seen the same call."""


class _LogDetails(msgspec.Struct, omit_defaults=True):
    """What a log row has no column for."""

    name: str | None = None
    operation: str | None = None
    status: str | None = None
    duration_ms: float | None = None
    parent_span_id: str | None = None
    correlation_id: str | None = None
    usage: Usage | None = None
    cost: Cost | None = None
    error: ErrorInfo | None = None
    links: list[Link] | None = None
    metadata: dict[str, Any] | None = None


def rows(line: JournalLine, now_us: int, prices: Prices | None = None) -> JournalRows:
    """Translate a line that was read at ``now_us``. ``prices`` tell what a cache saved; without them that stays unknown."""
    time_us = plausible.moment_us(microseconds(line.timestamp), now_us)
    trace_id, span_id = _ids(line)
    known = trace_id is not None and span_id is not None and line.operation is not None
    span = opened = None
    if known and line.status is not None:
        span = _span(line, (trace_id or "", span_id or ""), time_us, now_us, prices)
    elif known and line.event_type in OPENING_EVENTS:
        opened = OpenRow(
            trace_id=trace_id or "",
            span_id=span_id or "",
            parent_span_id=_above(line)[0],
            start_us=time_us,
            name=_string(line.name) or line.operation or "",
            operation=line.operation or "other",
            framework=line.framework,
            session_id=line.session_id,
            agent=_agent(line),
        )
    answer = None if span is None else _string((line.metadata or {}).get(keys.RESPONSE_ID))
    return JournalRows(_log(line, time_us, trace_id, span_id, whole=span is None), span, opened, answer)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _span(line: JournalLine, ids: tuple[str, str], time_us: int, now_us: int, prices: Prices | None) -> SpanRow:
    duration_us = min(_whole(line.duration_ms, 1_000) or 0, plausible.LONGEST_US)
    metadata = line.metadata or {}
    operation = line.operation or "other"
    parent_span_id, below = _above(line)
    details, text, said = _details(line, metadata, below)
    is_heard = operation in MODEL_OPERATIONS or parent_span_id is None
    error = line.error
    row = SpanRow(
        *ids,
        parent_span_id=parent_span_id,
        start_us=time_us - duration_us,
        duration_us=duration_us,
        name=_string(line.name) or operation,
        operation=operation,
        status=line.status or "ok",
        framework=line.framework,
        session_id=line.session_id or _string(metadata.get(keys.CONVERSATION_ID)),
        user_id=_string(metadata.get(keys.USER_ID)),
        labels=labels_of(metadata) if metadata else None,
        agent=_agent(line),
        tool=line.name if operation == "execute_tool" else None,
        error_type=None if error is None else error.type,
        error_message=None if error is None else error.message or None,
        source="journal",
        instrumentation="ai_dev_squad",
        ingested_us=now_us,
        details=details,
        text=text,
        task=_string(metadata.get(keys.TASK_LABEL)),
        resumes=_resumed(line),
        asked=question_in(said.get("input")) if is_heard else None,
        answered=answer_in(said.get("output")) if is_heard else None,
    )
    if operation not in MODEL_OPERATIONS:
        return row
    call = row._replace(**_model_call(line, metadata, prices))
    if prices is None or not said or line.usage is None or line.name is None:
        return call
    share = partial(input_share, _price(line, line.name, metadata, prices), line.usage)
    return call._replace(carried=carried(said, call.input_tokens, call.cost_usd, share))


def _model_call(line: JournalLine, metadata: Mapping[str, Any], prices: Prices | None) -> dict[str, Any]:
    """What only model calls have, so that a sum over spans counts each call once."""
    usage, cost = line.usage or Usage(source="missing"), line.cost
    try:
        counts = _counts(usage)
    except plausible.Implausible as error:
        usage = Usage(source="missing")
        counts, cost = _counts(usage), cost or Cost(usd=None, reason=str(error))
    if cost is None:
        refused = line.error is not None and line.error.type.rpartition(".")[2] in _REFUSALS
        # The call was stopped before it was made: it is known to cost nothing.
        cost = Cost(usd=0.0, price_source="refused") if refused else Cost(usd=None, reason="the journal has no cost")
    provider = _string(metadata.get(keys.PROVIDER_NAME))
    return {
        "provider": provider,
        "model": _string(metadata.get(keys.RESPONSE_MODEL)) or line.name,
        **counts,
        "usage_source": usage.source,
        "cost_usd": plausible.usd(cost.usd),
        "price": cost.price,
        "price_date": cost.price_date,
        "price_source": cost.price_source,
        "cost_reason": _doubt(cost),
        "cache_saving_usd": None if prices is None else _saving(line, metadata, usage, cost, prices),
        "first_chunk_us": _whole(metadata.get(keys.RESPONSE_TIME_TO_FIRST_CHUNK), 1_000_000),
    }


def _counts(usage: Usage) -> dict[str, int | None]:
    """Raises ``plausible.Implausible``."""
    return {
        "input_tokens": plausible.tokens(usage.input_tokens),
        "output_tokens": plausible.tokens(usage.output_tokens),
        "cache_read_tokens": plausible.tokens(usage.cache_read_input_tokens),
        "cache_write_tokens": plausible.tokens(usage.cache_write_input_tokens),
        "reasoning_tokens": plausible.tokens(usage.reasoning_output_tokens),
    }


def _doubt(cost: Cost) -> str | None:
    """Why the cost is unknown; ``None`` when it is not."""
    if cost.usd is None:
        return cost.reason
    return None if plausible.usd(cost.usd) is not None else f"the line states ${cost.usd:,.0f} for one call"


def _saving(line: JournalLine, metadata: Mapping[str, Any], usage: Usage, cost: Cost, prices: Prices) -> float | None:
    """What the cache saved, when the call was priced as we would price it; the program may have had prices of its own."""
    if not usage.cache_read_input_tokens or cost.usd is None or line.name is None:
        return None
    price = _price(line, line.name, metadata, prices)
    same = price.cost(usage).usd
    return None if same is None or abs(same - cost.usd) > 1e-9 + same * 1e-6 else saving(price, usage)


def _price(line: JournalLine, model: str, metadata: Mapping[str, Any], prices: Prices) -> Price | UnknownPrice:
    return prices.find(
        _string(metadata.get(keys.PROVIDER_NAME)),
        model,
        line.timestamp.timestamp(),
        answered=_string(metadata.get(keys.RESPONSE_MODEL)),
        address=_string(metadata.get(keys.SERVER_ADDRESS)),
    )


def _details(
    line: JournalLine, metadata: Mapping[str, Any], below: str | None
) -> tuple[bytes | None, str | None, Mapping[str, Any]]:
    """The JSON that is read when one span is looked at, the text that is searched, and the captured content by its place."""
    details: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    content: list[Any] = []
    arguments = None
    for key, value in metadata.items():
        place = _CONTENT.get(key)
        if place is None or place in details:
            attributes[key] = value
        else:
            details[place] = value
            if key == keys.TOOL_CALL_ARGUMENTS:
                arguments = value
            else:
                content.append(value)
    if line.correlation_id is not None:
        attributes[keys.CORRELATION_ID] = line.correlation_id
    if attributes:
        details["attributes"] = attributes
    if line.links:
        details["links"] = [
            {"trace_id": link.trace_id, "span_id": link.span_id, "type": link.type, "attributes": {}}
            for link in line.links
        ]
    if line.error is not None and line.error.stacktrace is not None:
        details["stacktrace"] = line.error.stacktrace
    if below is not None:
        details["below"] = below
    return _encode(details) if details else None, searched_text(content, arguments), details


def _log(line: JournalLine, time_us: int, trace_id: str | None, span_id: str | None, *, whole: bool) -> LogRow:
    metadata = line.metadata
    if line.operation is not None and metadata:
        # The span keeps content, and a closing line's attributes; twice would double the store.
        metadata = {key: value for key, value in metadata.items() if key not in _CONTENT} if whole else None
    details = _LogDetails(
        name=line.name,
        operation=line.operation,
        status=line.status,
        duration_ms=line.duration_ms,
        parent_span_id=line.parent_span_id,
        correlation_id=line.correlation_id,
        usage=line.usage,
        cost=line.cost,
        error=line.error,
        links=line.links,
        metadata=metadata or None,
    )
    encoded = _encode_line(details)
    return LogRow(
        time_us=time_us,
        level=line.level,
        event_type=line.event_type,
        message=line.message,
        framework=line.framework,
        session_id=line.session_id,
        agent=_agent(line),
        trace_id=trace_id,
        span_id=span_id,
        source="journal",
        details=encoded if encoded != b"{}" else None,
    )


def _ids(line: JournalLine) -> tuple[str | None, str | None]:
    """The ids, where they are such; a span's id means nothing without its trace's."""
    trace_id, span_id = line.trace_id, line.span_id
    if trace_id is None or not _TRACE_ID.fullmatch(trace_id):
        return None, None
    return trace_id, span_id if span_id is not None and _SPAN_ID.fullmatch(span_id) else None


def _above(line: JournalLine) -> tuple[str | None, str | None]:
    """The operation above, or else the span of the application in which a run begins: no journal tells of that one."""
    above = line.parent_span_id
    if above is None or above == line.span_id or not _SPAN_ID.fullmatch(above):
        return None, None
    return (None, above) if (line.metadata or {}).get(keys.LOCAL_ROOT) is True else (above, None)


def _agent(line: JournalLine) -> str | None:
    return _string(line.agent_id) or (_string(line.name) if line.operation == "invoke_agent" else None)


def _resumed(line: JournalLine) -> str | None:
    return next(
        (link.trace_id for link in line.links or () if link.type == "resumes" and _TRACE_ID.fullmatch(link.trace_id)),
        None,
    )


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _whole(value: Any, factor: int = 1) -> int | None:
    """A count or a time as a whole number that a store can hold; ``None`` for what is none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    if value <= 0:
        return 0
    return round(value * factor) if value * factor < _LARGEST else _LARGEST
