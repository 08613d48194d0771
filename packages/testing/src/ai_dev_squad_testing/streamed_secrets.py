"""Secrets that a stream brings in pieces: ``sk-pro`` in one event, the rest in the next, and neither of them is one by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["without_split_secrets"]

_EVENT = re.compile(r"(?P<before>(?:data:)?\s*)(?P<json>[{\[].*[}\]])(?P<after>\s*)", re.DOTALL)
_Place = tuple[Any, ...]
_Piece = tuple[int, Any, Any, str]
"""The line, the container and the key in it, and the text that stands there."""


def without_split_secrets(stream: str, redact: Callable[[str], str]) -> str:
    """The same lines of JSON, without what ``redact`` finds in the texts that stand at one place of consecutive events.

    Each event keeps what is no part of a secret; the label stands where the secret began.
    """
    lines = stream.splitlines(keepends=True)
    events: dict[int, Any] = {}
    runs: dict[_Place, list[_Piece]] = {}
    for number, line in enumerate(lines):
        if (match := _EVENT.fullmatch(line)) is not None and (event := _parsed(match["json"])) is not None:
            events[number] = event
            for place, container, key in _texts(event, ()):
                runs.setdefault(place, []).append((number, container, key, container[key]))
    changed = {number for run in runs.values() for number in _redacted(run, redact)}
    for number in changed:
        line = lines[number]
        match = _EVENT.fullmatch(line)
        assert match is not None
        shown = json.dumps(events[number], ensure_ascii=False, separators=(",", ":"))
        lines[number] = f"{match['before']}{shown}{match['after']}"
    return "".join(lines)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _texts(value: Any, place: _Place) -> Iterator[tuple[_Place, Any, Any]]:
    """Each text with its place: the keys that lead there, and which choice, item or part it is of."""
    if isinstance(value, list):
        items: Any = enumerate(value)
    elif isinstance(value, dict):
        kinds = (value.get("type"),) if place == () and isinstance(value.get("type"), str) else ()
        numbers = (pair for pair in value.items() if pair[0].endswith("index") and isinstance(pair[1], int))
        place, items = (*place, *kinds, *numbers), value.items()
    else:
        return
    for key, item in list(items):
        if isinstance(item, str):
            yield (*place, key), value, key
        else:
            yield from _texts(item, (*place, key))


def _redacted(run: list[_Piece], redact: Callable[[str], str]) -> Iterator[int]:
    """Take out of the pieces what is secret only when they are put together; the lines of those that changed."""
    texts = [text for *_, text in run]
    if len(set(texts)) < 2:
        return  # what each event repeats, as the name of the model
    whole = "".join(texts)
    clean = redact(whole)
    if clean in (whole, "".join(map(redact, texts))):
        return
    begin = _shared(whole, clean)
    behind = _shared(whole[begin:][::-1], clean[begin:][::-1])
    end, label, position = len(whole) - behind, clean[begin : len(clean) - behind], 0
    for number, container, key, text in run:
        at, position = position, position + len(text)
        shown = text[: max(0, begin - at)] + label * (at <= begin < position) + text[max(0, end - at) :]
        if shown != text:
            container[key] = shown
            yield number


def _shared(first: str, second: str) -> int:
    """How many characters two texts begin with alike."""
    unlike = (at for at, (one, other) in enumerate(zip(first, second, strict=False)) if one != other)
    return next(unlike, min(len(first), len(second)))
