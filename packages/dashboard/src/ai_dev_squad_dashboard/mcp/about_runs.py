"""Tools about runs: finding them, looking into one, laying several side by side, and what fails in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from . import shapes
from .answer import MAX_TEXT, Answer, Rows, milliseconds, moment, pick
from .parameters import FILTERS, TIME, arguments, chosen, text, whole
from .sources import Source, path_of
from .tool import Tool

__all__ = ["TOOLS"]

_CONTENT: Final = 6_000
"""Characters of one captured text where content is asked for."""
_CURSOR: Final = text("Where the list goes on: `next` of the answer before.")
_TRACE: Final = text("32 hexadecimal digits, as in other answers.", pattern="^[0-9a-fA-F]{32}$")
_SPAN: Final = text("16 hexadecimal digits, as in other answers.", pattern="^[0-9a-fA-F]{16}$")


def _list_runs(source: Source, asked: Mapping[str, Any]) -> Answer:
    given = arguments(asked, _LISTED, limit=20)
    record = source.page("traces", given)
    facts: dict[str, Any] = {"order": record["order"], "running": [_running(each) for each in record["running"]]}
    rows = Rows("runs", [shapes.run(row) for row in record["rows"]], record["total"], "get_run shows one of them")
    return Answer(path_of("traces", given), facts, rows, record["next"])


def _search(source: Source, asked: Mapping[str, Any]) -> Answer:
    given = arguments({**asked, "q": asked["text"]}, (*_FILTERED, "q", "cursor"), limit=20)
    record = source.page("traces", given)
    facts = {"ids": [pick(found, "kind id trace_id name exact") for found in record["named"]]}
    found = [shapes.run(row) for row in record["rows"]]
    # Nobody counts what has the words: only who has seen the first and the last of them knows.
    total = None if record["next"] or asked.get("cursor") else len(found)
    return Answer(
        path_of("traces", given), facts, Rows("runs", found, total, "get_run shows one of them"), record["next"]
    )


def _running(one: Mapping[str, Any]) -> dict[str, Any]:
    return {**pick(one, "trace_id name framework session_id operations"), "started": moment(one["start_us"])}


def _get_run(source: Source, asked: Mapping[str, Any]) -> Answer:
    if asked.get("span_id"):
        return _operation(source, asked)
    trace_id = asked["trace_id"].lower()
    given = arguments({"cursor": asked.get("cursor"), "limit": asked.get("limit", 60)}, ("cursor", "limit"))
    record = source.page("trace", given, trace_id=trace_id)
    facts: dict[str, Any] = {
        "run": {
            **shapes.run(record["row"]),
            "status": record["status"],
            "duration_ms": milliseconds(record["duration_us"]),
        },
        "waited_for_a_person_ms": milliseconds(record["waited_us"]) or None,
        "still_running": record["running"] or None,
        "incomplete": record["partial"] or record["truncated"] or None,
        "failures": [pick(each, "span_id name error_type error_message") for each in record["failures"][:10]],
        "loops": [
            pick(each, "agent pattern operations repeats model_calls cost_usd owner>below_span_id")
            for each in record["loops"][:5]
        ],
        "waited_for": [
            {**pick(each, "name operation agent span_id"), "waited_ms": milliseconds(each["wait_us"])}
            for each in record["waits"][:8]
        ],
        "marks": [pick(each, "name score label comment made_by") for each in record["marks"][:10]],
        "linked_runs": [pick(each, "trace_id type name") for each in record["links"][:10]],
    }
    rows = [shapes.operation(row, place) for row, place in zip(record["rows"], record["places"], strict=True)]
    more = "get_run with span_id shows one operation with what was captured of it"
    return Answer(
        path_of("trace", trace_id=trace_id),
        facts,
        Rows("operations", rows, record["operations"], more, lambda count: str(record["places"][count])),
        record["next"],
    )


def _operation(source: Source, asked: Mapping[str, Any]) -> Answer:
    trace_id, span_id = asked["trace_id"].lower(), asked["span_id"].lower()
    record = source.page("span", trace_id=trace_id, span_id=span_id)
    facts: dict[str, Any] = {
        "operation": {
            **pick(
                record,
                "trace_id span_id parent_span_id name operation status framework service session_id agent tool provider model "
                "attempt error_type instrumentation",
            ),
            "started": moment(record["start_us"]),
            "duration_ms": milliseconds(record["duration_us"]),
            "first_chunk_ms": milliseconds(record["first_chunk_us"]),
        },
        "usage": record["usage"],
        "error_message": shapes.text_of(record["error_message"]),
        "stacktrace": shapes.text_of(record["stacktrace"]),
        "input": shapes.text_of(record["input"]),
        "output": shapes.text_of(record["output"]),
        "content": "was not captured" if record["wants_content"] else None,
        "attributes": {each["key"]: shapes.text_of(each["value"]) for each in record["attributes"][:60]},
        "log": [
            {**pick(line, "level event_type message"), "at": moment(line["time_us"])} for line in record["lines"][:10]
        ],
    }
    conversation = record["conversation"] or {"messages": (), "left_out": 0, "tools": ()}
    # What was said last answers more questions than what was said first.
    said = [_message(message) for message in reversed(conversation["messages"])]
    facts["tools_offered"] = [each["name"] for each in conversation["tools"]]
    rows = Rows("messages", said, len(said) + conversation["left_out"], "newest first")
    link = path_of("trace", [("span", span_id)], trace_id=trace_id)
    return Answer(link, facts, rows, max_text=_CONTENT if asked.get("content") else MAX_TEXT)


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    parts = [
        {"kind": part["kind"], "title": part["title"], "text": shapes.text_of(part["body"])}
        for part in message["parts"]
    ]
    return {**pick(message, "role name finish_reason"), "answer": message["answer"] or None, "parts": parts}


def _compare_runs(source: Source, asked: Mapping[str, Any]) -> Answer:
    ids = [each.lower() for each in asked["trace_ids"]]
    given = [*(("t", each) for each in ids), *arguments(asked, ("by",))]
    given.append(("rows", "all" if asked.get("all_operations") else "differ"))
    record = source.page("compare", given)
    runs = [
        {
            "letter": each["letter"],
            **shapes.run(each["run"]["row"]),
            "asked": shapes.said(each["asked"]),
            "answered": shapes.said(each["answered"]),
        }
        for each in record["runs"]
    ]
    letters = [each["letter"] for each in record["runs"]]
    facts: dict[str, Any] = {
        "runs": runs,
        "compared_by": record["by"],
        "measures": [
            {"name": each["name"], "unit": each["unit"] or "count", **dict(zip(letters, each["values"], strict=True))}
            for each in record["measures"]
        ],
        "operations_in_all": record["operations"],
        "not_in_every_run": record["missing"],
        "ended_or_done_differently": record["different"],
        "worth_comparing": [
            {"why": relation, **pick(row, "trace_id name status framework cost_usd")}
            for relation, row in record["offered"][:8]
        ],
    }
    rows = [_compared(row, letters) for row in record["rows"]]
    return Answer(path_of("compare", given), facts, Rows("operations", rows, record["operations"]))


def _compared(row: Mapping[str, Any], letters: list[str]) -> dict[str, Any]:
    cells = {
        letter: None if cell is None else shapes.operation(cell)
        for letter, cell in zip(letters, row["cells"], strict=True)
    }
    return {"verdict": row["verdict"], "depth": row["depth"], **cells}


def _find_errors(source: Source, asked: Mapping[str, Any]) -> Answer:
    given = arguments(asked, (*_FILTERED, "order"), limit=20)
    record = source.page("errors", given)
    rows = [shapes.error_group(row) for row in record["groups"]]
    more = "list_runs with error_group shows all runs of one; raise `limit` for more groups"
    # A page that is full may not be the last; nobody counts those that are not there.
    total = None if record["limited"] else len(rows)
    return Answer(path_of("errors", given), {"order": record["order"]}, Rows("groups", rows, total, more))


_FILTERED: Final = (*TIME, *FILTERS)
_SEARCHED: Final = {
    "status": chosen(
        "How the run ended; failed_step: it did not fail, but something in it did.",
        "ok", "error", "failed_step", "interrupted", "cancelled", "handoff", "closed_early", "abandoned",
    ),
    "name": text("Only runs of this name."),
    "tool": text("Only runs that called this tool."),
    "error_group": text("Only runs with a failure of this group, as find_errors names it."),
    "mark": text("Only runs with a mark of this label; `any` for whatever mark."),
    "max_score": {"type": "number", "description": "Only runs with a mark of at most this score."},
    "min_cost_usd": {"type": "number", "minimum": 0, "description": "Only runs that cost at least this much, in USD."},
    "min_duration_ms": {"type": "number", "minimum": 0, "description": "Only runs that took at least this long."},
}  # fmt: skip
_LISTED: Final = (*_FILTERED, *_SEARCHED, "order", "cursor")

TOOLS: Final = (
    Tool(
        "list_runs",
        "List runs",
        "Runs of agents, newest first or in another order, with status, cost, tokens, and how what was asked and answered begins. "
        "With `session` it is a conversation turn by turn; with `order: cost` the dearest runs; with `status: error` those that failed.",
        {
            **TIME,
            **FILTERS,
            **_SEARCHED,
            "order": chosen(
                "What comes first.", "newest", "cost", "duration", "tokens", "errors", "spans", "calls", default="newest"
            ),
            "limit": whole("How many.", 1, 50, 20),
            "cursor": _CURSOR,
        },
        _list_runs,
    ),
    Tool(
        "get_run",
        "Look into a run",
        "One run: what failed and where, what it waited for, loops, cost, and its operations as a tree in order (`depth`). With "
        "`span_id` one operation with its input, output and conversation, as far as content was captured; `content` gives long texts.",
        {
            "trace_id": _TRACE,
            "span_id": _SPAN,
            "content": {"type": "boolean", "description": "Long texts of the operation, up to 6,000 characters each."},
            "limit": whole("How many operations of the tree.", 1, 200, 60),
            "cursor": text("The operation to go on from: `next` of the answer before."),
        },
        _get_run,
        required=("trace_id",),
    ),
    Tool(
        "find_errors",
        "Find errors",
        "What fails, grouped by type, place and message, with how often, since when, and the newest runs of each group.",
        {
            **TIME,
            **FILTERS,
            "order": chosen("What comes first.", "count", "runs", "last", "first", default="count"),
            "limit": whole("How many groups.", 1, 100, 20),
        },
        _find_errors,
    ),
    Tool(
        "search",
        "Search",
        "Runs by words that occur in names, errors, prompts, answers and tool results (every word has to), or what an id names: a "
        "trace, an operation, a session or a user.",
        {
            "text": {"type": "string", "minLength": 1, "maxLength": 500, "description": "The words, or an id."},
            **TIME,
            **FILTERS,
            "limit": whole("How many runs.", 1, 50, 20),
            "cursor": _CURSOR,
        },
        _search,
        required=("text",),
    ),
    Tool(
        "compare_runs",
        "Compare runs",
        "Two to six runs side by side: what they were asked and answered, what each took, and the operations in which they differ. "
        "With one run: which others are worth comparing with it.",
        {
            "trace_ids": {
                "type": "array",
                "items": {"type": "string", "pattern": "^[0-9a-fA-F]{32}$"},
                "minItems": 1,
                "maxItems": 6,
                "description": "The runs; the first is what the others are compared with.",
            },
            "by": chosen("Operation by operation, or by turns of agents, which suits different frameworks.", "tree", "agents"),
            "all_operations": {"type": "boolean", "description": "Also operations that do not differ."},
        },
        _compare_runs,
        required=("trace_ids",),
    ),
)  # fmt: skip
