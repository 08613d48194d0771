"""What may leave the program: secrets replaced, chosen keys dropped, size bounded, structure kept.

``Redactor`` is configured once and called for every text and value on its way to a sink. ``text`` is the hot path: one
regular expression decides whether anything is suspicious; clean text is returned as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Union

import msgspec

from ai_dev_squad.redaction_patterns import HEADER_KINDS, LABEL, SEPARATED, compile_scanner, kind_of_group, secret_kind
from ai_dev_squad.redaction_values import Limits, Walker
from ai_dev_squad.schema import ErrorInfo

__all__ = ["Redactor"]

_UserPattern = Union[str, "re.Pattern[str]"]
_Pass = Callable[[str], str]
_Search = Callable[[str], Union["re.Match[str]", None]]

# A secret that the end of the window cuts in two might be too short to be recognised; so much is thrown away there.
_TAIL = 1100
_WINDOW = 4096
_ROUNDS = 4
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
        scan, label = compile_scanner(emails=emails, cards=cards).search, _compile_label()
        passes = [_compile_pass(scan, label), *(_compile_user_pass(kind, pattern) for kind, pattern in own)]
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
        except Exception as error:  # noqa: BLE001 - a user's __str__ may do anything
            return f"(no text: str() raised {type(error).__name__})"


def _compile_text(clean: _Pass, searches: Sequence[_Search], max_string: int) -> Callable[[str], str]:
    suspicious, others = searches[0], tuple(searches[1:])

    def text(s: str) -> str:
        try:
            if len(s) > max_string or suspicious(s) is not None:
                return bounded(s)
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

    def bounded(s: str) -> str:
        # Only a window of a huge text is ever looked at, and its end is thrown away with whatever it cut in two.
        window = _encodable(s[: max_string + _WINDOW])
        out = clean(window)
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
    opening = text.rfind("[redacted:", max(0, keep - 48), keep)
    if opening >= 0 and "]" not in text[opening:keep]:
        keep = opening
    missing = len(text) - keep + max(0, unseen)
    return f"{text[:keep]}…(+{missing} characters)"


def _encodable(s: str) -> str:
    """``s`` as an exact ``str`` whose lone surrogates are spelled out, since no encoder takes them."""
    try:
        s.encode()
    except UnicodeEncodeError:
        return s.encode("utf-8", "backslashreplace").decode()
    return str.__str__(s)


def _fixpoint(passes: list[_Pass]) -> _Pass:
    """All passes until nothing changes, so that redacting twice changes nothing."""

    def clean(s: str) -> str:
        for _ in range(_ROUNDS):
            before = s
            for once in passes:
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

_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
_MAILBOX_CHARACTERS = _NAME_CHARACTERS + "+%'"
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_QUOTED = re.compile(r"b?(\\{0,7}[\"'])(?P<v>.{0,4096}?)(?<!\\)\1", re.DOTALL)
_UNCLOSED = re.compile(r"b?\\{0,7}[\"'](?P<v>[^\r\n]*)")
_FLAT_LIST = re.compile(r"(?P<v>[\[(][^\[\](){}]{0,4096}[\])])")
_WORD = re.compile(r"(?P<v>(?:(?i:bearer|basic|token)\s{1,4})?(?:[^\s\"'\\,;&<>]|\\(?![nrt\"'\\]))+)")
_LINE = re.compile(r"(?P<v>(?:[^\r\n\"'\\]|\\(?![nrt\"'\\]))+)")
# Values that say "there is none" or name a type, as configuration and source code do.
_HARMLESS = frozenset(
    "none null nil true false undefined str string int integer bool boolean bytes any optional required empty".split()
)


def _compile_pass(scan: Callable[..., re.Match[str] | None], label: Callable[[str, str], str]) -> _Pass:
    def once(s: str) -> str:
        match = scan(s)
        if match is None:
            return s
        out: list[str] = []
        done = 0
        while match is not None:
            start, end, replacement = _found(s, match, done, label)
            if replacement is None:
                position = match.start() + 1
            else:
                out += (s[done:start], replacement)
                done = position = end
            match = scan(s, position)
        out.append(s[done:])
        return "".join(out)

    return once


def _found(s: str, match: re.Match[str], floor: int, label: Callable[[str, str], str]) -> tuple[int, int, str | None]:
    """Where the secret is that the scanner nominated, and what to write instead (``None``: it's no secret)."""
    group = match.lastgroup or ""
    kind = kind_of_group(group)
    start, end = max(floor, match.start(group)), match.end()
    if kind.startswith("named"):
        return _named_value(s, match, group, floor, label)
    if kind == "private-key":
        closing = _PEM_END.search(s, end)
        start, end = max(floor, start - len("-----B")), (closing.end() if closing else len(s))
    elif kind == "email":
        start = _run_start(s, match.start(), floor, _MAILBOX_CHARACTERS, 64)
    elif kind == "card-number" and not _luhn(s[start:end]):
        return start, end, None
    return start, end, f"[redacted:{kind}]"


def _named_value(
    s: str, match: re.Match[str], group: str, floor: int, label: Callable[[str, str], str]
) -> tuple[int, int, str | None]:
    start, end = match.start(), match.end()
    if group.startswith(SEPARATED):
        name_end = len(s[max(floor, start - 4) : start].rstrip("\"'\\ \t")) + max(floor, start - 4)
        name_start = _run_start(s, name_end, floor, _NAME_CHARACTERS, 48)
    else:
        name_start, name_end = _run_start(s, start, floor, _NAME_CHARACTERS, 48), match.end(group)
        if ">" in s[name_end:end] and "=>" not in s[name_end:end] and s[name_start - 1 : name_start] != "<":
            return start, end, None
    if name_start and s[name_start - 1] == "\\" and s[name_start] in "nrt":
        name_start += 1  # the n of an escaped line break isn't part of the name
    kind = secret_kind(s[name_start:name_end])
    reaches_line_end = kind in HEADER_KINDS and ":" in s[name_end:end]
    value = kind and _value_after(s, end, _LINE if reaches_line_end else _WORD)
    if not value or not kind:
        return start, end, None
    replacement = label(kind, value["v"])
    return value.start("v"), value.end("v"), None if replacement == value["v"] else replacement


def _value_after(s: str, position: int, unquoted: re.Pattern[str]) -> re.Match[str] | None:
    """The value that stands at ``position``, unless it's empty, harmless or a structure that is searched by itself."""
    if s[position : position + 1] == "{":
        return None
    value = _QUOTED.match(s, position) or _UNCLOSED.match(s, position)
    if value is None:
        value = _FLAT_LIST.match(s, position) if s[position : position + 1] in ("[", "(") else None
        if LABEL.match(s, position) or value is None:
            value = unquoted.match(s, position)
        if value is None or value["v"].rstrip("|)]},;:.").lower() in _HARMLESS:
            return None
    text = value["v"]
    if not text.strip("*[](){}. ") or text.startswith("-----BEGIN "):
        return None
    return value


def _run_start(s: str, end: int, floor: int, characters: str, longest: int) -> int:
    """Where the run of ``characters`` that ends at ``end`` begins."""
    begin = max(floor, end - longest)
    return begin + len(s[begin:end].rstrip(characters))


def _luhn(text: str) -> bool:
    digits = [int(character) for character in reversed(text) if character.isdigit()]
    doubled = sum(digit * 2 - 9 * (digit > 4) for digit in digits[1::2])
    return (sum(digits[::2]) + doubled) % 10 == 0


def _compile_label() -> Callable[[str, str], str]:
    """``(kind, value) → label``: a value that is recognised by its shape is called by that, which says more."""
    scan = compile_scanner(contexts=False).search

    def label(kind: str, value: str) -> str:
        if LABEL.fullmatch(value) or not value:
            return value
        match = scan(value) if len(value) <= 4096 else None
        if match is not None and match.lastgroup and match.end() == len(value) and match.start(match.lastgroup) == 0:
            return f"[redacted:{kind_of_group(match.lastgroup)}]"
        return f"[redacted:{kind}]"

    return label
