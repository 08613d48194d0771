"""Runs that wait for a person, and their resumption: the later run is linked to the one that it continues."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from ai_dev_squad.operations import Operation
from ai_dev_squad.schema import EventType, Link

__all__ = ["Resumptions"]

_REMEMBERED = 4_096


class Resumptions:
    """The runs of one framework that wait, by whatever its later run knows too, such as the conversation's id.

    Bounded: of many the oldest are forgotten. ``details`` are redacted already.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: OrderedDict[Hashable, Link] = OrderedDict()

    def interrupted(
        self,
        operation: Operation,
        key: Hashable | None,
        details: dict[str, Any],
        waits: str = "waits for a person",
        *,
        place: Hashable | None = None,
    ) -> None:
        """The operation stops until somebody answers. ``key`` is ``None`` where no later run can be told from others.

        ``place`` is the very point where it waits, such as a checkpoint, where several runs may go on from there.
        """
        operation.event(EventType.AGENT_INTERRUPT, f"{operation.name} {waits}", details)
        if key is None:
            return
        link = Link(trace_id=operation.trace_id, span_id=operation.span_id, type="resumes")
        for known_by in (key,) if place is None else ((key, place), key):
            self._waiting[known_by] = link
            self._waiting.move_to_end(known_by)
            if len(self._waiting) > _REMEMBERED:
                self._waiting.popitem(last=False)

    def resumed(
        self, operation: Operation, key: Hashable | None, details: dict[str, Any], *, place: Hashable | None = None
    ) -> None:
        """The operation continues with the answer what waited at this ``place``, or else, once, what waited under this key."""
        link = None if key is None else self._waiting_at(key, place)
        if link is not None:
            operation.link(link)
            details = {**details, "resumes_trace_id": link.trace_id}
        operation.event(EventType.AGENT_RESUME, f"{operation.name} resumes", details)

    def _waiting_at(self, key: Hashable, place: Hashable | None) -> Link | None:
        latest, there = self._waiting.get(key), self._waiting.get((key, place))
        if there is None or there is latest:
            self._waiting.pop(key, None)
        return latest if there is None else there
