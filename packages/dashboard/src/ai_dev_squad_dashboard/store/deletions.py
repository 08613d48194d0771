"""Deleting what was recorded of a run, a conversation or a person: what is meant, how much it is, and what remains to be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ai_dev_squad import attributes as keys

__all__ = ["ATTRIBUTES", "COLUMNS", "KINDS", "Deletion", "Extent", "Subject", "SubjectKind"]

SubjectKind: TypeAlias = Literal["trace", "session", "user"]

KINDS: Final[tuple[SubjectKind, ...]] = ("trace", "session", "user")

COLUMNS: Final[dict[str, str]] = {"session": "session_id", "user": "user_id"}
"""The column of spans and traces that names a subject of this kind."""

ATTRIBUTES: Final[dict[str, tuple[str, ...]]] = {
    "session": (keys.SESSION_ID, keys.CONVERSATION_ID, "session.id"),
    "user": (keys.USER_ID, "user.id", "enduser.id"),
}
"""The attributes of a metric that name a subject of this kind."""


@dataclass(frozen=True)
class Subject:
    """What is to go: one run by its trace id, or everything of a session or a user by its id."""

    kind: SubjectKind
    id: str


@dataclass(frozen=True)
class Extent:
    """How much is stored of a subject. Runs that only touch it are meant as a whole: their other spans may repeat its words."""

    traces: int
    spans: int
    logs: int
    running: int
    """Operations that have begun and not ended."""
    metrics: int
    """Points of metrics that name it."""
    sessions: int
    """Sessions that its runs belong to."""
    cost_usd: float
    oldest_us: int | None
    newest_us: int | None

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is there."""
        return not (self.spans or self.logs or self.running or self.metrics)


@dataclass(frozen=True)
class Deletion:
    """What remains of a deletion: who, when, what kind and how much, and no word of what it was."""

    at_us: int
    by: str
    """Who asked for it: a login name, the beginning of a token's digest, or the command line."""
    kind: SubjectKind
    traces: int
    spans: int
    logs: int
    compacted_us: int | None
    """When the file was written anew without it; ``None`` while the freed blocks may still hold its words."""
