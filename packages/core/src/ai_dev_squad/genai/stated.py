"""Numbers that a span states: within bounds, else a mistake or malice must not become everybody's sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_dev_squad import attributes as keys
from ai_dev_squad.runs import MOST_TOKENS, MOST_USD
from ai_dev_squad.schema import Usage, UsageSource

__all__ = ["Implausible", "tokens", "usage_of", "usd"]

_SOURCES: frozenset[UsageSource] = frozenset({"provider", "estimated", "missing"})


class Implausible(ValueError):
    """A number that no model call has. The message says which."""


def tokens(value: Any) -> int | None:
    """A number of tokens, stated as integer, whole float or digits; ``None`` for what is none. Raises ``Implausible``."""
    if type(value) is int:
        number = value
    elif value is None:
        return None
    elif type(value) is str and value.isascii() and value.isdigit():
        number = int(value) if len(value) < 20 else MOST_TOKENS + 1
    elif type(value) is float and value.is_integer():
        number = int(value)
    else:
        return None
    if number > MOST_TOKENS:
        raise Implausible(f"the sender states {str(value)[:20]} tokens; no model call has more than {MOST_TOKENS:,}")
    return number if number >= 0 else None


def usd(value: Any) -> float | None:
    """An amount of money, stated as number or text; ``None`` for what is none, or what no call costs."""
    try:
        amount = float(value) if type(value) in (int, float, str) else -1.0
    except (ValueError, OverflowError):
        return None
    return amount if 0 <= amount <= MOST_USD else None


def usage_of(values: Mapping[str, Any]) -> Usage:
    """The tokens that a span states in canonical names. Raises ``Implausible``."""
    get = values.get
    asked, said = tokens(get(keys.USAGE_INPUT_TOKENS)), tokens(get(keys.USAGE_OUTPUT_TOKENS))
    stated = get(keys.USAGE_SOURCE)
    source: UsageSource = "missing" if asked is None and said is None else "provider"
    if stated is not None and stated in _SOURCES:
        source = stated
    read, written = tokens(get(keys.USAGE_CACHE_READ_INPUT_TOKENS)), tokens(get(keys.USAGE_CACHE_WRITE_INPUT_TOKENS))
    cached = (read or 0) + (written or 0)
    if asked and cached > asked:  # then it cannot be a part of it: Anthropic's own count, passed on as it is
        asked = tokens(asked + cached)
    return Usage(
        input_tokens=asked,
        output_tokens=said,
        cache_read_input_tokens=read,
        cache_read_audio_input_tokens=tokens(get(keys.USAGE_CACHE_READ_AUDIO_INPUT_TOKENS)),
        cache_write_input_tokens=written,
        cache_write_1h_input_tokens=tokens(get(keys.USAGE_CACHE_WRITE_1H_INPUT_TOKENS)),
        reasoning_output_tokens=tokens(get(keys.USAGE_REASONING_OUTPUT_TOKENS)),
        audio_input_tokens=tokens(get(keys.USAGE_AUDIO_INPUT_TOKENS)),
        audio_output_tokens=tokens(get(keys.USAGE_AUDIO_OUTPUT_TOKENS)),
        image_input_tokens=tokens(get(keys.USAGE_IMAGE_INPUT_TOKENS)),
        image_output_tokens=tokens(get(keys.USAGE_IMAGE_OUTPUT_TOKENS)),
        web_searches=tokens(get(keys.USAGE_WEB_SEARCHES)),
        file_searches=tokens(get(keys.USAGE_FILE_SEARCHES)),
        audio_input_seconds=tokens(get(keys.USAGE_AUDIO_INPUT_SECONDS)),
        source=source,
    )
