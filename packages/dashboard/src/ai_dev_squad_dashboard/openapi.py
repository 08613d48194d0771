"""The OpenAPI description of every route that programs use, made of the pages, their dataclasses and what ``Query`` understands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import msgspec
from flask import Blueprint, Response

from .api import json_response
from .errors import Problem
from .openapi_fields import field_descriptions
from .openapi_parameters import FILTER_TEXTS, PARAMETERS, PATH_ARGUMENTS
from .openapi_routes import (
    ACTING,
    BODIES,
    GUIDE,
    LAB,
    OTHERS,
    QUERIES,
    RESPONSES,
    SENDING,
)
from .page import Page
from .query import FILTERS, RANGES
from .takeaway import FORMATS, tables_of
from .views import PAGES

__all__ = ["create_blueprint", "describe"]

_REFERENCE: Final = "#/components/schemas/{name}"
_ARGUMENT: Final = re.compile(r"<(?:\w+:)?(\w+)>")
_READ_ERRORS: Final = (400, 401, 403, 404, 414, 429, 500, 503)


def create_blueprint() -> Blueprint:
    """``/api/openapi.json``."""
    blueprint = Blueprint("openapi", __name__)

    @blueprint.get("/api/openapi.json")
    def openapi() -> Response:
        return json_response(describe())

    return blueprint


def describe() -> dict[str, Any]:
    """The description, as OpenAPI 3.1."""
    components = _components()
    components["Error"] = {
        "type": "object",
        "description": "How every error is answered.",
        "properties": {"error": {"$ref": _REFERENCE.format(name="Problem")}},
        "required": ["error"],
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AI Dev Squad dashboard",
            "version": _version(),
            "summary": "What AI agents did and cost: the pages as JSON, and OTLP.",
            "description": (
                "Every page answers as JSON under `/api`; the same object is sent over Socket.IO whenever it changes. Times "
                "are microseconds since 1970, UTC; fields ending in `_us` are microseconds; money is USD; `null` means "
                "unknown, never zero."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "pages", "description": "What the pages show."},
            {"name": "guide", "description": "The developer guide's answers."},
            {"name": "otlp", "description": "Where OpenTelemetry programs send to."},
            {"name": "acting", "description": "What changes something: with an act token, or the password."},
            {"name": "other", "description": "Everything else."},
        ],
        "security": [{}, {"token": []}, {"session": []}],
        "paths": dict(_paths()),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A read token for pages, an act token to change something, an ingest token for OTLP; `ai-dev-squad token` makes one.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "ads_session",
                    "description": "Set by `/login`. The cookie's name has a suffix, one for each dashboard.",
                },
            },
        },
    }


def _paths() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each path with its methods: those that look, and those that act."""
    found = dict(_looking())
    for path, methods in ACTING.items():
        for method, (about, content) in methods.items():
            operation = _operation(
                f"{method}_{_path(path)}",
                about,
                _arguments(path),
                content,
                tag="other" if path == "/api/sql" else "acting",
            )
            if (method, path) in BODIES:
                sent = {"application/json": {"schema": BODIES[method, path]}}
                operation["requestBody"] = {"required": True, "content": sent}
            found.setdefault(_path(path), {})[method] = operation
    yield from found.items()


def _looking() -> Sequence[tuple[str, dict[str, Any]]]:
    pages = [(_path(page.api), {"get": _page_operation(page)}) for page in PAGES]
    guide = [(path, {"get": _guide_operation(path)}) for path in GUIDE]
    others = [
        (
            _path(path),
            {
                "get": _operation(
                    path, about, [*_arguments(path), *_lab(path), *_own(path), *_of_export(path)], content, tag="other"
                )
            },
        )
        for path, (about, content) in OTHERS.items()
    ]
    return [*pages, *guide, *others, *SENDING.items()]


def _page_operation(page: Page) -> dict[str, Any]:
    """A page's JSON. Its summary is the first line of what the module says about it."""
    about = (page.view.__doc__ or page.title).strip()
    reference = {"$ref": _REFERENCE.format(name=page.view.__name__)}
    own = [_parameter(name, page.name) for name in page.parameters]
    parameters = [*_arguments(page.api), *_common(page.default_range), *own, *_tables(page)]
    return _operation(page.name, about, parameters, _answers(page, reference), tag="pages")


def _answers(page: Page, whole: Mapping[str, Any]) -> dict[str, Any]:
    """The page, or one of its tables: as JSON, or as another kind of file."""
    if not tables_of(page):
        return {"application/json": {"schema": whole}}
    rows = {"type": "array", "items": {"type": "object"}}
    files = {mimetype: {"schema": {"type": "string"}} for name, mimetype in FORMATS.items() if name != "json"}
    return {"application/json": {"schema": {"anyOf": [whole, rows]}}, **files}


def _guide_operation(path: str) -> dict[str, Any]:
    about, default, schema = GUIDE[path]
    parameters = [*_common(default), _parameter("time_range"), _parameter("frameworks"), *_lab(path)]
    return _operation(path, about, parameters, {"application/json": {"schema": schema}}, tag="guide")


def _lab(path: str) -> list[dict[str, Any]]:
    return [_parameter(name) for name in LAB] if path.startswith("/api/parity-matrix") else []


def _own(path: str) -> list[dict[str, Any]]:
    return [_parameter(name) for name in QUERIES.get(path, ())]


def _of_export(path: str) -> list[dict[str, Any]]:
    if not path.startswith("/api/export/"):
        return []
    formats = {"enum": ["jsonl", "csv", "parquet"], "default": "jsonl"}
    return [*_common("30d"), _query("format", "What kind of file.", formats)]


def _tables(page: Page) -> list[dict[str, Any]]:
    """What takes a table of the page away, where it has some."""
    tables = list(tables_of(page))
    if not tables:
        return []
    return [
        _query(
            "format", "A table of the page as a file, with all that matches, instead of the page.", {"enum": [*FORMATS]}
        ),
        _query("table", "Which table; the first when absent.", {"enum": tables, "default": tables[0]}),
    ]


def _operation(
    name: str,
    about: str,
    parameters: Sequence[Mapping[str, Any]],
    content: Mapping[str, Any],
    *,
    tag: str,
) -> dict[str, Any]:
    return {
        "operationId": re.sub(r"\W+", "_", name).strip("_"),
        "summary": about.splitlines()[0],
        "tags": [tag],
        "parameters": list(parameters),
        "responses": {
            "200": {"description": "The answer.", "content": dict(content)},
            **{str(status): _problem(status) for status in _READ_ERRORS},
        },
    }


def _problem(status: int) -> dict[str, Any]:
    reference = {"$ref": _REFERENCE.format(name="Error")}
    return {"description": RESPONSES[status], "content": {"application/json": {"schema": reference}}}


def _path(rule: str) -> str:
    return _ARGUMENT.sub(r"{\1}", rule)


def _arguments(rule: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PATH_ARGUMENTS.get(name, ""),
            "schema": {"type": "string", "minLength": 1, "maxLength": 500},
        }
        for name in _ARGUMENT.findall(rule)
    ]


def _common(default_range: str) -> list[dict[str, Any]]:
    """The span of time and the filters, which every page understands."""
    moment = {"type": "string", "examples": ["2026-11-22T10:30:00Z"]}
    several = {"type": "array", "items": {"type": "string"}}
    return [
        _query("range", "The span of time, ending now.", {"enum": [*RANGES], "default": default_range}),
        _query("from", "Where the span of time begins, ISO 8601, UTC without an offset; instead of `range`.", moment),
        _query("to", "Where it ends, exclusively; now when absent.", moment),
        *(
            _query(name, FILTER_TEXTS.get(name, f"Only this {name}; repeat it for several."), several)
            for name in FILTERS
        ),
        _query("label", FILTER_TEXTS["label"], several),
    ]


def _parameter(name: str, page: str = "") -> dict[str, Any]:
    about, schema = (
        PARAMETERS.get(f"{page}.{name}") or PARAMETERS.get(name) or ("", {"type": "string", "maxLength": 500})
    )
    return _query(name, about, schema)


def _query(name: str, about: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": "query", "schema": dict(schema)}
    if about:
        parameter["description"] = about
    return parameter


def _components() -> dict[str, Any]:
    """The schema of every dataclass, with what the source says about each field."""
    _, components = msgspec.json.schema_components([*(page.view for page in PAGES), Problem], ref_template=_REFERENCE)
    said = field_descriptions()
    for name, schema in components.items():
        for field, text in said.get(name, {}).items():
            if field in schema.get("properties", {}):
                schema["properties"][field] = {**schema["properties"][field], "description": text}
    # Two classes of one name carry their modules; a short one tells them apart as well.
    text = json.dumps(components)
    for name in components:
        if "." in name:
            *_, module, kind = name.split(".")
            text = text.replace(f'"{name}"', f'"{module.capitalize()}{kind}"').replace(
                _REFERENCE.format(name=name), _REFERENCE.format(name=f"{module.capitalize()}{kind}")
            )
    renamed: dict[str, Any] = json.loads(text)
    return renamed


def _version() -> str:
    try:
        return version("ai-dev-squad-dashboard")
    except PackageNotFoundError:
        return "0"
