"""The reference page of routes, socket events and keys, made from the dashboard's own descriptions of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from reference_page import MARK


def http_page() -> str:
    """``docs/reference/http-api.md``."""
    from ai_dev_squad_dashboard.openapi import describe

    description = describe()
    return "\n".join(_page(description)).rstrip() + "\n"


def _page(description: Mapping[str, Any]) -> Iterator[str]:
    from ai_dev_squad_dashboard import live
    from ai_dev_squad_dashboard.keyboard import SHORTCUTS

    yield MARK
    yield "# Routes, socket events and keys of the dashboard"
    yield ""
    yield description["info"]["description"]
    yield ""
    yield (
        "A running dashboard serves the same as OpenAPI 3.1 at `/api/openapi.json`. Where a login is required, send "
        "`Authorization: Bearer` with a read token, and with an ingest token to `/v1`. Every error of a route under `/api` is "
        '`{"error": {"status", "title", "message"}}`.'
    )
    for tag in description["tags"]:
        yield from ("", f"## {tag['description'].rstrip('.')}", "")
        yield from ("| route | what it answers | arguments |", "|---|---|---|")
        for path, item in description["paths"].items():
            for method, operation in item.items():
                if tag["name"] in operation["tags"]:
                    yield _row(description, path, method, operation)
    yield from ("", "## Arguments", "")
    yield from (
        "Those of a route are named above. `range`, `from`, `to` and the filters are understood by every page.",
        "",
    )
    yield from ("| argument | meaning | values |", "|---|---|---|")
    yield from _arguments(description)
    yield from ("", "## Socket events", "")
    yield inspect.cleandoc(live.__doc__ or "")
    yield from ("", "## Keys", "", "| keys | what they do |", "|---|---|")
    for shortcut in SHORTCUTS:
        keys = " ".join(f"<kbd>{key}</kbd>" for key in shortcut.keys)
        does = f"Go to {shortcut.does}" if shortcut.action == "go" else shortcut.does
        yield f"| {keys} | {does} |"
    yield from ("", "## Shapes", "")
    yield "What the answers are made of. Fields without a sentence say by their name what they are."
    for name, schema in description["components"]["schemas"].items():
        yield from _shape(name, schema)


def _row(description: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> str:
    common = {"range", "from", "to", "framework", "provider", "model", "agent", "service", "session"}
    names = [parameter["name"] for parameter in operation["parameters"]]
    own = [f"`{name}`" for name in names if name not in common]
    if common <= set(names):
        own.append("range and filters")
    return f"| `{method.upper()} {path}` | {operation['summary']}{_answer(operation)} | {', '.join(own)} |"


def _answer(operation: Mapping[str, Any]) -> str:
    schema = operation["responses"]["200"]["content"].get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    return f" [{name}](#{name.lower()})" if name else ""


def _arguments(description: Mapping[str, Any]) -> Iterator[str]:
    seen = set()
    for item in description["paths"].values():
        for operation in item.values():
            for parameter in operation["parameters"]:
                line = f"| `{parameter['name']}` | {parameter['description']} | {_values(parameter['schema'])} |"
                if line not in seen:
                    seen.add(line)
                    yield line


def _values(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "examples" in schema:
        return f"such as `{schema['examples'][0]}`"
    bounds = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join(["text" if schema["type"] == "string" else schema["type"], *bounds])


def _shape(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"### {name}", "")
    if schema.get("description"):
        yield from (_plain(schema["description"]), "")
    for place, about in enumerate(schema.get("prefixItems", ())):
        yield f"{place + 1}. {_type(about)}"
    for field, about in schema.get("properties", {}).items():
        text = about.get("description", "")
        yield f"- `{field}`: {_type(about)}{f'. {_plain(text)}' if text else ''}"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(choice) for choice in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "anything")
    if kind == "array" and isinstance(schema.get("items"), Mapping) and schema["items"]:
        return f"list of {_type(schema['items'])}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("``", "`"))
