"""Which tables a page has: its fields that hold rows, read from the page's dataclass. So a new page has its tables by itself."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec

from ai_dev_squad_dashboard.page import Page
from ai_dev_squad_dashboard.views.timeline import Chart

__all__ = ["Column", "Row", "Table", "tables_of"]

Row: TypeAlias = tuple[Any, ...]
_SCALARS: Final = (bool, int, float, str)
_LEFT_OUT: Final = frozenset({"hue", "x", "y", "width", "height", "facets"})
"""Fields that say how something is drawn."""


@dataclass(frozen=True)
class Column:
    """A column: its name, and what its values are; anything but a number or a truth is text."""

    name: str
    kind: type


@dataclass(frozen=True)
class Table:
    """A list, a table or a chart of a page, with a column for each field of its rows; fields of fields have a dot in their names."""

    name: str
    """The field of the page that holds it."""
    columns: tuple[Column, ...]
    rows: Callable[[Any], Iterator[Row]]
    """The rows in a page's dataclass."""


@cache
def tables_of(page: Page) -> dict[str, Table]:
    """The tables of a page by name, the main one first."""
    found: dict[str, Table] = {}
    for name, kind in get_type_hints(page.view).items():
        table = _table(name, kind)
        if table is not None and name not in _LEFT_OUT:
            found[name] = table
    return found


def _table(name: str, kind: Any) -> Table | None:
    if kind is Chart:
        return Table(name, _CHART, lambda view: _chart(getattr(view, name)))
    element = _element(kind)
    if element is None:
        return None
    paths = tuple(_paths(element))
    columns = tuple(Column(".".join(path), held) for path, held in paths)

    def rows(view: Any) -> Iterator[Row]:
        for row in getattr(view, name) or ():
            yield tuple(_value(row, path) for path, _ in paths)

    return Table(name, columns, rows)


def _element(kind: Any) -> Any:
    """What a ``tuple[X, ...]`` holds, where that is a row."""
    if get_origin(kind) is not tuple:
        return None
    inner = get_args(kind)
    return inner[0] if len(inner) == 2 and inner[1] is Ellipsis and _is_row(inner[0]) else None


def _is_row(kind: Any) -> bool:
    return isinstance(kind, type) and (is_dataclass(kind) or hasattr(kind, "_fields"))


def _paths(kind: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type]]:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else list(kind._fields)
    for name in names:
        held = _bare(hints[name])
        if name in _LEFT_OUT:
            continue
        if _is_row(held) and len(above) < 2:
            yield from _paths(held, (*above, name))
        else:
            yield (*above, name), held if held in _SCALARS else str


def _bare(kind: Any) -> Any:
    """The kind without ``None``."""
    if get_origin(kind) in {Union, types.UnionType}:
        given = [each for each in get_args(kind) if each is not type(None)]
        return given[0] if len(given) == 1 else str
    return kind


def _value(row: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if row is None:
            return None
        row = getattr(row, name)
    if row is None or isinstance(row, _SCALARS):
        return row
    return msgspec.json.encode(row).decode()


_CHART: Final = (Column("start_us", int), Column("key", str), Column("value", float))


def _chart(chart: Chart) -> Iterator[Row]:
    for series in chart.series:
        for start_us, value in zip(chart.starts, series.values, strict=True):
            yield start_us, series.key, None if value is None else float(value)
