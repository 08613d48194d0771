"""What the results of tools take in the input of a model call: an estimate, by their share of what was captured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ai_dev_squad_dashboard.store.rows import Carried

from .messages import Message, ToolPart

__all__ = ["carried"]

_RESULT: Final = "tool_call_response"
_CALL: Final = "tool_call"
_NO_CONTENT: Final = frozenset({"type", "id", "role"})
_MOST_TOOLS: Final = 100
_encode = msgspec.json.Encoder().encode


def carried(
    content: Mapping[str, Any],
    input_tokens: int | None,
    cost_usd: float | None,
    input_share: Callable[[], float | None],
) -> tuple[Carried, ...]:
    """The tools whose results stand in ``content``, what a model call was given, with what they took of its tokens and cost.

    A result's share of the tokens is its share of the captured characters. ``input_share()`` is the share of the cost that was
    paid for the input, cached tokens at their own price; ``None`` where no price is known. Empty where nothing was captured.
    """
    messages = content.get("input")
    if input_tokens is None or not isinstance(messages, list):
        return ()
    sizes = _sizes(messages)
    if not sizes:
        return ()
    whole = sum(map(_size, (messages, content.get("system"), content.get("tools")))) or 1
    share = None if cost_usd is None else input_share()
    return tuple(
        Carried(
            tool,
            round(input_tokens * size / whole),
            None if share is None or cost_usd is None else cost_usd * share * size / whole,
        )
        for tool, size in sorted(sizes.items())[:_MOST_TOOLS]
    )


def _sizes(messages: list[Any]) -> dict[str, int]:
    """The characters of each tool's results. One whose call is not among the messages has no name, and is nobody's."""
    names: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for message in messages:
        for call_id, name, result in _tools(message):
            if result is None:
                if isinstance(call_id, str) and isinstance(name, str):
                    names[call_id] = name
            else:
                tool = name if isinstance(name, str) else names.get(call_id) if isinstance(call_id, str) else None
                if tool:
                    sizes[tool] = sizes.get(tool, 0) + result
    return sizes


def _tools(message: Any) -> tuple[ToolPart, ...]:
    if type(message) is Message:
        if message.tools is None:
            message.tools = _tools(dict(message))
        return message.tools
    parts = message.get("parts") if isinstance(message, dict) else None
    return tuple(
        ToolPart(
            part.get("id"),
            part.get("name"),
            None if part["type"] == _CALL else _size(part.get("response", part.get("result"))),
        )
        for part in (parts if isinstance(parts, list) else ())
        if isinstance(part, dict) and part.get("type") in (_CALL, _RESULT)
    )


def _size(value: Any) -> int:
    """How long it is as text; near enough for a share."""
    if type(value) is Message:
        if value.size is None:
            value.size = _size(dict(value))
        return value.size
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_size, value))
    if isinstance(value, dict):
        return sum([_size(each) for key, each in value.items() if key not in _NO_CONTENT])
    return 0 if value is None else len(_encode(value))
