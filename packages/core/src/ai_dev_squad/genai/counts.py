"""What a provider's report counts, reckoned up: which number is a part of which, wherever it was counted."""

from __future__ import annotations

from typing import Required, TypedDict

from ai_dev_squad.schema import Usage

__all__ = ["Counts", "larger", "reckoned"]


class Counts(TypedDict, total=False):
    """What a report counts, as far as it says so: the arguments of ``reckoned``."""

    input_tokens: Required[int | None]
    """Tokens that went in, those of the cache and of pictures and speech among them."""
    output_tokens: Required[int | None]
    """Tokens that came out."""
    beside: int
    """Tokens that only the total has."""
    cache_read: int | None
    """Of ``input_tokens``, from a cache."""
    cache_read_audio: int | None
    """Of ``cache_read``, speech."""
    cache_write: int | None
    """Of ``input_tokens``, to a cache."""
    cache_write_1h: int | None
    """Of ``cache_write``, to one that lives for an hour."""
    reasoning: int | None
    """Of ``output_tokens``, what was thought before they were said."""
    audio: tuple[int | None, int | None]
    """Speech, in and out."""
    images: tuple[int | None, int | None]
    """Pictures, in and out."""
    searches: tuple[int | None, int | None]
    """Searches, not tokens: of the web, and of files."""
    audio_seconds: int | None
    """Seconds of sound, not tokens, that went in."""


def reckoned(
    *,
    gemini: bool,
    input_tokens: int | None,
    output_tokens: int | None,
    beside: int = 0,
    cache_read: int | None = None,
    cache_read_audio: int | None = None,
    cache_write: int | None = None,
    cache_write_1h: int | None = None,
    reasoning: int | None = None,
    audio: tuple[int | None, int | None] = (None, None),
    images: tuple[int | None, int | None] = (None, None),
    searches: tuple[int | None, int | None] = (None, None),
    audio_seconds: int | None = None,
) -> Usage | None:
    """The usage, each whole at least as large as its parts: those tokens were counted, wherever that was."""
    if not input_tokens and not output_tokens:
        return None
    cache_read, cache_write = larger(cache_read, cache_read_audio), larger(cache_write, cache_write_1h)
    cached = (cache_read or 0) + (cache_write or 0)
    if input_tokens and cached > input_tokens:  # then they cannot be a part of it
        input_tokens += cached
    if output_tokens is not None:
        if beside > 0 and (gemini or beside == reasoning):
            # xAI and Gemini count reasoning beside the completion; only the total says so.
            output_tokens, reasoning = output_tokens + beside, reasoning or beside
        if reasoning and reasoning > output_tokens:
            output_tokens += reasoning
        output_tokens = max(output_tokens, (audio[1] or 0) + (images[1] or 0))
    if input_tokens:
        input_tokens = max(input_tokens, (audio[0] or 0) + (images[0] or 0))
    elif output_tokens:
        input_tokens = None  # nothing was asked for nothing: 0 says that it isn't known
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_input_tokens=cache_read,
        cache_read_audio_input_tokens=cache_read_audio,
        cache_write_input_tokens=cache_write,
        cache_write_1h_input_tokens=cache_write_1h,
        reasoning_output_tokens=reasoning,
        audio_input_tokens=audio[0],
        audio_output_tokens=audio[1],
        image_input_tokens=images[0],
        image_output_tokens=images[1],
        web_searches=searches[0],
        file_searches=searches[1],
        audio_input_seconds=audio_seconds,
        source="provider",
    )


def larger(count: int | None, other: int | None) -> int | None:
    """The larger one of two counts, of which either may not be known."""
    return max(count, other) if count is not None and other is not None else count if other is None else other
