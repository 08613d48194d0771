"""What the source says about the fields of the dataclasses: the text that stands below each."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

from .views import PAGES

__all__ = ["field_descriptions"]


@cache
def field_descriptions() -> Mapping[str, Mapping[str, str]]:
    """Class name → field → text, for every class that a page's dataclass is made of."""
    found: dict[type, Mapping[str, str]] = {}
    for page in PAGES:
        _collect(page.view, found)
    return {kind.__name__: texts for kind, texts in found.items()}


def _collect(kind: Any, found: dict[type, Mapping[str, str]]) -> None:
    if not isinstance(kind, type) or kind in found or not (is_dataclass(kind) or hasattr(kind, "_fields")):
        for inner in get_args(kind):
            _collect(inner, found)
        return
    found[kind] = dict(_texts(kind))
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else list(kind._fields)
    for name in names:
        _collect(hints.get(name), found)


def _texts(kind: type) -> Iterator[tuple[str, str]]:
    try:
        source = inspect.getsource(sys.modules[kind.__module__])
    except (OSError, TypeError):
        return  # installed without its source
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
            for field, text in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(text, ast.Expr)
                    and isinstance(text.value, ast.Constant)
                    and isinstance(text.value.value, str)
                ):
                    yield field.target.id, inspect.cleandoc(text.value.value).replace("``", "`")
