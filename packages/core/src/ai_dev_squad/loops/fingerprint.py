"""What arguments and results are compared by: a hash that holds in this process alone, and nothing of the content."""

from __future__ import annotations

from typing import Any

import msgspec

from ai_dev_squad.redaction_objects import fields_of, is_printable

__all__ = ["fingerprint"]


def fingerprint(value: Any, *, structured: bool = False) -> int | None:
    """The hash of a value, the order of keys aside; ``None`` for one that can't be compared. Never raises, and never
    asks an object of the program's for anything.

    ``structured``: a text may be JSON, as clients hand over the arguments of a tool, and is compared by what it means.
    """
    try:
        if type(value) is str:
            if not structured or not value.startswith(("{", "[")):
                return hash(value)
            try:
                value = msgspec.json.decode(value)
            except msgspec.DecodeError:
                return hash(value)
        return ~hash(_encode(value))  # a text and its bytes have one hash
    except Exception:  # noqa: BLE001 - foreign objects may do anything when they are read
        return None


def _plain(value: Any) -> Any:
    kind = type(value)
    fields = fields_of(value, kind)
    if fields is not None and fields is not value:
        return fields
    if is_printable(kind):
        return str(value)
    raise TypeError  # anything more would run code of the program's, which may do anything


_encode = msgspec.json.Encoder(enc_hook=_plain, order="sorted").encode
