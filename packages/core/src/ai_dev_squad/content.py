"""What is kept of content: of what is said to models and tools and by them, where the settings want it, without secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ai_dev_squad import attributes as keys
from ai_dev_squad import state

__all__ = ["bounded", "captured", "of_answer", "of_prompt"]


def captured(read: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """The attributes that ``read()`` has, redacted. Where no content is captured there are none, and nothing is read."""
    pipeline = state.pipeline()
    if not pipeline.capture_content:
        return {}
    return {key: pipeline.redactor.value(value) for key, value in read().items()}


def of_prompt(read: Callable[[], list[dict[str, Any]]]) -> dict[str, Any]:
    """The attribute with the messages that a model is given, likewise; of many the first and the newest."""
    pipeline = state.pipeline()
    if not pipeline.capture_content:
        return {}
    return {keys.INPUT_MESSAGES: pipeline.redactor.value(bounded(read(), pipeline.settings.max_messages))}


def of_answer(read: Callable[[], list[dict[str, Any]]]) -> dict[str, Any]:
    """The attribute with the messages that a model has answered with, likewise."""
    pipeline = state.pipeline()
    return {keys.OUTPUT_MESSAGES: pipeline.redactor.value(read())} if pipeline.capture_content else {}


def bounded(messages: list[dict[str, Any]], most: int = 100, *, characters: int = 150_000) -> list[dict[str, Any]]:
    """What is kept of a long chat: the first message, which is the system's as a rule, and the newest ones.

    ``most`` messages, and about so many ``characters`` of text, the newest message in any case. In place of what was cut
    stands a message with the role ``omitted`` whose part says how many messages are missing.
    """
    kept, left = 0, characters - (_size(messages[0]) if messages else 0)
    while kept < len(messages) - 1:
        left -= _size(messages[-1 - kept])
        if kept and (left < 0 or (kept >= most - 1 and len(messages) > most)):
            break
        kept += 1
    missing = len(messages) - 1 - kept
    if missing <= 0:
        return messages
    label = {"role": "omitted", "parts": [{"type": "omitted", "messages": missing}]}
    return [messages[0], label, *messages[-kept:]]


def _size(item: Mapping[str, Any]) -> int:
    return sum(
        40 + sum(len(value) if isinstance(value, str) else 40 for value in part.values()) for part in item["parts"]
    )
