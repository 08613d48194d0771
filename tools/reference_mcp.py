"""The reference page of the MCP server, made from its tools, resources and prompts themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reference_page import MARK


def mcp_page() -> str:
    """``docs/reference/mcp.md``."""
    from ai_dev_squad_dashboard.mcp.answer import MAX_ANSWER, MAX_TEXT, NOTICE
    from ai_dev_squad_dashboard.mcp.catalogue import RESOURCES, TOOLS
    from ai_dev_squad_dashboard.mcp.prompts import PROMPTS
    from ai_dev_squad_dashboard.mcp.tool import OUTPUT

    lines = [
        MARK,
        "# Tools, resources and prompts of the MCP server",
        "",
        (
            "`ai-dev-squad mcp` on standard input and output, and `POST /mcp` of a dashboard. No tool changes anything. "
            "[Ask with an agent](../how-to/ask-with-an-agent.md) sets it up."
        ),
        "",
        "## What an answer has",
        "",
        (
            f"JSON of at most {MAX_ANSWER:,} characters, as text and as structured content. A recorded text is cut after {MAX_TEXT} characters, "
            f"and says how many are missing. `notice` is always: {NOTICE}"
        ),
        "",
        "| member | meaning |",
        "|---|---|",
        *(f"| `{name}` | {each['description']} |" for name, each in OUTPUT["properties"].items()),
    ]
    for tool in TOOLS.values():
        lines += ["", f"## {tool.name}", "", tool.about, ""]
        if tool.parameters:
            lines += ["| argument | meaning | values |", "|---|---|---|"]
            lines += [
                f"| `{name}`{' (required)' if name in tool.required else ''} | {schema['description']} | {_values(schema)} |"
                for name, schema in tool.parameters.items()
            ]
    lines += ["", "## Resources", "", "| address | what is there |", "|---|---|"]
    lines += [f"| `{uri}` | {about} |" for uri, about in RESOURCES.items()]
    lines += ["", "## Prompts", "", "| prompt | what it does | arguments |", "|---|---|---|"]
    for prompt in PROMPTS.values():
        arguments = "; ".join(
            f"`{name}`{' (required)' if required else ''}: {about}"
            for name, (about, required) in prompt.arguments.items()
        )
        lines.append(f"| `{prompt.name}` | {prompt.about} | {arguments} |")
    return "\n".join(lines) + "\n"


def _values(schema: Mapping[str, Any]) -> str:
    default = f" (`{schema['default']}`)" if "default" in schema else ""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"]) + default
    if schema["type"] == "array":
        return f"a list of up to {schema['maxItems']} texts"
    if "maximum" in schema:
        return f"{schema['type']} from {schema['minimum']} to {schema['maximum']}{default}"
    return {"string": "text"}.get(schema["type"], schema["type"]) + default
