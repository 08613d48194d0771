"""What may leave the program: secrets replaced, chosen keys dropped, size bounded, structure kept.

``Redactor`` is configured once and called for every text and value on its way to a sink. ``text`` is the hot path: one
regular expression decides whether anything is suspicious; clean text is returned as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Union

import msgspec

from ai_dev_squad.guard import STRANGERS_FAULTS
from ai_dev_squad.redaction_assignments import found, label
from ai_dev_squad.redaction_patterns import LABEL, SHORTEST_WORD, compile_scanner
from ai_dev_squad.redaction_values import Limits, Walker
from ai_dev_squad.schema import ErrorInfo

__all__ = ["Redactor"]

_UserPattern = Union[str, "re.Pattern[str]"]
_Pass = Callable[..., str]
"""What cleans a text once; it may be given the first match of the scanner, if that is known."""
_Search = Callable[[str], Union["re.Match[str]", None]]

# A secret that the end of the window cuts in two might be too short to be recognised; so much is thrown away there.
_TAIL = 1100
_WINDOW = 4096
_ROUNDS = 4
_OPENING = "[redacted:"
_MARKER = re.compile(r"…\(\+\d+ [a-z]+\)")
_PROTECTED = re.compile(rf"({LABEL.pattern}|{_MARKER.pattern})")


class Redactor:
    """Replaces secrets by ``[redacted:kind]``, drops keys and bounds size. Immutable, safe to share between threads.

    ``patterns`` are regular expressions (strings or compiled) whose matches are replaced as ``[redacted:custom]``, or a
    mapping from kind to expression; a group named ``secret`` narrows the replacement. They run on every text, so their
    running time is the caller's choice. ``emails`` and ``cards`` add e-mail addresses and card numbers (with a valid
    Luhn digit). ``drop_keys`` are key names left out at any depth, upper and lower case alike; ``*``, ``?`` and
    ``[…]`` work as in file names.

    Limits: ``max_string`` characters of a text, ``max_items`` of one container, ``max_depth`` levels, ``max_total``
    characters of one value. Whatever is cut says so: ``…(+1234 characters)``.

    Raises ``ValueError`` for an expression that doesn't compile and for a limit that's too small.
    """

    text: Callable[[str], str]
    """The text without secrets, at most ``max_string`` characters, encodable as UTF-8. Redacting twice changes nothing."""

    value: Callable[[Any], Any]
    """Any object as a JSON-ready structure (dict, list, str, int, float, bool, None) within the limits.

    Never runs an unknown object's code: such an object appears as ``<module.Class>``. Dataclasses, Pydantic models,
    attrs classes, msgspec structs and named tuples appear as dictionaries of their fields.
    """

    def __init__(
        self,
        *,
        patterns: Iterable[_UserPattern] | Mapping[str, _UserPattern] = (),
        emails: bool = False,
        cards: bool = False,
        drop_keys: Iterable[str] = (),
        max_string: int = 10_000,
        max_items: int = 100,
        max_depth: int = 10,
        max_total: int = 200_000,
    ) -> None:
        limits = Limits(max_string, max_items, max_depth, max_total)
        if isinstance(drop_keys, str):
            raise ValueError(
                f"drop_keys={drop_keys!r} is one string; write a list of key names: drop_keys=[{drop_keys!r}]"
            )
        own = _user_patterns(patterns)
        scan = compile_scanner(emails=emails, cards=cards).search
        passes = [_compile_pass(scan), *(_compile_user_pass(kind, pattern) for kind, pattern in own)]
        self.text = _compile_text(_fixpoint(passes), [scan, *(pattern.search for _, pattern in own)], max_string)
        numbers = cards or bool(own)
        self._walker = Walker(self.text, self._exception_text, label, tuple(drop_keys), limits, numbers=numbers)
        self.value = self._walker.within(max_total)
        self._max_total = max_total

    def json(self, value: Any, max_length: int | None = None) -> str:
        """``value`` as JSON text; what is cut is cut inside the structure, so that the text stays valid JSON.

        ``max_length`` bounds the characters of the text (at least 64). Raises ``ValueError`` for a smaller one.
        """
        text = msgspec.json.encode(self.value(value)).decode()
        if max_length is None or len(text) <= max_length:
            return text
        if max_length < 64:
            raise ValueError(f"max_length={max_length!r} leaves no room for JSON; allowed: 64 and more, or None")
        total = min(self._max_total, max_length)
        while len(text) > max_length and total >= 64:
            # Escapes make JSON longer than its characters, so the room is found by trying.
            text = msgspec.json.encode(self._walker.within(total)(value)).decode()
            total = total * 3 // 4
        return text if len(text) <= max_length else msgspec.json.encode(f"…(+{len(text)} characters)").decode()

    def exception(self, exc: BaseException) -> ErrorInfo:
        """The class name of ``exc`` and its redacted text; an exception that can't say its text is no obstacle."""
        return ErrorInfo(type=type(exc).__qualname__.rpartition("<locals>.")[2], message=self._exception_text(exc))

    def _exception_text(self, exc: BaseException) -> str:
        try:
            return self.text(str(exc))
        except STRANGERS_FAULTS as error:
            return f"(no text: str() raised {type(error).__name__})"


def _compile_text(clean: _Pass, searches: Sequence[_Search], max_string: int) -> Callable[[str], str]:
    suspicious, others = searches[0], tuple(searches[1:])
    # Most texts of structures are one short word, which takes longer to scan than to see that there's nothing to scan.
    # An expression of the caller's own may ask for any word, though.
    word_limit = 0 if others else SHORTEST_WORD
    is_word = str.isidentifier

    def text(s: str) -> str:
        try:
            if len(s) < word_limit and is_word(s) and type(s) is str:
                return s
            if len(s) > max_string:
                return bounded(s)
            if (match := suspicious(s)) is not None:
                return bounded(s, match)
            for search in others:
                if search(s) is not None:
                    return bounded(s)
            return s if s.isascii() and type(s) is str else spelled(s)
        except TypeError:
            # Not a text at all, from a caller that doesn't check types.
            return bounded(_text_of(s))

    def spelled(s: str) -> str:
        encodable = _encodable(s)
        return encodable if encodable == s else bounded(s)

    def bounded(s: str, match: re.Match[str] | None = None) -> str:
        # Only a window of a huge text is ever looked at, and its end is thrown away with whatever it cut in two.
        window = _encodable(s[: max_string + _WINDOW])
        out = clean(window, match if window is s else None)
        unseen = len(s) - (max_string + _WINDOW)
        if unseen > 0:
            out, unseen = out[: max(0, len(out) - _TAIL)], unseen + min(_TAIL, len(out))
        elif len(out) <= max_string:
            return out
        for _ in range(_ROUNDS):
            out = _cut(out, unseen, max_string)
            again = clean(out)
            if again == out:
                return out
            out, unseen = again, 0
        return _cut("", len(s), max_string)

    return text


def _text_of(value: Any) -> str:
    return str(value) if value is None or type(value) in (bool, int, float) else f"<{type(value).__name__}>"


def _cut(text: str, unseen: int, limit: int) -> str:
    """At most ``limit`` characters, ending in what is missing, never with half a label."""
    marker = f"…(+{len(text) + max(0, unseen)} characters)"
    keep = min(len(text), limit - len(marker))
    # Also one of which nothing but "[reda" would be left.
    opening = text.rfind(_OPENING, max(0, keep - 48), keep + len(_OPENING) - 1)
    if opening >= 0 and "]" not in text[opening:keep]:
        keep = opening
    missing = len(text) - keep + max(0, unseen)
    return f"{text[:keep]}…(+{missing} characters)"


def _encodable(s: str) -> str:
    """``s`` as an exact ``str`` whose lone surrogates are spelled out, since no encoder takes them."""
    if not s.isascii():
        try:
            s.encode()
        except UnicodeEncodeError:
            return s.encode("utf-8", "backslashreplace").decode()
    return str.__str__(s)


def _fixpoint(passes: list[_Pass]) -> _Pass:
    """All passes until nothing changes, so that redacting twice changes nothing."""
    first, *others = passes

    def clean(s: str, match: re.Match[str] | None = None) -> str:
        for _ in range(_ROUNDS):
            before, s, match = s, first(s, match), None
            for once in others:
                s = once(s)
            if s == before:
                break
        return s

    return clean


def _user_patterns(patterns: Iterable[_UserPattern] | Mapping[str, _UserPattern]) -> list[tuple[str, re.Pattern[str]]]:
    if isinstance(patterns, (str, re.Pattern)):
        raise ValueError(f"patterns={patterns!r} is one pattern; write a list: patterns=[{patterns!r}]")
    pairs = patterns.items() if isinstance(patterns, Mapping) else [("custom", pattern) for pattern in patterns]
    return [(_valid_kind(kind), _valid_pattern(pattern)) for kind, pattern in pairs]


def _valid_kind(kind: Any) -> str:
    if not isinstance(kind, str) or not LABEL.fullmatch(f"[redacted:{kind}]"):
        raise ValueError(
            f"pattern name {kind!r} isn't allowed; write it in lower case like 'customer-id' (a-z, 0-9, '-')"
        )
    return kind


def _valid_pattern(pattern: Any) -> re.Pattern[str]:
    if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
        return pattern
    if not isinstance(pattern, str):
        raise ValueError(f"pattern {pattern!r} isn't text; write a str or re.compile(str)")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"pattern {pattern!r} is no regular expression ({error}); correct it, or write re.escape(...) for literal text"
        ) from error


def _compile_user_pass(kind: str, pattern: re.Pattern[str]) -> _Pass:
    label = f"[redacted:{kind}]"
    search, group = pattern.search, ("secret" if "secret" in pattern.groupindex else 0)

    def replacement(match: re.Match[str]) -> str:
        start, end = match.span(group)
        if start == end:
            return match[0]
        offset = match.start()
        return match[0][: start - offset] + label + match[0][end - offset :]

    def once(s: str) -> str:
        if search(s) is None:
            return s
        # Labels and markers are ours, a pattern such as \w+ must leave them alone.
        pieces = _PROTECTED.split(s)
        pieces[::2] = [pattern.sub(replacement, piece) for piece in pieces[::2]]
        return "".join(pieces)

    return once


# --- the built-in pass ------------------------------------------------------------------------------------------------


def _compile_pass(scan: Callable[..., re.Match[str] | None]) -> _Pass:
    def once(s: str, match: re.Match[str] | None = None) -> str:
        match = match or scan(s)
        if match is None:
            return s
        out: list[str] = []
        done = 0
        while match is not None:
            start, end, replacement = found(s, match, done)
            if replacement is None:
                position = match.start() + 1
            else:
                out += (s[done:start], replacement)
                done = position = end
            match = scan(s, position)
        return "".join([*out, s[done:]]) if out else s

    return once
