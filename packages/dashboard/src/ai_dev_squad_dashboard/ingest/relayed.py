"""The line of a journal inside a log record, however a shipper has wrapped it on the way.

A shipper may send the line as it stands, behind something of its own (a time, a host, `stdout F`), inside a JSON object or a map
(`log`, `message`), or taken apart: as a map in the body, or as the record's attributes. All become the text of the line
again, and are read as the file is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import msgspec

from ai_dev_squad.events.reader import JournalError, decode_line, is_blank
from ai_dev_squad.schema import JournalLine

from .otlp_shapes import LogRecord, Unreadable, to_json

__all__ = ["line_in"]

_START: Final = '{"schema":'
_OURS: Final = re.compile(r'\{"schema":\d{1,9},"timestamp":"')
"""How a line of a journal begins, and nothing else does."""
_PREFIX: Final = 1_024
"""Characters that a shipper may have put before a line."""
_WRAPPERS: Final = ("log", "message", "MESSAGE", "msg", "body", "line", "log_processed")
"""Where shippers keep the text that they have read."""
_IN_PARTS: Final = frozenset({"schema", "event_type", "level"})
"""What a line has that was taken apart, among others."""
_DEPTH: Final = 3
"""Wrappers around one another: a container's log in a shipper's record."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def line_in(record: LogRecord) -> JournalLine | LogRecord | Unreadable | None:
    """The line that the record carries, or the record itself when it carries none.

    ``Unreadable`` for a line that was cut, or is of a newer version; ``None`` for what stands in a journal where lines were
    taken out.
    """
    body = record.body
    if type(body) is bytes:
        body = body.decode("utf-8", "replace")
    if type(body) is str and body and is_blank(body.encode("utf-8", "replace")) and _from_a_file(record.attributes):
        return None
    found = _in(body, record, _DEPTH)
    if found is None and record.attributes.keys() >= _IN_PARTS:
        said = {"message": body, **record.attributes} if type(body) is str else record.attributes
        found = _of_parts(said, record)
    return record if found is None else found


def _from_a_file(attributes: Mapping[str, Any]) -> bool:
    return all(key.startswith("log.") for key in attributes)


def _in(body: Any, record: LogRecord, depth: int) -> JournalLine | Unreadable | None:
    if type(body) is str:
        return _in_text(body, record, depth)
    if type(body) is not dict or not depth:
        return None
    if body.keys() >= _IN_PARTS:
        return _of_parts(body, record)
    for key in _WRAPPERS:
        if key in body and (found := _in(body[key], record, depth - 1)) is not None:
            return found
    return None


def _in_text(text: str, record: LogRecord, depth: int) -> JournalLine | Unreadable | None:
    if "schema" not in text:
        return None
    at = text.find(_START, 0, _PREFIX + len(_START))
    if at >= 0:
        try:
            return decode_line(text[at:].encode())
        except (JournalError, UnicodeError) as error:
            return _not_a_line(text[at:], str(error))
    # A shipper that has read it as JSON may have written it anew, in another order or inside something of its own.
    at = text.find("{", 0, _PREFIX)
    if at < 0 or not depth:
        return None
    try:
        parts = msgspec.json.decode(text[at:].encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return _in(parts, record, depth - 1) if type(parts) is dict else None


def _not_a_line(text: str, reason: str) -> Unreadable | None:
    """Why a line cannot be read; ``None`` when somebody only speaks of one."""
    if not _OURS.match(text):
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return Unreadable(f"a line of a journal: {reason}; if it was cut, raise the shipper's limit of a line")
    behind = text[end:].strip()
    if behind.startswith(_START):
        return Unreadable("several lines of a journal in one record; have the shipper make a record of each")
    return None if behind else Unreadable(f"a line of a journal: {reason}")


def _of_parts(parts: Mapping[str, Any], record: LogRecord) -> JournalLine | Unreadable | None:
    """A line that was taken apart, put together again: what a shipper added is left out by whoever reads it."""
    line = dict(parts)
    if type(line["schema"]) not in (int, float):
        return None
    if type(line["schema"]) is float:
        # Whoever reads numbers as floats only has written whole ones so, too.
        line = _with_whole_numbers(line)
    if "timestamp" not in line and record.time_ns:
        line["timestamp"] = (_EPOCH + timedelta(microseconds=record.time_ns // 1_000)).isoformat()
    if type(line.get("cost")) is dict:
        line["cost"] = {"usd": None, **line["cost"]}  # some leave out what is null
    try:
        return decode_line(to_json(line))
    except JournalError as error:
        return Unreadable(f"a line of a journal: {error}")


def _with_whole_numbers(value: Any) -> Any:
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is dict:
        return {key: _with_whole_numbers(each) for key, each in value.items()}
    if type(value) is list:
        return [_with_whole_numbers(each) for each in value]
    return value
