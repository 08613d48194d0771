"""What a setting's text means: one reading of the environment, for whatever has settings.

``as_type`` reads by the annotation of a dataclass field, so a setting says once what it takes. Every message names the
variable or argument, the value and what to write instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["as_type", "first_given"]

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def first_given(environ: Mapping[str, str], variables: Iterable[str]) -> tuple[str, str] | None:
    """The first of ``variables`` that is set, with its text; one that is empty counts as not set."""
    return next(((name, environ[name]) for name in variables if environ.get(name, "") != ""), None)


def as_type(kind: str, value: Any, source: str) -> Any:
    """``value``, an argument or a variable's text, as the type that ``kind`` spells (``"int | None"``).

    A type that isn't known here leaves the value as it is. Raises ``ValueError`` that names ``source``.
    """
    if kind.endswith(" | None"):
        kind = kind.removesuffix(" | None")
        # A text that may be missing is left out; "none" may be what it says.
        if kind != "str" and isinstance(value, str) and value.strip().lower() == "none":
            return None
    return _READ.get(kind, _unchanged)(value, source)


def _bool(value: Any, source: str) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"{source}={value!r} is neither true nor false; write 'true' or 'false'")


def _int(value: Any, source: str) -> int:
    try:
        number = None if isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or (isinstance(value, float) and value != number):
        raise ValueError(f"{source}={value!r} is not a whole number; write it like {source}=10")
    return number


def _float(value: Any, source: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{source}={value!r} is not a number; write it like {source}=2.5")
    return number


def _strings(value: Any, source: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, Iterable):
        items = tuple(value)
        if all(isinstance(item, str) for item in items):
            return items
    raise ValueError(f"{source}={value!r} is no list of strings; write it like ['password', 'api_*']")


def _paths(value: Any, source: str) -> tuple[Path, ...]:
    return tuple(map(Path, _strings(value, source)))


def _patterns(value: Any, source: str) -> tuple[Any, ...] | Mapping[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (str, re.Pattern)) or not isinstance(value, Iterable):
        raise ValueError(f"{source}={value!r} is no list; write it like {source}=[r'\\bCUST-[0-9]{{8}}\\b']")
    return tuple(value)


def _mapping(value: Any, source: str) -> dict[str, Any]:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return dict(value)
    raise ValueError(f"{source}={value!r} is no dictionary with text keys; write it like {{'name': 'value'}}")


def _string(value: Any, source: str) -> str:
    if isinstance(value, (str, Path)) and str(value).strip():
        return str(value)
    raise ValueError(f"{source}={value!r} is not text; write a string that is not empty, or leave it out")


def _unchanged(value: Any, source: str) -> Any:
    return value


_READ: dict[str, Callable[[Any, str], Any]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "str": _string,
    "Path": lambda value, source: Path(_string(value, source)),
    "tuple[str, ...]": _strings,
    "tuple[Path, ...]": _paths,
    "tuple[Any, ...]": _patterns,
    "dict[str, str]": _mapping,
    "dict[str, Any]": _mapping,
}
