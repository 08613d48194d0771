"""Responses that go on in the background: asked about, streamed again from some event on, cancelled.

The first time that somebody asks it is in progress, after that it is done, so that a client polls at least twice.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qs

from . import responses
from .answer import Answer, dumps
from .delivery import EVENT_STREAM, plain_delivery, stream_delivery
from .http import Delivery, HttpRequest

__all__ = ["Background"]

_PATH = re.compile(r"/responses/(resp_\w+)(/cancel)?$")


class Background:
    """The responses that were asked for in the background, by id."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}
        self._asked: set[str] = set()
        self._cancelled: set[str] = set()

    def begin(self, answer: Answer) -> None:
        """Such a response was asked for."""
        self._answers[responses.response_id(answer)] = answer

    def forget(self) -> None:
        """Know none of them any more."""
        self._answers, self._asked, self._cancelled = {}, set(), set()

    def told(self, http: HttpRequest) -> Delivery | None:
        """The answer to a request that asks about one of them or cancels it; ``None`` if it does neither."""
        found = _PATH.search(http.path)
        answer = None if found is None else self._answers.get(found[1])
        if found is None or answer is None or http.method != ("GET" if found[2] is None else "POST"):
            return None
        whole = replace(answer.reply, cut_after=None)
        query = {name: values[-1] for name, values in parse_qs(http.query).items()}
        if query.get("stream") == "true":
            events = list(responses.further(answer, int(query.get("starting_after", -1))))
            return stream_delivery(events, whole, {}, EVENT_STREAM)
        return plain_delivery(dumps(self._state(found[1], answer, cancels=found[2] is not None)), whole, {})

    def _state(self, identifier: str, answer: Answer, *, cancels: bool) -> dict[str, object]:
        if cancels and identifier not in self._asked:
            self._cancelled.add(identifier)
        if identifier in self._cancelled:
            return responses.queued(answer, "cancelled")
        if identifier in self._asked or cancels:
            return responses.body(answer)
        self._asked.add(identifier)
        return responses.queued(answer, "in_progress")
