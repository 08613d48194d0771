"""Any object as a bounded JSON-ready structure, without ever running an unknown object's code."""

from __future__ import annotations

import collections
import enum
import fnmatch
import re
from collections.abc import Callable, Iterable
from datetime import date, time
from itertools import islice
from typing import Any, NamedTuple, Self

from ai_dev_squad.guard import STRANGERS_FAULTS
from ai_dev_squad.redaction_assignments import command_form, passes_for_value
from ai_dev_squad.redaction_harmless import is_random
from ai_dev_squad.redaction_names import RECORD_NAMES, RECORD_VALUES, drawn_kind, secret_kind
from ai_dev_squad.redaction_objects import (
    bytes_text,
    described,
    fields_of,
    is_printable,
    key_text,
    numpy_scalar,
)

__all__ = ["Limits", "Walker"]

_ROOM = 40
"""Characters kept free in every open container, so that there is always room to say what was cut."""


class Limits(NamedTuple("Limits", [("string", int), ("items", int), ("depth", int), ("total", int)])):
    """The bounds of one value. Raises ``ValueError`` for one that leaves no room to say what was cut."""

    __slots__ = ()

    def __new__(cls, string: int, items: int, depth: int, total: int) -> Self:
        leasts = (
            ("max_string", string, 64),
            ("max_items", items, 2),
            ("max_depth", depth, 1),
            ("max_total", total, 1000),
        )
        for name, given, least in leasts:
            if type(given) is not int or given < least:
                raise ValueError(f"{name}={given!r} isn't allowed; write a whole number of at least {least}")
        return super().__new__(cls, string, items, depth, total)


class _Key(NamedTuple):
    shown: str
    kind: str | None
    dropped: bool
    plain: bool
    """Nothing is to be done about this key or what stands behind it."""
    recorded: bool
    """What stands behind it may be secret by the name beside it: ``{"name": …, "value": …}``."""
    drawn: str | None
    """The kind of secret behind it if a machine drew that."""


_Text = Callable[[str], str]
# What JSON Schema says of a value without showing one.
_SCHEMA_TYPES = frozenset(("string", "integer", "number", "boolean", "array", "object", "null"))
_SCHEMA_WORDS = frozenset(
    "type title description format pattern minLength maxLength minimum maximum minItems maxItems nullable writeOnly"
    " readOnly required properties additionalProperties items anyOf oneOf allOf $ref".split()
)
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()))
_SEQUENCES: tuple[type, ...] = (list, tuple, set, frozenset, collections.deque, range, *_VIEWS)
_INT64 = 2**63
_FEW, _SHORT, _AMPLE = 16, 256, 8_192  # so few short values that, with this much room, no limit can be reached


class Walker:
    """Converts values, within ``limits``, with ``text`` for every text and ``label`` for what stands behind a secret name.

    ``exception_text`` says what an exception says. ``drop_keys`` are names, or patterns of names, that are left out at
    any depth. ``numbers`` has numbers looked at as texts, too. Raises ``ValueError`` for a key that is no text. Immutable
    but for what it remembers of keys; safe to share between threads.
    """

    __slots__ = ("_drops", "_exception_text", "_numbers", "known", "label", "limits", "text")

    def __init__(
        self,
        text: _Text,
        exception_text: Callable[[BaseException], str],
        label: Callable[[str, str], str],
        drop_keys: tuple[Any, ...],
        limits: Limits,
        *,
        numbers: bool,
    ) -> None:
        self.text, self.label, self.limits = text, label, limits
        self._exception_text, self._numbers = exception_text, numbers
        self._drops = _compile_drop(drop_keys)
        self.known: dict[str, _Key] = {}

    def within(self, total: int) -> Callable[[Any], Any]:
        """The function that converts one value to at most ``total`` characters."""
        few = _FEW if total >= _AMPLE and self.limits.items >= _FEW and self.limits.depth else 0
        text, clean_copy = self.text, self._clean_copy

        def value(v: Any) -> Any:
            t = type(v)
            if t is str:
                return text(v)
            if t is bool or v is None:
                return v
            if t is dict and len(v) <= few and (copy := clean_copy(v)) is not None:
                return copy
            return _Walk(self, total).convert(v, 0)

        return value

    def key(self, name: str) -> _Key:
        """What becomes of a key, and of what stands behind it."""
        known = self.known.get(name)
        if known is None:
            # A label that replaced a key names a secret, yet what stands behind it isn't one.
            kind = None if "[redacted:" in name else secret_kind(name)
            shown, dropped = self.text(name), self._drops is not None and self._drops(name.lower()) is not None
            recorded = name in RECORD_VALUES
            drawn = drawn_kind(name) if kind is None else None
            plain = name != "…" and shown == name and (kind or drawn) is None and not dropped and not recorded
            known = _Key(shown, kind, dropped, plain, recorded, drawn)
            # Programs use few names; data used as keys must not pile up here.
            if len(self.known) >= 4096:
                self.known.clear()
            if len(name) <= 128:
                self.known[name] = known
        return known

    def leaf(self, v: Any) -> Any:
        """``v`` as text or number; containers and objects with fields never come here."""
        t = type(v)
        if isinstance(v, str):
            return self.text(str.__str__(v))
        if isinstance(v, int):
            return self.number(int.__int__(v))
        if isinstance(v, float):
            plain = float.__float__(v)
            if plain - plain == 0:
                return plain
            return self.text({"inf": "Infinity", "-inf": "-Infinity"}.get(repr(plain), "NaN"))
        if isinstance(v, (bytes, bytearray, memoryview)):
            return bytes_text(v, self.text, self.limits.string)
        if isinstance(v, (date, time)) and t.__module__ == "datetime":
            return self.text(v.isoformat())
        if is_printable(t):
            return self.text(str(v))
        if isinstance(v, BaseException):
            return self.text(f"{t.__name__}: {self._exception_text(v)}")
        if t.__name__ in ("SecretStr", "SecretBytes") or hasattr(t, "get_secret_value"):
            return "[redacted:secret]"
        if t is re.Pattern:
            return self.text(str(v.pattern))
        return self.text(described(v, t))

    def number(self, v: int) -> Any:
        """A whole number; one that JSON can't hold, or that is redacted, as text."""
        fits = -_INT64 <= v < _INT64
        if fits and not self._numbers:
            return v
        spelled = str(v) if v.bit_length() <= 1024 else f"<integer of {v.bit_length()} bits>"
        shown = self.text(spelled)
        return v if fits and shown == spelled else shown

    def _clean_copy(self, v: dict[Any, Any]) -> dict[str, Any] | None:
        """A copy of a few plain values that need nothing done, as most metadata is; ``None`` where anything does."""
        known_keys, text, numbers = self.known, self.text, self._numbers
        copy: dict[str, Any] = {}
        for name, item in list(v.items()):
            known = known_keys.get(name) if type(name) is str else None
            if known is None or not (known.plain or (known.recorded and _named_by(v) is None)):
                return None
            t = type(item)
            if t is str:
                if len(item) > _SHORT or text(item) is not item:
                    return None
            elif t is int:
                if numbers or not -_INT64 <= item < _INT64:
                    return None
            elif t is float:
                if item - item != 0:
                    return None
            elif t is not bool and item is not None:
                return None
            copy[name] = item
        return copy


class _Walk:
    """One conversion: how much may still be written, and which containers are open."""

    __slots__ = ("key", "known", "label", "leaf", "left", "limits", "number", "open", "text")

    def __init__(self, walker: Walker, total: int) -> None:
        self.text, self.label, self.limits = walker.text, walker.label, walker.limits
        self.key, self.known, self.leaf, self.number = walker.key, walker.known, walker.leaf, walker.number
        self.left = total
        self.open: list[int] = []

    def convert(self, v: Any, depth: int) -> Any:
        t = type(v)
        if t is str:
            return self.text(v)
        if t is bool or v is None:
            return v
        if t is dict:
            return self.container(v, v, depth, mapping=True)
        if t is list:
            return self.container(v, v, depth, mapping=False)
        if t is int:
            return self.number(v)
        if t is float:
            return v if v - v == 0 else self.leaf(v)
        try:
            fields = fields_of(v, t)
            if fields is not None:
                return self.container(v, fields, depth, mapping=True)
            if isinstance(v, _SEQUENCES):
                return self.container(v, v, depth, mapping=False)
            if isinstance(v, enum.Enum):
                return self.convert(v._value_, depth) if not isinstance(v._value_, enum.Enum) else self.text(v._name_)
            scalar = numpy_scalar(v, t)
            return self.leaf(v if scalar is None else scalar)
        except STRANGERS_FAULTS as error:
            return self.text(f"<{t.__name__}: unreadable, {type(error).__name__}>")

    def container(self, v: Any, content: Any, depth: int, *, mapping: bool) -> Any:
        if id(v) in self.open:
            return self.text("…(cycle)")
        size = len(content)
        if size and (depth >= self.limits.depth or self.left < _ROOM * (depth + 1)):
            return self.text(f"…({type(v).__name__[:16]} of {size})")
        self.open.append(id(v))
        try:
            return (self.mapping if mapping else self.sequence)(content, size, depth)
        finally:
            self.open.pop()

    # What is written is paid for: every open container must still be able to say what it lacks, the last item of one
    # needs no such room any more. The loops do this by themselves, as calls for every item would cost more than the rest.

    def sequence(self, items: Iterable[Any], size: int, depth: int) -> list[Any]:
        out: list[Any] = []
        text, convert, most, last, room = self.text, self.convert, self.limits.items, size - 1, _ROOM * (depth + 1)
        taken = list(islice(items, most))
        kinds = self.kinds(items, taken)
        for index, item in enumerate(taken):
            if index == last:
                room -= _ROOM
            if (index == most - 1 and index != last) or self.left - 2 < room:
                out.append(f"…(+{size - index} items)")
                break
            self.left -= 2
            kind = kinds.get(index) if kinds else None
            if kind is None:
                converted = text(item) if type(item) is str else convert(item, depth + 1)
            else:
                converted = self.secret(kind, item, depth + 1)
            cost = len(converted) if type(converted) is str else _size(converted)
            if self.left - cost < room:
                out.append(f"…(+{size - index} items)")
                break
            self.left -= cost
            out.append(converted)
        return out

    def kinds(self, items: Iterable[Any], taken: list[Any]) -> dict[int, str] | None:
        """Which items are secret because of the one before them: a header's value, the argument of a flag."""
        if not taken or not isinstance(taken[0], (str, bytes)) or not isinstance(items, (tuple, list)):
            return None
        if len(taken) == 2:
            name = _spelled(taken[0])
            kind = None if name is None or name.startswith("-") else self.key(name).kind
            if kind is not None and (
                type(items) is tuple or passes_for_value(self.convert(taken[1], self.limits.depth))
            ):
                return {1: kind}
        if type(taken[0]) is not str:
            return None
        flags = [index for index, item in enumerate(taken[:-1]) if type(item) is str and item[:1] == "-"]
        return {index + 1: kind for index in flags if (kind := self.behind_flag(taken[index], taken[:index]))}

    def behind_flag(self, flag: str, before: list[Any]) -> str | None:
        if flag[1:2] == "-" and (kind := self.key(flag).kind):
            return kind
        words = " ".join(word for word in before[:8] if type(word) is str)
        return None if command_form(words, flag[1:]) is None else "password"

    def mapping(self, items: dict[Any, Any], size: int, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        text, convert, most, last, room = self.text, self.convert, self.limits.items, size - 1, _ROOM * (depth + 1)
        # One C call, so that another thread's change can't come between two items.
        pairs = list(dict.items(items)) if size <= most else list(islice(dict.items(items), most))
        for index, (name, item) in enumerate(pairs):
            known = self.known.get(name) if type(name) is str else None
            if known is None:
                known = self.key(name if type(name) is str else key_text(name, self.leaf))
            shown, kind, dropped, _, recorded, drawn = known
            if drawn is not None and isinstance(item, str) and is_random(str.__str__(item)):
                kind = drawn
            if recorded and (record := _named_by(items)) is not None and name == record[0]:
                kind = kind or record[1]
            if kind == "token" and dict.__contains__(items, "logprob"):
                kind = None  # a piece of a model's answer, with its probability
            if dropped:
                continue
            if index == last:
                room -= _ROOM
            cost = len(shown) + 4
            if (index == most - 1 and index != last) or self.left - cost < room:
                out["…"] = f"…(+{size - index} keys)"
                break
            self.left -= cost
            if kind is None:
                converted = text(item) if type(item) is str else convert(item, depth + 1)
            else:
                converted = self.secret(kind, item, depth + 1)
            cost = len(converted) if type(converted) is str else _size(converted)
            if self.left - cost < room:
                out["…"] = f"…(+{size - index} keys)"
                break
            self.left -= cost
            while shown in out:
                shown += "'"
            out[shown] = converted
        return out

    def secret(self, kind: str, v: Any, depth: int) -> Any:
        """The value behind a secret name: its label, except where there is nothing to hide."""
        if v is None or v is True or v is False or isinstance(v, float) or (kind == "token" and type(v) is int):
            converted = self.convert(v, depth)
            # Numbers that JSON can't hold have become text, and text behind this name isn't shown.
            return self.label(kind, converted) if type(converted) is str else converted
        if isinstance(v, str):
            return self.label(kind, str.__str__(v)) if str.__len__(v) else ""
        fields = fields_of(v, type(v))
        if fields is not None and _is_schema(fields):
            said = {
                name: item if name in _SCHEMA_WORDS else self.secret(kind, item, depth)
                for name, item in dict.items(fields)
                if type(name) is str
            }
            return self.container(v, said, depth, mapping=True)
        if (fields is not None and not fields) or (isinstance(v, (list, tuple, bytes)) and not len(v)):
            return self.convert(v, depth)
        return f"[redacted:{kind}]"


def _is_schema(fields: dict[Any, Any]) -> bool:
    """Whether a tool describes a parameter there, whose name is that of a secret: ``{"type": "string"}``."""
    kind = dict.get(fields, "type")
    return type(kind) is str and kind in _SCHEMA_TYPES


def _named_by(items: dict[Any, Any]) -> tuple[str, str] | None:
    """The key of a record's value and the kind of secret it is by the record's name: ``{"name": …, "value": …}``."""
    # Asked one by one: looking over the keys would run the code of those that are strangers' objects.
    for value in RECORD_VALUES:
        if dict.__contains__(items, value):
            break
    else:
        return None
    for key in RECORD_NAMES:
        name = _spelled(dict.get(items, key))
        if name is not None:
            kind = secret_kind(name)
            return None if kind is None else (value, kind)
    return None


def _spelled(v: Any) -> str | None:
    """A name as text, also where it comes as bytes, as headers do."""
    if type(v) is str:
        return v
    if isinstance(v, str):
        return str.__str__(v)
    return bytes(v).decode("latin-1") if isinstance(v, (bytes, bytearray)) and len(v) <= 96 else None


def _size(converted: Any) -> int:
    """What a finished value costs beside its entry; containers have paid for their content already."""
    t = type(converted)
    return len(converted) if t is str else 0 if t is dict or t is list else 8


def _compile_drop(names: tuple[Any, ...]) -> Callable[[str], Any] | None:
    for name in names:
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"drop_keys contains {name!r}; write key names or patterns such as 'documents' or '*_blob'"
            )
    if not names:
        return None
    return re.compile("|".join(fnmatch.translate(name.lower()) for name in names)).match
