"""What is behind an object, read past any code of its class: fields, a plain number, or what kind of object it is."""

from __future__ import annotations

import collections
import enum
import types
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["bytes_text", "described", "fields_of", "is_printable", "key_text", "numpy_scalar"]

_Text = Callable[[str], str]
# By name, so that nothing is imported for a type that a program never uses. Their str() is the standard library's.
_PRINTABLE = frozenset(
    {
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("uuid", "UUID"),
        ("builtins", "complex"),
        *(
            (module, name)
            for module in ("pathlib", "pathlib._local")
            for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
        ),
    }
)


def is_printable(t: type) -> bool:
    """Whether ``str()`` of an object of that class runs the standard library's code only, and says what it is."""
    return (t.__module__, t.__qualname__) in _PRINTABLE


def fields_of(v: Any, t: type) -> dict[Any, Any] | None:
    """The dictionary behind ``v``, read past any code of its class; ``None`` when it isn't made of named fields."""
    if isinstance(v, dict):
        return v
    if t is types.MappingProxyType:
        return dict(v)
    if isinstance(v, collections.UserDict):
        return v.data
    if isinstance(v, type):
        return None
    if isinstance(v, tuple):
        names = getattr(t, "_fields", None)
        return dict(zip(names, tuple.__iter__(v), strict=False)) if isinstance(names, tuple) else None
    if isinstance(getattr(t, "__pydantic_fields__", None), dict) or isinstance(getattr(t, "model_fields", None), dict):
        return _without_private(v)
    for declared in ("__dataclass_fields__", "__struct_fields__", "__attrs_attrs__"):
        names = getattr(t, declared, None)
        if isinstance(names, (dict, tuple)):
            return dict(_read_fields(v, [name if isinstance(name, str) else name.name for name in names]))
    return None


def _without_private(v: Any) -> dict[str, Any]:
    stored = object.__getattribute__(v, "__dict__")
    return {name: item for name, item in stored.items() if not name.startswith("_")}


def _read_fields(v: Any, names: list[str]) -> Iterator[tuple[str, Any]]:
    for name in names:
        try:
            # Past a user's __getattr__; a field that was never set is simply absent.
            yield name, object.__getattribute__(v, name)
        except AttributeError:
            continue


def numpy_scalar(v: Any, t: type) -> Any:
    """A plain number for numpy's scalars, without importing numpy."""
    if t.__module__ == "numpy" and getattr(v, "shape", None) == () and hasattr(t, "item"):
        plain = v.item()
        return plain if isinstance(plain, (int, float, str, bytes)) else None
    return None


def described(v: Any, t: type) -> str:
    """What kind of object it is, with its size where the class tells it without computing."""
    if isinstance(v, (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)):
        return f"<{t.__name__} {getattr(v, '__qualname__', None) or getattr(v, '__name__', '?')}>"
    described = t.__qualname__ if t.__module__ == "builtins" else f"{t.__module__}.{t.__qualname__}"
    if t.__module__.partition(".")[0] in ("numpy", "pandas", "torch", "jax", "jaxlib", "polars"):
        shape = getattr(v, "shape", None)
        described += f" shape={tuple(shape)}" if isinstance(shape, tuple) else ""
    return f"<{described}>"


def bytes_text(v: bytes | bytearray | memoryview, text: _Text, limit: int) -> str:
    """Bytes as the text they are, if they are short and readable; else how many there are."""
    size = v.nbytes if isinstance(v, memoryview) else len(v)
    described = f"<{size} bytes>"
    if isinstance(v, memoryview) or size > limit:
        return text(described)
    try:
        decoded = bytes(v).decode()
    except UnicodeDecodeError:
        return text(described)
    return text(decoded if decoded.isprintable() else described)


def key_text(name: Any, leaf: Callable[[Any], Any]) -> str:
    """What a key of a dictionary is called; ``leaf`` says what an object is."""
    if name is None or isinstance(name, bool):
        return {None: "null", True: "true", False: "false"}[name]
    if isinstance(name, enum.Enum):
        name = name._value_
    if isinstance(name, tuple):
        return f"({', '.join(key_text(part, leaf) for part in name[:8])})"
    return str(leaf(name))
