"""Readers of answers that pass by in pieces of any size. None keeps more than what isn't complete yet."""

from __future__ import annotations

import json
from typing import Protocol

from ai_dev_squad.wire.answers import Answer

__all__ = ["Document", "EventStream", "Lines", "Reader", "reader_of"]

_LONGEST = 1 << 18
"""Of a longer text only the beginning is looked at, and the end is kept."""
_END = 1 << 15
"""Bytes of its beginning and of its end: usage and model stand in one of the two."""
_LONGEST_FRAME = 1 << 24  # Amazon's limit
_MARK = b"\xef\xbb\xbf"
"""A byte order mark, which may stand before a text in UTF-8."""


class Reader(Protocol):
    """Reads an answer into an ``Answer``."""

    def feed(self, data: bytes) -> None:
        """A piece passes by. Raises whatever goes wrong with an answer that isn't what it says it is."""

    def end(self) -> None:
        """Nothing follows."""


def reader_of(answer: Answer, content_type: str) -> Reader:
    """The reader for a type of content, in lower case.

    What says nothing of itself is read as a document, which may turn out to be lines.
    """
    if "amazon.eventstream" in content_type:
        return EventStream(answer)
    if "event-stream" in content_type or "ndjson" in content_type or "jsonl" in content_type:
        return Lines(answer)
    return Document(answer)


class _Text:
    """A text that grows. When it's too long, its middle is let go."""

    __slots__ = ("cut", "kept")

    def __init__(self) -> None:
        self.kept, self.cut = bytearray(), False

    def add(self, data: bytes, answer: Answer) -> None:
        if len(self.kept) + len(data) <= _LONGEST:
            self.kept += data
            return
        if not self.cut:
            answer.take_part(bytes(self.kept[:_END] + data[:_END]))
            self.cut = True
        self.kept += data[-_END:]
        del self.kept[:-_END]


class Lines:
    """Server-sent events, or one JSON text a line."""

    def __init__(self, answer: Answer) -> None:
        self._answer, self._rest = answer, _Text()
        self._event = b""  # the lines so far of one whose JSON takes several

    def feed(self, data: bytes) -> None:
        """Read the lines that this piece completes."""
        end = data.rfind(b"\n")
        rest = self._rest
        if end < 0:
            rest.add(data, self._answer)
            return
        if rest.kept:
            first = data.find(b"\n")
            rest.add(data[:first], self._answer)
            self._look(bytes(rest.kept), rest.cut)
            self._rest, start = _Text(), first + 1
        else:
            start = 0
        if start <= end:
            for line in data[start:end].split(b"\n"):
                self._look(line, cut=False)
        if end + 1 < len(data):
            self._rest.add(data[end + 1 :], self._answer)

    def _look(self, line: bytes, cut: bool) -> None:
        if cut:
            self._answer.events += 1
            self._answer.take_part(line)
            return
        if line.startswith(b"data:"):
            line = line[5:].strip()
            if line[:1] == b"{" and self._answer.take(line):
                self._event = b""
            elif self._event or line[:1] == b"{":
                self._event = b"%b\n%b" % (self._event, line) if len(self._event) < _LONGEST else b""
        elif self._event and not line.strip():
            self._end_event()
        elif line[:1] == b"{":
            self._answer.take(line)
        if line == b"[DONE]":
            self._answer.done = True
        elif line.startswith(_MARK):
            self._look(line[3:], cut=False)

    def end(self) -> None:
        """Read the last line, which nothing ends; or all of them, if carriage returns end them."""
        rest = bytes(self._rest.kept)
        for line in [rest] if self._rest.cut else rest.split(b"\r"):
            self._look(line, self._rest.cut)
        self._end_event()

    def _end_event(self) -> None:
        event, self._event = self._event, b""
        if event and not self._answer.take(event):  # such as of a server that writes NaN
            self._answer.take_part(event)


class Document:
    """One JSON text, or Gemini's stream of one array; or, whatever it says it is, lines."""

    def __init__(self, answer: Answer) -> None:
        self._answer, self._text = answer, _Text()

    def feed(self, data: bytes) -> None:
        """Read the text if this is all of it, which most answers are."""
        if not self._text.kept and data[:1] == b"{" and self._answer.take(data):
            return
        self._text.add(data, self._answer)

    def end(self) -> None:
        """Read the text, or what there is of it."""
        text = self._text
        if not text.kept:
            return
        whole = bytes(text.kept)
        encoding = json.detect_encoding(whole[:4])
        whole = whole.removeprefix(_MARK) if "utf-8" in encoding else whole.decode(encoding, "replace").encode()
        if not text.cut:
            if self._answer.take(whole.strip()):
                return
            lines = Lines(self._answer)
            before = self._answer.events
            lines.feed(whole + b"\n")
            if self._answer.events > before:
                return
        if text.cut or whole.lstrip()[:1] in {b"{", b"["}:
            self._answer.take_part(whole)


class EventStream:
    """Amazon's event stream: lengths of the message and of its headers, checksum; headers; JSON, or a piece of lines;
    checksum.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer, self._rest = answer, bytearray()
        self._lines: Lines | None = None  # what SageMaker's messages are pieces of

    def feed(self, data: bytes) -> None:
        """Read the messages that this piece completes. Raises ``ValueError`` for a length that can't be."""
        rest = self._rest
        rest += data
        while len(rest) >= 12:
            length, headers = int.from_bytes(rest[:4], "big"), int.from_bytes(rest[4:8], "big")
            if not 16 + headers <= length <= _LONGEST_FRAME:
                raise ValueError(f"a message of {length} bytes with {headers} bytes of headers in an event stream")
            if len(rest) < length:
                return
            head, payload = bytes(rest[12 : 12 + headers]), bytes(rest[12 + headers : length - 4])
            del rest[:length]
            self._take(payload)
            if b"exception" in head:
                self._answer.error = payload.decode("utf-8", "replace")[:1000]
            elif b"metadata" in head:  # Converse's last
                self._answer.done = True

    def _take(self, payload: bytes) -> None:
        if self._lines is None and self._answer.take(payload):
            return
        if self._lines is None:
            self._lines = Lines(self._answer)
        self._lines.feed(payload)

    def end(self) -> None:
        """What isn't complete is lost."""
        if self._lines is not None:
            self._lines.end()
