"""The arguments of tools: their schemas, and the URL's arguments that they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ai_dev_squad_dashboard.query import FILTERS as _FILTERS
from ai_dev_squad_dashboard.query import RANGES

__all__ = ["FILTERS", "TIME", "Schema", "arguments", "chosen", "text", "whole"]

Schema = Mapping[str, Any]


def text(about: str, **more: Any) -> Schema:
    """A text."""
    return {"type": "string", "maxLength": 500, "description": about, **more}


def chosen(about: str, *values: str, default: str | None = None) -> Schema:
    """One of several words."""
    schema = {"type": "string", "enum": list(values), "description": about}
    return schema if default is None else {**schema, "default": default}


def whole(about: str, least: int, most: int, default: int) -> Schema:
    """A whole number."""
    return {"type": "integer", "minimum": least, "maximum": most, "default": default, "description": about}


def _several(about: str) -> Schema:
    return {"type": "array", "items": {"type": "string", "maxLength": 500}, "maxItems": 20, "description": about}


TIME: Final[Mapping[str, Schema]] = {
    "range": chosen("The span of time, ending now.", *RANGES),
    "from": text("Where the span of time begins, ISO 8601, UTC without an offset; instead of `range`."),
    "to": text("Where it ends, exclusively; now when absent."),
}
"""The span of time: understood by every tool about more than one run."""

FILTERS: Final[Mapping[str, Schema]] = {
    **{name: _several(f"Only of these: {name}.") for name in _FILTERS},
    "label": _several("Only runs with these tags or members of metadata, as `key:value`, such as `tenant:acme`, `tag:beta`."),
}  # fmt: skip
"""The filters of pages: any of several values."""


def arguments(asked: Mapping[str, Any], names: Sequence[str], *, limit: int | None = None) -> list[tuple[str, str]]:
    """The URL's arguments for those of a tool with these names, in this order. ``limit``: how many rows unless the tool was told."""
    given = [
        (name, _written(value))
        for name in names
        if asked.get(name) is not None
        for value in (asked[name] if isinstance(asked[name], list) else [asked[name]])
    ]
    return given if limit is None else [*given, ("limit", str(asked.get("limit", limit)))]


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
