"""What frameworks and gateways call a model that has one price. Whose model it is, ``genai.providers`` knows."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["common_name", "spellings"]

_DATES = re.compile(r"[-@](?:20\d{2}-?[01]\d-?[0-3]\d)$")
_BEDROCK_REGION = re.compile(r"^(?:us|eu|apac|au|jp|ca|us-gov|global)\.")
_ROUTED = re.compile(r":(?:nitro|floor|online)$")
"""How OpenRouter is to choose among those who serve a model: https://openrouter.ai/docs/guides/routing/model-variants"""
_BEDROCK_VERSION = re.compile(r"-v\d+(?::\d+)?(?::\w+)?$")
_BEDROCK_MAKER = re.compile(
    r"^(?:ai21|amazon|anthropic|cohere|deepseek|google|luma|meta|minimax|mistral|moonshot|nvidia|openai|qwen|stability|writer)\."
)
_DECIMAL_POINT = re.compile(r"(?<=\d)\.(?=\d)")
_COMPACT_DATE = re.compile(r"-(20\d{2})([01]\d)([0-3]\d)(?=$|[-:])")


def spellings(model: str) -> Iterator[str]:
    """Names under which a model may be filed, the most literal first. All are lower case.

    ``models/gemini-2.5-pro`` → without the path; a date is tried in both ways of writing it and then left off, and so
    are ``-latest``, a Bedrock region and a Bedrock version.
    """
    seen: set[str] = set()
    for name in _spell(model.strip().lower()):
        if name and name not in seen:
            seen.add(name)
            yield name


def _spell(name: str) -> Iterator[str]:
    yield name
    name = _ROUTED.sub("", name)
    yield name
    if "/models/" in name or name.startswith(("models/", "arn:")):
        name = name.rpartition("/")[2]
        yield name
    yield name.replace("@", "-")
    yield _COMPACT_DATE.sub(r"-\1-\2-\3", name)
    bare = _BEDROCK_VERSION.sub("", name)
    yield bare
    without_region = _BEDROCK_REGION.sub("", bare)
    yield without_region
    undated = _DATES.sub("", without_region)
    yield undated
    yield undated.removesuffix("-latest")
    yield undated.removesuffix(":latest")
    if undated.startswith("openai.gpt-oss-"):
        yield f"{undated}-1:0"  # Bedrock's newer endpoint leaves off the release that its older one asks for


def common_name(model: str) -> str:
    """The name that all who sell a model have in common, with the date of its snapshot if it has one.

    ``anthropic/claude-sonnet-4.5``, ``us.anthropic.claude-sonnet-4-5-20250929-v1:0``, ``models/gemini-2.5-pro`` → the
    maker's own name, in lower case: who serves it, where, and in which release of his service is left off.
    """
    name = _ROUTED.sub("", model.strip().lower()).rpartition("/")[2].replace("@", "-")
    name = _BEDROCK_MAKER.sub("", _BEDROCK_REGION.sub("", _BEDROCK_VERSION.sub("", name)))
    return _DECIMAL_POINT.sub("-", name) if name.startswith("claude-") else name  # OpenRouter writes 4.5
