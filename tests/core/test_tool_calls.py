"""What is told of tool calls, whichever framework makes them."""

from __future__ import annotations

from typing import Any

import pytest

from ai_dev_squad import operations
from ai_dev_squad.schema import ErrorInfo
from ai_dev_squad.tool_calls import error_in_words, never_ran, note_answer, opening_attributes
from ai_dev_squad_testing import Captured, capture

KEY = "sk-proj-Zq7Rw2Xk9Lm4Nv8Tb3Yc6Hd1Jf5Gs0Pa"
CLEAN = "[redacted:openai-key]"
TYPE, ID = "gen_ai.tool.type", "gen_ai.tool.call.id"


def closing(captured: Captured) -> dict[str, Any]:
    """What the one operation says at its end."""
    (line,) = captured.closing()
    return {"name": line.name, "status": line.status, "error": line.error, **(line.metadata or {})}


@pytest.mark.parametrize(
    "capture_content, content",
    [
        (False, {}),
        (True, {"gen_ai.tool.call.arguments": {"key": CLEAN}, "gen_ai.tool.call.result": f"the key is {CLEAN}"}),
    ],
)
def test_a_call_and_its_answer(capture_content: bool, content: dict[str, Any]) -> None:
    """Type and id stand on the line; arguments and answer only where content is captured, and without secrets."""
    with capture(capture_content=capture_content) as captured:
        attributes = opening_attributes({"key": KEY}, "call_1", tool_type="extension")
        operation = operations.start(operations.TOOL, "look_up", framework="own", attributes=attributes)
        note_answer(operation, f"the key is {KEY}")
        operation.stop()

    assert closing(captured) == {
        "name": "look_up",
        "status": "ok",
        "error": None,
        TYPE: "extension",
        ID: "call_1",
        **content,
    }


@pytest.mark.parametrize(
    "capture_content, error, ended",
    [
        (False, "unknown_tool", ("error", ErrorInfo(type="unknown_tool"))),
        (True, "tool_error", ("error", ErrorInfo(type="tool_error", message=f"no tool {CLEAN}"))),
        (True, None, ("ok", None)),
    ],
)
def test_a_call_that_reached_no_tool(capture_content: bool, error: str | None, ended: tuple[Any, ...]) -> None:
    """It is shown as failed, or as answered, under the name that the model made up; what the model was told is content."""
    with capture(capture_content=capture_content) as captured:
        never_ran(KEY, "call_1", f"no tool {KEY}", framework="own", parent=None, error=error)

    assert closing(captured) == {
        "name": CLEAN,
        "status": ended[0],
        "error": ended[1],
        TYPE: "function",
        ID: "call_1",
    }


def test_an_error_that_the_model_is_told_of() -> None:
    """Its type is always told; the text, which may be anything, only where content is captured."""
    with capture():
        assert error_in_words("timeout", f"no answer to {KEY}") == ErrorInfo(type="timeout")
    with capture(capture_content=True):
        assert error_in_words("timeout", f"no answer to {KEY}") == ErrorInfo(
            type="timeout", message=f"no answer to {CLEAN}"
        )
