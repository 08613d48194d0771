"""What really happened: every model call the server took part in, in order, with the tokens it billed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from threading import Condition
from time import monotonic
from typing import Any, Literal
from urllib.request import urlopen

from .counts import Tokens
from .request import Endpoint, Message, ModelRequest, ToolCall

__all__ = ["CallRecord", "Outcome", "Recorder", "Ticket", "Totals", "Truth"]

Outcome = Literal["active", "completed", "failed", "cut", "client_closed", "hung", "unexpected", "rejected"]
"""How a call ended: ``completed`` to the last byte; ``failed`` with a scripted HTTP error; ``cut`` by the server on
purpose; ``client_closed`` when the client went away in the middle; ``hung`` when it gave up waiting; ``unexpected``
when no step matched; ``rejected`` when the body was not acceptable; ``active`` while it lasts."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One HTTP request to a model endpoint. A retry is a call of its own."""

    index: int
    """Order of arrival, from 0."""
    endpoint: Endpoint
    model: str
    stream: bool
    outcome: Outcome
    status: int | None = None
    """The HTTP status sent; ``None`` when nothing was."""
    billed: Tokens | None = None
    """What the call costs; ``None`` when nothing was generated."""
    reported: Tokens | None = None
    """The usage the client was told; ``None`` when it was told none, as in a stream that did not ask for it."""
    finish_reasons: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    response_id: str | None = None
    response_model: str | None = None
    service_tier: str | None = None
    """The tier it was served and billed in; ``None``: the ordinary one."""
    step: str | None = None
    """The step that answered, such as ``planner[0]``."""
    role: str | None = None
    retry: int = 0
    """The client's own retry number (``x-stainless-retry-count``)."""
    traceparent: str | None = None
    authenticated: bool = False
    """Whether a key was sent; the key itself is never kept."""
    choices: int = 1
    tools: tuple[str, ...] = ()
    """The tools offered to the model."""
    messages: tuple[Message, ...] | None = None
    """The conversation; only with ``ModelServer(keep_messages=True)``."""
    error: str | None = None
    events_sent: int = 0
    """Events of a stream written to the connection."""
    in_flight: int = 0
    """Other calls under way when this one arrived."""
    finished: int | None = None
    """Order of ending, from 0."""
    arrived: datetime = datetime(1970, 1, 1, tzinfo=timezone.utc)
    duration_s: float | None = None

    @property
    def successful(self) -> bool:
        """Answered with 200 and delivered to the end."""
        return self.status == 200 and self.outcome == "completed"


@dataclass(frozen=True)
class Totals:
    """Sums over calls."""

    calls: int
    successful_calls: int
    billed: Tokens
    reported: Tokens


@dataclass(frozen=True)
class Truth:
    """All calls in order of arrival."""

    calls: tuple[CallRecord, ...]
    steps_left: tuple[str, ...] = ()
    """Scripted steps nobody asked for."""

    @property
    def unexpected(self) -> tuple[CallRecord, ...]:
        """The calls no step of the script matched."""
        return tuple(c for c in self.calls if c.outcome == "unexpected")

    @property
    def successful(self) -> tuple[CallRecord, ...]:
        """The calls that were answered in full."""
        return tuple(c for c in self.calls if c.successful)

    @property
    def totals(self) -> Totals:
        """Sums over all calls."""
        return _totals(self.calls)

    def by_model(self) -> dict[str, Totals]:
        """Sums per requested model."""
        return {m: _totals(tuple(c for c in self.calls if c.model == m)) for m in sorted({c.model for c in self.calls})}

    def by_role(self) -> dict[str, Totals]:
        """Sums per role of the script; calls without one are under ``""``."""
        roles = sorted({c.role or "" for c in self.calls})
        return {r: _totals(tuple(c for c in self.calls if (c.role or "") == r)) for r in roles}

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, the way ``GET /truth`` serves it."""
        calls = [{**asdict(call), "arrived": call.arrived.isoformat()} for call in self.calls]
        return {"totals": asdict(self.totals), "calls": calls, "steps_left": list(self.steps_left)}

    @classmethod
    def fetch(cls, url: str, *, timeout: float = 5.0) -> Truth:
        """The truth of a server in another process, by its ``url``. Raises ``OSError`` when it does not answer."""
        with urlopen(f"{url}/truth", timeout=timeout) as response:  # noqa: S310 (the caller's own server)
            return cls.from_dict(json.load(response))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Truth:
        """The inverse of ``to_dict``, for a server in another process."""
        return cls(tuple(_call_from_dict(call) for call in data["calls"]), tuple(data["steps_left"]))


def _totals(calls: tuple[CallRecord, ...]) -> Totals:
    return Totals(
        calls=len(calls),
        successful_calls=sum(c.successful for c in calls),
        billed=sum((c.billed for c in calls if c.billed), Tokens()),
        reported=sum((c.reported for c in calls if c.reported), Tokens()),
    )


def _call_from_dict(data: Mapping[str, Any]) -> CallRecord:
    def messages(items: Any) -> Any:
        return items and tuple(
            Message(**{**item, "tool_calls": tuple(ToolCall(**c) for c in item["tool_calls"])}) for item in items
        )

    return CallRecord(
        **{
            **data,
            "billed": data["billed"] and Tokens(**data["billed"]),
            "reported": data["reported"] and Tokens(**data["reported"]),
            "finish_reasons": tuple(data["finish_reasons"]),
            "tool_calls": tuple(ToolCall(**c) for c in data["tool_calls"]),
            "tools": tuple(data["tools"]),
            "messages": messages(data["messages"]),
            "arrived": datetime.fromisoformat(data["arrived"]),
        }
    )


@dataclass(frozen=True)
class Ticket:
    """A call under way: which reset it came after, and its index."""

    generation: int
    index: int


class Recorder:
    """Writes the truth. Thread-safe: the server's thread records while others read."""

    def __init__(self, *, keep_messages: bool = False) -> None:
        self.keep_messages = keep_messages
        self._changed = Condition()
        self._calls: list[CallRecord] = []
        self._started: dict[int, float] = {}
        self._ended = 0
        self._generation = 0

    def open(self, request: ModelRequest) -> Ticket:
        """Note an arrival. Returns the ticket for ``update`` and ``close``."""
        headers = request.headers
        retry = headers.get("x-stainless-retry-count", "0")
        record = CallRecord(
            index=0,
            endpoint=request.endpoint,
            model=request.model,
            stream=request.stream,
            outcome="active",
            retry=int(retry) if retry.isdigit() else 0,
            traceparent=headers.get("traceparent"),
            authenticated=bool(headers.get("authorization") or headers.get("x-api-key") or headers.get("api-key")),
            choices=request.n,
            tools=request.tools,
            messages=request.messages if self.keep_messages else None,
            arrived=datetime.now(timezone.utc),
        )
        with self._changed:
            index = len(self._calls)
            self._calls.append(replace(record, index=index, in_flight=len(self._started)))
            self._started[index] = monotonic()
            return Ticket(self._generation, index)

    def update(self, ticket: Ticket, **facts: Any) -> None:
        """Add facts to a call under way. A call from before a reset is forgotten."""
        index = ticket.index
        with self._changed:
            if ticket.generation == self._generation:
                self._calls[index] = replace(self._calls[index], **facts)

    def close(self, ticket: Ticket, outcome: Outcome, **facts: Any) -> None:
        """Note the end of a call. Only the first end counts."""
        index = ticket.index
        with self._changed:
            if ticket.generation != self._generation or index not in self._started:
                return
            duration = monotonic() - self._started.pop(index)
            self._calls[index] = replace(
                self._calls[index], outcome=outcome, finished=self._ended, duration_s=duration, **facts
            )
            self._ended += 1
            self._changed.notify_all()

    def calls(self) -> tuple[CallRecord, ...]:
        """A snapshot."""
        with self._changed:
            return tuple(self._calls)

    def settle(self, timeout: float) -> bool:
        """Wait until no call is under way; false when that took longer than ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._started, timeout)

    def reset(self) -> None:
        """Forget everything."""
        with self._changed:
            self._calls.clear()
            self._started.clear()
            self._ended = 0
            self._generation += 1
            self._changed.notify_all()
