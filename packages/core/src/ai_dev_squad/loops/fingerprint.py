"""What arguments and results are compared by: a hash that holds in this process alone, and nothing of the content."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["fingerprint"]


def fingerprint(value: Any, *, structured: bool = False) -> int | None:
    """The hash of a value, the order of keys aside; ``None`` for one that can't be compared. Never raises.

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


def _described(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump()
    if getattr(type(value), "__repr__", None) is object.__repr__:
        raise TypeError  # the address tells nothing: another object may have it by now
    return repr(value)


_encode = msgspec.json.Encoder(enc_hook=_described, order="sorted").encode
