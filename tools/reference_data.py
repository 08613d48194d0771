"""The reference of what is written and read: settings, events, attributes, and the schema of a journal's line."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from reference_page import page

__all__ = ["attributes_page", "events_page", "journal_schema", "settings_page"]


def settings_page() -> str:
    """Every setting with its environment variables, default, allowed values and meaning."""
    from ai_dev_squad.settings import Settings

    rows = []
    for item in fields(Settings):
        facts: Mapping[str, Any] = item.metadata
        limits = ""
        if facts.get("allowed"):
            limits = " One of " + ", ".join(f"`{value}`" for value in facts["allowed"]) + "."
        elif "minimum" in facts:
            limits = f" At least {facts['minimum']}."
        default = item.default_factory() if callable(item.default_factory) else item.default  # type: ignore[misc]
        variables = ", ".join(f"`{name}`" for name in facts["env"]) or "none"
        rows.append(f"| `{item.name}` | {variables} | `{default!r}` | {facts['meaning']}{limits} |")
    return page(
        "Settings",
        "Every setting is an argument of `ai_dev_squad.configure` and most are environment variables. An argument wins "
        "over the environment, the environment over the default; where several variables are named, the first one that "
        "is set counts.",
        "| Setting | Environment | Default | Meaning |\n| --- | --- | --- | --- |\n" + "\n".join(rows),
    )


def events_page() -> str:
    """The event types and the fields of one journal line."""
    from ai_dev_squad.schema import EventType

    schema = line_schema()
    definitions = schema.get("$defs", {})
    introduction = (
        "The journal is a text file with one JSON object a line. The machine-readable description of a line is "
        "[journal.schema.json](journal.schema.json). Absent fields are left out."
    )
    parts = [
        introduction,
        "## Event types",
        "`register_event_type` adds your own.\n\n" + "\n".join(f"- `{member.value}`" for member in EventType),
    ]
    for name in ("JournalLine", *sorted(set(definitions) - {"JournalLine"})):
        definition = definitions.get(name)
        if definition and "properties" in definition:
            required = set(definition.get("required", ()))
            rows = [
                f"| `{field}` | {json_type(facts)} | {'yes' if field in required else ''} |"
                for field, facts in definition["properties"].items()
            ]
            text = re.sub(r"``(.+?)``", r"`\1`", definition.get("description", ""))
            table = "| Field | Type | Always there |\n| --- | --- | --- |\n" + "\n".join(rows)
            parts += [f"## {name}", text, table]
    return page("Events and journal lines", *parts)


def json_type(facts: Mapping[str, Any]) -> str:
    """A JSON Schema type in a few words."""
    if "$ref" in facts:
        return str(facts["$ref"]).rpartition("/")[2]
    if "enum" in facts:
        return ", ".join(f"`{value}`" for value in facts["enum"] if value is not None)
    if "anyOf" in facts:
        return " or ".join(json_type(option) for option in facts["anyOf"] if option.get("type") != "null")
    if facts.get("type") == "array":
        return f"list of {json_type(facts.get('items', {}))}"
    return str(facts.get("format") or facts.get("type") or "anything")


def attributes_page() -> str:
    """Every attribute key, under the comment that heads its group in the source."""
    from ai_dev_squad import attributes

    source = Path(str(inspect.getsourcefile(attributes))).read_text(encoding="utf-8")
    parts = [inspect.getdoc(attributes) or ""]
    for line in source.splitlines():
        if line.startswith("# "):
            parts.append(f"## {line[2:]}\n")
        elif match := re.match(r"([A-Z][A-Z0-9_]*)(?:: Final)? = \"([^\"]+)\"(?:\s+# (.*))?$", line):
            name, key, comment = match.groups()
            parts.append(f"- `{key}` (`{name}`)" + (f": {comment}" if comment else ""))
    text = re.sub(r"\n\n- ", "\n- ", "\n\n".join(parts)).replace("``", "`")
    return page("Attributes", re.sub(r"(## .*)\n- ", r"\1\n\n- ", text))


def journal_schema() -> str:
    """The JSON Schema of one journal line, as a file."""
    return json.dumps(line_schema(), indent=2) + "\n"


def line_schema() -> dict[str, Any]:
    """The JSON Schema of one journal line, alike for all versions of Python and msgspec.

    Before Python 3.13 a docstring keeps the indentation of its source, and releases of msgspec order options differently.
    """
    from ai_dev_squad.schema import json_schema

    return dict(normalised(json_schema()))


def normalised(value: Any) -> Any:
    """JSON with descriptions without indentation, and ``null`` as the last option."""
    if isinstance(value, list):
        return [normalised(item) for item in value]
    if not isinstance(value, dict):
        return inspect.cleandoc(value) if isinstance(value, str) else value
    value = {key: normalised(item) for key, item in value.items()}
    if "anyOf" in value:
        value["anyOf"].sort(key=lambda option: option.get("type") == "null")
    return value
