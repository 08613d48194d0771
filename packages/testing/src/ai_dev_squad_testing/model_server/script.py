"""The script: what the model says, in which order, to whom, and what goes wrong.

A ``Script`` never changes, so one script can serve many runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypedDict, Unpack

from .counts import Tokens
from .matchers import Matcher, matches
from .request import ModelRequest

__all__ = [
    "Action",
    "Call",
    "Direction",
    "Fail",
    "Hang",
    "Reply",
    "Script",
    "ScriptError",
    "Step",
    "call",
    "disconnect",
    "fail",
    "hang",
    "reply",
    "respond",
    "role",
    "shorten",
    "structured",
    "tool_calls",
]


class ScriptError(ValueError):
    """The script cannot be performed; the message says which step, what is allowed and how to write it."""


@dataclass(frozen=True)
class Call:
    """A tool call the model asks for. Without an ``id`` it gets one that is the same in every run."""

    name: str
    arguments: str
    id: str | None = None


def call(name: str, /, *, id: str | None = None, raw: str | None = None, **arguments: Any) -> Call:  # noqa: A002
    """``call("search", q="x")``. ``raw`` sends this text as the arguments instead, valid JSON or not."""
    return Call(name, json.dumps(arguments, separators=(",", ":")) if raw is None else raw, id)


@dataclass(frozen=True)
class Reply:
    """An answer of the model, and the directions for delivering it."""

    texts: tuple[str, ...] = ("",)
    """One text per choice; when the request asks for more choices, they start again from the first."""
    calls: tuple[Call, ...] = ()
    usage: Tokens | None = None
    """The tokens billed; ``None`` counts the texts by the four-character rule."""
    report_usage: bool = True
    """``False``: the tokens are billed, but the client is never told."""
    finish_reason: str | None = None
    """``None`` is "stop", or "tool_calls" when tools are called."""
    refusal: str | None = None
    reasoning: str | None = None
    service_tier: str | None = None
    """The tier that the answer says it was served in, where its format has one; ``None``: the ordinary one."""
    model: str | None = None
    """The model the answer names; ``None`` is the one asked for."""
    together: int = 1
    """Answer only when this many calls are here whose answers say so: they are at the same time on the busiest machine.
    Who waits for ten seconds in vain is answered alone."""
    latency: float = 0.0
    """Seconds before the first byte of the response."""
    first_token: float = 0.0
    """Seconds between the response head and the first piece of a stream."""
    per_chunk: float = 0.0
    """Seconds before each further piece of a stream."""
    chunk_size: int = 12
    """Characters of text or tool arguments per piece of a stream."""
    cut_after: int | None = None
    """Close the connection after this many events of a stream; a plain response is cut in the middle of its body."""
    half_line: bool = False
    """With ``cut_after``: send the first half of the next line as well."""
    content_type: str | None = None
    """A wrong content type, such as ``text/html``."""
    rewrite: Callable[[dict[str, Any]], Sequence[dict[str, Any]]] | None = None
    """Is given the body of the answer, or each event of its stream, and returns what is sent instead: the body, or none,
    one or several events. For providers that put things in words of their own; what is billed stays ``usage``."""
    fits_forced_tool: bool = False
    """When the request forces a tool call, the text is that call's arguments."""

    def __post_init__(self) -> None:
        for name in ("latency", "first_token", "per_chunk"):
            if getattr(self, name) < 0:
                raise ScriptError(f"{name} is {getattr(self, name)!r}; allowed is 0 or more seconds")
        if self.together < 1:
            raise ScriptError(f"together is {self.together!r}; allowed is 1 or more calls")
        if self.chunk_size < 1:
            raise ScriptError(f"chunk_size is {self.chunk_size!r}; allowed is 1 or more characters")
        if self.half_line and self.cut_after is None:
            raise ScriptError("half_line needs cut_after: say after how many events the connection is cut")


@dataclass(frozen=True)
class Fail:
    """An HTTP error."""

    status: int
    message: str | None = None
    code: str | None = None
    retry_after: float | None = None
    """Seconds, sent as ``Retry-After`` and ``retry-after-ms``."""
    latency: float = 0.0
    content_type: str = "application/json"
    body: str | None = None
    """Sent as it is, instead of the provider's JSON error."""


@dataclass(frozen=True)
class Hang:
    """No answer: the connection stays open for ``seconds`` (``None``: until the client gives up), then is closed."""

    seconds: float | None = None


Action: TypeAlias = Reply | Fail | Hang


class Direction(TypedDict, total=False):
    """Keywords that every answer takes; the fields of ``Reply`` and ``Step`` say what they mean."""

    when: Matcher | Callable[[ModelRequest], bool] | None
    times: int | None
    usage: Tokens | None
    report_usage: bool
    finish_reason: str | None
    refusal: str | None
    reasoning: str | None
    service_tier: str | None
    model: str | None
    together: int
    latency: float
    first_token: float
    per_chunk: float
    chunk_size: int
    cut_after: int | None
    half_line: bool
    content_type: str | None
    rewrite: Callable[[dict[str, Any]], Sequence[dict[str, Any]]] | None


@dataclass(frozen=True)
class Step:
    """One line of the script: to whom (``when``), how often (``times``, ``None`` for ever), and what happens."""

    action: Action | Callable[[ModelRequest], Step | Action | str]
    when: Matcher | None = None
    times: int | None = 1
    role: str | None = None

    def __post_init__(self) -> None:
        if self.times is not None and (type(self.times) is not int or self.times < 1):
            raise ScriptError(f"times is {self.times!r}; allowed is 1 or more, or None for ever")

    @property
    def description(self) -> str:
        """The step in a few words, as error messages and the truth name it."""
        return _describe(self.action) + (f" when {self.when.description}" if self.when else "")

    def resolve(self, request: ModelRequest) -> Action:
        """What happens for this request; a callable is asked now."""
        action: Any = self.action
        if callable(action):
            action = action(request)
        if isinstance(action, Step):
            return action.resolve(request)
        if isinstance(action, str):
            return Reply((action,))
        if isinstance(action, (Reply, Fail, Hang)):
            return action
        raise ScriptError(f"{self.description} returned {action!r}; return reply(...), fail(...), hang() or a text")


def reply(text: str | Sequence[str] = "", /, **direction: Unpack[Direction]) -> Step:
    """The model says this. A list gives one text per choice (``n``)."""
    return _step(direction, texts=(text,) if isinstance(text, str) else tuple(text))


def tool_calls(*calls: Call, text: str = "", **direction: Unpack[Direction]) -> Step:
    """The model asks for these tools, in parallel, perhaps with a text."""
    if not calls:
        raise ScriptError('tool_calls() names no tool; write tool_calls(call("search", q="x"))')
    return _step(direction, texts=(text,), calls=calls)


def structured(value: Any, /, **direction: Unpack[Direction]) -> Step:
    """The model answers with this JSON value: as text, or as arguments when the request forces a tool call."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return _step(direction, texts=(text,), fits_forced_tool=True)


def fail(
    status: int,
    *,
    retry_after: float | None = None,
    message: str | None = None,
    code: str | None = None,
    latency: float = 0.0,
    content_type: str = "application/json",
    body: str | None = None,
    when: Matcher | Callable[[ModelRequest], bool] | None = None,
    times: int | None = 1,
) -> Step:
    """The service answers with this HTTP error; ``retry_after`` is in seconds."""
    if not 400 <= status <= 599:
        raise ScriptError(f"status is {status!r}; allowed is an HTTP error from 400 to 599")
    action = Fail(status, message, code, retry_after, latency, content_type, body)
    return Step(action, _matcher(when), times)


def hang(
    seconds: float | None = None,
    *,
    when: Matcher | Callable[[ModelRequest], bool] | None = None,
    times: int | None = 1,
) -> Step:
    """The service accepts the request and never answers; the client has to give up."""
    return Step(Hang(seconds), _matcher(when), times)


def disconnect(*, when: Matcher | Callable[[ModelRequest], bool] | None = None, times: int | None = 1) -> Step:
    """The service closes the connection without a word."""
    return Step(Hang(0.0), _matcher(when), times)


def respond(
    act: Callable[[ModelRequest], Step | Action | str],
    *,
    when: Matcher | Callable[[ModelRequest], bool] | None = None,
    times: int | None = 1,
) -> Step:
    """What the model says depends on the request: ``respond(lambda request: reply(request.last.text))``."""
    return Step(act, _matcher(when), times)


Line: TypeAlias = Step | Action | str | Callable[[ModelRequest], Step | Action | str] | Iterable["Line"]


def role(name: str, when: Matcher | Callable[[ModelRequest], bool], *steps: Line) -> list[Step]:
    """The lines of one role: every step also needs ``when``, and the truth carries ``name``."""
    matcher = _matcher(when)
    assert matcher is not None
    return [replace(step, when=matcher & step.when if step.when else matcher, role=name) for step in _flatten(steps)]


class Script:
    """Steps in order. A request gets the first step that matches it and is not used up, else the ``default``."""

    def __init__(self, steps: Iterable[Line] = (), *, default: Step | str | None = None) -> None:
        self.steps: tuple[Step, ...] = tuple(_flatten(steps))
        if isinstance(default, str):
            default = reply(default)
        self.default: Step | None = default and replace(default, times=None)

    def __repr__(self) -> str:
        return f"Script({len(self.steps)} steps{', default' if self.default else ''})"


def shorten(text: str) -> str:
    """The text, or its beginning when it is long."""
    return text if len(text) <= 120 else text[:117] + "..."


def _describe(action: Any) -> str:
    if isinstance(action, Reply):
        if action.calls:
            return f"tool_calls({', '.join(c.name for c in action.calls)})"
        return f"reply({shorten(action.texts[0])!r})"
    if isinstance(action, Fail):
        return f"fail({action.status})"
    if isinstance(action, Hang):
        return "disconnect()" if action.seconds == 0 else "hang()"
    return f"{getattr(action, '__name__', type(action).__name__)}(request)"


def _matcher(when: Matcher | Callable[[ModelRequest], bool] | None) -> Matcher | None:
    if when is None or isinstance(when, Matcher):
        return when
    if callable(when):
        return matches(when)
    raise ScriptError(f'when is {when!r}; write a matcher, such as system_contains("planner")')


def _step(direction: Mapping[str, Any], **what: Any) -> Step:
    options = dict(direction)
    when, times = _matcher(options.pop("when", None)), options.pop("times", 1)
    unknown = sorted(set(options) - Direction.__annotations__.keys())
    if unknown:
        raise ScriptError(f"unknown keyword {', '.join(unknown)}; allowed: {', '.join(Direction.__annotations__)}")
    return Step(Reply(**what, **options), when, times)


def _flatten(lines: Iterable[Line]) -> Iterator[Step]:
    for line in lines:
        if isinstance(line, Step):
            yield line
        elif isinstance(line, str):
            yield reply(line)
        elif isinstance(line, (Reply, Fail, Hang)) or callable(line):
            yield Step(line)
        elif isinstance(line, Iterable):
            yield from _flatten(line)
        else:
            raise ScriptError(f"{line!r} is no step; write reply(...), tool_calls(...), fail(...), hang() or role(...)")
