"""Which of CrewAI's objects and classes are observed."""

from __future__ import annotations

from typing import Any

from ai_dev_squad.marks import Mark, Marks

__all__ = ["given_name", "given_task", "is_marked", "mark", "mark_like", "unmark"]

_marks = Marks()
unmark, _find = _marks.unmark, _marks.find


def mark(thing: Any, name: str | None = None, task: str | None = None) -> None:
    """Observe this object, or all instances of this class."""
    _marks.mark(thing, Mark(name, task))


def is_marked(thing: Any) -> bool:
    """Whether this object is observed, for itself or for its class."""
    return _find(thing) is not None


def mark_like(copied: Any, thing: Any) -> None:
    """Observe ``copied`` as ``thing`` is observed."""
    _marks.mark(copied, _find(thing) or Mark())


def given_name(thing: Any) -> str | None:
    """The name that the user gave it for observation."""
    known = _find(thing)
    return None if known is None else known.name


def given_task(thing: Any) -> str | None:
    """What the user says that its runs are asked to do."""
    known = _find(thing)
    return None if known is None else known.task
