"""Which requests a step answers. Matchers combine with ``&``, ``|`` and ``~`` and describe themselves in messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .request import Endpoint, ModelRequest

__all__ = [
    "Matcher",
    "after_tool_result",
    "endpoint_is",
    "header_is",
    "last_message_contains",
    "matches",
    "message_contains",
    "model_is",
    "offers_tools",
    "streamed",
    "system_contains",
]


@dataclass(frozen=True)
class Matcher:
    """A named question about a request."""

    description: str
    test: Callable[[ModelRequest], bool]

    def __call__(self, request: ModelRequest) -> bool:
        return bool(self.test(request))

    def __and__(self, other: Matcher) -> Matcher:
        return Matcher(f"{self.description} and {other.description}", lambda r: self(r) and other(r))

    def __or__(self, other: Matcher) -> Matcher:
        return Matcher(f"({self.description} or {other.description})", lambda r: self(r) or other(r))

    def __invert__(self) -> Matcher:
        return Matcher(f"not {self.description}", lambda r: not self(r))


def matches(test: Callable[[ModelRequest], bool], description: str = "") -> Matcher:
    """Any question of your own: a function from the request to true or false."""
    return Matcher(description or getattr(test, "__name__", repr(test)), test)


def system_contains(text: str) -> Matcher:
    """The system prompt (or ``instructions``) holds this text, in any case."""
    wanted = text.casefold()
    return Matcher(f"system contains {text!r}", lambda r: wanted in r.system.casefold())


def last_message_contains(text: str) -> Matcher:
    """The last message holds this text, in any case."""
    wanted = text.casefold()
    return Matcher(f"last message contains {text!r}", lambda r: wanted in r.last.text.casefold())


def message_contains(text: str) -> Matcher:
    """Any message, the system prompt included, holds this text, in any case."""
    wanted = text.casefold()
    return Matcher(f"some message contains {text!r}", lambda r: wanted in r.text.casefold())


def model_is(name: str) -> Matcher:
    """The request names exactly this model."""
    return Matcher(f"model is {name!r}", lambda r: r.model == name)


def header_is(name: str, value: str) -> Matcher:
    """The HTTP header has exactly this value."""
    key = name.lower()
    return Matcher(f"header {key}: {value}", lambda r: r.headers.get(key) == value)


def offers_tools(*names: str) -> Matcher:
    """The request offers the model all these tools; with no names, any tool."""
    wanted = set(names)
    return Matcher(f"offers tools {', '.join(names) or '(any)'}", lambda r: bool(r.tools) and wanted <= set(r.tools))


def after_tool_result(text: str = "") -> Matcher:
    """The conversation ends with tool results, one of which holds this text, in any case."""
    wanted = text.casefold()
    return Matcher(
        f"after a tool result containing {text!r}" if text else "after a tool result",
        lambda r: any(wanted in result.text.casefold() for result in r.tool_results),
    )


def endpoint_is(endpoint: Endpoint) -> Matcher:
    """The request came to this endpoint, one of ``Endpoint``, such as ``chat.completions`` or ``embeddings``."""
    return Matcher(f"endpoint is {endpoint}", lambda r: r.endpoint == endpoint)


def streamed() -> Matcher:
    """The request asks for a stream."""
    return Matcher("streamed", lambda r: r.stream)
