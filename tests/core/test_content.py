"""What is kept of content, where the settings want it."""

from __future__ import annotations

from typing import Any

from ai_dev_squad.content import captured, of_answer, of_prompt
from ai_dev_squad_testing import capture

KEY = "sk-proj-Zq7Rw2Xk9Lm4Nv8Tb3Yc6Hd1Jf5Gs0Pa"
CLEAN = "[redacted:openai-key]"


def said(text: str) -> dict[str, Any]:
    """A message of one text."""
    return {"role": "user", "parts": [{"type": "text", "content": text}]}


def never() -> Any:
    """What is not to be read."""
    raise AssertionError("content was read that nobody keeps")


def test_without_content_nothing_is_kept_and_nothing_read() -> None:
    """By default there is no attribute, and what was said is not even looked at."""
    with capture():
        assert (captured(never), of_prompt(never), of_answer(never)) == ({}, {}, {})


def test_content_is_kept_without_secrets_and_without_what_is_too_much() -> None:
    """Every value is redacted; of a long chat the first message is kept, the newest, and how many are missing."""
    omitted = {"role": "omitted", "parts": [{"type": "omitted", "messages": 2}]}
    with capture(capture_content=True, max_messages=2):
        assert captured(lambda: {"task": f"use {KEY}", "items": [KEY]}) == {"task": f"use {CLEAN}", "items": [CLEAN]}
        assert of_prompt(lambda: [said(str(number)) for number in range(3)] + [said(KEY)]) == {
            "gen_ai.input.messages": [said("0"), omitted, said(CLEAN)]
        }
        assert of_answer(lambda: [said(KEY)]) == {"gen_ai.output.messages": [said(CLEAN)]}
