"""What recorded answers of model services say they cost in tokens, read as the services document it.

The judge of what an observer counted, so it shares no code with one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["Tokens", "billed"]

ANSWERS = re.compile(
    r"/embeddings$|/chat/completions$|/v1/messages$|/responses$|:(?:streamG|g)enerateContent$|/converse(?:-stream)?$|/api/(?:generate|chat)$"
)
"""The addresses at which a service generates or embeds; what counts or stores is no model call."""

# Names of one thing at different services.
INPUT = ("prompt_tokens", "input_tokens", "promptTokenCount", "inputTokens", "prompt_eval_count")
OUTPUT = ("completion_tokens", "output_tokens", "candidatesTokenCount", "outputTokens", "eval_count")
# What these services count beside and not inside the above.
MORE_INPUT = (
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "toolUsePromptTokenCount",
)
MORE_OUTPUT = ("thoughtsTokenCount",)


class Tokens(NamedTuple):
    """Tokens of any number of calls."""

    input: int = 0
    output: int = 0
    calls: int = 0

    def plus(self, other: Tokens) -> Tokens:
        return Tokens(*(mine + others for mine, others in zip(self, other, strict=True)))


def billed(url: str, body: bytes | str) -> Tokens | None:
    """What one answer from ``url`` says; ``None`` when it is no answer of a model or says nothing."""
    if not ANSWERS.search(url.partition("?")[0]):
        return None
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    reports = [report for document in documents(text) for report in reports_in(document)]
    # The parts of a stream report what there was until then.
    tokens = Tokens(
        max((counted(report, INPUT, MORE_INPUT) for report in reports), default=0),
        max((counted(report, OUTPUT, MORE_OUTPUT) for report in reports), default=0),
        1,
    )
    return tokens if tokens.input or tokens.output else None


def documents(text: str) -> Iterator[Any]:
    """The JSON documents of an answer: one, or one for each server-sent event."""
    lines = [line[5:] for line in text.splitlines() if line.startswith("data:")] or [text]
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue


def reports_in(document: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(document, dict):
        return
    for holder in (document, document.get("response"), document.get("message")):
        if isinstance(holder, dict):
            found = [holder.get("usage"), holder.get("usageMetadata"), holder if "eval_count" in holder else None]
            yield from (report for report in found if isinstance(report, dict))


def counted(report: Mapping[str, Any], names: tuple[str, ...], more: tuple[str, ...]) -> int:
    first = next((report[name] for name in names if report.get(name) is not None), 0)
    return int(first) + sum(int(report.get(name) or 0) for name in more)
