"""What a provider answered, kept in a file that people read: how it is written, and which answer fits a request.

A request fits what was recorded if its method, path, query and body are the same; JSON is compared as values, whatever the
order of its keys. Host and headers are not asked for: a key never gets into the file, and a gateway may stand elsewhere.
Secrets in addresses and bodies are replaced before anything is compared or written.
"""

from __future__ import annotations

import base64
import difflib
import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ai_dev_squad.redaction import Redactor
from ai_dev_squad.wire.packing import unpacked
from ai_dev_squad_testing.streamed_secrets import without_split_secrets

__all__ = ["Answer", "Cassette", "kept_headers"]

_FORMAT = 1
_DIFF_LINES = 60
# Only what clients act on or name in errors is kept; the others tell of accounts, cookies and the way the answer took.
_KEPT_HEADERS = (
    "content-type",
    "location",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "x-request-id",
    "x-should-retry",
)
_KEPT_FAMILIES = ("anthropic-ratelimit-", "x-ratelimit-")


@dataclass(slots=True)
class Answer:
    """An answer of a provider: ``status``, ``headers``, and the ``pieces`` of its body in the order in which they came."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    encodings: str = ""
    """What the pieces are packed with while they are recorded, as in a ``Content-Encoding`` header."""
    broken: str = ""
    """The exception in which it ended, by name; such an answer isn't kept, as a file can't break off like a connection."""


class Cassette:
    """The exchanges of one file. Safe to share between threads and event loops.

    ``recording`` says whether answers are added, or given back each once in the order in which they were recorded.
    ``cure`` is what an error advises to record anew.

    Raises ``FileNotFoundError`` where there is nothing to give back, ``ValueError`` for a file that is no cassette.
    """

    def __init__(self, path: Path, redactor: Redactor, *, recording: bool, cure: str) -> None:
        self.path = path
        self.recording = recording
        self._redactor, self._cure = redactor, cure
        self._lock = threading.Lock()
        self._taken: list[tuple[dict[str, Any], Answer]] = []
        self._kept: list[dict[str, Any]] = [] if recording else _read(path, cure)
        self._keys = [_key(exchange["request"]) for exchange in self._kept]
        self._left = dict.fromkeys(range(len(self._kept)))
        self._unfit: list[str] = []

    def asked(self, method: str, url: str, body: bytes) -> dict[str, Any]:
        """A request as it stands in the file, without secrets."""
        parts = urlsplit(url)
        path = self._redactor.text(f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}")
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"
        return {"method": method.upper(), "url": address, **self._body(body)}

    def record(self, request: dict[str, Any], answer: Answer) -> None:
        """Add an exchange, whose answer may still get pieces until ``write``."""
        with self._lock:
            self._taken.append((request, answer))

    def answer_to(self, request: dict[str, Any]) -> Answer:
        """What was recorded for this request and not given back yet; if nothing was, an error 400 that says what is nearest."""
        key = _key(request)
        with self._lock:
            for number in self._left:
                if self._keys[number] == key:
                    del self._left[number]
                    return _answer(self._kept[number]["response"])
            text = self._nothing_fits(request, key)
            if text not in self._unfit:
                self._unfit.append(text)
        error = {"error": {"message": text, "type": "not_recorded", "code": "not_recorded"}, "type": "error"}
        return Answer(
            400, {"content-type": "application/json", "x-should-retry": "false"}, [json.dumps(error).encode()]
        )

    def write(self) -> None:
        """Put what was recorded into the file, all of it or nothing; no file is made of nothing. Raises ``OSError``
        where it can't be written.
        """
        with self._lock:
            exchanges = [
                {"request": request, "response": self._response(answer)}
                for request, answer in self._taken
                if not answer.broken
            ]
        if not exchanges:
            return
        text = json.dumps({"cassette": _FORMAT, "exchanges": exchanges}, indent=2, ensure_ascii=False) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.path)

    def complaints(self) -> list[str]:
        """What went otherwise than recorded, in sentences."""
        with self._lock:
            if self.recording:
                none = f"nothing was recorded for {self.path}: no request went through httpx, httpx2 or aiohttp"
                broken = [(_line(request), answer.broken) for request, answer in self._taken if answer.broken]
                cut = [f"not recorded in {self.path}: the answer to {line} ended in {why}" for line, why in broken]
                return cut if self._taken else [none]
            left = [f"exchange {number + 1}, {_line(self._kept[number]['request'])}" for number in self._left]
            stale = f"recorded in {self.path}, but not asked for: {'; '.join(left)}. Record anew: {self._cure}"
            return [*self._unfit, *([stale] if left else [])]

    def _body(self, body: bytes) -> dict[str, Any]:
        if not body:
            return {}
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(body).decode()}
        try:
            return {"json": self._redactor.value(json.loads(text))}
        except ValueError:
            return {"text": self._redactor.text(text)}

    def _response(self, answer: Answer) -> dict[str, Any]:
        plain = _Plain()
        reader = unpacked(plain, answer.encodings)
        for piece in answer.pieces:
            reader.feed(piece)
        headers = {name: self._redactor.text(answer.headers[name]) for name in sorted(answer.headers)}
        response: dict[str, Any] = {"status": answer.status, "headers": headers}
        if "json" in headers.get("content-type", "").partition(";")[0].rpartition("/")[2].split("+"):
            body = self._body(b"".join(plain.pieces))
            if "json" in body:
                return response | body
        return response | {"pieces": self._pieces(plain.pieces)}

    def _pieces(self, pieces: Sequence[bytes]) -> list[Any]:
        try:
            whole = b"".join(pieces).decode()
        except UnicodeDecodeError:
            return [_shown(piece) for piece in pieces]
        clean = self._redactor.text(without_split_secrets(whole, self._redactor.text))
        # A secret may stand across two pieces: then the events of the stream are the pieces, and it is replaced in the whole.
        return [_shown(piece) for piece in pieces] if clean == whole else clean.splitlines(keepends=True)

    def _nothing_fits(self, request: dict[str, Any], key: object) -> str:
        what = f"{_line(request)} isn't what was recorded in {self.path}"
        if given := self._keys.count(key):  # type: ignore[arg-type]
            return f"{what}: it was recorded {given} times, and is asked for once more. Record anew: {self._cure}"
        mine = _lines(request)
        near = [
            (difflib.SequenceMatcher(None, _lines(one["request"]), mine, autojunk=False).ratio(), -number)
            for number, one in enumerate(self._kept)
        ]
        if not near:
            return f"{what}: nothing is in there. Record anew: {self._cure}"
        number = -max(near)[1]
        told = difflib.unified_diff(_lines(self._kept[number]["request"]), mine, lineterm="", n=2)
        diff = ["…" if line.startswith("@@") else line for line in list(told)[2:]]
        if len(diff) > _DIFF_LINES:
            diff[_DIFF_LINES:] = [f"…(+{len(diff) - _DIFF_LINES} lines)"]
        nearest = f"nearest is exchange {number + 1} (-: recorded, +: asked for):"
        return "\n".join([f"{what}; {nearest}", *diff, f"Record anew: {self._cure}"])


class _Plain:
    """Takes pieces that have been unpacked."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self.pieces.append(data)

    def end(self) -> None:
        """Nothing waits for it."""


def kept_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Those headers of an answer that are recorded, in lower case."""
    lower = ((name.lower(), value) for name, value in headers)
    return {name: value for name, value in lower if name in _KEPT_HEADERS or name.startswith(_KEPT_FAMILIES)}


def _shown(piece: bytes) -> str | dict[str, str]:
    try:
        return piece.decode()
    except UnicodeDecodeError:  # a character that came in two pieces, or no text at all
        return {"base64": base64.b64encode(piece).decode()}


def _answer(response: Mapping[str, Any]) -> Answer:
    if "json" in response:
        pieces = [json.dumps(response["json"], ensure_ascii=False).encode()]
    else:
        shown = response.get("pieces", [])
        pieces = [item.encode() if isinstance(item, str) else base64.b64decode(item["base64"]) for item in shown]
    return Answer(response["status"], dict(response["headers"]), [piece for piece in pieces if piece])


def _read(path: Path, cure: str) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} isn't there: what is to be given back has to be recorded once: {cure}"
        ) from None
    try:
        content = json.loads(text)
        if content["cassette"] != _FORMAT:
            raise ValueError(f"its format is {content['cassette']!r}, and {_FORMAT} is the one that is known")
        exchanges: list[dict[str, Any]] = content["exchanges"]
        for exchange in exchanges:
            _key(exchange["request"])
            _answer(exchange["response"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no cassette ({type(error).__name__}: {error}); record it anew: {cure}") from error
    return exchanges


def _key(request: Mapping[str, Any]) -> tuple[str, str, tuple[tuple[str, str], ...], str]:
    """What two requests have in common that get the same answer."""
    path, _, query = _path(request).partition("?")
    return (
        request["method"],
        path,
        tuple(sorted(parse_qsl(query, keep_blank_values=True))),
        "\n".join(_body_lines(request)),
    )


def _path(request: Mapping[str, Any]) -> str:
    address: str = request["url"]
    return "/" + address.partition("://")[2].partition("/")[2]


def _line(request: Mapping[str, Any]) -> str:
    return f"{request['method']} {_path(request)}"


def _body_lines(request: Mapping[str, Any]) -> list[str]:
    if "json" in request:
        return json.dumps(request["json"], indent=2, sort_keys=True, ensure_ascii=False).splitlines()
    return str(request.get("text", request.get("base64", ""))).splitlines()


def _lines(request: Mapping[str, Any]) -> list[str]:
    return [_line(request), *_body_lines(request)]
