"""Tags and metadata out of a span's attributes: what runs are filtered by, besides names.

Programs and instrumentations write them under prefixes of their own; here each becomes a key and a text. A tag is a value of the
key ``tag``, the deployment environment one of ``environment``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from ai_dev_squad import attributes as keys

__all__ = ["MOST_LABELS", "labels_of"]

MOST_LABELS: Final = 32
"""Keys of one span; further ones stay attributes only."""

_PREFIXES: Final = (
    "langgraph.metadata.",
    "traceloop.association.properties.",
    "langfuse.trace.metadata.",
    "langfuse.observation.metadata.",
    "ai.telemetry.metadata.",
    "langsmith.metadata.",
)
_TAGS: Final = frozenset({"tag.tags", "langfuse.trace.tags", "logfire.tags", "langgraph.tags"})
_ENVIRONMENTS: Final = frozenset({keys.DEPLOYMENT_ENVIRONMENT, "deployment.environment", "langfuse.environment"})
_METADATA: Final = "metadata"
"""Where OpenInference writes all of it, as JSON."""
_IDS: Final = frozenset(
    {
        "session_id",
        "thread_id",
        "conversation_id",
        "user_id",
        "sessionId",
        "userId",
        "langfuse_session_id",
        "langfuse_user_id",
    }
)
"""Ids that have columns of their own."""
_INTERNAL: Final = ("langgraph_", "ls_", "lc_", "checkpoint", "__")
"""How the names begin that frameworks add for themselves."""
_LONGEST_KEPT: Final = 1024
"""Characters of a value whose labels are kept."""
_LONGEST_KEY: Final = 128
_LONGEST_VALUE: Final = 256
_MOST_VALUES: Final = 32
_KEYS_KEPT: Final = 8192
_COMBINATIONS_KEPT: Final = 1024
_MOST_NAMES: Final = 64
_MOST_CHARACTERS: Final = 4096

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_keys: dict[str, str] = {}
_keyed: dict[tuple[str, ...], list[tuple[str, str]]] = {}
"""Names of a span's attributes → those that are labels, and of what."""


def labels_of(attributes: Mapping[str, Any], resource: Mapping[str, Any] | None = None) -> str | None:
    """The labels of a span as ``SpanRow.labels`` has them; ``None`` where there are none."""
    said: list[tuple[str | None, Any]] = []  # no key: an environment that counts where the span names none
    plain = True
    names = tuple(attributes)
    keyed = _keyed.get(names)
    for name, key in _labels_among(names) if keyed is None else keyed:
        said.append((key, value := attributes[name]))
        plain &= type(value) is str and len(value) <= _LONGEST_KEPT
    if resource:
        for name in _ENVIRONMENTS:
            if name in resource:
                said.append((None, value := resource[name]))
                plain &= type(value) is str and len(value) <= _LONGEST_KEPT
    if not said:
        return None
    return _told_before(tuple(said)) if plain and len(said) <= MOST_LABELS else _told(said)


def _labels_among(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """The attributes that are labels, and of what: kept where they are not many, as an instrumentation's spans have few combinations."""
    found = [(name, key) for name in names if (key := _key(name))]
    if len(names) <= _MOST_NAMES and sum(map(len, names)) <= _MOST_CHARACTERS:
        if len(_keyed) >= _COMBINATIONS_KEPT:
            _keyed.clear()
        _keyed[names] = found
    return found


def _told(said: Iterable[tuple[str | None, Any]]) -> str | None:
    found: dict[str, Any] = {}
    for key, value in said:
        if key is not None:
            _add(found, key, value)
        elif "environment" not in found:
            _add(found, "environment", value)
    return _encode(found).decode() if found else None


_told_before = lru_cache(maxsize=2048)(_told)
"""All spans of a run, and often all runs of a program, say the same."""


def _key(name: str) -> str:
    """What the attribute is a label of; empty for none. Kept, for the same names come again and again."""
    key = _keys.get(name)
    if key is not None:
        return key
    key = ""
    if name in _TAGS:
        key = "tag"
    elif name in _ENVIRONMENTS:
        key = "environment"
    elif name == _METADATA:
        key = _METADATA
    else:
        prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        if prefix is not None:
            key = _own(name[len(prefix) :])
    if len(_keys) >= _KEYS_KEPT:
        _keys.clear()
    _keys[name] = key
    return key


def _own(key: str) -> str:
    """The key, unless it is an id or a framework's own; ``tags`` among metadata are tags."""
    if key in _IDS or key.startswith(_INTERNAL) or len(key) > _LONGEST_KEY:
        return ""
    return "tag" if key == "tags" else key


def _add(found: dict[str, Any], key: str, value: Any) -> None:
    if key == _METADATA and isinstance(value, str) and value[:1] == "{":
        for name, member in _members(value).items():
            own = _own(str(name))
            if own and own != _METADATA:
                _add(found, own, member)
        return
    texts = _texts(key, value)
    if texts and (key in found or len(found) < MOST_LABELS):
        known = found.get(key, [])
        both = list(dict.fromkeys([*([known] if isinstance(known, str) else known), *texts]))[:_MOST_VALUES]
        found[key] = both[0] if len(both) == 1 else both


def _members(text: str) -> dict[str, Any]:
    try:
        members = _decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _texts(key: str, value: Any) -> list[str]:
    """The value as texts to choose from: plain ones only, lists of them one by one."""
    if isinstance(value, str):
        if key == "tag" and value[:1] == "[":
            try:
                return _texts(key, _decode(value.encode()))
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                pass
        return [value] if 0 < len(value) <= _LONGEST_VALUE else []
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, (int, float)):
        text = str(value)
        return [text] if len(text) <= _LONGEST_VALUE else []
    if isinstance(value, (list, tuple)):
        return [
            text for item in value[:_MOST_VALUES] if not isinstance(item, (list, tuple)) for text in _texts(key, item)
        ]
    return []
